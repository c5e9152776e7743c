package scaledobject_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func ofType(typ string, metricType autoscalingv2.MetricTargetType, metadata ...string) v1alpha1.Trigger {
	t := v1alpha1.Trigger{Type: typ, MetricType: metricType, Metadata: map[string]string{}}
	for i := 0; i < len(metadata); i += 2 {
		t.Metadata[metadata[i]] = metadata[i+1]
	}
	return t
}

func having(list ...v1alpha1.Trigger) func(*v1alpha1.ScaledObject) {
	return func(so *v1alpha1.ScaledObject) { so.Spec.Triggers = list }
}

// names lets the upstream of a naming trigger name metrics, measured now.
func (w *world) names(trigger v1alpha1.Trigger, busy scalers.Activity, metrics ...scalers.Metric) {
	w.T.Helper()
	w.engine.Samples[w.queryOf(scaledtest.Naming("naming", false), trigger)] = engine.Sample{OK: true, Activity: busy, Metrics: metrics, At: w.now, Measured: w.now}
}

// queryOf returns what the reconciler's own definition makes of a trigger: the one
// that def makes differs from it in the definition alone.
func (w *world) queryOf(def *scalers.Definition, trigger v1alpha1.Trigger) scalers.Query {
	w.T.Helper()
	for _, uses := range w.engine.Uses {
		for _, u := range uses {
			t, _, err := def.Parse(param.Values{Metadata: trigger.Metadata})
			if err == nil && u.Query.Source.Type() == def.Type && u.Query.String() == t.String() {
				return u.Query
			}
		}
	}
	w.T.Fatalf("nobody measures a %s trigger", def.Type)
	return scalers.Query{}
}

// metrics lists what the HPA scales by.
func (w *world) metrics(name string) string {
	w.T.Helper()
	var out []string
	for _, m := range w.hpa(name).Spec.Metrics {
		switch {
		case m.External != nil:
			out = append(out, fmt.Sprintf("%s per %s", m.External.Metric.Name, m.External.Target.AverageValue))
		case m.ContainerResource != nil:
			out = append(out, fmt.Sprintf("%s of %s at %s", m.ContainerResource.Name, m.ContainerResource.Container, m.ContainerResource.Target.AverageValue))
		case m.Resource != nil:
			out = append(out, fmt.Sprintf("%s at %d%%", m.Resource.Name, *m.Resource.Target.AverageUtilization))
		}
	}
	return strings.Join(out, ", ")
}

func TestCPUGoesToTheHPAAndDecidesNothing(t *testing.T) {
	t.Parallel()
	so := scaledObject("so", having(
		trigger("jobs"),
		ofType("cpu", autoscalingv2.UtilizationMetricType, "value", "60"),
		ofType("cpu", autoscalingv2.AverageValueMetricType, "value", "500m", "containerName", "main"),
	))
	w := newWorld(t, so, deployment("web", 0))
	w.reads(map[string]float64{"jobs": 0})
	w.settles("so")
	equal(t, "metrics", w.metrics("keda-hpa-so"), "s0-fake-jobs per 5, cpu at 60%, cpu of main at 500m")
	equal(t, "external metrics", strings.Join(w.object("so").Status.ExternalMetricNames, ","), "s0-fake-jobs")
	equal(t, "resource metrics", strings.Join(w.object("so").Status.ResourceMetricNames, ","), "cpu")
	equal(t, "queries", len(w.engine.Uses["scaledobject/ns/so"]), 1)
	w.has(0)
	if _, err := w.r.Metric(t.Context(), "ns", "so", "cpu"); err == nil {
		t.Error("cpu is served")
	}
	w.now = w.now.Add(time.Minute)
	w.reads(map[string]float64{"jobs": 3})
	w.pass("so")
	w.has(1)
}

func TestOnlyCPUKeepsOneReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledObject("so", having(ofType("cpu", autoscalingv2.UtilizationMetricType, "value", "60"))), deployment("web", 0))
	w.settles("so")
	w.has(1)
	w.says("so", "Active", "True ScalerActive: the HPA measures cpu and memory only while there are replicas")
}

func TestCPUTriggersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"60.5":        "spec.triggers[0].metadata: the target is no whole percentage",
		"99999999999": "spec.triggers[0].metadata: the target is no whole percentage",
	} {
		w := newWorld(t, scaledObject("so", having(ofType("cpu", autoscalingv2.UtilizationMetricType, "value", value))), deployment("web", 0))
		w.settles("so")
		if got := w.condition("so", v1alpha1.ConditionReady); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
}

func TestMetricsThatAnUpstreamNames(t *testing.T) {
	t.Parallel()
	remote := ofType("naming", "", "name", "a")
	w := newWorld(t, scaledObject("so", having(remote)), deployment("web", 0))

	// Nothing is known: there must be no HPA, as one without metrics scales on CPU.
	w.pass("so")
	if got := w.hpas(); len(got) > 0 {
		t.Fatalf("there is an HPA before its metrics are known: %v", got)
	}
	w.has(0)

	w.names(remote, scalers.Busy, scalers.Metric{Name: "depth", Target: 4, Value: 9}, scalers.Metric{Name: "rate", Target: 0.25, Value: 1.5})
	w.settles("so")
	equal(t, "metrics", w.metrics("keda-hpa-so"), "s0-depth per 4, s0-rate per 250m")
	equal(t, "names in status", strings.Join(w.object("so").Status.ExternalMetricNames, ","), "s0-depth,s0-rate")
	w.has(1)
	m, err := w.r.Metric(t.Context(), "ns", "so", "s0-rate")
	if err != nil || m.Value != 1.5 {
		t.Errorf("s0-rate is %v, %v", m.Value, err)
	}
	if _, err := w.r.Metric(t.Context(), "ns", "so", "s0-naming"); err == nil {
		t.Error("a name that the upstream has not given is served")
	}

	// The upstream changes its mind: the HPA follows.
	w.names(remote, scalers.Busy, scalers.Metric{Name: "depth", Target: 8, Value: 9})
	w.settles("so")
	equal(t, "metrics", w.metrics("keda-hpa-so"), "s0-depth per 8")

	// A steady state writes nothing.
	w.names(remote, scalers.Busy, scalers.Metric{Name: "depth", Target: 8, Value: 11})
	w.pass("so")
	w.Does()
}

func TestNamedMetricsOutliveARestart(t *testing.T) {
	t.Parallel()
	remote := ofType("naming", "", "name", "a")
	w := newWorld(t, scaledObject("so", having(remote, trigger("jobs"))), deployment("web", 1))
	w.reads(map[string]float64{"jobs": 1})
	w.pass("so")
	equal(t, "metrics while one trigger is not known", w.metrics("keda-hpa-so"), "s1-fake-jobs per 5")
	w.names(remote, scalers.Busy, scalers.Metric{Name: "depth", Target: 4, Value: 9})
	w.settles("so")
	equal(t, "metrics", w.metrics("keda-hpa-so"), "s0-depth per 4, s1-fake-jobs per 5")

	w.engine.Samples = map[scalers.Query]engine.Sample{}
	w.restart()
	w.pass("so")
	equal(t, "metrics after a restart", w.metrics("keda-hpa-so"), "s0-depth per 4, s1-fake-jobs per 5")
	if _, err := w.r.Metric(t.Context(), "ns", "so", "s0-depth"); fmt.Sprint(err) != "s0-naming has not been measured yet" {
		t.Errorf("before the first reading: %v", err)
	}
}
