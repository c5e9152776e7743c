package scaledobject_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file in testdata.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant (%s)\n%s", got, path, want)
	}
}

func hpaConfig(c v1alpha1.HorizontalPodAutoscalerConfig) func(*v1alpha1.ScaledObject) {
	return func(so *v1alpha1.ScaledObject) {
		so.Spec.Advanced = &v1alpha1.AdvancedConfig{HorizontalPodAutoscalerConfig: &c}
	}
}

func TestTheHPAOf(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]func(*v1alpha1.ScaledObject){
		"a plain object": nil,
		"an object with bounds": {func(so *v1alpha1.ScaledObject) {
			so.Spec.MinReplicaCount, so.Spec.MaxReplicaCount = ptr.To[int32](2), ptr.To[int32](7)
		}},
		"an object with an explicit minimum of zero": {func(so *v1alpha1.ScaledObject) { so.Spec.MinReplicaCount = ptr.To[int32](0) }},
		"an object with labels and annotations": {
			func(so *v1alpha1.ScaledObject) {
				so.Labels = map[string]string{
					"team": "a", "drop": "me", "drop.too": "x", "app.kubernetes.io/name": "mine", "app.kubernetes.io/managed-by": "me",
					"app.kubernetes.io/version": "9", "app.kubernetes.io/part-of": "all", "scaledobject.keda.sh/name": "wrong",
				}
			},
			annotated(
				"team", "a", "kubectl.kubernetes.io/last-applied-configuration", "{}",
				"scaledobject.keda.sh/hpa-excluded-labels", "drop,drop.too",
				"autoscaling.keda.sh/paused", "false", "autoscaling.keda.sh/force-activation", "true",
			),
		},
		"an object whose scale-in is paused":  {annotated("autoscaling.keda.sh/paused-scale-in", "true")},
		"an object whose scale-out is paused": {annotated("autoscaling.keda.sh/paused-scale-out", "")},
		"an object with half a behavior": {
			hpaConfig(v1alpha1.HorizontalPodAutoscalerConfig{Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To[int32](60)},
			}}),
			annotated("autoscaling.keda.sh/paused-scale-in", "true"),
		},
		"an object with a whole behavior": {hpaConfig(v1alpha1.HorizontalPodAutoscalerConfig{Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
			ScaleUp: &autoscalingv2.HPAScalingRules{
				StabilizationWindowSeconds: ptr.To[int32](5), SelectPolicy: ptr.To(autoscalingv2.MinChangePolicySelect),
				Policies: []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PodsScalingPolicy, Value: 1, PeriodSeconds: 30}},
			},
			ScaleDown: &autoscalingv2.HPAScalingRules{
				StabilizationWindowSeconds: ptr.To[int32](0), SelectPolicy: ptr.To(autoscalingv2.DisabledPolicySelect),
				Policies: []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 10, PeriodSeconds: 60}},
			},
		}})},
		"an object with another HPA name": {hpaConfig(v1alpha1.HorizontalPodAutoscalerConfig{Name: "named-by-the-user.v1"})},
		"several triggers": {func(so *v1alpha1.ScaledObject) {
			so.Spec.Triggers = []v1alpha1.Trigger{trigger("b"), trigger("a:%(x)/y.Z"), trigger("c")}
			so.Spec.Triggers[0].Metadata["target"] = "2.5"
			so.Spec.Triggers[1].Metadata["target"] = "0.3333"
			so.Spec.Triggers[1].MetricType = autoscalingv2.ValueMetricType
			so.Spec.Triggers[2].Metadata["target"] = "1000"
			so.Spec.Triggers[2].MetricType = autoscalingv2.AverageValueMetricType
		}},
		"a workload of another kind": {func(so *v1alpha1.ScaledObject) {
			so.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "roll"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 1), scaledObject("a", changes...))
			w.replicas["roll"] = 1
			w.reads(map[string]float64{"jobs": 0})
			w.pass("a")
			names := w.hpas()
			if len(names) != 1 {
				t.Fatalf("HPAs %q, want one; Ready is %s", names, w.condition("a", v1alpha1.ConditionReady))
			}
			h := w.hpa(names[0])
			h.ManagedFields, h.ResourceVersion, h.TypeMeta = nil, "", metav1.TypeMeta{}
			golden(t, strings.ReplaceAll(name, " ", "-")+".yaml", scaledtest.YAML(t, h))
			w.settles("a")
			w.restart()
			w.pass("a")
			w.Does() // after a restart, too
		})
	}
}
