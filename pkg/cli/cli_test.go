package cli_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/cli"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// actual are the scalers of this program.
func actual(t *testing.T) *scalers.Registry {
	t.Helper()
	return registryOf(t, all.Scalers()...)
}

func registryOf(t *testing.T, defs ...*scalers.Definition) *scalers.Registry {
	t.Helper()
	r, err := scalers.NewRegistry(defs...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// outcome is what a command did.
type outcome struct {
	status   int
	out, err string
}

// run executes a command line.
func run(t *testing.T, registry *scalers.Registry, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	root := cli.NewRoot(cli.Config{
		Version: "1.2.3", Registry: registry, In: strings.NewReader(stdin), Out: &out, Err: &errs,
		Env: scalers.Env{ClientName: "weir"},
	})
	status := cli.Execute(t.Context(), root, args)
	return outcome{status, out.String(), errs.String()}
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestMistakesInTheCommandLineHaveStatusTwo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"validat"}, "weir: unknown command \"validat\"; did you mean \"validate\"?\nRun 'weir --help' for usage.\n"},
		{[]string{"xyz"}, "weir: unknown command \"xyz\"\nRun 'weir --help' for usage.\n"},
		{[]string{"--xyz"}, "weir: unknown flag: --xyz\nRun 'weir --help' for usage.\n"},
		{[]string{"validate"}, "weir validate: nothing to read; name a file, a directory, or - for the standard input with -f\nRun 'weir validate --help' for usage.\n"},
		{[]string{"validate", "--strickt"}, "weir validate: unknown flag: --strickt\nRun 'weir validate --help' for usage.\n"},
		{[]string{"validate", "-f"}, "weir validate: flag needs an argument: 'f' in -f\nRun 'weir validate --help' for usage.\n"},
		{[]string{"validate", "-f", "x", "-o", "xml"}, "weir validate: invalid argument \"xml\" for \"-o, --output\" flag: must be text or json\nRun 'weir validate --help' for usage.\n"},
		{[]string{"check"}, "weir check: nothing to read; name a file, a directory, or - for the standard input with -f\nRun 'weir check --help' for usage.\n"},
		{[]string{"check", "--timeout", "0s", "-f", "x"}, "weir check: --timeout must be more than zero\nRun 'weir check --help' for usage.\n"},
		{[]string{"scalers", "a", "b"}, "weir scalers: at most one type can be described\nRun 'weir scalers --help' for usage.\n"},
		{[]string{"scalers", "rediss"}, "weir scalers: trigger type \"rediss\" is not known; did you mean \"redis\"?\nRun 'weir scalers --help' for usage.\n"},
		{[]string{"version", "now"}, "weir version: unexpected argument \"now\"\nRun 'weir version --help' for usage.\n"},
	} {
		got := run(t, actual(t), "", tc.args...)
		if got.status != cli.StatusUsage || got.err != tc.want || got.out != "" {
			t.Errorf("%q: %d\n%s%s\nwant\n%s", tc.args, got.status, got.err, got.out, tc.want)
		}
	}
}

func TestACommandOfTheProgramIsPartOfTheTree(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	root := cli.NewRoot(cli.Config{Version: "1", Registry: registryOf(t), In: strings.NewReader(""), Out: &out, Err: &errs})
	root.AddCommand(&cobra.Command{Use: "serve", Short: "Run", RunE: func(cmd *cobra.Command, _ []string) error {
		return cmd.Context().Err()
	}}, &cobra.Command{Use: "fail", RunE: func(*cobra.Command, []string) error { return os.ErrPermission }})
	if got := cli.Execute(t.Context(), root, []string{"serve"}); got != cli.StatusFine || errs.String() != "" {
		t.Errorf("serve: %d %s", got, &errs)
	}
	if got := cli.Execute(t.Context(), root, []string{"fail"}); got != cli.StatusWrong || errs.String() != "weir: permission denied\n" {
		t.Errorf("fail: %d %s", got, &errs)
	}
}

