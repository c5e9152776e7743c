package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-sh/weir/test/cluster/internal/controlplane"
	"github.com/weir-sh/weir/test/cluster/internal/hostnode"
	"github.com/weir-sh/weir/test/cluster/internal/kwok"
	"github.com/weir-sh/weir/test/cluster/internal/process"
)

const (
	// startTimeout is generous: a busy machine takes ten times the usual 4 s.
	startTimeout = 2 * time.Minute
	// stopGrace is what pods get at the end; all of it takes less than 3 s.
	stopGrace = 1500 * time.Millisecond
)

// cluster is what run builds and tears down.
type cluster struct {
	cfg      *config
	progress *progress
	logs     string
	launcher *process.Launcher
	client   kubernetes.Interface
	failed   chan error
}

// run runs a cluster until ctx ends, which is not an error, or a part of it
// stops by itself, which is.
func run(ctx context.Context, cfg *config, out io.Writer) (err error) {
	c := &cluster{cfg: cfg, progress: &progress{out: out, start: time.Now()}, failed: make(chan error, 1)}
	cleanUp, err := c.makeFolders()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	c.launcher, err = process.NewLauncher(c.progress.report)
	if err != nil {
		return err
	}
	// Pods end before their files go.
	defer c.launcher.Close(stopGrace)
	plane, err := c.start(ctx)
	if ctx.Err() != nil {
		return nil // asked to stop while starting
	}
	if err != nil {
		return err
	}
	if err := c.announce(); err != nil {
		return err
	}
	select {
	case err := <-plane.Failed():
		return err
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		c.progress.say("stopping")
		return nil
	}
}

// makeFolders makes the data folder, and returns how to remove it if it is
// only ours.
func (c *cluster) makeFolders() (cleanUp func() error, err error) {
	cleanUp = func() error { return nil }
	if c.cfg.dir == "" {
		c.cfg.dir, err = os.MkdirTemp("", "weir-testcluster-")
		if err != nil {
			return nil, fmt.Errorf("making the data folder: %w", err)
		}
		cleanUp = c.removeDir
	}
	c.cfg.dir, err = filepath.Abs(c.cfg.dir)
	if err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	c.logs = filepath.Join(c.cfg.dir, "logs")
	for _, dir := range []string{c.logs, c.podDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("making the data folder: %w", err), cleanUp())
		}
	}
	c.cfg.plane.Dir, c.cfg.plane.LogDir, c.cfg.plane.Progress = c.cfg.dir, c.logs, c.progress.say
	if c.cfg.kubeconfig == "" {
		c.cfg.kubeconfig = filepath.Join(c.cfg.dir, "kubeconfig")
	}
	return cleanUp, nil
}

func (c *cluster) podDir() string { return filepath.Join(c.cfg.dir, "pods") }

// removeDir tries more than once: etcd still writes while its files go.
func (c *cluster) removeDir() (err error) {
	for range 3 {
		if err = os.RemoveAll(c.cfg.dir); err == nil {
			return nil
		}
	}
	return fmt.Errorf("removing the data folder: %w", err)
}

// start starts the plane and the nodes and returns when pods can be scheduled.
func (c *cluster) start(ctx context.Context) (*controlplane.Plane, error) {
	// The plane's context must outlive this function, so the limit is a timer.
	planeCtx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(startTimeout, func() {
		cancel(fmt.Errorf("the cluster was not ready after %s; see %s", startTimeout, c.logs))
	})
	defer limit.Stop()
	plane, err := controlplane.Start(planeCtx, c.cfg.plane)
	if err != nil {
		return nil, err
	}
	if err := plane.WriteKubeconfig(c.cfg.kubeconfig); err != nil {
		return nil, err
	}
	c.client, err = kubernetes.NewForConfig(plane.RESTConfig(controlplane.BedUser, controlplane.BedUser))
	if err != nil {
		return nil, fmt.Errorf("connecting to kube-apiserver: %w", err)
	}
	c.startHostNodes(planeCtx)
	if err := c.startKwok(planeCtx, plane); err != nil {
		return nil, err
	}
	return plane, c.waitNodes(planeCtx)
}

