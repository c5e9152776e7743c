package scalertest_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// variant names the scaler that TestVariant runs. Only the child processes of
// TestTheSuiteCanFail set it.
var variant = flag.String("variant", "", "broken scaler to run")

// table returns the cases for a broker.
func table(address string) []scalertest.Case {
	in := func(queue string) param.Values {
		return param.Values{Metadata: map[string]string{"address": address, "queueName": queue}}
	}
	return []scalertest.Case{
		{Name: "a queue with three messages", Values: in("full"), Want: 3, MetricName: "s0-broker-full"},
		{Name: "an empty queue", Values: in("empty")},
		{Name: "a queue that does not exist", Values: in("none"), Err: `measuring queue "none": it does not exist; create it`, Kind: scalers.NotFound},
		{Name: "a broker that is not there", Values: param.Values{Metadata: map[string]string{"address": "127.0.0.1:1", "queueName": "x"}}, Err: "connecting to the broker", Kind: scalers.Unreachable},
	}
}

func TestAGoodScalerPasses(t *testing.T) {
	address := startBroker(t, map[string]int{"full": 3, "empty": 0})
	scalertest.Run(t, scalers.Define(brokerSpec()), table(address))
}

func TestAScalerWithoutWatchPasses(t *testing.T) {
	address := startBroker(t, map[string]int{"full": 3, "empty": 0})
	s := brokerSpec()
	s.Watches, s.MaxBatch = false, 2
	s.Open = func(ctx context.Context, _ scalers.Env, b broker) (scalers.Source[queue], error) { return dial(ctx, b) }
	scalertest.Run(t, scalers.Define(s), table(address))
}

// broken is a scaler or a table with one fault, the promises that find it, and
// what the suite says.
type broken struct {
	spec   func(*scalers.Spec[broker, queue])
	acts   behaviour
	cases  func([]scalertest.Case) []scalertest.Case
	breaks []string
	says   string
}

// onlyCase applies f to the first case.
func onlyCase(f func(*scalertest.Case)) func([]scalertest.Case) []scalertest.Case {
	return func(c []scalertest.Case) []scalertest.Case { f(&c[0]); return c }
}

