package scaledobject_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	pausedReady = "True ScaledObjectReady: the object is ready; scaling is paused by annotation"
	isPaused    = "True ScaledObjectPaused: scaling is paused by annotation"
	badCount    = "metadata.annotations: annotation autoscaling.keda.sh/paused-replicas is no replica count; " +
		"set a whole number from 0 to 2147483647, or remove the annotation"
)

func TestPausing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		annotations []string
		writes      []string
		events      []string
		ready       string
		paused      string
		hpas        string
		measures    bool
	}{
		{
			"stops measuring and deletes the HPA",
			[]string{v1alpha1.AnnotationPaused, "true"},
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a"},
			[]string{"Normal KEDAScalersStopped: measuring stopped", "Normal ScaledObjectPaused: scaling is paused by annotation"},
			pausedReady, isPaused, "[]", false,
		},
		{
			"at a count sets it after the HPA is gone",
			[]string{v1alpha1.AnnotationPausedReplicas, "4", v1alpha1.AnnotationPaused, "false"},
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "scale Deployment web to 4", "status of ScaledObject a"},
			[]string{"Normal KEDAScalersStopped: measuring stopped", "Normal ScaledObjectPaused: scaling is paused by annotation"},
			pausedReady, isPaused, "[]", false,
		},
		{
			"at the count there is writes none",
			[]string{v1alpha1.AnnotationPausedReplicas, "2"},
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a"},
			[]string{"Normal KEDAScalersStopped: measuring stopped", "Normal ScaledObjectPaused: scaling is paused by annotation"},
			pausedReady, isPaused, "[]", false,
		},
		{
			"at no number does not cost the HPA",
			[]string{v1alpha1.AnnotationPausedReplicas, "many"},
			[]string{"status of ScaledObject a"},
			[]string{"Warning ScaledObjectCheckFailed: " + badCount},
			checkFailed + badCount, "False", "[keda-hpa-a]", true,
		},
		{
			"at a negative count does not cost the HPA",
			[]string{v1alpha1.AnnotationPausedReplicas, "-1"},
			[]string{"status of ScaledObject a"},
			[]string{"Warning ScaledObjectCheckFailed: " + badCount},
			checkFailed + badCount, "False", "[keda-hpa-a]", true,
		},
		{
			"of scale-in goes on",
			[]string{v1alpha1.AnnotationPausedScaleIn, "true"},
			[]string{"apply HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a"},
			[]string{"Normal ScaledObjectPaused: scale-in is paused by annotation"},
			ready, "True ScaledObjectPaused: scale-in is paused by annotation", "[keda-hpa-a]", true,
		},
		{
			"of scale-out goes on",
			[]string{v1alpha1.AnnotationPausedScaleOut, "true"},
			[]string{"apply HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a"},
			[]string{"Normal ScaledObjectPaused: scale-out is paused by annotation"},
			ready, "True ScaledObjectPaused: scale-out is paused by annotation", "[keda-hpa-a]", true,
		},
		{
			"of both directions goes on",
			[]string{v1alpha1.AnnotationPausedScaleIn, "true", v1alpha1.AnnotationPausedScaleOut, "true"},
			[]string{"apply HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a"},
			[]string{"Normal ScaledObjectPaused: scale-in and scale-out are paused by annotation"},
			ready, "True ScaledObjectPaused: scale-in and scale-out are paused by annotation", "[keda-hpa-a]", true,
		},
		{
			"is meant by an empty value as well",
			[]string{v1alpha1.AnnotationPaused, ""},
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a"},
			[]string{"Normal KEDAScalersStopped: measuring stopped", "Normal ScaledObjectPaused: scaling is paused by annotation"},
			pausedReady, isPaused, "[]", false,
		},
		{"that is not meant does nothing", []string{v1alpha1.AnnotationPaused, "false"}, nil, nil, ready, "False", "[keda-hpa-a]", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 2), scaledObject("a"))
			w.reads(map[string]float64{"jobs": 1})
			w.settles("a")
			active := w.condition("a", "Active")
			w.edits("a", annotated(tc.annotations...))
			w.pass("a")
			w.Does(tc.writes...)
			w.Tells(tc.events...)
			w.says("a", "Ready", tc.ready, "Paused", tc.paused, "Active", active)
			equal(t, "HPAs", fmt.Sprint(w.hpas()), tc.hpas)
			equal(t, "measures", len(w.engine.Uses) > 0, tc.measures)
			w.pass("a")
			w.Does()
			if !strings.HasPrefix(tc.ready, "False") {
				w.restart()
				w.pass("a")
				w.Does() // nothing is done twice, after a restart neither
			}
		})
	}
}

