package scaledobject_test

import (
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// hpaSays sets the HPA's word on scaling.
func (w *world) hpaSays(status corev1.ConditionStatus, reason string, since time.Time) {
	w.T.Helper()
	h := w.hpa("keda-hpa-a")
	h.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{
		Type: autoscalingv2.ScalingActive, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(since),
	}}
	if err := w.api.Status().Update(w.T.Context(), h); err != nil {
		w.T.Fatal(err)
	}
}

// TestARestartWritesNothing: with 10,000 objects each write would be 10,000.
func TestARestartWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 9})
	w.settles("a")
	w.hpaSays(corev1.ConditionTrue, "ValidMetricFound", w.now)
	w.settles("a")

	w.now = w.now.Add(time.Hour)
	w.hpaSays(corev1.ConditionFalse, "FailedGetExternalMetric", w.now.Add(-10*time.Second)) // weir was away
	w.engine.Samples = map[scalers.Query]engine.Sample{}
	w.restart()
	after := w.pass("a")
	equal(t, "to be looked at again after", after, time.Minute)
	w.Does()
	w.Tells()

	w.reads(map[string]float64{"jobs": 7})
	w.pass("a")
	w.Does()
	w.Tells()

	w.hpaSays(corev1.ConditionTrue, "ValidMetricFound", w.now)
	w.pass("a")
	w.Does()
}

func TestAnHPAThatDoesNotRecoverIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 2), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 9})
	w.settles("a")
	w.hpaSays(corev1.ConditionTrue, "ValidMetricFound", w.now)
	w.settles("a")

	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"jobs": 9})
	w.hpaSays(corev1.ConditionFalse, "FailedGetExternalMetric", w.now.Add(-time.Minute))
	w.restart()
	w.pass("a")
	w.Does()
	w.now = w.now.Add(time.Minute)
	w.reads(map[string]float64{"jobs": 9})
	w.pass("a")
	w.Does("status of ScaledObject a")
	w.says("a", "HPAActive", "False FailedGetExternalMetric:")
}
