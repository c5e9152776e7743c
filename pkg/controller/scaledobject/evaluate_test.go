package scaledobject_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	isActive  = "True ScalerActive: at least one trigger has work"
	notActive = "False ScalerNotActive: no trigger has work"
	cooling   = "False ScalerCooldown: no trigger has work; the cooldown has not passed"
	wrote     = "status of ScaledObject a"
)

func TestAWorkloadWakesRunsAndRests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a"))

	w.pass("a") // nothing is measured yet
	w.Does("patch ScaledObject a", "apply HorizontalPodAutoscaler keda-hpa-a", wrote)
	w.Tells("Normal KEDAScalersStarted: measuring s0-fake-jobs every 30s")
	w.says("a", "Ready", "", "Active", "", "Paused", "False", "Fallback", "False NoFallbackFound: no fallback is in use")

	w.reads(map[string]float64{"jobs": 0})
	w.pass("a")
	w.Does(wrote)
	w.Tells("Normal ScaledObjectReady: the object is ready for scaling")
	w.says("a", "Ready", ready, "Active", notActive)

	w.reads(map[string]float64{"jobs": 3})
	w.pass("a")
	w.Does("scale Deployment web to 1", wrote)
	w.Tells("Normal KEDAScaleTargetActivated: scaled Deployment ns/web from 0 to 1: 1 of 1 trigger has work: s0-fake-jobs has 3 (above 0, target 5)")
	w.says("a", "Ready", ready, "Active", isActive)
	equal(t, "lastActiveTime", w.object("a").Status.LastActiveTime.UTC(), w.now)
	equal(t, "activity", w.object("a").Status.TriggersActivity["s0-fake-jobs"].IsActive, true)

	w.now = w.now.Add(time.Minute)
	w.reads(map[string]float64{"jobs": 7})
	w.pass("a")
	w.Does() // the time of last activity is not written while it moves

	busy := w.now
	w.now = w.now.Add(100 * time.Second)
	w.reads(map[string]float64{"jobs": 0})
	equal(t, "rest of the cooldown", w.pass("a"), 200*time.Second)
	w.Does(wrote)
	w.says("a", "Ready", ready, "Active", cooling)
	equal(t, "lastActiveTime", w.object("a").Status.LastActiveTime.UTC(), busy)

	w.now = w.now.Add(200 * time.Second)
	w.reads(map[string]float64{"jobs": 0})
	w.Tells()
	equal(t, "recheck", w.pass("a"), 0)
	w.Does("scale Deployment web to 0", wrote)
	w.Tells("Normal KEDAScaleTargetDeactivated: scaled Deployment ns/web from 1 to 0: no work in 1 trigger: s0-fake-jobs has 0 (not above 0, target 5); idle for 5m; the cooldown is over")
	w.says("a", "Active", notActive)
	equal(t, "decisions", w.decisions("a"), 6)
	equal(t, "decisions of an unknown object", w.decisions("b"), 0)
}

func TestARunningObjectWritesNothingHoweverItsValuesChange(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]func(i int) float64{
		"at rest": func(int) float64 { return 0 },
		"busy":    func(i int) float64 { return float64(1 + i*i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 0), scaledObject("a"))
			w.reads(map[string]float64{"jobs": value(0)})
			w.settles("a")
			sets := w.engine.Sets
			for i := range 100 {
				w.now = w.now.Add(30 * time.Second)
				w.reads(map[string]float64{"jobs": value(i)})
				w.pass("a")
			}
			w.Does()
			w.Tells()
			equal(t, "changes to what is measured", w.engine.Sets-sets, 0)
		})
	}
}

