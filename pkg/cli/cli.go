// Package cli is the command line: commands that read manifests, say what is
// wrong with them, measure their triggers once, and describe the scalers there
// are.
//
// Commands are functions of (context, arguments, streams). The package reads no
// environment and ends no process; it talks to no Kubernetes cluster. Objects
// are judged by the same functions as in the controller, and against the same
// CustomResourceDefinitions as in the API server, so that what is fine here is
// fine there.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Config is what the commands need of the program. All fields are required.
type Config struct {
	Version  string            // as "weir version" prints it
	Registry *scalers.Registry // the scaler types to accept
	In       io.Reader         // what "-f -" reads
	Out      io.Writer         // results
	Err      io.Writer         // messages about a wrong use
	Env      scalers.Env       // what "weir check" gives to sources
}

// The exit statuses of Execute.
const (
	StatusFine  = 0 // everything asked for was done and found right
	StatusWrong = 1 // something is wrong with the input, or failed
	StatusUsage = 2 // the command line itself is wrong
)

// statusError ends a command that has printed what is wrong.
type statusError struct {
	status int
	err    error
}

// Error implements error.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *statusError) Unwrap() error { return e.err }

// ExitCode is the exit status that the error asks for. A program that runs the
// commands itself prints nothing when an error has this method.
func (e *statusError) ExitCode() int { return e.status }

// found ends a command that has printed problems.
func found() error { return &statusError{StatusWrong, errors.New("problems were found")} }

// NewRoot returns the command "weir" with its subcommands. Callers may add
// others to it; run it with Execute.
func NewRoot(c Config) *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "Scale Kubernetes workloads by the work that waits for them",
		Long: `Weir scales Kubernetes workloads by the work that waits for them in queues,
streams and databases. It serves the keda.sh/v1alpha1 API.

The commands explain and status say why workloads of a cluster are at their size.
The others work on manifests and need no cluster.`,
		Example: `  # Is everything in this folder right?
  weir validate -f manifests/

  # What would its triggers measure at this moment?
  weir check -f manifests/

  # Which parameters does a scaler take?
  weir scalers redis`,
		Args:          onlySubcommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	root.SetFlagErrorFunc(misused)
	root.AddCommand(validateCommand(c), checkCommand(c), scalersCommand(c), versionCommand(c))
	addCompletion(root)
	return root
}

// addCompletion adds cobra's command for shells, in the words used here.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	words := strings.NewReplacer("your current shell session", "the shell you are in", "for every new session", "for every new shell")
	for _, cmd := range root.Commands() {
		for _, shell := range cmd.Commands() {
			shell.Long = words.Replace(shell.Long)
		}
	}
}

// Execute runs root with args, which do not include the program's name, and
// returns the exit status. Errors that a command has not printed itself are
// printed to root's error stream.
func Execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return StatusFine
	}
	if ended, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return ended.ExitCode()
	}
	root.PrintErrf("%s: %v\n", root.Name(), err)
	return StatusWrong
}

// misused says that cmd is used wrongly, and returns an error for it.
func misused(cmd *cobra.Command, err error) error {
	cmd.PrintErrf("%[1]s: %[2]v\nRun '%[1]s --help' for usage.\n", cmd.CommandPath(), err)
	return &statusError{StatusUsage, err}
}

// misuse is misused with a text.
func misuse(cmd *cobra.Command, format string, args ...any) error {
	return misused(cmd, fmt.Errorf(format, args...))
}

// onlySubcommands refuses an argument that is no command.
func onlySubcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return misuse(cmd, "unknown command %q; did you mean %q?", args[0], strings.Join(near, `" or "`))
	}
	return misuse(cmd, "unknown command %q", args[0])
}

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse(cmd, "unexpected argument %q", args[0])
	}
	return nil
}

// format is the value of a flag --output.
type format string

// The formats.
const (
	formatText format = "text"
	formatJSON format = "json"
)

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Set implements pflag.Value.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatText, formatJSON:
		*f = format(s)
		return nil
	}
	return errors.New("must be text or json")
}

// Type implements pflag.Value.
func (*format) Type() string { return "text|json" }

// outputFlag adds the flag --output to cmd.
func outputFlag(cmd *cobra.Command, f *format) {
	*f = formatText
	cmd.Flags().VarP(f, "output", "o", "how to print the result")
	complete := cobra.FixedCompletions([]string{string(formatText), string(formatJSON)}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("output", complete); err != nil {
		panic(fmt.Sprintf("cli: %v", err)) // the flag is not there
	}
}
