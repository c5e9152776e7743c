package scaledobject_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// computing gives an object two triggers, "a" on jobs and "b" on more, and a formula
// over them with target 2.5.
func computing(text string, changes ...func(*v1alpha1.ScalingModifiers)) func(*v1alpha1.ScaledObject) {
	return func(so *v1alpha1.ScaledObject) {
		triggers("jobs", "more")(so)
		so.Spec.Triggers[0].Name, so.Spec.Triggers[1].Name = "a", "b"
		m := v1alpha1.ScalingModifiers{Formula: text, Target: "2.5"}
		for _, change := range changes {
			change(&m)
		}
		so.Spec.Advanced = &v1alpha1.AdvancedConfig{ScalingModifiers: m}
	}
}

func above(activation string) func(*v1alpha1.ScalingModifiers) {
	return func(m *v1alpha1.ScalingModifiers) { m.ActivationTarget = activation }
}

func asValue(m *v1alpha1.ScalingModifiers) { m.MetricType = autoscalingv2.ValueMetricType }

const noWork = "False ScalerNotActive: no trigger has work"

func TestAFormulaDrivesItsWorkload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a", computing("a / b", above("1"))))
	w.pass("a")
	w.serves("composite-metric", "composite-metric has no result: s0-fake-jobs has not been measured yet")
	w.reads(map[string]float64{"jobs": 2, "more": 2})
	w.settles("a")
	w.has(0)
	w.says("a", "Ready", ready, "Active", noWork)
	for _, metric := range []string{"composite-metric", "COMPOSITE-metric", "s0-fake-jobs", "s1-fake-more"} {
		w.serves(metric, 1.0)
	}
	w.serves("s2-none", `metric "s2-none" of ScaledObject "a" in namespace "ns" is not known`)
	so := w.object("a")
	equal(t, "activity", fmt.Sprint(so.Status.TriggersActivity), "map[composite-metric:{false} s0-fake-jobs:{true} s1-fake-more:{true}]")
	equal(t, "names", fmt.Sprint(so.Status.ExternalMetricNames, " ", so.Status.CompositeScalerName), "[s0-fake-jobs s1-fake-more] composite-metric")

	w.reads(map[string]float64{"jobs": 5})
	w.reported("a result above the activation", true)
	w.pass("a")
	w.has(1)
	w.Tells("Normal KEDAScaleTargetActivated: scaled Deployment ns/web from 0 to 1: the formula has work: composite-metric has 2.5 (above 1, target 2.5)")
	w.serves("composite-metric", 2.5)
	w.settles("a")
	w.reads(map[string]float64{"jobs": 50})
	w.reported("another result above it", false)
	equal(t, "activity", fmt.Sprint(w.object("a").Status.TriggersActivity), "map[composite-metric:{true} s0-fake-jobs:{true} s1-fake-more:{true}]")

	// What makes no number holds, however long.
	w.reads(map[string]float64{"more": 0})
	w.reported("a division by zero", true)
	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"jobs": 50, "more": 0})
	w.pass("a")
	const wrong = "composite-metric has no result (evaluating the formula: the result is +Inf, as after a division by zero; make the formula provide for that)"
	w.says("a", "Ready", "False TriggerError: "+wrong, "Active", "False ScalerNotActive: no trigger is known to have work")
	w.Tells("Warning KEDAMetricSourceFailed: composite-metric: evaluating the formula: the result is +Inf, as after a division by zero; make the formula provide for that")
	w.serves("composite-metric", "composite-metric has no result: evaluating the formula: the result is +Inf, as after a division by zero; make the formula provide for that")
	w.has(1)
	w.settles("a")
	w.reported("the same again", false)

	// So does a trigger that fails.
	w.reads(map[string]float64{"more": 1})
	w.breaks("jobs", errors.New("down"))
	w.pass("a")
	w.says("a", "Ready", "False TriggerError: s0-fake-jobs cannot be read (down)")
	w.Tells("Warning KEDAMetricSourceFailed: s0-fake-jobs: down")
	w.serves("composite-metric", "composite-metric has no result: s0-fake-jobs cannot be read (down)")

	w.reads(map[string]float64{"jobs": 0, "more": 1})
	w.now = w.now.Add(time.Second)
	w.pass("a")
	w.says("a", "Ready", ready)
	w.has(0)

	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Advanced = nil })
	w.pass("a")
	equal(t, "composite name", w.object("a").Status.CompositeScalerName, "")
	equal(t, "activity", fmt.Sprint(w.object("a").Status.TriggersActivity), "map[s0-fake-jobs:{false} s1-fake-more:{true}]")
	w.serves("s1-fake-more", 1.0)
}

