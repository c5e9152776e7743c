package hostnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// retryDelay is the time between two attempts to start what cannot be started.
const retryDelay = 2 * time.Second

// The kubelet's reasons for a container that waits.
const (
	reasonInitializing = "PodInitializing"
	reasonCreating     = "ContainerCreating"
	reasonConfigError  = "CreateContainerConfigError"
	reasonCreateError  = "CreateContainerError"
	reasonCrashLoop    = "CrashLoopBackOff"
)

// problem is why a container does not start. It is tried again: what is
// missing may come.
type problem struct {
	reason string
	err    error
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

// run is one run of a container, a process.
type run interface {
	Done() <-chan struct{}
	Terminate()
	Kill()
	Exit() (code, signal int) // after Done
}

// container is the life of a container: its runs, and the waits between them.
type container struct {
	label  string // as in the kubelet's messages
	policy v1.RestartPolicy
	// start starts a run. Its error is a *problem.
	start func(context.Context) (run, error)
	// probe calls set whenever readiness changes, until ctx ends.
	probe func(ctx context.Context, set func(ready bool))
	// message returns the termination message of the run that just ended.
	message func(exitCode int32) string
	// update changes the container's status and has it reported.
	update func(func(*v1.ContainerStatus))
	event  func(kind, reason, message string)

	told string // the problem that was reported last, while it lasts
}

// live runs the container until it has ended for good. The end of stop asks
// the process to end, that of kill does not ask.
func (c *container) live(stop, kill context.Context) {
	var b backOff
	for stop.Err() == nil {
		r, err := c.start(stop)
		if err != nil {
			c.cannotStart(err)
			sleep(stop, retryDelay)
			continue
		}
		began := time.Now()
		c.running(began)
		code := c.await(stop, kill, r, began)
		if stop.Err() != nil || !restarts(c.policy, code) {
			return
		}
		if d := b.delay(time.Since(began)); d > 0 {
			c.crashLoop(d)
			sleep(stop, d)
		}
	}
}

// restarts reports whether a container that ended with the code starts again.
func restarts(policy v1.RestartPolicy, code int32) bool {
	return policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && code != 0
}

// await waits for the end of the run, brings it about when it is due, and
// reports it.
func (c *container) await(stop, kill context.Context, r run, began time.Time) int32 {
	probing, cancel := context.WithCancel(stop)
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		c.probe(probing, func(ready bool) {
			c.update(func(s *v1.ContainerStatus) { s.Ready = ready })
		})
	}()
	select {
	case <-r.Done():
	case <-stop.Done():
		r.Terminate()
		select {
		case <-r.Done():
		case <-kill.Done():
			r.Kill()
			<-r.Done()
		}
	}
	cancel()
	<-probed
	code, signal := r.Exit()
	t := &v1.ContainerStateTerminated{
		ExitCode:   int32(code),   //nolint:gosec // 0 to 255
		Signal:     int32(signal), //nolint:gosec // 0 to 64
		Reason:     "Completed",
		Message:    c.message(int32(code)), //nolint:gosec // 0 to 255
		StartedAt:  metav1.NewTime(began),
		FinishedAt: metav1.Now(),
	}
	if code != 0 {
		t.Reason = "Error"
	}
	c.update(func(s *v1.ContainerStatus) {
		s.State = v1.ContainerState{Terminated: t}
		s.Ready, s.Started = false, new(false)
	})
	return t.ExitCode
}

func (c *container) running(began time.Time) {
	c.told = ""
	c.update(func(s *v1.ContainerStatus) {
		retire(s)
		if s.LastTerminationState.Terminated != nil {
			s.RestartCount++
		}
		s.State = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(began)}}
		s.Started = new(true)
	})
	c.event(v1.EventTypeNormal, "Started", "Started container "+c.label)
}

func (c *container) cannotStart(err error) {
	if err.Error() == c.told {
		return
	}
	c.told = err.Error()
	reason := reasonCreateError
	if p, ok := errors.AsType[*problem](err); ok {
		reason = p.reason
	}
	c.waiting(reason, err.Error())
	c.event(v1.EventTypeWarning, "Failed", "Error: "+err.Error())
}

func (c *container) crashLoop(d time.Duration) {
	message := fmt.Sprintf("back-off %s restarting failed container %s", d, c.label)
	c.waiting(reasonCrashLoop, message)
	c.event(v1.EventTypeWarning, "BackOff", message)
}

func (c *container) waiting(reason, message string) {
	c.update(func(s *v1.ContainerStatus) {
		retire(s)
		s.State = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

// retire makes the end of a run the last one's.
func retire(s *v1.ContainerStatus) {
	if s.State.Terminated != nil {
		s.LastTerminationState = s.State
	}
}