func TestErrorsHoldTheWorkload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", triggers("jobs", "more")))
	w.reads(map[string]float64{"jobs": 0, "more": 0})
	w.breaks("jobs", &scalers.Error{Kind: scalers.Unreachable, Op: "measuring", Err: errors.New("down")})
	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"more": 0})
	w.pass("a")
	w.has(2)
	w.says("a", "Ready", "False TriggerError: s0-fake-jobs cannot be read (measuring: down)", "Active", "False ScalerNotActive: no trigger is known to have work")
	w.Tells("Normal KEDAScalersStarted: measuring s0-fake-jobs, s1-fake-more every 30s", "Warning KEDAScalerFailed: s0-fake-jobs: measuring: down")

	w.reads(map[string]float64{"more": 1})
	w.pass("a")
	w.says("a", "Ready", "Unknown PartialTriggerError: s0-fake-jobs cannot be read (measuring: down)", "Active", isActive)
	w.Tells()

	w.reads(map[string]float64{"jobs": 0, "more": 1})
	w.pass("a")
	w.says("a", "Ready", ready)
	w.Tells("Normal ScaledObjectReady: the object is ready for scaling")

	w.now = w.now.Add(89 * time.Second) // not yet too old
	w.pass("a")
	w.says("a", "Ready", ready)
	w.now = w.now.Add(2 * time.Second)
	w.pass("a")
	const silent = "it has not been measured for longer than allowed; see the log of weir for its source"
	w.says("a", "Ready", fmt.Sprintf("False TriggerError: s0-fake-jobs cannot be read (%s), s1-fake-more cannot be read (%s)", silent, silent))
	w.has(2)
}

func TestAMessageAloneIsRewrittenAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", triggers("jobs", "more")))
	w.reads(map[string]float64{"jobs": 0, "more": 0})
	w.breaks("jobs", errors.New("down"))
	w.settles("a")
	for i := range 120 { // two minutes, in seconds
		w.now = w.now.Add(time.Second)
		w.reads(map[string]float64{"more": 0})
		w.breaks("jobs", fmt.Errorf("down for the %d. time", i))
		if i > 0 {
			equal(t, "time until the text is rewritten", w.pass("a") > 0, i%60 != 0)
			continue
		}
		w.pass("a")
	}
	w.Does(wrote, wrote)
	w.Tells()
}

func TestTheLocalPortOfAConnectionIsNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a"))
	for port := range 3 {
		w.now = w.now.Add(time.Hour)
		w.breaks("jobs", &net.OpError{
			Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 40000 + port},
			Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 6379}, Err: errors.New("reset"),
		})
		w.pass("a")
		w.says("a", "Ready", "False TriggerError: s0-fake-jobs cannot be read (read tcp 10.0.0.2:6379: reset)")
		if port > 0 {
			w.Does()
		}
		w.Forgets()
	}
}

func TestScalingThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 0})
	w.settles("a")
	w.reads(map[string]float64{"jobs": 1})
	for _, call := range []string{"scale Deployment web to 1", "get scale of Deployment web"} {
		w.Fail = func(c string) error {
			if c == call {
				return errors.New("boom")
			}
			return nil
		}
		err := w.failing("a")
		w.Tells(
			"Warning KEDAScaleTargetActivationFailed: scaling Deployment ns/web from 0 to 1: 1 of 1 trigger has work: s0-fake-jobs has 1 (above 0, target 5): "+err,
			"Warning ScaledObjectCheckFailed: "+err,
		)
		w.says("a", "Ready", checkFailed+err)
		if at := w.object("a").Status.LastActiveTime; at != nil {
			t.Errorf("lastActiveTime is %v, but nothing was active", at)
		}
		w.now = w.now.Add(2 * time.Minute) // more than messages wait
		w.reads(map[string]float64{"jobs": 1})
	}
	w.Fail = nil
	w.pass("a")
	w.has(1)
	w.says("a", "Ready", ready)

	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"jobs": 0})
	w.Fail = func(c string) error {
		if strings.HasPrefix(c, "scale") {
			return errors.New("boom")
		}
		return nil
	}
	w.Forgets()
	w.failing("a")
	if !strings.HasPrefix(w.Events[0], "Warning KEDAScaleTargetDeactivationFailed: scaling Deployment ns/web from 1 to 0: ") {
		t.Errorf("events %q", w.Events)
	}
}

func TestAConflictOnTheScaleIsTriedAgainQuietly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 0})
	w.settles("a")
	w.reads(map[string]float64{"jobs": 1})
	w.Fail = func(c string) error {
		if strings.HasPrefix(c, "scale") {
			return conflict()
		}
		return nil
	}
	equal(t, "next try", w.pass("a"), 100*time.Millisecond)
	w.Tells()
	w.says("a", "Ready", ready)
	w.Fail = nil
	w.pass("a")
	w.has(1)
}