func (c *cluster) startHostNodes(ctx context.Context) {
	for i := range c.cfg.hostNodes {
		n := hostnode.New(hostnode.Options{
			Client:   c.client,
			Launcher: c.launcher,
			Name:     fmt.Sprintf("host-%d", i),
			Dir:      c.podDir(),
			LogDir:   c.logs,
			Path:     c.cfg.path,
			Report:   c.progress.report,
		})
		go func() {
			if err := n.Run(ctx); err != nil {
				c.fail(err)
			}
		}()
	}
}

func (c *cluster) startKwok(ctx context.Context, plane *controlplane.Plane) error {
	if c.cfg.kwokNodes == 0 {
		return nil
	}
	// Not as the administrator, who in an audit log is the software under test.
	kubeconfig := filepath.Join(c.cfg.dir, "kwok.kubeconfig")
	if err := plane.WriteKubeconfigFor(kubeconfig, controlplane.BedUser); err != nil {
		return err
	}
	log := filepath.Join(c.logs, "kwok.log")
	p, err := kwok.Start(ctx, kwok.Options{
		Client:     c.client,
		Launcher:   c.launcher,
		Nodes:      c.cfg.kwokNodes,
		Program:    c.cfg.kwokProgram,
		Stages:     c.cfg.kwokStages,
		Kubeconfig: kubeconfig,
		LogFile:    log,
	})
	if err != nil {
		return err
	}
	go func() {
		<-p.Done()
		code, _ := p.Exit()
		c.fail(fmt.Errorf("running kwok: it ended with exit code %d; see %s", code, log))
	}()
	return nil
}

// fail makes run return. Only the first failure is of interest.
func (c *cluster) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// waitNodes waits until every node takes pods.
func (c *cluster) waitNodes(ctx context.Context) error {
	want := c.cfg.hostNodes + c.cfg.kwokNodes
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err == nil {
			ready := 0
			for i := range nodes.Items {
				if takesPods(&nodes.Items[i]) {
					ready++
				}
			}
			if ready == want {
				c.progress.say("%d nodes are ready", want)
				return nil
			}
			err = fmt.Errorf("%d of %d are ready", ready, want)
		}
		select {
		case failed := <-c.failed:
			return failed
		case <-ctx.Done():
			return fmt.Errorf("waiting for nodes: %w (%w)", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// takesPods tells that a node is Ready and that the node lifecycle controller
// has seen it.
func takesPods(n *v1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Key == v1.TaintNodeNotReady {
			return false
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type == v1.NodeReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

// announce tells the world that the cluster is ready.
func (c *cluster) announce() error {
	if c.cfg.readyFile != "" {
		if err := os.WriteFile(c.cfg.readyFile, []byte(c.cfg.kubeconfig+"\n"), 0o600); err != nil {
			return fmt.Errorf("writing the ready file: %w", err)
		}
	}
	c.progress.say("ready\nKUBECONFIG=%s", c.cfg.kubeconfig)
	return nil
}

// progress prints lines with the seconds since the start.
type progress struct {
	out   io.Writer
	start time.Time
	mu    sync.Mutex // keeps lines whole
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("[%6.2fs] ", time.Since(p.start).Seconds()) + fmt.Sprintf(format, args...) + "\n"
	// Whoever started us may have stopped to read; that is no reason to end.
	if _, err := io.WriteString(p.out, line); err != nil {
		p.out = io.Discard
	}
}

func (p *progress) report(err error) { p.say("error: %v", err) }

// untilEOF returns a context that ends with ctx or with the reader.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, err := io.Copy(io.Discard, r)
		cancel(errors.Join(errors.New("the parent has ended"), err))
	}()
	return ctx
}