func TestTheHPAOfAFormula(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*v1alpha1.ScalingModifiers)
		want   string
	}{
		{func(*v1alpha1.ScalingModifiers) {}, "composite-metric AverageValue 2500m; cpu Utilization 60; cpu of main Utilization 70"},
		{asValue, "composite-metric Value 2500m; cpu Utilization 60; cpu of main Utilization 70"},
	} {
		w := newWorld(t, deployment("web", 1), scaledObject("a", computing("a + b", c.change), func(so *v1alpha1.ScaledObject) {
			so.Spec.Triggers = append(so.Spec.Triggers, ofType("cpu", "Utilization", "value", "60"), ofType("cpu", "Utilization", "value", "70", "containerName", "main"))
		}))
		w.pass("a")
		w.says("a", "Ready", "")
		got := ""
		for i, m := range w.hpa("keda-hpa-a").Spec.Metrics {
			if i > 0 {
				got += "; "
			}
			switch {
			case m.External != nil && m.External.Target.Value != nil:
				got += fmt.Sprintf("%s Value %s", m.External.Metric.Name, m.External.Target.Value)
			case m.External != nil:
				got += fmt.Sprintf("%s AverageValue %s", m.External.Metric.Name, m.External.Target.AverageValue)
			case m.Resource != nil:
				got += fmt.Sprintf("%s Utilization %d", m.Resource.Name, *m.Resource.Target.AverageUtilization)
			case m.ContainerResource != nil:
				got += fmt.Sprintf("%s of %s Utilization %d", m.ContainerResource.Name, m.ContainerResource.Container, *m.ContainerResource.Target.AverageUtilization)
			}
		}
		equal(t, "metrics", got, c.want)
	}
}

func TestFallbacksOfFormulas(t *testing.T) {
	t.Parallel()
	const nils = "scalingModifiers"
	for _, c := range []struct {
		name     string
		formula  string
		behavior v1alpha1.FallbackBehavior
		replicas int32
		as       func(*v1alpha1.ScalingModifiers)
		fails    string // of "a", "b"; "c" only begins to fail
		served   any
		active   string
		ready    string
	}{
		{"stands in for the result", "a + b", "static", 6, above("0"), "a", 15.0, "True ScalerActive: the fallback stands in for at least one trigger", ready},
		{"also while another only begins to fail", "a + b", "static", 6, above("0"), "ac", 15.0, "True ScalerActive: the fallback stands in for at least one trigger", "Unknown PartialTriggerError: s1-fake-more cannot be read (down)"},
		{"divided among ready pods", "a + b", "static", 6, asValue, "a", 7.5, "True ScalerActive: the fallback stands in for at least one trigger", ready},
		{"asks for nothing", "a + b", "static", 0, above("0"), "a", "composite-metric has no result (s0-fake-jobs: down), and nothing stands in for it: the fallback asks for no replicas, so those that there are stay", "False ScalerNotActive: no trigger is known to have work", ready},
		{"by the formula", "(a ?? 4) + b", nils, 6, above("0"), "a", 7.0, "True ScalerActive: at least one trigger has work", ready},
		{"by a formula that says there is no work", "a ?? 0", nils, 6, above("0"), "a", 0.0, "False ScalerCooldown: no trigger has work; the cooldown has not passed", ready},
		{"by a formula that gives nil", "a ?? b", nils, 6, above("0"), "ab", 15.0, "True ScalerActive: the fallback stands in for at least one trigger", ready},
		{"by a formula that provides for nothing", "a + b", nils, 6, above("0"), "a", "composite-metric has no result: evaluating the formula without a value of a: invalid operation: <nil> + float64 (1:3)", "False ScalerNotActive: no trigger is known to have work", "False TriggerError: composite-metric has no result (evaluating the formula without a value of a: invalid operation: <nil> + float64 (1:3))"},
		{"by a formula while another only begins to fail", "(a ?? 4) + (b ?? 4)", nils, 6, above("0"), "ac", "composite-metric has no result: s1-fake-more cannot be read (down)", "False ScalerNotActive: no trigger is known to have work", ready},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 3), scaledObject("a", computing(c.formula, c.as), falling(1, c.replicas, c.behavior)))
			w.selector = "app=web"
			w.starts("web-0")
			w.starts("web-1")
			w.reads(map[string]float64{"jobs": 3, "more": 3})
			w.settles("a")
			for _, f := range c.fails {
				switch f {
				case 'a':
					w.breaks("jobs", errors.New("down"))
				case 'b':
					w.breaks("more", errors.New("down"))
				}
			}
			w.later(30*time.Second, "a")
			if c.fails == "ac" {
				w.breaks("more", errors.New("down"))
				w.pass("a")
			}
			w.serves("composite-metric", c.served)
			w.says("a", "Active", c.active, "Ready", c.ready, "Fallback", fallsBack)
			w.has(3)
			w.settles("a")
			w.reported("the same again", false)
		})
	}
}

