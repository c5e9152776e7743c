// Package explain answers "why is this workload at its size?": the commands weir
// explain and weir status, which are a plug-in of kubectl as well.
//
// Facts come from two places, and the answer names what it could not see. The API
// server, with the rights of the user and by reading only, tells of the object, its
// HorizontalPodAutoscaler, its workload, pods and events. Weir itself, through the
// API server or directly, tells of its decisions and of the age of each value.
// Each right that is missing takes away one part, never the whole.
//
// Facts become a [Report] by pure functions of the facts and the time, and the
// report becomes text or JSON.
package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Config is what the commands need of the program. The zero value works.
type Config struct {
	Version string           // for the user agent
	Now     func() time.Time // the clock, in the time zone of the output; nil: time.Now
}

// The exit statuses of the commands.
const (
	StatusFine      = 0 // what was asked for is printed, and nothing needs attention
	StatusFailed    = 1 // there is no such object, or it cannot be read
	StatusUsage     = 2 // the command line is wrong
	StatusAttention = 3 // it is printed, and something keeps an object from scaling as its spec asks
)

// ExitError ends a command that has printed everything already.
type ExitError struct {
	Status int // the exit status
	err    error
}

// Error implements error.
func (e *ExitError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.err }

// ExitCode is the exit status that the error asks for. A program that runs the
// commands prints nothing when an error has this method.
func (e *ExitError) ExitCode() int { return e.Status }

// Commands returns the commands explain and status, to be added to a root.
func Commands(c Config) []*cobra.Command {
	if c.Now == nil {
		c.Now = time.Now
	}
	return []*cobra.Command{explainCommand(c), statusCommand(c)}
}

// flags are those that both commands have.
type flags struct {
	kubeconfig, context, namespace string
	kind                           string
	server                         string
	weirNamespace, weirService     string
	output                         string
	watch                          bool
	formats                        []string
}

func (f *flags) bind(cmd *cobra.Command, formats ...string) {
	f.formats = formats
	fs := cmd.Flags()
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; that of kubectl when not given")
	fs.StringVar(&f.context, "context", "", "context of the kubeconfig; the current one when not given")
	fs.StringVarP(&f.namespace, "namespace", "n", "", "namespace; that of the context when not given")
	fs.StringVar(&f.kind, "kind", "", "only this kind: ScaledObject or ScaledJob")
	fs.StringVar(&f.server, "server", "", "weir's own address, such as http://localhost:8080 after kubectl port-forward; through the API server when not given")
	fs.StringVar(&f.weirNamespace, "weir-namespace", "weir-system", "namespace in which weir runs")
	fs.StringVar(&f.weirService, "weir-service", "weir", "Service of weir's metrics port there, which must be named metrics")
	fs.StringVarP(&f.output, "output", "o", formats[0], "how to print: "+strings.Join(formats, ", "))
	fs.BoolVarP(&f.watch, "watch", "w", false, "look again every 2s and print what changed, until interrupted")
	complete(cmd, "output", formats)
	complete(cmd, "kind", []string{v1alpha1.KindScaledObject, v1alpha1.KindScaledJob})
}

func complete(cmd *cobra.Command, flag string, values []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(fmt.Sprintf("explain: %v", err)) // the flag is not there
	}
}

// check refuses values that no flag can have.
func (f *flags) check(cmd *cobra.Command, args []string, most int) error {
	switch {
	case len(args) > most:
		return misuse(cmd, "unexpected argument %q", args[most])
	case !slices.Contains(f.formats, f.output):
		return misuse(cmd, "--output must be %s", strings.Join(f.formats, " or "))
	}
	for _, name := range append(args, f.namespace, f.weirNamespace, f.weirService) {
		if wrong := content.IsPathSegmentName(name); len(wrong) > 0 {
			return misuse(cmd, "%q is no name: it %s", name, strings.Join(wrong, " and "))
		}
	}
	for _, kind := range []string{"", v1alpha1.KindScaledObject, v1alpha1.KindScaledJob} {
		if strings.EqualFold(f.kind, kind) {
			f.kind = kind
			return nil
		}
	}
	return misuse(cmd, "--kind must be ScaledObject or ScaledJob")
}

// misuse says that cmd is used wrongly, and returns an error for it.
func misuse(cmd *cobra.Command, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	cmd.PrintErrf("%[1]s: %[2]v\nRun '%[1]s --help' for usage.\n", cmd.CommandPath(), err)
	return &ExitError{StatusUsage, err}
}

// sources finds the cluster, and the namespace to look in.
func (f *flags) sources(version string) (sources, string, error) {
	loading := clientcmd.NewDefaultClientConfigLoadingRules()
	loading.ExplicitPath = f.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: f.context}
	overrides.Context.Namespace = f.namespace
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loading, overrides)
	namespace, _, err := config.Namespace()
	if err != nil {
		return sources{}, "", fmt.Errorf("finding the namespace: %w", err)
	}
	rest, err := config.ClientConfig()
	if err != nil {
		return sources{}, "", fmt.Errorf("finding the API server: %w; give --kubeconfig", err)
	}
	api, err := newAPIServer(rest, version)
	if err != nil {
		return sources{}, "", err
	}
	s := sources{cluster: api, way: weirWay{f.server != "", f.weirNamespace, f.weirService}}
	if s.way.direct {
		s.weir = direct{f.server, &http.Client{Timeout: readTimeout}}
	} else {
		service := apiKind{version: "v1", plural: "services", sub: "proxy"}
		s.weir = proxied{api, service.path(f.weirNamespace, s.way.proxied())}
	}
	return s, namespace, nil
}

