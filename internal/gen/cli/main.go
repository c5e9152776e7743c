// Command cli writes the reference pages of the command line, from the commands
// themselves, to docs/cli or to the directory given as its argument. Pages of
// commands that are gone are removed.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/weir-sh/weir/internal/serve"
	"github.com/weir-sh/weir/pkg/cli"
	"github.com/weir-sh/weir/pkg/explain"
	"github.com/weir-sh/weir/pkg/scalers"
)

func main() {
	dir := filepath.Join("docs", "cli")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(dir); err != nil {
		fmt.Fprintln(os.Stderr, "cli:", err)
		os.Exit(1)
	}
}

// run writes all pages to dir.
func run(dir string) error {
	registry, err := scalers.NewRegistry() // no page depends on the scalers there are
	if err != nil {
		return err
	}
	root := cli.NewRoot(cli.Config{Registry: registry, Out: io.Discard, Err: io.Discard})
	root.AddCommand(explain.Commands(explain.Config{})...)
	root.AddCommand(serve.NewCommand(serve.Config{Registry: registry, Getenv: func(string) string { return "" }, Log: io.Discard}))
	pages := cli.Docs(root)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the directory of the pages: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(dir, "weir*.md"))
	if err != nil {
		return fmt.Errorf("listing the pages: %w", err)
	}
	for _, file := range old {
		if _, kept := pages[filepath.Base(file)]; kept {
			continue
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("removing the page of a command that is gone: %w", err)
		}
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(page), 0o644); err != nil {
			return fmt.Errorf("writing a page: %w", err)
		}
	}
	return nil
}
