package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

func checkCommand(c Config) *cobra.Command {
	var m manifests
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check -f FILE|DIR|- ...",
		Short: "Measure the triggers of manifests once",
		Long: `Check does what validate does, and then measures each trigger once against its
real source, from here: addresses that can be reached only from within a cluster
cannot be measured. Triggers of the same source share one connection, as they do
in the controller. Nothing is changed anywhere.

` + inputs + `

For each trigger it prints the value, the target, whether there is work, how many
replicas the value asks for, and how long the source took, connecting included.
The replicas are those that this trigger alone would ask for, within the limits of
its object; with metricType Value they depend on how many there are, and are not
shown. With -o json each element is that of validate, and has in addition:

  value            what was measured; null when it was not
  active           whether there is work; null when not measured
  desiredReplicas  null when not measured, or with metricType Value
  latencyMs        null when not measured
  errorKind        kind of failure, such as Unreachable or Unauthorized
  hint             what to do about it

Triggers with errors or with references that are missing are not measured, nor are
cpu and memory, which the HorizontalPodAutoscaler reads itself. The
exit status is 0 when everything is right and was measured, 1 when not, and 2 when
the command line is wrong.`,
		Example: `  # What do the queues hold, and what would follow?
  weir check -f manifests/

  # Ask brokers through a port-forward, from manifests with their credentials
  kubectl get so,triggerauthentication,secret,deploy -n shop -o yaml | weir check -f -`,
	}
	m.bind(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long a source may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if timeout <= 0 {
			return misuse(cmd, "--timeout must be more than zero")
		}
		subjects, err := m.examine(cmd, c, args)
		if err != nil {
			return err
		}
		measure(cmd.Context(), c.Env, timeout, subjects)
		unmeasured := judge(subjects)
		if err := m.reportCheck(cmd.OutOrStdout(), subjects); err != nil {
			return err
		}
		if unmeasured || count(subjects).problems > 0 {
			return found()
		}
		return nil
	}
	return cmd
}

// judge makes problems of failed measurements, and reports whether a trigger was
// not measured.
func judge(subjects []*subject) (unmeasured bool) {
	for _, s := range subjects {
		for i, t := range s.triggers {
			if t.readByHPA() {
				continue
			}
			if t.reading == nil {
				unmeasured = true
				continue
			}
			if err := t.reading.reading.Err; err != nil {
				s.problems = append(s.problems, triggers.Problem{
					Trigger: i, Field: fmt.Sprintf("spec.triggers[%d]", i),
					Message: strings.ReplaceAll(err.Error(), "\n", "; "),
				})
			}
		}
	}
	return unmeasured
}

// checkEntry is what "-o json" says of one trigger that was to be measured.
type checkEntry struct {
	entry
	Value     *float64     `json:"value"`
	Active    *bool        `json:"active"`
	Replicas  *int32       `json:"desiredReplicas"`
	LatencyMs *float64     `json:"latencyMs"`
	ErrorKind scalers.Kind `json:"errorKind"`
	Hint      string       `json:"hint"`
}

// checkEntries are the entries of a subject with what was measured.
func (s *subject) checkEntries() []checkEntry {
	var all []checkEntry
	for _, e := range s.entries() {
		c := checkEntry{entry: e}
		if e.Trigger < 0 || s.triggers[e.Trigger].reading == nil {
			c.OK = c.OK && (e.Trigger < 0 && !s.scales() || e.Trigger >= 0 && s.triggers[e.Trigger].readByHPA())
			all = append(all, c)
			continue
		}
		t := s.triggers[e.Trigger]
		r := t.reading.reading
		c.LatencyMs = new(float64(t.reading.latency.Microseconds()) / 1000)
		c.ErrorKind, c.Hint = scalers.KindOf(r.Err), scalers.HintOf(r.Err)
		if r.Err == nil {
			c.Value, c.Active = new(r.Value), new(active(t.parsed, r))
			c.Replicas = s.limits().replicas(t.parsed, r)
		}
		all = append(all, c)
	}
	return all
}

// reportCheck prints what check found.
func (m *manifests) reportCheck(out io.Writer, subjects []*subject) error {
	all := []checkEntry{}
	for _, s := range subjects {
		all = append(all, s.checkEntries()...)
	}
	if m.output == formatJSON {
		return writeJSON(out, all)
	}
	rows := [][]string{{"OBJECT", "TRIGGER", "TYPE", "VALUE", "TARGET", "ACTIVE", "REPLICAS", "LATENCY"}}
	for _, e := range all {
		if e.Trigger >= 0 {
			rows = append(rows, e.row())
		}
	}
	table, err := columns("", rows)
	if err != nil {
		return err
	}
	return write(out, table+"\n"+m.summary(subjects))
}

// row is the entry as a line of the table; a dash stands for what is not known.
func (e checkEntry) row() []string {
	const unknown = "-"
	value, isActive, replicas, latency, target := unknown, unknown, unknown, unknown, unknown
	if e.Target != "" {
		target = e.Target
	}
	if e.Value != nil {
		value = strconv.FormatFloat(*e.Value, 'f', -1, 64)
	}
	if e.Active != nil {
		isActive = map[bool]string{true: "yes", false: "no"}[*e.Active]
	}
	if e.Replicas != nil {
		replicas = strconv.Itoa(int(*e.Replicas))
	}
	if e.LatencyMs != nil {
		latency = strconv.FormatFloat(*e.LatencyMs, 'f', 1, 64) + "ms"
	}
	return []string{
		printable(e.Kind + " " + e.Namespace + "/" + e.Name), strconv.Itoa(e.Trigger), printable(e.Type),
		value, target, isActive, replicas, latency,
	}
}
