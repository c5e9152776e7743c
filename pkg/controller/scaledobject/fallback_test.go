package scaledobject_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaledobject"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// falling gives an object a fallback.
func falling(threshold, replicas int32, behavior v1alpha1.FallbackBehavior) func(*v1alpha1.ScaledObject) {
	return func(so *v1alpha1.ScaledObject) {
		so.Spec.Fallback = &v1alpha1.Fallback{FailureThreshold: threshold, Replicas: replicas, Behavior: behavior}
	}
}

// later lets time pass, in which the objects are looked at when they ask for it.
func (w *world) later(d time.Duration, names ...string) {
	w.T.Helper()
	end := w.now.Add(d)
	for {
		next := end
		for _, n := range names {
			if after := w.pass(n); after > 0 && w.now.Add(after).Before(next) {
				next = w.now.Add(after)
			}
		}
		if !w.now.Before(end) {
			return
		}
		w.now = next
	}
}

// health is the health of a metric in the status: "3 Failing".
func (w *world) health(name, metric string) string {
	w.T.Helper()
	h, ok := w.object(name).Status.Health[metric]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %s", *h.NumberOfFailures, h.Status)
}

// serves checks what the HPA gets: a value, or the text of an error.
func (w *world) serves(metric string, want any) {
	w.T.Helper()
	got, err := w.r.Metric(w.T.Context(), "ns", "a", metric)
	if err != nil {
		equal(w.T, metric, any(err.Error()), want)
		return
	}
	equal(w.T, metric, any(got.Value), want)
}

const (
	fallsBack = "True FallbackExists: the fallback stands in for at least one trigger"
	noFall    = "False NoFallbackFound: no fallback is in use"
)

func TestAFallbackStandsInAfterTheThresholdAndEndsWithTheFirstSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(3, 6, "")))
	w.pass("a")
	equal(t, "health before the first reading", w.health("a", "s0-fake-jobs"), "")
	w.reads(map[string]float64{"jobs": 10})
	w.settles("a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "0 Happy")
	w.says("a", "Fallback", noFall)

	w.breaks("jobs", errors.New("down"))
	w.pass("a")
	w.Does("status of ScaledObject a")
	w.Tells("Warning KEDAScalerFailed: s0-fake-jobs: down")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "1 Failing")
	w.says("a", "Ready", ready, "Fallback", noFall)
	w.serves("s0-fake-jobs", 10.0) // the last good reading is new enough

	w.later(89*time.Second, "a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "3 Failing")
	w.says("a", "Fallback", noFall)
	w.Does("status of ScaledObject a", "status of ScaledObject a")
	w.serves("s0-fake-jobs", 10.0)
	w.Tells()

	w.later(time.Second, "a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "4 Failing")
	w.says("a", "Ready", ready, "Fallback", fallsBack, "Active", "True ScalerActive: the fallback stands in for at least one trigger")
	w.Does("status of ScaledObject a")
	w.Tells("Normal ScaledObjectFallbackActivated: more than 3 polls in a row failed: s0-fake-jobs cannot be read (down); the fallback (static) asks for replicas: 6")
	w.serves("s0-fake-jobs", 30.0)

	// However long it lasts and however often the HPA reads: nothing more is written.
	for range 20 {
		w.serves("s0-fake-jobs", 30.0)
		w.reported("a reading that fails again", false)
		w.later(time.Minute, "a")
	}
	w.Does()
	w.Tells()

	w.reads(map[string]float64{"jobs": 7})
	w.reported("recovery", true)
	w.pass("a")
	w.says("a", "Fallback", noFall)
	equal(t, "health", w.health("a", "s0-fake-jobs"), "0 Happy")
	w.Tells("Normal ScaledObjectFallbackDeactivated: the fallback stands in for no trigger any more")
	w.serves("s0-fake-jobs", 7.0)
	w.settles("a")
	w.later(time.Minute, "a")
	w.Does()
	w.has(2)
}

func TestAFallbackWakesWhatIsAtZeroUnlessItAsksForNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		behavior     v1alpha1.FallbackBehavior
		replicas     int32
		wakes        bool
		served       any
		says, events string
	}{
		{"static", 6, true, 30.0, "True ScalerActive: the fallback stands in for at least one trigger", "[Normal KEDAScaleTargetActivated: scaled Deployment ns/web from 0 to 1: the fallback asks for 6 replicas: s0-fake-jobs cannot be read (down)"},
		{"static", 0, false, "s0-fake-jobs cannot be measured (down), and nothing stands in for it: the fallback asks for no replicas, so those that there are stay", "False ScalerNotActive: no trigger is known to have work", "[Warning KEDAScalerFailed: s0-fake-jobs: down"},
		{"currentReplicas", 6, false, "s0-fake-jobs cannot be measured (down), and nothing stands in for it: the fallback asks for no replicas, so those that there are stay", "False ScalerNotActive: no trigger is known to have work", "[Warning KEDAScalerFailed: s0-fake-jobs: down"},
		{"currentReplicasIfHigher", 6, true, 30.0, "True ScalerActive: the fallback stands in for at least one trigger", "[Normal KEDAScaleTargetActivated: scaled Deployment ns/web from 0 to 1: the fallback asks for 6 replicas: s0-fake-jobs cannot be read (down)"},
		{"currentReplicasIfLower", 6, false, "s0-fake-jobs cannot be measured (down), and nothing stands in for it: the fallback asks for no replicas, so those that there are stay", "False ScalerNotActive: no trigger is known to have work", "[Warning KEDAScalerFailed: s0-fake-jobs: down"},
	} {
		t.Run(fmt.Sprintf("%s of %d", c.behavior, c.replicas), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 0), scaledObject("a", falling(0, c.replicas, c.behavior)))
			w.reads(map[string]float64{"jobs": 0})
			w.settles("a")
			w.breaks("jobs", errors.New("down"))
			w.pass("a")
			w.has(map[bool]int32{true: 1}[c.wakes])
			w.says("a", "Fallback", fallsBack, "Active", c.says)
			equal(t, "first event", "["+w.Events[0], c.events)
			if c.behavior != "currentReplicasIfLower" || !c.wakes {
				w.serves("s0-fake-jobs", c.served)
			}
		})
	}
}