// TestFromOnePauseToAnother tells of no end, as there is none.
func TestFromOnePauseToAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", annotated(v1alpha1.AnnotationPaused, "off")))
	w.reads(map[string]float64{"jobs": 0})
	w.settles("a")
	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"jobs": 0})
	w.edits("a", annotated(v1alpha1.AnnotationPausedScaleIn, "true"))
	w.pass("a")
	w.Does("apply HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a")
	w.says("a", "Paused", "True ScaledObjectPaused: scale-in is paused by annotation", "Active", noWork)
	w.has(2)
	equal(t, "scale-in", string(*w.hpa("keda-hpa-a").Spec.Behavior.ScaleDown.SelectPolicy), "Disabled")
	w.Forgets()
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Annotations = nil })
	w.pass("a")
	w.Tells(
		"Normal KEDAScaleTargetDeactivated: scaled Deployment ns/web from 2 to 0: no work in 1 trigger: s0-fake-jobs has 0 (not above 0, target 5); no work so far, created 2h ago; the cooldown is over",
		"Normal ScaledObjectUnpaused: scaling is not paused",
	)
	equal(t, "scale-in", string(*w.hpa("keda-hpa-a").Spec.Behavior.ScaleDown.SelectPolicy), "Max")
}

// TestAFallbackIsInForceAfterAPause, until the first reading ends it.
func TestAFallbackIsInForceAfterAPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", falling(0, 6, "static")))
	w.breaks("jobs", errors.New("down"))
	w.settles("a")
	w.edits("a", annotated(v1alpha1.AnnotationPaused, "true"))
	equal(t, "to be looked at again after", w.pass("a"), 0)
	w.says("a", "Fallback", fallsBack)
	w.engine.Samples = map[scalers.Query]engine.Sample{}
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Annotations = nil })
	w.Forgets()
	w.pass("a")
	w.serves("s0-fake-jobs", 30.0)
	w.reads(map[string]float64{"jobs": 1})
	w.pass("a")
	w.says("a", "Fallback", noFall)
	w.Tells(
		"Normal ScaledObjectUnpaused: scaling is not paused",
		"Normal ScaledObjectFallbackDeactivated: the fallback stands in for no trigger any more",
	)
}

func TestUnpausing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a", annotated(v1alpha1.AnnotationPausedReplicas, "3")))
	w.reads(map[string]float64{"jobs": 0})
	w.pass("a")
	w.has(3)
	status := w.object("a").Status
	equal(t, "pausedReplicaCount", *status.PausedReplicaCount, 3)
	equal(t, "hpaName", status.HPAName, "")
	w.Forgets()

	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Annotations = nil; so.Spec.Triggers[0].Type = "no-such" })
	w.pass("a")
	w.says("a", "Paused", "False ScaledObjectUnpaused: scaling is not paused", "Ready",
		checkFailed+`spec.triggers[0].type: trigger type "no-such" is not known; weir scalers lists those that are`)
	w.Forgets()

	w.edits("a", triggers("jobs"))
	w.pass("a")
	w.Does("apply HorizontalPodAutoscaler keda-hpa-a", "scale Deployment web to 0", "status of ScaledObject a")
	w.says("a", "Paused", "False ScaledObjectUnpaused: scaling is not paused", "Ready", ready)
	status = w.object("a").Status
	equal(t, "hpaName", status.HPAName, "keda-hpa-a")
	if status.PausedReplicaCount != nil {
		t.Errorf("pausedReplicaCount is still %d", *status.PausedReplicaCount)
	}
}

func TestPausingAtACountWithoutAWorkloadPausesAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledObject("a", annotated(v1alpha1.AnnotationPausedReplicas, "3")))
	equal(t, "time to the next try", w.pass("a"), retryProblem)
	w.says("a", "Paused", isPaused, "Ready",
		checkFailed+`spec.scaleTargetRef: Deployment "ns/web" does not exist or has no scale subresource; create it, or correct scaleTargetRef`)
}

