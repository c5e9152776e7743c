// Command weir-testcluster is a whole Kubernetes cluster in one process, for
// tests and demonstrations: etcd, kube-apiserver, the controllers, the
// scheduler, and nodes whose pods are processes of this machine (host nodes)
// or are only played (kwok nodes).
//
// It listens on loopback only, on free ports, writes a kubeconfig, prints
// "ready" and "KUBECONFIG=PATH", and runs until SIGTERM, SIGINT or, with
// --exit-with-parent, the end of its standard input. Nothing that it started
// outlives it, and its data is thrown away.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// stopBudget is how long the end may take at most; it usually takes below 2 s.
const stopBudget = 3 * time.Second

func main() {
	cfg, err := parseFlags(os.Args[1:])
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "weir-testcluster:", err)
		os.Exit(2)
	}
	cfg.path = os.Getenv("PATH")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	if cfg.exitWithParent {
		ctx = untilEOF(ctx, os.Stdin)
	}
	// A reader of our output that went away is no reason to leave files behind.
	// Caught, not ignored: pods would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	for _, s := range ignoredSignals() { // as under nohup, or a shell without job control
		signal.Notify(make(chan os.Signal, 1), s)
	}
	context.AfterFunc(ctx, func() { time.AfterFunc(stopBudget, giveUp) })
	err = run(ctx, cfg, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir-testcluster:", err)
		os.Exit(1)
	}
	// The control plane cannot be stopped in good time, and need not be.
	os.Exit(0)
}

// giveUp ends at once; the watchdog kills what is left of pods.
func giveUp() {
	fmt.Fprintln(os.Stderr, "weir-testcluster: not stopped after", stopBudget)
	os.Exit(1)
}

// ignoredSignals returns the signals that this process was started to ignore. Go
// tells of two of them only.
func ignoredSignals() []os.Signal {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil // no such file: pods inherit what they do
	}
	_, rest, _ := strings.Cut(string(status), "SigIgn:")
	text, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	if err != nil {
		return nil
	}
	var out []os.Signal
	for n := syscall.Signal(1); n < 32; n++ {
		if mask&(1<<(n-1)) != 0 {
			out = append(out, n)
		}
	}
	return out
}