func TestNothingIsScaledTwiceWhileTheCacheIsStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.cached["web"] = deployment("web", 0)
	w.pass("a")
	w.has(1)
	w.scale("Deployment", "web", 4) // the HPA goes on
	w.Forgets()
	w.pass("a")
	w.pass("a")
	w.Does()
	w.Tells()
	w.has(4)

	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"jobs": 0})
	w.cached["web"] = deployment("web", 3) // stale, but right in what matters
	w.pass("a")
	w.Tells("Normal KEDAScaleTargetDeactivated: scaled Deployment ns/web from 4 to 0: no work in 1 trigger: s0-fake-jobs has 0 (not above 0, target 5); idle for 1h; the cooldown is over")
	w.Forgets()
	w.pass("a")
	w.Does()
	w.has(0)
}

func TestTheCooldownAfterARestart(t *testing.T) {
	t.Parallel()
	last := metav1.NewTime(scaledtest.Start().Add(-299 * time.Second))
	for status, want := range map[metav1.ConditionStatus]time.Duration{
		metav1.ConditionTrue:  300 * time.Second, // it counts as active until now
		metav1.ConditionFalse: time.Second,
	} {
		so := scaledObject("a")
		so.Status.LastActiveTime = &last
		so.Status.Conditions = []v1alpha1.Condition{{Type: v1alpha1.ConditionActive, Status: status}}
		w := newWorld(t, deployment("web", 1), so)
		w.reads(map[string]float64{"jobs": 0})
		equal(t, "rest of the cooldown, Active is "+string(status), w.pass("a"), want)
		w.now = w.now.Add(want)
		w.reads(map[string]float64{"jobs": 0})
		w.pass("a")
		w.has(0)
	}
}

func TestTheUpstreamIsWatchedWhileTheWorkloadRests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change         func(*v1alpha1.ScaledObject)
		resting, awake int32
	}{
		"at zero": {func(*v1alpha1.ScaledObject) {}, 0, 1},
		"at an idle count": {func(so *v1alpha1.ScaledObject) {
			so.Spec.IdleReplicaCount, so.Spec.MinReplicaCount = ptr.To[int32](1), ptr.To[int32](3)
		}, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", tc.resting), scaledObject("a", tc.change))
			watched := func() bool { return w.engine.Uses["scaledobject/ns/a"][0].Watch }
			w.reads(map[string]float64{"jobs": 0})
			w.pass("a")
			equal(t, "watched at rest", watched(), true)
			w.reads(map[string]float64{"jobs": 1})
			w.pass("a")
			w.has(tc.awake)
			equal(t, "watched while awake", watched(), false)
			w.now = w.now.Add(time.Hour)
			w.reads(map[string]float64{"jobs": 0})
			w.pass("a")
			w.has(tc.resting)
			equal(t, "watched at rest again", watched(), true)
		})
	}
}