func brokenScalers() map[string]broken {
	type spec = scalers.Spec[broker, queue]
	const (
		full  = "case/a_queue_with_three_messages"
		batch = "a_batch_gives_what_its_queries_give_alone,_in_order"
	)
	var counter atomic.Int64
	return map[string]broken{
		"type":    {spec: func(s *spec) { s.Type = "My_Broker" }, breaks: []string{"type_and_parameter_names_are_well_formed"}, says: `type "My_Broker"`},
		"doc":     {spec: func(s *spec) { s.Target.Doc = "how many" }, breaks: []string{"every_doc_is_a_sentence"}, says: `doc of "length"`},
		"summary": {spec: func(s *spec) { s.Summary = "Measures." }, breaks: []string{"every_doc_is_a_sentence"}, says: `begins with "Scales on"`},
		"page":    {spec: func(s *spec) { s.Page.Failures = "many" }, breaks: []string{"every_doc_is_a_sentence"}, says: "Page.Failures"},
		"unit":    {spec: func(s *spec) { s.Unit = "Messages." }, breaks: []string{"the_unit_is_stated"}, says: "plural in lower case"},
		"default": {spec: func(s *spec) {
			s.Query = func(q *queue, p *param.Set) {
				q.bind(p)
				mode := "auto"
				p.String(&mode, "mode", "Mode.", param.OneOf("sum", "avg"))
			}
		}, breaks: []string{"a_default_that_is_written_out_changes_nothing"}, says: `"mode" set to its default`},
		"example": {
			spec:   func(s *spec) { s.Examples[0].Metadata["queuName"] = "typo" },
			breaks: []string{"examples_parse_without_a_warning"}, says: `did you mean "queueName"`,
		},
		"no example": {spec: func(s *spec) { s.Examples = nil }, breaks: []string{"examples_parse_without_a_warning"}, says: "there is no example"},
		"unequal": {
			spec: func(s *spec) {
				s.Settings = func(b *broker, p *param.Set) { b.bind(p); b.seq = counter.Add(1) }
			},
			breaks: []string{"a_default_that_is_written_out_changes_nothing", "parsing_a_case_twice_gives_equal_triggers", "parsing_an_example_twice_gives_equal_triggers", "the_table_has_a_bad_query_beside_a_good_one"},
			says:   "parsing twice gives unequal triggers",
		},
		"conditional": {
			spec: func(s *spec) {
				s.Query = func(q *queue, p *param.Set) {
					q.bind(p)
					if delay := int64(0); q.state == "delayed" {
						p.Int(&delay, 0, 9, "delay", "Delay.")
					}
				}
			},
			breaks: []string{"bindings_do_not_depend_on_values"}, says: "bind every parameter whatever the values are",
		},
		"talkative error": {
			spec: func(s *spec) {
				s.Query = func(q *queue, p *param.Set) {
					q.bind(p)
					p.Check(func() error {
						if strings.Contains(q.name, "=") {
							return param.Wrong("queueName", "must not be %q", q.name)
						}
						return nil
					})
				}
			},
			breaks: []string{"errors_and_warnings_show_no_value"}, says: "queueName: an error or warning shows the value",
		},
		"talkative trigger": {
			spec: func(s *spec) {
				s.Query = func(q *queue, p *param.Set) {
					q.bind(p)
					p.String(&q.token, "token", "Token.", param.From(param.Auth), param.Hidden)
				}
			},
			breaks: []string{"triggers_show_no_secret"}, says: "token from authentication",
		},
		"metric name": {
			spec:   func(s *spec) { s.MetricName = func(broker, queue) string { return fmt.Sprint(counter.Add(1)) } },
			cases:  onlyCase(func(c *scalertest.Case) { c.MetricName = "" }),
			breaks: []string{"a_default_that_is_written_out_changes_nothing", "parsing_a_case_twice_gives_equal_triggers", "parsing_an_example_twice_gives_equal_triggers", "the_metric_name_is_stable"},
			says:   "the name is",
		},
		"golden name":   {cases: onlyCase(func(c *scalertest.Case) { c.MetricName = "s0-other" }), breaks: []string{full}, says: "want s0-other"},
		"wrong value":   {cases: onlyCase(func(c *scalertest.Case) { c.Want = 4 }), breaks: []string{full}, says: "the value is 3, want 4"},
		"wrong work":    {cases: onlyCase(func(c *scalertest.Case) { c.Work = 4 }), breaks: []string{full}, says: "the work is 3, want 4"},
		"activity":      {cases: onlyCase(func(c *scalertest.Case) { c.Activity = scalers.Busy }), breaks: []string{full}, says: "the activity is 0, want 1"},
		"missing error": {cases: onlyCase(func(c *scalertest.Case) { c.Err = "x" }), breaks: []string{full}, says: `want an error containing "x"`},
		"other error": {
			cases:  func(c []scalertest.Case) []scalertest.Case { c[2].Err = "zzz"; return c },
			breaks: []string{"case/a_queue_that_does_not_exist"}, says: `want it to contain "zzz"`,
		},
		"other kind": {
			cases:  func(c []scalertest.Case) []scalertest.Case { c[2].Kind = scalers.Invalid; return c },
			breaks: []string{"case/a_queue_that_does_not_exist"}, says: "is of kind NotFound, want Invalid",
		},
		"not a number": {
			acts: behaviour{wrong: math.NaN()}, breaks: []string{"case/a_queue_with_three_messages", "case/an_empty_queue"},
			says: "it must be finite",
		},
		"unannounced metrics": {
			acts: behaviour{metrics: "a"}, breaks: []string{full, "case/an_empty_queue"},
			says: "there are 1 metrics and Spec.NamesMetrics is false",
		},
		"missing metrics": {
			spec: func(s *spec) { s.NamesMetrics = true }, breaks: []string{full, "case/an_empty_queue"},
			says: "there are 0 metrics and Spec.NamesMetrics is true",
		},
		"unsorted metrics": {
			spec: func(s *spec) { s.NamesMetrics = true }, acts: behaviour{metrics: "b a"},
			breaks: []string{full, "case/an_empty_queue"}, says: "are not sorted and unique",
		},
		"wrong metrics": {
			spec: func(s *spec) { s.NamesMetrics = true }, acts: behaviour{metrics: "a b"},
			cases:  onlyCase(func(c *scalertest.Case) { c.Metrics = []scalers.Metric{{Name: "a", Target: 2, Value: 3}} }),
			breaks: []string{full}, says: "the metrics are [{Name:a Target:2 Value:3} {Name:b Target:2 Value:3}], want [{Name:a Target:2 Value:3}]",
		},
		"no bad case": {
			cases:  func(c []scalertest.Case) []scalertest.Case { return c[:2] },
			breaks: []string{"the_table_has_a_bad_query_beside_a_good_one"}, says: "add a case whose reading has an error",
		},
		"all or nothing": {
			acts: behaviour{allOrNothing: true}, breaks: []string{batch, "Watch_runs_beside_Fetch_and_ends_with_its_context"},
			says: "a batch of 3 failed as a whole",
		},
		"backwards": {
			acts: behaviour{backwards: true}, breaks: []string{batch, "Watch_runs_beside_Fetch_and_ends_with_its_context"},
			says: "in a batch and",
		},
		"deaf":          {acts: behaviour{deaf: true}, breaks: []string{"a_cancelled_Fetch_ends_and_says_so"}, says: "gave readings"},
		"stale answers": {acts: behaviour{reusesSpent: true}, breaks: []string{"a_Fetch_cancelled_midway_ends_and_leaves_nothing_for_the_next"}, says: "after a Fetch cancelled"},
		"leak": {
			spec: func(s *spec) {
				open := s.Open
				s.Open = func(ctx context.Context, env scalers.Env, b broker) (scalers.Source[queue], error) {
					go func() { select {} }()
					return open(ctx, env, b)
				}
			},
			breaks: []string{"Close_leaves_no_goroutine"}, says: "after Close: found unexpected goroutines",
		},
		"broken watch":  {acts: behaviour{wakesFirst: true}, breaks: []string{"Watch_runs_beside_Fetch_and_ends_with_its_context"}, says: "Watch ended before its context: the stream broke"},
		"ready twice":   {acts: behaviour{readyTwice: true}, breaks: []string{"Watch_runs_beside_Fetch_and_ends_with_its_context"}, says: "called ready 2 times"},
		"endless watch": {acts: behaviour{staysSubscribe: true}, breaks: []string{"Watch_runs_beside_Fetch_and_ends_with_its_context"}, says: "Watch with a cancelled context has not returned"},
		"secret watch": {
			spec:   func(s *spec) { s.Watches = false },
			breaks: []string{"a_scaler_that_does_not_announce_Watch_has_none"}, says: "set Spec.Watches",
		},
	}
}

