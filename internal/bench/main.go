// Command bench measures weir against its budgets: a real API server with the
// HPA controller, a real Redis, weir as its own process with the rights it is
// installed with, and thousands of ScaledObjects.
//
// It prints Markdown. With --write it replaces what is between the markers in
// docs/benchmarks.md, which also says how each figure comes about. Everything
// that it starts ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-sh/weir/internal/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case interrupted:
		fmt.Fprintln(os.Stderr, "bench: interrupted; nothing is left running")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	sizes   []int
	window  time.Duration // of one steady state
	trials  int           // of a message that wakes a workload
	readFor time.Duration // of one row of the table of reads
	write   bool
	profile string // folder for profiles; empty means none are taken
	command string // to get the same again
}

func parseFlags(args []string, errOut io.Writer) (*options, error) {
	o := &options{command: strings.Join(append([]string{"go run ./internal/bench"}, args...), " ")}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(errOut)
	sizes := fs.String("sizes", "1000,10000", "how many ScaledObjects; each size gets a cluster of its own, the first also the table of reads")
	fs.DurationVar(&o.window, "window", time.Minute, "length of one steady state; polls come every 30s")
	fs.BoolVar(&o.write, "write", false, "replace the generated part of docs/benchmarks.md")
	fs.StringVar(&o.profile, "profile", "", "folder for CPU and heap profiles of weir in each steady state; taking them costs CPU")
	quick := fs.Bool("quick", false, "200 ScaledObjects and short measurements, to see that it works; the figures mean little")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.trials, o.readFor = 100, 4*time.Second
	if *quick {
		*sizes, o.window, o.trials, o.readFor = "200", 35*time.Second, 10, time.Second
	}
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > maxSize {
			return nil, fmt.Errorf("--sizes: %q is not a number from 1 to %d", text, maxSize)
		}
		o.sizes = append(o.sizes, n)
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, nil
}

// run measures all sizes and prints the report.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	o, err := parseFlags(args, errOut)
	if err != nil {
		return err
	}
	log := &progress{out: errOut, start: time.Now()}
	root, err := stack.Root()
	if err != nil {
		return err
	}
	log.say("building weir")
	bin, err := stack.Build(ctx)
	if err != nil {
		return err
	}
	rep := &report{command: o.command, window: o.window, trials: o.trials, begun: time.Now()}
	if err := rep.machine(bin); err != nil {
		return err
	}
	failed := measureSizes(ctx, o, log, bin, rep)
	if len(rep.results) == 0 {
		return failed
	}
	rep.took = time.Since(rep.begun)
	text := rep.markdown()
	if _, err := io.WriteString(out, text); err != nil {
		return errors.Join(failed, fmt.Errorf("printing the report: %w", err))
	}
	if o.write && failed == nil {
		return replaceIn(filepath.Join(root, "docs", "benchmarks.md"), text)
	}
	return failed
}

// measureSizes measures one size after the other, up to the first that fails.
func measureSizes(ctx context.Context, o *options, log *progress, bin string, rep *report) error {
	for i, n := range o.sizes {
		res, err := measureSize(ctx, o, log, bin, n, i == 0)
		if err != nil {
			return fmt.Errorf("measuring %d ScaledObjects: %w", n, err)
		}
		rep.results = append(rep.results, res)
	}
	return nil
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