func restoring(so *v1alpha1.ScaledObject) {
	so.Spec.Advanced = &v1alpha1.AdvancedConfig{RestoreToOriginalReplicaCount: true}
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		so     *v1alpha1.ScaledObject
		fails  string // the call that fails
		passes int    // that fail before it succeeds
		writes []string
		event  string
	}{
		{"lets the workload be", scaledObject("a"), "", 0, []string{"patch ScaledObject a"}, ""},
		{
			"restores the replicas after the HPA is gone", scaledObject("a", restoring), "", 0,
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "scale Deployment web to 2", "patch ScaledObject a"},
			"",
		},
		{"of a paused object needs no HPA", scaledObject("a", restoring, annotated(v1alpha1.AnnotationPaused, "")), "", 0, []string{"patch ScaledObject a"}, ""},
		{"is tried again when the finalizer stays", scaledObject("a"), "patch", 2, []string{"patch ScaledObject a"}, ""},
		{
			"is tried again when the workload cannot be scaled", scaledObject("a", restoring), "scale", 3,
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "scale Deployment web to 2", "patch ScaledObject a"},
			"",
		},
		{
			"gives up restoring after a minute", scaledObject("a", restoring), "scale", 100,
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "patch ScaledObject a"},
			`Warning ScaledObjectUpdateFailed: restoring 2 replicas: scaling Deployment "ns/web" to 2: boom`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 2), tc.so)
			w.reads(map[string]float64{"jobs": 1})
			w.settles("a")
			w.scale("Deployment", "web", 7)
			so := w.object("a")
			if err := w.api.Delete(t.Context(), so); err != nil {
				t.Fatal(err)
			}
			w.now = w.object("a").DeletionTimestamp.Time
			left := tc.passes
			w.Fail = func(call string) error {
				if tc.fails == "" || !strings.HasPrefix(call, tc.fails+" ") || left == 0 {
					return nil
				}
				left--
				return errors.New("boom")
			}
			w.restart()
			for range min(tc.passes, 5) {
				w.failing("a")
				w.now = w.now.Add(12 * time.Second)
			}
			w.pass("a")
			w.Does(tc.writes...)
			wantEvents := []string{"Warning ScaledObjectDeleted: the ScaledObject was deleted"}
			if tc.event != "" {
				wantEvents = slices.Insert(wantEvents, 0, tc.event)
			}
			w.Tells(wantEvents...)
			w.pass("a") // it is gone
			w.Does()
			if w.r.Known(client.ObjectKey{Namespace: "ns", Name: "a"}) || len(w.engine.Uses) > 0 {
				t.Error("something of the object is remembered")
			}
		})
	}
}

func TestDeletingAnObjectWhoseWorkloadIsGoneDoesNotWait(t *testing.T) {
	t.Parallel()
	web := deployment("web", 2)
	w := newWorld(t, web, scaledObject("a", restoring))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	for _, o := range []client.Object{web, w.object("a")} {
		if err := w.api.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	w.pass("a")
	w.Does("delete HorizontalPodAutoscaler keda-hpa-a", "patch ScaledObject a")
	w.Tells(
		"Normal KEDAScalersStopped: measuring stopped",
		`Warning ScaledObjectUpdateFailed: restoring 2 replicas: spec.scaleTargetRef: Deployment "ns/web" does not exist or has no scale subresource; create it, or correct scaleTargetRef`,
		"Warning ScaledObjectDeleted: the ScaledObject was deleted",
	)
}

func TestTheOriginalReplicasAreThoseOfThePresentWorkload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), deployment("other", 5), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	original := func() int32 { return ptr.Deref(w.object("a").Status.OriginalReplicaCount, -1) }
	equal(t, "originalReplicaCount", original(), 2)
	w.scale("Deployment", "web", 9)
	w.r.OnReference([]string{"scaledobject/ns/a"})
	w.pass("a")
	equal(t, "originalReplicaCount after scaling", original(), 2)
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.ScaleTargetRef.Name = "other" })
	w.Fail = func(call string) error {
		if call == "status of ScaledObject a" {
			return errors.New("boom")
		}
		return nil
	}
	w.failing("a")
	w.Fail = nil
	w.pass("a")
	equal(t, "originalReplicaCount of the other workload", original(), 5)
}
