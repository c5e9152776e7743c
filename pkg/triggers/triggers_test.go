package triggers_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/triggers"
)

type broker struct{ host string }

type queue struct{ name string }

// registry knows one scaler, "queue".
func registry(t *testing.T) *scalers.Registry {
	t.Helper()
	r, err := scalers.NewRegistry(scalers.Define(scalers.Spec[broker, queue]{
		Type: "queue", Summary: "Scales on a queue.", Unit: "messages",
		Target: scalers.Target{Param: "length", Activation: "activationLength", Default: 5},
		Settings: func(b *broker, p *param.Set) {
			var user, password param.Secret
			p.String(&b.host, "host", "Where.", param.Required, param.From(param.Metadata, param.Env, param.Auth))
			p.Secret(&user, "username", "Who.")
			p.Secret(&password, "password", "How.")
			p.Together("username", "password")
		},
		Query:      func(q *queue, p *param.Set) { p.String(&q.name, "queue", "What.", param.Required) },
		MetricName: func(_ broker, q queue) string { return "queue-" + q.name },
		Open:       func(context.Context, scalers.Env, broker) (scalers.Source[queue], error) { return nil, nil },
	}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type metadata = map[string]string

// input is a trigger with nothing but metadata.
func input(m metadata, change ...func(*triggers.Input)) triggers.Input {
	in := triggers.Input{Spec: v1alpha1.Trigger{Type: "queue", Metadata: m}, Values: param.Values{Metadata: m}}
	for _, c := range change {
		c(&in)
	}
	return in
}

func failed(text string) func(*triggers.Input) {
	return func(in *triggers.Input) { in.Err = errors.New(text) }
}

// report is a result for comparing: problems, warnings and triggers, one per line.
func report(r triggers.Result) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "problem %d: %v\n", p.Trigger, p)
	}
	for _, p := range r.Warnings {
		fmt.Fprintf(&b, "warning %d: %v\n", p.Trigger, p)
	}
	for _, t := range r.Triggers {
		target := triggers.Quantity(t.Target)
		fmt.Fprintf(&b, "trigger %d: %s %q %s %s %s %v\n", t.Index, t.Type, t.Name, t.MetricName, t.MetricType, target.String(), t.Cached)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	fine := metadata{"host": "h", "queue": "q"}
	auth := func(in *triggers.Input) { in.Spec.AuthenticationRef = &v1alpha1.AuthenticationRef{Name: "a"} }
	for _, tc := range []struct {
		name   string
		inputs []triggers.Input
		want   string
	}{
		{"no triggers", nil, "problem -1: spec.triggers: must have at least one trigger\n"},
		{"one that is fine", []triggers.Input{input(fine)}, "trigger 0: queue \"\" s0-queue-q AverageValue 5 false\n"},
		{
			"what the user chose",
			[]triggers.Input{input(metadata{"host": "h", "queue": "a/b.c", "length": "2.5"}, func(in *triggers.Input) {
				in.Spec.Name, in.Spec.MetricType, in.Spec.UseCachedMetrics = "jobs", autoscalingv2.ValueMetricType, true
			})},
			"trigger 0: queue \"jobs\" s0-queue-a-b-c Value 2500m true\n",
		},
		{
			"a metric type nobody knows is for the API server to judge",
			[]triggers.Input{input(fine, func(in *triggers.Input) { in.Spec.MetricType = "Median" })},
			"trigger 0: queue \"\" s0-queue-q Median 5 false\n",
		},
		{
			"a broken one keeps neither its neighbours nor their numbers away",
			[]triggers.Input{input(fine), input(nil), input(fine)},
			"problem 1: spec.triggers[1].metadata.host: is required; set it in the trigger's metadata, or through hostFromEnv, naming a variable that the workload's container sets, or as an authentication parameter\n" +
				"problem 1: spec.triggers[1].metadata.queue: is required; set it in the trigger's metadata\n" +
				"trigger 0: queue \"\" s0-queue-q AverageValue 5 false\n" +
				"trigger 2: queue \"\" s2-queue-q AverageValue 5 false\n",
		},
		{
			"an unknown type with a neighbour",
			[]triggers.Input{input(fine, func(in *triggers.Input) { in.Spec.Type = "qeue" })},
			"problem 0: spec.triggers[0].type: trigger type \"qeue\" is not known; did you mean \"queue\"?\n",
		},
		{
			"an unknown type without",
			[]triggers.Input{input(fine, func(in *triggers.Input) { in.Spec.Type = "cron" })},
			"problem 0: spec.triggers[0].type: trigger type \"cron\" is not known; weir scalers lists those that are\n",
		},
		{
			"Utilization",
			[]triggers.Input{input(fine, func(in *triggers.Input) { in.Spec.MetricType = autoscalingv2.UtilizationMetricType })},
			"problem 0: spec.triggers[0].metricType: Utilization is for cpu and memory triggers; use AverageValue or Value\n",
		},
		{
			"one name twice",
			[]triggers.Input{
				input(fine, func(in *triggers.Input) { in.Spec.Name = "a" }),
				input(fine, func(in *triggers.Input) { in.Spec.Name = "b" }),
				input(fine, func(in *triggers.Input) { in.Spec.Name = "a" }),
			},
			"problem 2: spec.triggers[2].name: is also the name of trigger 0; names must be unique within the object\n" +
				"trigger 0: queue \"a\" s0-queue-q AverageValue 5 false\n" +
				"trigger 1: queue \"b\" s1-queue-q AverageValue 5 false\n",
		},
		{
			"names that are empty do not count",
			[]triggers.Input{input(fine), input(fine)},
			"trigger 0: queue \"\" s0-queue-q AverageValue 5 false\ntrigger 1: queue \"\" s1-queue-q AverageValue 5 false\n",
		},
		{
			"credentials that are missing hide what they would have given, and nothing else",
			[]triggers.Input{input(metadata{"length": "x"}, auth, failed("no Secret\nno ConfigMap"))},
			"problem 0: spec.triggers[0].authenticationRef: no Secret\n" +
				"problem 0: spec.triggers[0].authenticationRef: no ConfigMap\n" +
				"problem 0: spec.triggers[0].metadata.length: must be a number such as \"5\" or \"0.25\"\n" +
				"problem 0: spec.triggers[0].metadata.queue: is required; set it in the trigger's metadata\n",
		},
		{
			"an environment that is missing",
			[]triggers.Input{input(metadata{"queue": "q", "hostFromEnv": "HOST"}, failed("no container"))},
			"problem 0: spec.triggers[0]: no container\n",
		},
		{
			"a trigger with a problem is left out though its parameters are fine",
			[]triggers.Input{input(fine, failed("no Secret"))},
			"problem 0: spec.triggers[0]: no Secret\n",
		},
		{
			"an environment that is empty",
			[]triggers.Input{input(metadata{"queue": "q", "hostFromEnv": "HOST"})},
			"problem 0: spec.triggers[0].metadata.host: is required; set it in the trigger's metadata, or through hostFromEnv, naming a variable that the workload's container sets, or as an authentication parameter\n" +
				"warning 0: spec.triggers[0].metadata.hostFromEnv: names a variable that the workload's container does not set\n",
		},
		{
			"a trigger that only feeds a formula needs no target",
			[]triggers.Input{input(metadata{"host": "h", "queue": "q", "length": "0"}, func(in *triggers.Input) { in.Values.FormulaOnly = true })},
			"trigger 0: queue \"\" s0-queue-q AverageValue 0 false\n",
		},
		{
			"a rule across parameters",
			[]triggers.Input{input(fine, func(in *triggers.Input) { in.Values.Auth = metadata{"username": "hunter2"} })},
			"problem 0: spec.triggers[0].metadata.password: is required when \"username\" is set\n",
		},
		{
			"doubts",
			[]triggers.Input{input(metadata{"host": "h", "queue": "q", "length": "0", "lengthh": "hunter2"})},
			"warning 0: spec.triggers[0].metadata.lengthh: is not known; did you mean \"length\"?\n" +
				"warning 0: spec.triggers[0]: the target is zero or less, so that any work asks for maxReplicaCount; set a positive target\n" +
				"trigger 0: queue \"\" s0-queue-q AverageValue 0 false\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := report(triggers.Parse(registry(t), tc.inputs)); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

func TestQuantity(t *testing.T) {
	t.Parallel()
	for target, want := range map[float64]string{
		5: "5", 0: "0", -1: "-1", -0.5: "-500m", 7.25: "7250m", 0.0004: "0", 0.0005: "1m", 0.9996: "1", 1000: "1k", 1500: "1500",
		0.1: "100m", 2.675: "2675m", 1e6: "1M", 123456789.5: "123456789500m",
		9e15: "9P", 1e300: "9P", -1e300: "-9P", math.Inf(1): "9P", math.Inf(-1): "-9P",
	} {
		if q := triggers.Quantity(target); q.String() != want {
			t.Errorf("%v: got %s, want %s", target, q.String(), want)
		}
	}
	if q := triggers.Quantity(math.NaN()); !q.IsZero() {
		t.Errorf("NaN: got %s", q.String())
	}
}

func TestDistinctNamesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	specs := []v1alpha1.Trigger{
		{Type: "redis", AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "b"}},
		{Type: "rabbitmq"},
		{Type: "redis", AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "a"}},
		{Type: "cron", AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "b", Kind: v1alpha1.KindClusterTriggerAuthentication}},
	}
	if got := triggers.Types(specs) + " " + triggers.Authentications(specs); got != "redis,rabbitmq,cron b,a" {
		t.Errorf("got %q", got)
	}
	if got := triggers.Types(nil) + triggers.Authentications(nil); got != "" {
		t.Errorf("got %q of nothing", got)
	}
}

func TestAProblemOfNoFieldIsItsMessage(t *testing.T) {
	t.Parallel()
	if got := (triggers.Problem{Trigger: -1, Message: "is odd"}).String(); got != "is odd" {
		t.Errorf("got %q", got)
	}
}
