// Command weir scales Kubernetes workloads on the work that waits for them. It
// is the server (weir serve) and the tool for people and pipelines (weir
// explain, status, validate, check, scalers).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"

	"github.com/weir-sh/weir/internal/outbound"
	"github.com/weir-sh/weir/internal/serve"
	"github.com/weir-sh/weir/pkg/cli"
	"github.com/weir-sh/weir/pkg/explain"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
)

// version is set by the linker for releases.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run builds the command tree, runs one command and returns the exit code. Args
// begin with the name of the program: kubectl finds it as kubectl-weir.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errOut io.Writer) int {
	registry, err := scalers.NewRegistry(all.Scalers()...)
	if err != nil {
		fmt.Fprintln(errOut, "weir:", err)
		return 1
	}
	// gRPC prints what it also returns as errors.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	how, err := outbound.FromEnv(getenv)
	if err != nil {
		fmt.Fprintln(errOut, "weir:", err)
		return 1
	}
	// People measure from where they are, with what they have.
	how.AllowLinkLocal = true
	network, err := outbound.New(how)
	if err != nil {
		fmt.Fprintln(errOut, "weir:", err)
		return 1
	}
	root := cli.NewRoot(cli.Config{
		Version: version, Registry: registry, In: in, Out: out, Err: errOut,
		Env: scalers.Env{HTTP: network.HTTP, Dial: network.Dial, ClientName: "weir-check"},
	})
	root.AddCommand(explain.Commands(explain.Config{Version: version})...)
	root.AddCommand(serve.NewCommand(serve.Config{Version: version, Registry: registry, Getenv: getenv, Log: errOut}))
	if filepath.Base(args[0]) == "kubectl-weir" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl weir"}
	}
	return cli.Execute(ctx, root, args[1:])
}
