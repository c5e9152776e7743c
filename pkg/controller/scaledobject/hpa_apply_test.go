package scaledobject_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
)

const (
	foreign = `HorizontalPodAutoscaler %q does not belong to this ScaledObject and scales the same workload or has the name of its HPA; ` +
		`delete it, or set annotation scaledobject.keda.sh/transfer-hpa-ownership to "true" and advanced.horizontalPodAutoscalerConfig.name to its name to take it over`
	checkFailed = "False ScaledObjectCheckFailed: "
	ready       = "True ScaledObjectReady: the object is ready for scaling"
)

func TestAnHPAThatIsNotOursIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	transfer := annotated("scaledobject.keda.sh/transfer-hpa-ownership", "true")
	named := hpaConfig(v1alpha1.HorizontalPodAutoscalerConfig{Name: "mine"})
	exempt := hpa("mine", "web")
	exempt.Annotations = map[string]string{"validations.keda.sh/hpa-ownership": "false"}
	taken := hpa("mine", "web")
	taken.OwnerReferences = []metav1.OwnerReference{{APIVersion: "x.io/v1", Kind: "Chief", Name: "c", UID: "u", Controller: new(true)}}
	for _, tc := range []struct {
		name   string
		hpa    *autoscalingv2.HorizontalPodAutoscaler
		so     *v1alpha1.ScaledObject
		writes []string
		ready  string
	}{
		{"it scales our workload", hpa("mine", "web"), scaledObject("a"), nil, checkFailed + fmt.Sprintf(foreign, "mine")},
		{"it has our name", hpa("keda-hpa-a", "other"), scaledObject("a"), nil, checkFailed + fmt.Sprintf(foreign, "keda-hpa-a")},
		{
			"it may be taken, but its name is not given", hpa("mine", "web"), scaledObject("a", transfer), nil,
			checkFailed + `HorizontalPodAutoscaler "mine" is to be taken over, but advanced.horizontalPodAutoscalerConfig.name is not its name; set it`,
		},
		{"it may be taken", hpa("mine", "web"), scaledObject("a", transfer, named), []string{"apply HorizontalPodAutoscaler mine", "patch HorizontalPodAutoscaler mine"}, ready},
		{
			"it may be taken, but belongs to somebody", taken, scaledObject("a", transfer, named), nil,
			checkFailed + `HorizontalPodAutoscaler "mine" belongs to Chief "c"; delete one of the two, or set another advanced.horizontalPodAutoscalerConfig.name`,
		},
		{"it is exempt from the check", exempt, scaledObject("a"), []string{"apply HorizontalPodAutoscaler keda-hpa-a"}, ready},
		{"it is for another workload", hpa("mine", "other"), scaledObject("a"), []string{"apply HorizontalPodAutoscaler keda-hpa-a"}, ready},
		{
			"it is ours, made by somebody else", ownedBy(hpa("keda-hpa-a", "web"), scaledObject("a")), scaledObject("a"),
			[]string{"apply HorizontalPodAutoscaler keda-hpa-a", "patch HorizontalPodAutoscaler keda-hpa-a"},
			ready,
		},
		{
			"it is left from an object of our name", ownedBy(hpa("keda-hpa-a", "web"), scaledObject("a", func(so *v1alpha1.ScaledObject) { so.UID = "old" })), scaledObject("a"),
			[]string{"delete HorizontalPodAutoscaler keda-hpa-a", "apply HorizontalPodAutoscaler keda-hpa-a"},
			ready,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.hpa.Spec.MinReplicas = ptr.To[int32](2)
			tc.hpa.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To[int32](7)},
			}
			w := newWorld(t, deployment("web", 1), tc.hpa, tc.so)
			w.reads(map[string]float64{"jobs": 1})
			before := w.hpa(tc.hpa.Name)
			w.pass("a")
			w.Writes = slices.DeleteFunc(w.Writes, func(s string) bool { return !strings.Contains(s, "HorizontalPod") })
			w.Does(tc.writes...)
			w.says("a", "Ready", tc.ready)
			if tc.writes == nil || !strings.HasSuffix(tc.writes[0], tc.hpa.Name) {
				equal(t, "the other HPA", scaledtest.YAML(t, w.hpa(tc.hpa.Name)), scaledtest.YAML(t, before))
			} else if got := w.hpa(tc.hpa.Name); got.Spec.Behavior.ScaleDown.StabilizationWindowSeconds != nil {
				t.Errorf("the HPA keeps what is not wanted: %s", scaledtest.YAML(t, got.Spec))
			}
			w.settles("a")
			w.pass("a")
			w.Does()
		})
	}
}

