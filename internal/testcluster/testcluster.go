// Package testcluster starts a real Kubernetes cluster for tests and
// demonstrations: the program of test/cluster, as a process of its own,
// because its dependencies are no business of this module's.
//
// Start builds the program where that is needed, which takes some 10 minutes
// the first time on a machine and is told every 10 seconds; after that a
// cluster starts in about 4 seconds and uses about 350 MB. Start one per test
// run and give each test a namespace of its own. The cluster ends with Stop
// or with the process that started it, whichever comes first, and leaves
// nothing behind.
package testcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// startTimeout is how long a built cluster may take to be ready.
	startTimeout = 3 * time.Minute
	// stopTimeout is when a cluster that was asked to end is killed. It needs 2 s.
	stopTimeout = 5 * time.Second
)

// Options say what the cluster is like. The zero value is a cluster with one
// host node and the intervals of real clusters.
type Options struct {
	// HPASyncPeriod is how often the HPA controller looks at each HPA; zero means 15 s.
	HPASyncPeriod time.Duration
	// HPADownscaleStabilization is the HPAs' default window for scaling down; zero means 5 min.
	HPADownscaleStabilization time.Duration
	// HostNodes is how many nodes run pods as local processes; zero means 1,
	// negative none.
	HostNodes int
	// KwokNodes is how many nodes only play pods. They are tainted: see the
	// label and taint weir.sh/node=kwok. Any but zero needs kwok, which is built.
	KwokNodes int
	// AuditLog is the file in which each write to the API is logged as a line
	// of JSON (audit.k8s.io/v1 Event); empty means none.
	AuditLog string
	// Users are further users of the API, as NAME:GROUP,GROUP; the kubeconfig
	// has a context named like each.
	Users []string
	// Args are further flags of weir-testcluster, which win.
	Args []string
	// Dir is where data, keys and logs go, made if need be. Empty means a
	// temporary folder, which Stop removes.
	Dir string
	// Progress is told, line by line, what is going on; nil means nobody is.
	// It is called from one goroutine at a time until Stop has returned.
	Progress func(line string)
}

// Cluster is a running cluster.
type Cluster struct {
	// Dir holds data, keys and, in logs/, a log for each component and for each
	// container (NAMESPACE_POD_CONTAINER.log).
	Dir string
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string

	config *rest.Config
	client kubernetes.Interface
	cmd    *exec.Cmd
	stdin  io.Closer
	output *tail
	ended  chan struct{} // closed when the process has ended
	exit   error         // how it ended; read it after ended
	stop   sync.Once
	keep   bool // Dir is the caller's
}

// Start builds, if necessary, and starts a cluster, and returns when pods can
// run on it. ctx limits the start only. The caller must call Stop.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	b, err := newBuilder(ctx, opts.Progress)
	if err != nil {
		return nil, err
	}
	path, err := b.controlPlane(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: opts.Dir, keep: opts.Dir != "", ended: make(chan struct{}), output: &tail{}}
	if c.keep {
		err = os.MkdirAll(c.Dir, 0o700)
	} else {
		c.Dir, err = os.MkdirTemp("", "weir-testcluster-")
	}
	if err != nil {
		return nil, fmt.Errorf("making the cluster's folder: %w", err)
	}
	args := arguments(opts, c.Dir)
	if opts.KwokNodes > 0 {
		more, err := b.kwok(ctx, c.Dir)
		if err != nil {
			return nil, errors.Join(err, c.removeDir())
		}
		args = append(args, more...)
	}
	ready, err := c.launch(path, append(args, opts.Args...), opts.Progress)
	if err != nil {
		return nil, errors.Join(err, c.removeDir())
	}
	if err := c.connect(ctx, ready); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func arguments(opts Options, dir string) []string {
	args := []string{"--exit-with-parent", "--dir=" + dir}
	add := func(is bool, flag, value string) {
		if is {
			args = append(args, "--"+flag+"="+value)
		}
	}
	add(opts.HPASyncPeriod != 0, "hpa-sync-period", opts.HPASyncPeriod.String())
	add(opts.HPADownscaleStabilization != 0, "hpa-downscale-stabilization", opts.HPADownscaleStabilization.String())
	add(opts.HostNodes != 0, "host-nodes", strconv.Itoa(max(opts.HostNodes, 0)))
	add(opts.KwokNodes != 0, "kwok-nodes", strconv.Itoa(opts.KwokNodes))
	add(opts.AuditLog != "", "audit-log", opts.AuditLog)
	for _, u := range opts.Users {
		add(true, "token", u)
	}
	return args
}

// launch starts the program. The returned channel gets the kubeconfig's path
// when the cluster is ready.
func (c *Cluster) launch(path string, args []string, progress func(string)) (<-chan string, error) {
	//nolint:noctx // it lives until Stop; the end of its standard input ends it
	c.cmd = exec.Command(path, args...)
	c.cmd.Stderr = c.output
	// A group of its own: Ctrl-C reaches us, and we decide when it ends.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	ready := make(chan string, 1)
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			progress(lines.Text())
			if kubeconfig, ok := strings.CutPrefix(lines.Text(), "KUBECONFIG="); ok {
				ready <- kubeconfig
			}
		}
		c.exit = c.cmd.Wait()
	}()
	return ready, nil
}

// connect waits until the cluster is ready and makes the clients.
func (c *Cluster) connect(ctx context.Context, ready <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case c.Kubeconfig = <-ready:
	case <-c.ended:
		return fmt.Errorf("starting the cluster: %w", c.failure())
	case <-ctx.Done():
		return fmt.Errorf("waiting for the cluster: %w; see %s", ctx.Err(), filepath.Join(c.Dir, "logs"))
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	config.QPS = -1
	c.config = config
	c.client, err = kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	return nil
}

// failure says how the process ended by itself. Call it after ended only.
func (c *Cluster) failure() error {
	if c.exit == nil {
		return errors.New("the cluster has ended")
	}
	return fmt.Errorf("the cluster has ended: %w: %s", c.exit, c.output)
}

// Ended is closed when the cluster's process has ended, wanted or not.
func (c *Cluster) Ended() <-chan struct{} { return c.ended }

// Stop ends the cluster and all processes of its pods, and removes its folder
// unless that is the caller's. Further calls do nothing and return nil.
func (c *Cluster) Stop() (err error) {
	c.stop.Do(func() { err = errors.Join(c.end(), c.removeDir()) })
	return err
}

func (c *Cluster) end() error {
	err := c.stdin.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil // it had ended before
	}
	select {
	case <-c.ended:
		if c.exit != nil {
			err = errors.Join(err, c.failure())
		}
	case <-time.After(stopTimeout):
		err = errors.Join(err, fmt.Errorf("stopping the cluster: it was killed after %s", stopTimeout), c.cmd.Process.Kill())
		<-c.ended
	}
	return err
}

func (c *Cluster) removeDir() error {
	if c.keep {
		return nil
	}
	if err := os.RemoveAll(c.Dir); err != nil {
		return fmt.Errorf("removing the cluster's folder: %w", err)
	}
	return nil
}

// RESTConfig returns the administrator's client configuration, without rate
// limits. The caller may change it.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

// Client returns the administrator's client.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.add(string(p))
	return len(p), nil
}

func (t *tail) add(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, text...)
	t.kept = t.kept[max(0, len(t.kept)-tailSize):]
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
