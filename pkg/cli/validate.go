package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-sh/weir/pkg/triggers"
)

// manifests are the flags of the commands that read them.
type manifests struct {
	files            []string
	output           format
	strict           bool
	allowMissing     bool
	namespace        string
	clusterNamespace string
}

// bind adds the flags to cmd.
func (m *manifests) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&m.files, "filename", "f", nil, "file, directory, or - for the standard input; may be repeated")
	f.BoolVar(&m.strict, "strict", false, "treat warnings as errors")
	f.BoolVar(&m.allowMissing, "allow-missing-refs", false, "only warn of references to Secrets and other objects that are not in the input")
	f.StringVarP(&m.namespace, "namespace", "n", "default", "namespace of objects that name none")
	f.StringVar(&m.clusterNamespace, "cluster-namespace", "weir-system", "namespace in which ClusterTriggerAuthentications find their Secrets")
	outputFlag(cmd, &m.output)
}

// examine judges the files of the flags and of args.
func (m *manifests) examine(cmd *cobra.Command, c Config, args []string) ([]*subject, error) {
	files := slices.Concat(m.files, args)
	if len(files) == 0 {
		return nil, misuse(cmd, "nothing to read; name a file, a directory, or - for the standard input with -f")
	}
	e := examination{registry: c.Registry, allowMissing: m.allowMissing, namespace: m.namespace, clusterNamespace: m.clusterNamespace}
	subjects, err := e.run(cmd.Context(), cmd.InOrStdin(), files)
	if err != nil {
		return nil, err
	}
	if t := count(subjects); t.objects+t.problems == 0 {
		subjects = append(subjects, nothingFound(files))
	}
	if m.strict {
		strict(subjects)
	}
	return subjects, nil
}

// inputs is how the two commands say what they read.
const inputs = `Manifests are read from files, from directories with everything below them
(*.yaml, *.yml and *.json), and from the standard input. A file may hold several
YAML documents, JSON objects, and lists.`

func validateCommand(c Config) *cobra.Command {
	var m manifests
	cmd := &cobra.Command{
		Use:   "validate -f FILE|DIR|- ...",
		Short: "Say what is wrong with manifests, without a cluster",
		Long: `Validate checks every ScaledObject and ScaledJob of its input, and the
TriggerAuthentications with them, as the API server, the admission webhook and
the controllers would: fields and values, the parameters of each trigger, what
stands in each other's way, and whether what is referred to exists. It needs no
cluster and connects to nothing.

` + inputs + `

TriggerAuthentications, Secrets, ConfigMaps and workloads that triggers refer to
are looked for in the same input. What is not there counts as missing, which is an
error, or with --allow-missing-refs a warning. Workloads are needed only by
parameters that come from their environment.

Each problem is one line: "error" or "warning", file, object, field, and what to
do. With -o json the result is one array with an element for each trigger:
problems of an object are repeated in each of its triggers, and what belongs to no
trigger, such as a file that cannot be read, has an element with trigger -1. Values
of parameters are never shown.

The exit status is 0 when all is fine, 1 when anything is wrong, and 2 when the
command line is.`,
		Example: `  # Check a folder, and treat warnings as errors
  weir validate --strict -f manifests/

  # Check what a chart renders; its Secrets come from elsewhere
  helm template ./chart | weir validate --allow-missing-refs -f -

  # List the metric names
  weir validate -f manifests/ -o json | jq -r '.[].metricName'`,
	}
	m.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		subjects, err := m.examine(cmd, c, args)
		if err != nil {
			return err
		}
		if err := m.report(cmd, subjects); err != nil {
			return err
		}
		if count(subjects).problems > 0 {
			return found()
		}
		return nil
	}
	return cmd
}

// report prints what validate found.
func (m *manifests) report(cmd *cobra.Command, subjects []*subject) error {
	if m.output == formatJSON {
		all := []entry{}
		for _, s := range subjects {
			all = append(all, s.entries()...)
		}
		return writeJSON(cmd.OutOrStdout(), all)
	}
	return write(cmd.OutOrStdout(), m.summary(subjects))
}

// summary is what is wrong, for people.
func (m *manifests) summary(subjects []*subject) string {
	lines := fmt.Sprintf("%s%v\n", problemLines(subjects), count(subjects))
	if !m.allowMissing {
		lines += hint(subjects)
	}
	return lines
}

// nothingFound warns of an input in which there is nothing to check.
func nothingFound(files []string) *subject {
	return &subject{file: strings.Join(files, ", "), warnings: []triggers.Problem{
		{Trigger: -1, Message: "holds no ScaledObject and no ScaledJob"},
	}}
}
