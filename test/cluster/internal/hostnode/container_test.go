package hostnode

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	v1 "k8s.io/api/core/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRun ends after its time with its code, or when it is told to.
type fakeRun struct {
	done    chan struct{}
	once    sync.Once
	code    int
	ignores bool // SIGTERM
}

func newFakeRun(lasts time.Duration, code int, ignores bool) *fakeRun {
	r := &fakeRun{done: make(chan struct{}), code: code, ignores: ignores}
	time.AfterFunc(lasts, func() { r.end(code) })
	return r
}

func (r *fakeRun) end(code int) { r.once.Do(func() { r.code = code; close(r.done) }) }

func (r *fakeRun) Done() <-chan struct{} { return r.done }
func (r *fakeRun) Terminate() {
	if !r.ignores {
		r.end(143)
	}
}
func (r *fakeRun) Kill()            { r.end(137) }
func (r *fakeRun) Exit() (int, int) { return r.code, 0 }

// diary is a container that writes each change of its state with its time.
func diary(policy v1.RestartPolicy, start func(n int) (run, error)) (*container, *strings.Builder) {
	var text strings.Builder
	var status v1.ContainerStatus
	began := time.Now()
	n := 0
	return &container{
		label:  "c",
		policy: policy,
		start: func(context.Context) (run, error) {
			n++
			return start(n)
		},
		probe:   func(context.Context, func(bool)) {},
		message: func(int32) string { return "" },
		event:   func(string, string, string) {},
		update: func(change func(*v1.ContainerStatus)) {
			change(&status)
			fmt.Fprintf(&text, "%s ", time.Since(began))
			switch s := status.State; {
			case s.Waiting != nil:
				fmt.Fprintf(&text, "%s: %s", s.Waiting.Reason, s.Waiting.Message)
			case s.Running != nil:
				fmt.Fprintf(&text, "running, %d restarts", status.RestartCount)
			case s.Terminated != nil:
				fmt.Fprintf(&text, "%s %d", s.Terminated.Reason, s.Terminated.ExitCode)
			}
			text.WriteByte('\n')
		},
	}, &text
}

func TestAContainerLivesAsItsPolicySays(t *testing.T) {
	t.Parallel()
	lasting := func(d time.Duration, codes ...int) func(int) (run, error) {
		return func(n int) (run, error) { return newFakeRun(d, codes[min(n, len(codes))-1], false), nil }
	}
	for _, test := range []struct {
		name   string
		policy v1.RestartPolicy
		start  func(n int) (run, error)
		stop   time.Duration // when it is asked to end
		grace  time.Duration
		want   string
	}{
		{
			name: "one that ended well stays ended", policy: v1.RestartPolicyOnFailure, start: lasting(time.Second, 1, 0), stop: time.Hour,
			want: "0s running, 0 restarts\n1s Error 1\n1s running, 1 restarts\n2s Completed 0\n",
		},
		{
			name: "one that never restarts stays failed", policy: v1.RestartPolicyNever, start: lasting(time.Second, 3), stop: time.Hour,
			want: "0s running, 0 restarts\n1s Error 3\n",
		},
		{
			name: "one that keeps failing backs off to a minute", policy: v1.RestartPolicyAlways, start: lasting(time.Second, 1), stop: 200 * time.Second,
			want: "0s running, 0 restarts\n1s Error 1\n1s running, 1 restarts\n2s Error 1\n" +
				"2s CrashLoopBackOff: back-off 10s restarting failed container c\n12s running, 2 restarts\n13s Error 1\n" +
				"13s CrashLoopBackOff: back-off 20s restarting failed container c\n33s running, 3 restarts\n34s Error 1\n" +
				"34s CrashLoopBackOff: back-off 40s restarting failed container c\n1m14s running, 4 restarts\n1m15s Error 1\n" +
				"1m15s CrashLoopBackOff: back-off 1m0s restarting failed container c\n2m15s running, 5 restarts\n2m16s Error 1\n" +
				"2m16s CrashLoopBackOff: back-off 1m0s restarting failed container c\n3m16s running, 6 restarts\n3m17s Error 1\n" +
				"3m17s CrashLoopBackOff: back-off 1m0s restarting failed container c\n",
		},
		{
			name: "one that ran for long is forgiven", policy: v1.RestartPolicyAlways, start: lasting(2*time.Minute, 1), stop: 5 * time.Minute, grace: time.Second,
			want: "0s running, 0 restarts\n2m0s Error 1\n2m0s running, 1 restarts\n4m0s Error 1\n4m0s running, 2 restarts\n5m0s Error 143\n",
		},
		{
			name: "one that ignores SIGTERM is killed after its grace", policy: v1.RestartPolicyAlways, stop: time.Minute, grace: 30 * time.Second,
			start: func(int) (run, error) { return newFakeRun(time.Hour, 0, true), nil },
			want:  "0s running, 0 restarts\n1m30s Error 137\n",
		},
		{
			name: "one that cannot start is tried again, and says so once", policy: v1.RestartPolicyNever, stop: time.Hour,
			start: func(n int) (run, error) {
				if n < 4 {
					return nil, &problem{reasonConfigError, errors.New("no Secret")}
				}
				return newFakeRun(time.Second, 0, false), nil
			},
			want: "0s CreateContainerConfigError: no Secret\n6s running, 0 restarts\n7s Completed 0\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stop, cancelStop := context.WithCancel(t.Context())
				kill, cancelKill := context.WithCancel(t.Context())
				defer time.AfterFunc(test.stop, cancelStop).Stop()
				defer time.AfterFunc(test.stop+test.grace, cancelKill).Stop()
				c, text := diary(test.policy, test.start)
				c.live(stop, kill)
				cancelStop()
				cancelKill()
				if got := text.String(); got != test.want {
					t.Errorf("got\n%s\nwant\n%s", got, test.want)
				}
			})
		})
	}
}
