// Command demo shows weir at its main job, for real: a Kubernetes control plane,
// a Redis and a RabbitMQ server, weir itself, and workers that are processes.
// It sends bursts of messages, shows how the workloads wake, grow, drain and go
// back to zero, and checks that every message was worked on.
//
// It exits with 0 only if it saw the whole cycle and nothing was lost. With
// DEMO_KEEP=1 everything stays up until it is interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/weir-sh/weir/internal/brokers/rabbitmq"
	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/internal/stack"
	"github.com/weir-sh/weir/internal/testcluster"
)

// timeout bounds the cycle from the first message to zero replicas.
const timeout = 4 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Getenv("DEMO_KEEP") == "1")
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case interrupted:
		fmt.Fprintln(os.Stderr, "demo: interrupted; nothing is left running")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// scene is everything that runs.
type scene struct {
	dir     string
	cluster *testcluster.Cluster
	redis   *redis.Server
	rabbit  *rabbitmq.Server
	weir    *stack.Weir
	log     *progress
}

// run does the whole demonstration.
func run(ctx context.Context, out io.Writer, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	s := &scene{dir: dir, log: &progress{out: out, start: time.Now()}}
	defer func() {
		s.log.say("stopping everything")
		err = errors.Join(err, s.stop())
	}()
	if err := s.up(ctx); err != nil {
		return err
	}
	subjects, err := s.deploy(ctx)
	if err != nil {
		return err
	}
	err = s.play(ctx, out, subjects)
	if keep && ctx.Err() == nil {
		fmt.Fprintf(out, "\nEverything is still running. In another terminal:\n\n  export KUBECONFIG=%s\n  kubectl get scaledobjects,hpa,deployments\n\n"+
			"Redis is at %s, RabbitMQ at %s, weir's log is %s.\nPress Ctrl-C to end.\n", s.cluster.Kubeconfig, s.redis.Addr(), s.rabbit.AMQPURL(), s.weirLog())
		<-ctx.Done()
	}
	return err
}

// up starts the control plane, the brokers and weir; what can be done side by
// side is.
func (s *scene) up(ctx context.Context) error {
	s.log.say("building weir and the workers (the first time takes a few minutes)")
	bin, err := stack.Build(ctx)
	if err != nil {
		return err
	}
	// Pods are processes: their commands are found where ours are.
	if err := os.Setenv("PATH", filepath.Dir(bin)+":"+os.Getenv("PATH")); err != nil {
		return fmt.Errorf("setting the path: %w", err)
	}
	var list, queue error
	var starts sync.WaitGroup
	starts.Go(func() {
		s.redis, list = redis.Start(ctx, redis.Options{})
	})
	starts.Go(func() {
		s.rabbit, queue = rabbitmq.Start(ctx, rabbitmq.Options{Dir: filepath.Join(s.dir, "rabbitmq"), Progress: func(line string) { s.log.say("rabbitmq: %s", line) }})
	})
	s.log.say("starting the control plane, Redis and RabbitMQ")
	s.cluster, err = testcluster.Start(ctx, testcluster.Options{
		HPASyncPeriod: 3 * time.Second, HPADownscaleStabilization: 10 * time.Second, Dir: filepath.Join(s.dir, "cluster"),
		Progress: func(line string) { s.log.say("control plane: %s", line) },
	})
	starts.Wait()
	if err := errors.Join(err, list, queue); err != nil {
		return err
	}
	s.log.say("starting weir from deploy/weir.yaml, as its own service account")
	s.weir, err = stack.Start(ctx, s.cluster, stack.Options{Binary: bin, Log: s.weirLog()})
	if err != nil {
		return err
	}
	return s.wait(ctx, "weir to serve external metrics", time.Minute, func(ctx context.Context) error { return s.weir.Ready(ctx, s.cluster) })
}

func (s *scene) weirLog() string { return filepath.Join(s.dir, "weir.log") }

// stop ends everything, in the order that keeps the logs quiet.
func (s *scene) stop() error {
	var errs []error
	if s.weir != nil {
		errs = append(errs, s.weir.Stop())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Stop())
	}
	if s.rabbit != nil {
		errs = append(errs, s.rabbit.Stop())
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// wait says what it waits for and asks until f succeeds.
func (s *scene) wait(ctx context.Context, what string, limit time.Duration, f func(context.Context) error) error {
	s.log.say("waiting for %s", what)
	return s.weir.Await(ctx, limit, what, f)
}

// progress prints what is going on, with the time since the start.
type progress struct {
	start time.Time

	mu  sync.Mutex // guards out
	out io.Writer
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%6.1fs  %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}