// metricsOf returns the names of an HPA's metrics.
func metricsOf(h *autoscalingv2.HorizontalPodAutoscaler) string {
	var names []string
	for _, m := range h.Spec.Metrics {
		if m.External != nil {
			names = append(names, m.External.Metric.Name)
		} else {
			names = append(names, string(m.Resource.Name))
		}
	}
	return strings.Join(names, " ")
}

func TestDriftOfAnHPAIsRepaired(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		drift  func(*autoscalingv2.HorizontalPodAutoscaler)
		writes []string
	}{
		"another maximum": {func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.MaxReplicas = 1 }, []string{"apply HorizontalPodAutoscaler keda-hpa-a"}},
		"a window where none is wanted": {
			func(h *autoscalingv2.HorizontalPodAutoscaler) {
				h.Spec.Behavior.ScaleDown.StabilizationWindowSeconds = ptr.To[int32](1)
			},
			[]string{"apply HorizontalPodAutoscaler keda-hpa-a", "patch HorizontalPodAutoscaler keda-hpa-a"},
		},
		"no label":                 {func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Labels = nil }, []string{"apply HorizontalPodAutoscaler keda-hpa-a"}},
		"no owner":                 {func(h *autoscalingv2.HorizontalPodAutoscaler) { h.OwnerReferences[0].Controller = nil }, nil},
		"metrics in another order": {func(h *autoscalingv2.HorizontalPodAutoscaler) { slices.Reverse(h.Spec.Metrics) }, nil},
		"a metric twice": {
			func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.Metrics[1] = h.Spec.Metrics[2] },
			[]string{"apply HorizontalPodAutoscaler keda-hpa-a"},
		},
		"a metric too many": {
			func(h *autoscalingv2.HorizontalPodAutoscaler) {
				h.Spec.Metrics = append(h.Spec.Metrics, h.Spec.Metrics[0])
			},
			[]string{"apply HorizontalPodAutoscaler keda-hpa-a"},
		},
		"a status":  {func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Status.DesiredReplicas = 3 }, nil},
		"its label": {func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Labels["by"] = "somebody" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 1), scaledObject("a", having(trigger("jobs"), ofType("cpu", "Utilization", "value", "60"), trigger("more"))))
			w.reads(map[string]float64{"jobs": 1, "more": 1})
			w.settles("a")
			before := w.hpa("keda-hpa-a")
			equal(t, "metrics", metricsOf(before), "s0-fake-jobs cpu s2-fake-more")
			h := before.DeepCopy()
			tc.drift(h)
			if err := w.api.Update(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			w.r.OnReference([]string{"scaledobject/ns/a"})
			w.pass("a")
			w.Writes = slices.DeleteFunc(w.Writes, func(s string) bool { return strings.HasPrefix(s, "status") })
			w.Does(tc.writes...)
			if tc.writes != nil {
				equal(t, "HPA", scaledtest.YAML(t, w.hpa("keda-hpa-a").Spec), scaledtest.YAML(t, before.Spec))
			}
			w.settles("a")
			w.r.OnReference([]string{"scaledobject/ns/a"})
			w.pass("a")
			w.Does()
		})
	}
}

func TestALabelThatTheObjectLosesIsTakenFromItsHPAButNotOneOfSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", annotated("note", "x"), func(so *v1alpha1.ScaledObject) { so.Labels = map[string]string{"team": "a"} }))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	h := w.hpa("keda-hpa-a")
	h.Labels["by"] = "somebody"
	if err := w.api.Update(t.Context(), h, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	w.edits("a", func(so *v1alpha1.ScaledObject) { delete(so.Labels, "team"); so.Annotations = nil })
	w.pass("a")
	w.Does("apply HorizontalPodAutoscaler keda-hpa-a")
	h = w.hpa("keda-hpa-a")
	if h.Labels["team"] != "" || h.Labels["by"] != "somebody" || len(h.Annotations) != 0 {
		t.Errorf("labels %v, annotations %v", h.Labels, h.Annotations)
	}
	w.restart()
	w.pass("a")
	w.Does("apply HorizontalPodAutoscaler keda-hpa-a") // it cannot be known who set "by"
	w.r.OnReference([]string{"scaledobject/ns/a"})
	w.pass("a")
	w.Does()
}

