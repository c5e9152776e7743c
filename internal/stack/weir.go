// Package stack runs weir on a test cluster as it runs in a real one: installed
// from the manifests of deploy/, with the rights of its own service account, as
// a process that can be killed and started again. The end-to-end tests, the demo
// and the benchmark share it.
package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weir-sh/weir/internal/testcluster"
)

// Options say how weir runs. The zero value is as installed.
type Options struct {
	// Binary is the weir program, as Build returns it. Required.
	Binary string
	// Log is where weir's output goes. Required.
	Log string
	// Args are further flags of weir serve, which win.
	Args []string
}

// Weir is weir serve as a process. It ends with the process that started it.
type Weir struct {
	// Debug is the base URL of the metrics server, with /metrics and /debug/weir/.
	Debug string

	opts  Options
	args  []string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process of cmd has ended
}

// stopTimeout is how long weir may take to end when asked to.
const stopTimeout = 15 * time.Second

// Start installs weir's manifests in the cluster and starts weir beside it. It
// does not wait: see Weir.Ready.
func Start(ctx context.Context, c *testcluster.Cluster, opts Options) (*Weir, error) {
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	if err := install(ctx, c, ports[0], ports[3]); err != nil {
		return nil, fmt.Errorf("installing weir's manifests: %w", err)
	}
	config, err := c.ServiceAccountConfig(ctx, namespace, serviceAccount)
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(c.Dir, "weir.kubeconfig")
	if err := testcluster.WriteKubeconfig(kubeconfig, config); err != nil {
		return nil, err
	}
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	w := &Weir{Debug: "http://" + at(ports[1]), opts: opts}
	w.args = append([]string{
		"serve", "--kubeconfig=" + kubeconfig, "--namespace=" + namespace,
		"--secure-bind-address=" + at(ports[0]), "--metrics-bind-address=" + at(ports[1]),
		"--health-probe-bind-address=" + at(ports[2]), "--webhook-bind-address=" + at(ports[3]),
		"--leader-elect=false", // one process; a killed one must not make its successor wait for the Lease
	}, opts.Args...)
	return w, w.Restart()
}

// Restart starts weir again after Stop or Kill, with the same flags and ports.
func (w *Weir) Restart() error {
	log, err := os.OpenFile(w.opts.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening weir's log: %w", err)
	}
	//nolint:gosec,noctx // the program is the one just built; it lives until Stop
	cmd := exec.Command(w.opts.Binary, w.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting weir: %w", err), log.Close())
	}
	ended := make(chan struct{})
	w.cmd, w.ended = cmd, ended
	go func() {
		defer close(ended)
		_ = cmd.Wait()  //nolint:errcheck // whoever needs to know looks at ProcessState
		_ = log.Close() //nolint:errcheck // nothing is buffered in it
	}()
	return nil
}

// PID is the process id of the running weir.
func (w *Weir) PID() int { return w.cmd.Process.Pid }

// Stop asks weir to end and waits for it. The error says if it had to be killed.
func (w *Weir) Stop() error {
	if w == nil || w.cmd == nil || done(w.ended) {
		return nil
	}
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping weir: %w", err)
	}
	select {
	case <-w.ended:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("stopping weir: it was killed after %s", stopTimeout), w.Kill())
	}
}

// Kill ends weir with SIGKILL, as a crash does.
func (w *Weir) Kill() error {
	if err := w.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing weir: %w", err)
	}
	<-w.ended
	return nil
}

func done(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Ended says why weir is not running any more, with the end of its log, or nil; a
// nil Weir has never run.
func (w *Weir) Ended() error {
	if w == nil || !done(w.ended) {
		return nil
	}
	return fmt.Errorf("weir has ended (%v): %s", w.cmd.ProcessState, w.tail())
}

// tail returns the last lines of the log.
func (w *Weir) tail() string {
	const most = 2000
	b, err := os.ReadFile(w.opts.Log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// Ready returns nil once the API server answers external metrics from weir.
func (w *Weir) Ready(ctx context.Context, c *testcluster.Cluster) error {
	if err := w.Ended(); err != nil {
		return err
	}
	return c.Client().Discovery().RESTClient().Get().AbsPath("/apis/external.metrics.k8s.io/v1beta1").Do(ctx).Error()
}

// Await asks again and again until f succeeds; it gives up after limit, when ctx
// ends, or when weir has. What completes the sentence "waiting for ...".
func (w *Weir) Await(ctx context.Context, limit time.Duration, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ended := w.Ended(); ended != nil {
			return fmt.Errorf("waiting for %s: %w", what, ended)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Get decodes what weir serves under path, such as /debug/weir/sources, into v.
func (w *Weir) Get(ctx context.Context, path string, v any) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.Debug+path, nil)
	if err != nil {
		return fmt.Errorf("asking weir: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking weir: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("asking weir for %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking weir for %s: %s", path, resp.Status)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("reading weir's answer to %s: %w", path, err)
	}
	return nil
}

// freePorts returns n loopback ports that are free now. All are held until the
// last is found, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	var held []net.Listener
	var errs []error
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener on loopback is there at once
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		held = append(held, l)
		_, port, err := net.SplitHostPort(l.Addr().String())
		errs = append(errs, err)
		_, err = fmt.Sscan(port, &ports[i])
		errs = append(errs, err)
	}
	for _, l := range held {
		errs = append(errs, l.Close())
	}
	return ports, errors.Join(errs...)
}