func TestFewerReplicasThanTheMinimumAreCorrectedWithAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a", func(so *v1alpha1.ScaledObject) { so.Spec.MinReplicaCount = ptr.To[int32](2) }))
	w.reads(map[string]float64{"jobs": 0})
	w.pass("a")
	w.has(2)
	if !slices.Contains(w.Events, "Normal KEDAScaleTargetActivated: scaled Deployment ns/web from 0 to 2: no work in 1 trigger: s0-fake-jobs has 0 (not above 0, target 5); 0 replicas, fewer than the minimum of 2") {
		t.Errorf("events %q", w.Events)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	ref := func(apiVersion, kind, name string) func(*v1alpha1.ScaledObject) {
		return func(so *v1alpha1.ScaledObject) {
			so.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: apiVersion, Kind: kind, Name: name}
		}
	}
	unset := deployment("unset", 0)
	unset.Spec.Replicas = nil
	stateful := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "db"}, Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](0)}}
	for name, tc := range map[string]struct {
		change   func(*v1alpha1.ScaledObject)
		ready    string
		original int32
		kind     string
		scaled   string
	}{
		"a Deployment":                    {ref("", "", "web"), ready, 0, "apps/v1.Deployment", "scale Deployment web to 1"},
		"a Deployment without replicas":   {ref("", "", "unset"), ready, 1, "apps/v1.Deployment", ""},
		"a StatefulSet":                   {ref("apps/v1", "StatefulSet", "db"), ready, 0, "apps/v1.StatefulSet", "scale StatefulSet db to 1"},
		"any kind that has a scale":       {ref("argoproj.io/v1alpha1", "Rollout", "roll"), ready, 0, "argoproj.io/v1alpha1.Rollout", "scale Rollout roll to 1"},
		"a Deployment that is missing":    {ref("", "", "none"), checkFailed + `spec.scaleTargetRef: Deployment "ns/none" does not exist; create it, or correct the reference`, -1, "apps/v1.Deployment", ""},
		"a custom object that is missing": {ref("argoproj.io/v1alpha1", "Rollout", "none"), checkFailed + `spec.scaleTargetRef: Rollout "ns/none" does not exist or has no scale subresource; create it, or correct scaleTargetRef`, -1, "argoproj.io/v1alpha1.Rollout", ""},
		"a kind without a scale":          {ref("v1", "Secret", "s"), checkFailed + `spec.scaleTargetRef: Secret "ns/s" does not exist or has no scale subresource; create it, or correct scaleTargetRef`, -1, "/v1.Secret", ""},
		"a kind that is not known":        {ref("x.io/v1", "Gone", "g"), checkFailed + `spec.scaleTargetRef: the API server knows no kind "Gone" in "x.io/v1"; correct scaleTargetRef.apiVersion and kind, or install its CRD`, -1, "", ""},
		"no name at all":                  {ref("", "", ""), checkFailed + `spec.scaleTargetRef.name: is required`, -1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 0), unset, stateful, scaledObject("a", tc.change))
			w.replicas["roll"] = 0
			w.reads(map[string]float64{"jobs": 1})
			w.pass("a")
			w.says("a", "Ready", tc.ready)
			if tc.ready != ready {
				w.says("a", "Active", "Unknown UnknownState: the object is not in force; see Ready")
				equal(t, "next look", w.pass("a"), retryProblem)
			}
			status := w.object("a").Status
			equal(t, "originalReplicaCount", ptr.Deref(status.OriginalReplicaCount, -1), tc.original)
			equal(t, "scaleTargetKind", status.ScaleTargetKind, tc.kind)
			scaled := strings.Join(slices.DeleteFunc(w.Writes, func(s string) bool { return !strings.HasPrefix(s, "scale") }), ", ")
			equal(t, "scaled", scaled, tc.scaled)
		})
	}
}

func TestAWorkloadThatGoesAndComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	web := deployment("web", 0)
	if err := w.api.Delete(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	w.pass("a")
	w.says("a", "Ready", checkFailed+`spec.scaleTargetRef: Deployment "ns/web" does not exist; create it, or correct the reference`)
	equal(t, "queries still measured", len(w.engine.Uses["scaledobject/ns/a"]), 1)
	if err := w.api.Create(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	w.pass("a")
	w.has(1)
	w.says("a", "Ready", ready)
}

func TestReplicasThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledObject("a", func(so *v1alpha1.ScaledObject) {
		so.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "roll"}
	}))
	w.replicas["roll"] = 2
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	w.Fail = func(c string) error {
		if c == "get scale of Rollout roll" {
			return errors.New("boom")
		}
		return nil
	}
	err := w.failing("a")
	equal(t, "error", err, `reading the scale of Rollout "ns/roll": boom`)
	w.says("a", "Ready", "False ErrorGettingCurrentReplicas: "+err)
	w.Does(wrote)
	w.Tells()
}

func TestAnObjectMadeAnewUnderItsNameHasNothingOfTheOldOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	old := w.object("a")
	old.Finalizers = nil
	for _, err := range []error{
		w.api.Update(t.Context(), old), w.api.Delete(t.Context(), old),
		w.api.Create(t.Context(), scaledObject("a", triggers(), func(so *v1alpha1.ScaledObject) { so.UID = "new" })),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.pass("a")
	w.says("a", "Ready", checkFailed+"spec.triggers: must have at least one trigger")
	equal(t, "owners that measure", len(w.engine.Uses), 0)
	equal(t, "decisions", w.decisions("a"), 0)
	if _, err := w.r.Metric(t.Context(), "ns", "a", "s0-fake-jobs"); err == nil {
		t.Error("a metric of the old object is served")
	}
	if !w.r.Known(client.ObjectKey{Namespace: "ns", Name: "a"}) {
		t.Error("the new object is not known")
	}
}