// TestErrorsNeverTakeReplicasAway: not below the threshold, and not above it either
// when the fallback asks for none.
func TestErrorsNeverTakeReplicasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 5), scaledObject("a", falling(3, 0, "static")))
	w.reads(map[string]float64{"jobs": 0})
	w.breaks("jobs", errors.New("down"))
	w.later(time.Hour, "a")
	w.has(5)
	w.says("a", "Fallback", fallsBack, "Ready", ready)
}

func TestTheBehaviorsOfAFallback(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		behavior v1alpha1.FallbackBehavior
		replicas int32 // that there are
		want     float64
	}{
		{"", 3, 6},
		{"static", 9, 6},
		{"currentReplicas", 3, 3},
		{"currentReplicasIfHigher", 3, 6},
		{"currentReplicasIfHigher", 9, 9},
		{"currentReplicasIfLower", 3, 3},
		{"currentReplicasIfLower", 9, 6},
	} {
		for _, as := range []autoscalingv2.MetricTargetType{"", autoscalingv2.AverageValueMetricType, autoscalingv2.ValueMetricType} {
			t.Run(fmt.Sprintf("%s %s from %d", c.behavior, as, c.replicas), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, deployment("web", c.replicas), scaledObject("a", falling(0, 6, c.behavior), func(so *v1alpha1.ScaledObject) {
					so.Spec.Triggers[0].MetricType, so.Spec.Triggers[0].Metadata["target"] = as, "8"
				}))
				w.breaks("jobs", errors.New("down"))
				w.settles("a")
				if as != autoscalingv2.ValueMetricType {
					w.serves("s0-fake-jobs", 8*c.want)
					return
				}
				const text = "s0-fake-jobs cannot be measured (down), and nothing stands in for it: "
				w.serves("s0-fake-jobs", text+`the scale of Deployment "ns/web" has no selector, so its ready pods cannot be counted`)
				w.selector = "app=web"
				w.serves("s0-fake-jobs", text+`no pod of Deployment "ns/web" is ready, and the fallback of a metric of type Value is divided among them`)
				w.says("a", "Active", "True ScalerActive: the fallback stands in for at least one trigger")
				for i := range 2 {
					w.starts(fmt.Sprint("web-", i))
				}
				w.serves("s0-fake-jobs", 8*c.want/2)
			})
		}
	}
}

// starts lets a pod of the workload be ready.
func (w *world) starts(name string) {
	w.T.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{"app": "web"}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	if err := w.api.Create(w.T.Context(), pod); err != nil {
		w.T.Fatal(err)
	}
}