func TestTheNewHPAIsThereBeforeTheOldOneGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	w.edits("a", hpaConfig(v1alpha1.HorizontalPodAutoscalerConfig{Name: "new"}))
	w.Fail = func(call string) error {
		if strings.HasPrefix(call, "delete") {
			return errors.New("boom")
		}
		return nil
	}
	equal(t, "error", w.failing("a"), `deleting HorizontalPodAutoscaler "keda-hpa-a": boom`)
	w.Does("apply HorizontalPodAutoscaler new", "status of ScaledObject a")
	w.says("a", "Ready", checkFailed+`deleting HorizontalPodAutoscaler "keda-hpa-a": boom`)
	w.Fail = nil
	w.restart() // what is left is found in the cluster, not in memory
	w.pass("a")
	w.Does("delete HorizontalPodAutoscaler keda-hpa-a", "status of ScaledObject a")
	equal(t, "HPAs", fmt.Sprint(w.hpas()), "[new]")
	equal(t, "name in status", w.object("a").Status.HPAName, "new")
	w.says("a", "Ready", ready)
}

func TestAnHPAThatTheAPIServerRefusesLeavesTheLastPlanInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 0), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 0, "more": 0})
	w.settles("a")
	w.edits("a", triggers("jobs", "more"))
	w.Fail = func(call string) error {
		if call == "apply HorizontalPodAutoscaler keda-hpa-a" {
			return apierrors.NewInvalid(schema.GroupKind{Kind: "HorizontalPodAutoscaler"}, "keda-hpa-a", nil)
		}
		return nil
	}
	equal(t, "time to the next try", w.pass("a").String(), "30s")
	const refused = `the API server refuses the HorizontalPodAutoscaler: applying HorizontalPodAutoscaler "keda-hpa-a": HorizontalPodAutoscaler "keda-hpa-a" is invalid`
	w.says("a", "Ready", checkFailed+refused)
	w.Tells("Warning ScaledObjectCheckFailed: " + refused)
	if n := len(w.engine.Uses["scaledobject/ns/a"]); n != 1 {
		t.Errorf("the engine measures %d queries, want the one of the plan in force", n)
	}
	if _, err := w.r.Metric(t.Context(), "ns", "a", "s1-fake-more"); err == nil {
		t.Error("a metric of the spec that is not in force is served")
	}
	w.reads(map[string]float64{"jobs": 1})
	w.pass("a")
	w.has(1) // it still wakes
	w.Fail = nil
	w.now = w.now.Add(retryProblem)
	w.reads(map[string]float64{"jobs": 1, "more": 1})
	w.pass("a")
	w.says("a", "Ready", ready)
}

func TestHPAActiveRepeatsWhatTheHPASays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	w.says("a", "HPAActive", "")
	for _, tc := range []struct {
		status       corev1.ConditionStatus
		reason, want string
	}{
		{corev1.ConditionTrue, "ValidMetricFound", "True HPAActive: the HorizontalPodAutoscaler scales"},
		{corev1.ConditionFalse, "ScalingDisabled", "True ScalingDisabled: the HorizontalPodAutoscaler rests while the workload is at zero"},
		{corev1.ConditionFalse, "FailedGetExternalMetric", "False FailedGetExternalMetric: as the HPA says"},
		{corev1.ConditionFalse, "", "False HPAMetricsUnavailable: as the HPA says"},
	} {
		h := w.hpa("keda-hpa-a")
		h.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{
			{Type: autoscalingv2.AbleToScale, Status: corev1.ConditionTrue},
			{Type: autoscalingv2.ScalingActive, Status: tc.status, Reason: tc.reason, Message: "as the HPA says"},
		}
		if err := w.api.Status().Update(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		w.pass("a")
		w.Does("status of ScaledObject a")
		w.says("a", "HPAActive", tc.want, "Ready", ready)
		w.Tells()
	}
	w.edits("a", annotated(v1alpha1.AnnotationPaused, ""))
	w.pass("a")
	w.says("a", "HPAActive", "")
}