// TestWhatPushesWakesBesideAFormula: it alone can tell that there is work.
func TestWhatPushesWakesBesideAFormula(t *testing.T) {
	t.Parallel()
	push := ofType("pushing", "", "name", "it")
	push.Name = "p"
	w := newWorld(t, deployment("web", 0), scaledObject("a", computing("p * 0"), func(so *v1alpha1.ScaledObject) {
		so.Spec.Triggers = []v1alpha1.Trigger{push, so.Spec.Triggers[0]}
	}))
	w.pass("a")
	w.breaks("jobs", errors.New("down"))
	q := w.queryOf(scaledtest.Naming("pushing", true), push)
	w.engine.Samples[q] = engine.Sample{OK: true, Activity: scalers.Idle, At: w.now, Measured: w.now}
	w.pass("a")
	w.has(0)
	w.engine.Samples[q] = engine.Sample{OK: true, Activity: scalers.Busy, At: w.now, Measured: w.now}
	w.reported("a push", true)
	w.pass("a")
	w.has(1)
	w.reads(map[string]float64{"jobs": 1})
	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"jobs": 1})
	w.engine.Samples[q] = engine.Sample{OK: true, Activity: scalers.Idle, At: w.now, Measured: w.now}
	w.pass("a")
	w.now = w.now.Add(4 * time.Minute)
	w.pass("a")
	w.has(0)
}

// TestTriggersOfAFormulaNeedNoTarget: only the formula has one.
func TestTriggersOfAFormulaNeedNoTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", computing("a + b")))
	type plain struct{ name string }
	w.def = scalers.Define(scalers.Spec[struct{}, plain]{
		Type: "fake", Summary: "Scales on nothing.", Unit: "things",
		Query: func(q *plain, p *param.Set) { p.String(&q.name, "name", "Name.", param.Required) },
		Thresholds: func(_ *plain, th *scalers.Thresholds, p *param.Set) {
			p.Float(&th.Target, "target", "Target.")
			p.Check(func() error {
				if th.Target <= 0 && !p.Values().FormulaOnly {
					return param.Wrong("target", "is required")
				}
				return nil
			}, "target")
		},
		MetricName: func(_ struct{}, q plain) string { return "fake-" + q.name },
		Open: func(context.Context, scalers.Env, struct{}) (scalers.Source[plain], error) {
			return nil, errors.New("the tests measure nothing")
		},
	})
	w.restart()
	w.pass("a")
	w.says("a", "Ready", "")
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Advanced = nil })
	w.pass("a")
	w.says("a", "Ready", "False ScaledObjectCheckFailed: spec.triggers[0].metadata.target: is required; spec.triggers[1].metadata.target: is required")
}

// TestReadingsForAFormulaAreWaitedForSideBySide: all are asked before one answers.
func TestReadingsForAFormulaAreWaitedForSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", computing("a + b")))
	w.reads(map[string]float64{"jobs": 1, "more": 2})
	w.settles("a")
	var asked sync.WaitGroup
	asked.Add(2)
	w.engine.Wait = func() {
		asked.Done()
		asked.Wait()
	}
	w.serves("composite-metric", 3.0)
}

// TestAnotherPasswordLeavesTheResult until there is a reading with it.
func TestAnotherPasswordLeavesTheResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", computing("a + b")))
	w.reads(map[string]float64{"jobs": 1, "more": 2})
	w.settles("a")
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Triggers[0].Metadata["addr"] = "there" })
	w.pass("a")
	w.serves("composite-metric", 3.0)
	w.says("a", "Ready", ready)
}