const exitHelp = `The exit status is 0 when all is fine, 1 when there is no such object or it cannot be
read, 2 when the command line is wrong, and 3 when something keeps an object from
scaling as its spec asks: it is not ready, a trigger cannot be measured, or its HPA
does not scale. An object that is paused is fine.`

const rightsHelp = `Everything is only read, with your rights: each that is missing takes away one part,
which the end of the output names. Weir's own view needs the Role weir-explain in the
namespace of weir, or --server.`

func explainCommand(c Config) *cobra.Command {
	var f flags
	var last int
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "Say why a workload is at its size",
		Long: `Explain says why the workload of a ScaledObject, or the Jobs of a ScaledJob, are as
many as they are: in one sentence first, and then with what it follows from. That is
the conditions, each trigger with its value and what it asks for, the HPA and its
pace, what limits the size now, what would change it, and weir's last decisions.

` + rightsHelp + `

` + exitHelp,
		Example: `  # Why is this not scaling?
  weir explain orders -n shop

  # As a plug-in of kubectl, after: ln -s weir kubectl-weir
  kubectl weir explain orders -n shop --watch

  # What keeps it from growing, for a program?
  weir explain orders -n shop -o json | jq .limits`,
	}
	f.bind(cmd, "text", "json")
	cmd.Flags().IntVar(&last, "last", 5, "how many of weir's decisions to show, from 0 to 100")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(cmd, args, 1); err != nil {
			return err
		}
		if len(args) == 0 || args[0] == "" {
			return misuse(cmd, "a NAME is missing; list what there is with: weir status")
		}
		if last < 0 || last > 100 {
			return misuse(cmd, "--last must be from 0 to 100")
		}
		return f.run(cmd, c, func(ctx context.Context, s sources, namespace string) (page, error) {
			return f.explain(ctx, c, s, subject{f.kind, namespace, args[0]}, last, (*Report).Text)
		})
	}
	return cmd
}

// explain makes the page of one object.
func (f *flags) explain(ctx context.Context, c Config, s sources, of subject, last int, text func(*Report) string) (page, error) {
	facts, err := s.gather(ctx, c.Now(), of)
	if err != nil {
		return page{}, err
	}
	r := facts.report(last)
	return f.page(r, r.Attention, func() string { return text(&r) })
}

func statusCommand(c Config) *cobra.Command {
	var f flags
	var all bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "List what is scaled, or show one object with all that belongs to it",
		Long: `Status lists the ScaledObjects and ScaledJobs of a namespace, or of all with -A:
their bounds, the pods there are (or the Jobs that run), the replicas wanted, the
conditions and the reason that tells most. With a NAME it shows that object as a
tree: its triggers, its HPA, its workload and the pods.

` + rightsHelp + `

` + exitHelp,
		Example: `  # What is there, and is it well?
  weir status -A

  # What belongs to this one?
  weir status orders -n shop`,
	}
	f.bind(cmd, "text", "wide", "json")
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "list the objects of all namespaces")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(cmd, args, 1); err != nil {
			return err
		}
		if all && len(args) > 0 {
			return misuse(cmd, "--all-namespaces lists objects; leave out NAME, or give --namespace")
		}
		return f.run(cmd, c, func(ctx context.Context, s sources, namespace string) (page, error) {
			if len(args) > 0 {
				return f.explain(ctx, c, s, subject{f.kind, namespace, args[0]}, 0, (*Report).Tree)
			}
			if all {
				namespace = ""
			}
			list, err := s.overview(ctx, c.Now(), namespace, f.kind)
			if err != nil {
				return page{}, err
			}
			return f.page(list, list.attention(), func() string { return list.Text(all, f.output == "wide") })
		})
	}
	return cmd
}

// page is one printed answer.
type page struct {
	text      string
	attention bool
}

// page renders v as JSON or as text.
func (f *flags) page(v any, attention bool, text func() string) (page, error) {
	if f.output != "json" {
		return page{text(), attention}, nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return page{}, fmt.Errorf("writing JSON: %w", err)
	}
	return page{b.String(), attention}, nil
}

// run prints one page, or each that differs from the one before.
func (f *flags) run(cmd *cobra.Command, c Config, look func(context.Context, sources, string) (page, error)) error {
	s, namespace, err := f.sources(c.Version)
	if err != nil {
		return err
	}
	once := func(ctx context.Context) (page, error) { return look(ctx, s, namespace) }
	if f.watch {
		return watch(cmd.Context(), cmd.OutOrStdout(), f.output != "json", once)
	}
	p, err := once(cmd.Context())
	if err != nil {
		return err
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), p.text); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if p.attention {
		return &ExitError{StatusAttention, errors.New("something needs attention")}
	}
	return nil
}