// TestVariant runs the suite over a broken scaler and is expected to fail.
func TestVariant(t *testing.T) {
	if *variant == "" {
		t.Skip("runs only as a child of TestTheSuiteCanFail")
	}
	b := brokenScalers()[*variant]
	s := brokerSpec()
	open := s.Open
	s.Open = func(ctx context.Context, env scalers.Env, settings broker) (scalers.Source[queue], error) {
		src, err := open(ctx, env, settings)
		if w, ok := src.(watcher); ok && w.connection != nil {
			w.variant = b.acts
		}
		return src, err
	}
	if b.spec != nil {
		b.spec(&s)
	}
	cases := table(startBroker(t, map[string]int{"full": 3, "empty": 0}))
	if b.cases != nil {
		cases = b.cases(cases)
	}
	scalertest.Run(t, scalers.Define(s), cases)
}

// TestTheSuiteCanFail runs each broken scaler in a process of its own and reads
// which promises it broke.
func TestTheSuiteCanFail(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range brokenScalers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestVariant$", "-test.timeout=60s", "-variant="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the suite passed")
			}
			failed := map[string]bool{}
			for line := range strings.Lines(string(out)) {
				if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: TestVariant/"); ok {
					promise, _, _ := strings.Cut(rest, " (")
					failed[promise] = true
				}
			}
			if got, want := slices.Sorted(maps.Keys(failed)), slices.Sorted(slices.Values(b.breaks)); !slices.Equal(got, want) {
				t.Errorf("broken promises\n%s\nwant\n%s\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), out)
			}
			if !strings.Contains(string(out), b.says) {
				t.Errorf("the suite does not say %q:\n%s", b.says, out)
			}
		})
	}
}