// A program that runs the commands itself finds the status in the error.
func TestErrorsHoldTheStatus(t *testing.T) {
	t.Parallel()
	for want, args := range map[int][]string{1: {"validate", "-f", "nowhere"}, 2: {"validate"}} {
		root := cli.NewRoot(cli.Config{Registry: registryOf(t), In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
		root.SetArgs(args)
		var coded interface{ ExitCode() int }
		if err := root.ExecuteContext(t.Context()); !errors.As(err, &coded) || coded.ExitCode() != want {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestVersionIsPrinted(t *testing.T) {
	t.Parallel()
	if got := run(t, actual(t), "", "version"); got.status != 0 || !strings.HasPrefix(got.out, "weir 1.2.3 (go1.") {
		t.Errorf("%+v", got)
	}
	if got := run(t, actual(t), "", "version", "-o", "json"); got.status != 0 || !strings.Contains(got.out, `"version": "1.2.3"`) {
		t.Errorf("%+v", got)
	}
}

func TestHelpSaysHow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--help"}, {"help", "validate"}, {"check", "-h"}, {"scalers", "-h"}} {
		got := run(t, actual(t), "", args...)
		if got.status != 0 || !strings.Contains(got.out, "Examples:\n  ") || got.err != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestShellsCompleteTypesAndFormats(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"scalers", "redis-s"}, "redis-sentinel\tScales on"},
		{[]string{"scalers", "redis", ""}, ":4\n"},
		{[]string{"validate", "-o", ""}, "text\njson\n:4\n"},
		{[]string{"val"}, "validate\tSay what is wrong"},
	} {
		got := run(t, actual(t), "", append([]string{"__complete"}, tc.args...)...)
		if got.status != 0 || !strings.HasPrefix(got.out, tc.want) {
			t.Errorf("%q: %+v", tc.args, got)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := run(t, actual(t), "", "completion", shell); got.status != 0 || !strings.Contains(got.out, "weir") {
			t.Errorf("completion %s: %d %s", shell, got.status, got.err)
		}
	}
}

func TestScalersAreListedAndDescribed(t *testing.T) {
	t.Parallel()
	fakes := registryOf(t, fake(t, &upstream{}), limited(t))
	golden(t, filepath.Join("testdata", "scalers", "list.txt"), run(t, fakes, "", "scalers").out)
	golden(t, filepath.Join("testdata", "scalers", "one.txt"), run(t, fakes, "", "scalers", "fake").out)
	for _, typ := range actual(t).Types() {
		got := run(t, actual(t), "", "scalers", typ)
		if got.status != 0 || !strings.HasPrefix(got.out, typ+": Scales on") {
			t.Errorf("%s: %+v", typ, got)
		}
	}
}

// Whatever "weir scalers" shows as an example must be fine.
func TestSamplesAreFine(t *testing.T) {
	t.Parallel()
	for _, typ := range actual(t).Types() {
		_, samples, ok := strings.Cut(run(t, actual(t), "", "scalers", typ).out, "\nExample: ")
		if !ok {
			t.Errorf("%s has no example", typ)
		}
		for sample := range strings.SplitSeq(samples, "\nExample: ") {
			title, manifest, _ := strings.Cut(sample, "\n\n")
			got := run(t, actual(t), strings.ReplaceAll("\n"+manifest, "\n  ", "\n"), "validate", "--allow-missing-refs", "-f", "-")
			if got.status != 0 || strings.Contains(got.out, "is not a field") {
				t.Errorf("%s, %s: %s\n%s", typ, title, got.out, manifest)
			}
		}
	}
}

func TestReferencePagesLinkToEachOther(t *testing.T) {
	t.Parallel()
	pages := cli.Docs(cli.NewRoot(cli.Config{Registry: registryOf(t)}))
	if len(pages) < 9 {
		t.Errorf("only %d pages", len(pages))
	}
	for name, page := range pages {
		for line := range strings.Lines(page) {
			if strings.Contains(line, "](") {
				_, link, _ := strings.Cut(line, "](")
				link, _, _ = strings.Cut(link, ")")
				if pages[link] == "" {
					t.Errorf("%s links to %s, which is no page", name, link)
				}
			}
		}
	}
}