func TestAFallbackOutlastsARestartWithoutAFlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(2, 6, "static")))
	w.reads(map[string]float64{"jobs": 10})
	w.settles("a")
	w.breaks("jobs", errors.New("down"))
	w.later(time.Hour, "a")
	w.says("a", "Fallback", fallsBack)
	w.settles("a")

	w.engine.Samples = map[scalers.Query]engine.Sample{}
	w.restart()
	w.pass("a")
	w.serves("s0-fake-jobs", 30.0) // although nothing has been measured yet
	w.breaks("jobs", errors.New("down"))
	w.later(time.Hour, "a")
	w.Does()
	w.Tells("Warning KEDAScalerFailed: s0-fake-jobs: down")
	w.serves("s0-fake-jobs", 30.0)

	w.restart()
	w.reads(map[string]float64{"jobs": 1})
	w.pass("a")
	w.Tells("Normal ScaledObjectFallbackDeactivated: the fallback stands in for no trigger any more")
	w.serves("s0-fake-jobs", 1.0)
}

// TestFailuresBeforeARestartCount, but not those of the time in between.
func TestFailuresBeforeARestartCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(3, 6, "static")))
	w.reads(map[string]float64{"jobs": 10})
	w.settles("a")
	w.breaks("jobs", errors.New("down"))
	w.later(40*time.Second, "a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "2 Failing")
	w.engine.Samples = map[scalers.Query]engine.Sample{}
	w.restart()
	w.now = w.now.Add(time.Hour)
	w.pass("a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "2 Failing")
	w.breaks("jobs", errors.New("down"))
	w.pass("a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "3 Failing")
	w.later(30*time.Second, "a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "4 Failing")
	w.says("a", "Fallback", fallsBack)
}

// TestAnotherPasswordDoesNotEndAnOutage: the count goes on with the new settings.
func TestAnotherPasswordDoesNotEndAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(1, 6, "static"), func(so *v1alpha1.ScaledObject) {
		so.Spec.Triggers[0].Metadata["addr"] = "here"
	}))
	w.reads(map[string]float64{"jobs": 10})
	w.settles("a")
	w.breaks("jobs", errors.New("down"))
	w.later(time.Minute, "a")
	w.says("a", "Fallback", fallsBack)
	w.settles("a")
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Triggers[0].Metadata["addr"] = "there" })
	w.pass("a")
	w.says("a", "Fallback", fallsBack)
	w.serves("s0-fake-jobs", 30.0)
	w.Tells()
	// An unchanged query keeps its count as well.
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.CooldownPeriod = new(int32(7)) })
	w.pass("a")
	w.says("a", "Fallback", fallsBack)
	w.Tells()
}

func TestASourceThatGoesSilentFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(3, 6, "static")))
	w.reads(map[string]float64{"jobs": 10})
	w.settles("a")
	w.now = w.now.Add(91 * time.Second)
	w.reported("silence", true)
	w.later(29*time.Second, "a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "4 Failing")
	w.says("a", "Fallback", fallsBack)
	w.serves("s0-fake-jobs", 30.0)
}

func TestRemovingTheFallbackEndsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", triggers("jobs", "more"), falling(0, 6, "static")))
	w.reads(map[string]float64{"jobs": 10})
	w.breaks("more", errors.New("down"))
	w.settles("a")
	w.says("a", "Fallback", fallsBack)
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Triggers = so.Spec.Triggers[:1] })
	w.pass("a")
	w.says("a", "Fallback", noFall)
	equal(t, "health", fmt.Sprint(len(w.object("a").Status.Health)), "1")
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Fallback = nil })
	w.pass("a")
	equal(t, "health", fmt.Sprint(w.object("a").Status.Health), "map[]")
}

func TestCachedMetricsAndFallbackDoNotFlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(0, 6, "static"), func(so *v1alpha1.ScaledObject) {
		so.Spec.Triggers[0].UseCachedMetrics = true
	}))
	w.reads(map[string]float64{"jobs": 10})
	w.settles("a")
	w.breaks("jobs", errors.New("down"))
	w.pass("a")
	w.settles("a")
	for range 10 {
		w.serves("s0-fake-jobs", 30.0)
		w.later(15*time.Second, "a")
	}
	w.Does()
	w.Tells()
}

