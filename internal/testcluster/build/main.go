// Command build builds the programs of the test cluster into the user's cache
// folder, says how far it is every 10 seconds, and prints their paths.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/weir-sh/weir/internal/testcluster"
)

func main() {
	kwok := flag.Bool("kwok", false, "build kwok, too, which plays nodes for hundreds of pods")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	paths, err := testcluster.Build(ctx, *kwok, func(line string) { fmt.Fprintln(os.Stderr, line) })
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	for _, path := range paths {
		fmt.Fprintln(os.Stdout, path)
	}
}