// TestCPUNeverFallsBack, and is not in the health.
func TestCPUNeverFallsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(0, 6, "static"),
		having(ofType("cpu", "Utilization", "value", "60"), trigger("jobs"))))
	w.breaks("jobs", errors.New("down"))
	w.settles("a")
	equal(t, "health", fmt.Sprint(len(w.object("a").Status.Health)), "1")
	equal(t, "health", w.health("a", "s1-fake-jobs"), "1 Failing")
	w.serves("s1-fake-jobs", 30.0)
}

func TestMetricsThatAnUpstreamNamesFallBackEach(t *testing.T) {
	t.Parallel()
	named := ofType("naming", "", "name", "it")
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(0, 6, "static"), having(named)))
	w.pass("a")
	w.names(named, scalers.Busy, scalers.Metric{Name: "x", Target: 2, Value: 1}, scalers.Metric{Name: "y", Target: 7, Value: 1})
	w.settles("a")
	q := w.queryOf(scaledtest.Naming("naming", false), named)
	s := w.engine.Samples[q]
	s.Err, s.ErrSince = errors.New("down"), w.now
	w.engine.Samples[q] = s
	w.pass("a")
	w.serves("s0-x", 12.0)
	w.serves("s0-y", 42.0)
	equal(t, "health", w.health("a", "s0-x")+" "+w.health("a", "s0-y"), "1 Failing 1 Failing")
	w.restart()
	w.engine.Samples = map[scalers.Query]engine.Sample{}
	w.pass("a")
	w.serves("s0-y", 42.0)
}

// TestAFallbackOfUnknownReplicasIsNone: where the count is made of what there is, and
// that cannot be read, the trigger fails as without a fallback.
func TestAFallbackOfUnknownReplicasIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(0, 6, "currentReplicas")))
	w.reads(map[string]float64{"jobs": 10})
	w.settles("a")
	w.breaks("jobs", errors.New("down"))
	w.Fail = func(call string) error {
		if call == "get Deployment web" {
			return errors.New("boom")
		}
		return nil
	}
	w.serves("s0-fake-jobs", "s0-fake-jobs cannot be measured (down), and nothing stands in for it: the fallback is made of the replicas that there are: reading Deployment \"ns/web\": boom")
	w.failing("a")
	w.says("a", "Fallback", noFall)
	boom := w.Fail
	w.Fail = nil
	w.pass("a")
	w.says("a", "Fallback", fallsBack)
	w.Fail = boom
	w.Forgets()
	w.failing("a")
	w.says("a", "Fallback", fallsBack) // nothing says that it ended
	for _, e := range w.Events {
		if strings.Contains(e, "Fallback") {
			t.Error(e)
		}
	}
}

// TestWhatFailedForOthersDoesNotCount: a trigger may be new on a source that is down
// for long.
func TestWhatFailedForOthersDoesNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(1, 6, "static")))
	w.breaks("jobs", errors.New("down"))
	w.now = w.now.Add(time.Hour)
	w.pass("a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "1 Failing")
	w.later(30*time.Second, "a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "2 Failing")
	// A plan made anew counts on.
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Fallback.FailureThreshold = 9 })
	w.later(30*time.Second, "a")
	equal(t, "health", w.health("a", "s0-fake-jobs"), "3 Failing")
}

func TestTheHooksLearnOfDecisionsAndScalings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a"))
	var reasons []string
	var attempts []string
	w.r.OnDecision = func(_, _ string, d decide.Decision) { reasons = append(reasons, string(d.Reason)) }
	w.r.OnScaled = func(s scaledobject.Scaled) {
		attempts = append(attempts, fmt.Sprintf("%s/%s to %d, measured %s ago, took %s, %v", s.Namespace, s.Name, s.Decision.To, w.now.Sub(s.Measured), s.Done.Sub(s.Started), s.Err))
	}
	w.pass("a")
	w.reads(map[string]float64{"jobs": 1})
	w.now = w.now.Add(time.Second)
	w.Fail = func(call string) error {
		if call == "scale Deployment web to 1" {
			return errors.New("boom")
		}
		return nil
	}
	w.failing("a")
	w.Fail = nil
	w.pass("a")
	equal(t, "decisions", fmt.Sprint(reasons), "[NotMeasured WorkWaiting]")
	equal(t, "attempts", fmt.Sprint(attempts), `[ns/a to 1, measured 1s ago, took 0s, scaling Deployment "ns/web" to 1: boom ns/a to 1, measured 1s ago, took 0s, <nil>]`)
}
