package triggers_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

// scaledObject is one that is fine, changed.
func scaledObject(change func(*v1alpha1.ScaledObject)) *v1alpha1.ScaledObject {
	o := &v1alpha1.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{Name: "orders", Annotations: map[string]string{}},
		Spec: v1alpha1.ScaledObjectSpec{
			ScaleTargetRef: v1alpha1.ScaleTargetRef{Name: "orders"},
			Triggers:       []v1alpha1.Trigger{{Type: "redis"}},
		},
	}
	change(o)
	return o
}

func annotation(key string) string {
	return "metadata.annotations[" + key + `]: is neither "true" nor "false" and counts as true, as any other value does, also an empty one; write "true", or remove the annotation`
}

func TestCheckScaledObject(t *testing.T) {
	t.Parallel()
	const cooling = "spec.cooldownPeriod: has no effect, since minReplicaCount is above zero and no idleReplicaCount is set"
	idle := func(least int32) string {
		return "spec.idleReplicaCount: must be less than minReplicaCount, which counts as " + string('0'+rune(least)) + " here"
	}
	for _, tc := range []struct {
		name     string
		change   func(*v1alpha1.ScaledObject)
		problems string
		warnings string
	}{
		{"nothing wrong", func(*v1alpha1.ScaledObject) {}, "", ""},
		{"no target", func(o *v1alpha1.ScaledObject) { o.Spec.ScaleTargetRef.Name = "" }, "spec.scaleTargetRef.name: is required", ""},
		{
			"an odd API version", func(o *v1alpha1.ScaledObject) { o.Spec.ScaleTargetRef.APIVersion = "a/b/c" },
			`spec.scaleTargetRef.apiVersion: scaleTargetRef.apiVersion has more than one slash; write "group/version" or "version"`, "",
		},
		{"min equal to max", func(o *v1alpha1.ScaledObject) {
			o.Spec.MinReplicaCount, o.Spec.MaxReplicaCount = new(int32(3)), new(int32(3))
		}, "", ""},
		{
			"min above max", func(o *v1alpha1.ScaledObject) {
				o.Spec.MinReplicaCount, o.Spec.MaxReplicaCount = new(int32(4)), new(int32(3))
			},
			"spec.minReplicaCount: is more than maxReplicaCount, which is 3; lower it or raise maxReplicaCount", "",
		},
		{
			"min above the default max", func(o *v1alpha1.ScaledObject) { o.Spec.MinReplicaCount = new(int32(101)) },
			"spec.minReplicaCount: is more than maxReplicaCount, which is 100; lower it or raise maxReplicaCount", "",
		},
		{
			"a max of zero", func(o *v1alpha1.ScaledObject) { o.Spec.MaxReplicaCount = new(int32(0)) },
			"spec.minReplicaCount: is more than maxReplicaCount, which is 0; lower it or raise maxReplicaCount", "",
		},
		{"idle below min", func(o *v1alpha1.ScaledObject) {
			o.Spec.IdleReplicaCount, o.Spec.MinReplicaCount = new(int32(0)), new(int32(2))
		}, "", ""},
		{"idle zero, min unset", func(o *v1alpha1.ScaledObject) { o.Spec.IdleReplicaCount = new(int32(0)) }, "", ""},
		{"idle zero, min zero", func(o *v1alpha1.ScaledObject) {
			o.Spec.IdleReplicaCount, o.Spec.MinReplicaCount = new(int32(0)), new(int32(0))
		}, "", ""},
		{"idle equal to min", func(o *v1alpha1.ScaledObject) {
			o.Spec.IdleReplicaCount, o.Spec.MinReplicaCount = new(int32(2)), new(int32(2))
		}, idle(2), ""},
		{"idle one, min unset", func(o *v1alpha1.ScaledObject) { o.Spec.IdleReplicaCount = new(int32(1)) }, idle(1), ""},
		{"paused", func(o *v1alpha1.ScaledObject) { o.Annotations[v1alpha1.AnnotationPausedReplicas] = "0" }, "", ""},
		{
			"paused nowhere", func(o *v1alpha1.ScaledObject) { o.Annotations[v1alpha1.AnnotationPausedReplicas] = "hunter2" },
			"metadata.annotations: annotation autoscaling.keda.sh/paused-replicas is no replica count; set a whole number from 0 to 2147483647, or remove the annotation", "",
		},
		{"a fallback", func(o *v1alpha1.ScaledObject) { o.Spec.Fallback = &v1alpha1.Fallback{FailureThreshold: 3, Replicas: 2} }, "", ""},
		{
			"a negative fallback", func(o *v1alpha1.ScaledObject) { o.Spec.Fallback = &v1alpha1.Fallback{Replicas: -1} },
			"spec.fallback: failureThreshold and replicas must not be negative", "",
		},
		{
			"a fallback where nothing is measured", func(o *v1alpha1.ScaledObject) {
				o.Spec.Triggers, o.Spec.Fallback = []v1alpha1.Trigger{{Type: "cpu"}, {Type: "memory"}}, &v1alpha1.Fallback{}
			},
			"spec.fallback: needs a trigger that is measured: the HPA reads cpu and memory itself; remove it or add another trigger", "",
		},
		{"a fallback beside cpu", func(o *v1alpha1.ScaledObject) {
			o.Spec.Triggers, o.Spec.Fallback = append(o.Spec.Triggers, v1alpha1.Trigger{Type: "cpu"}), &v1alpha1.Fallback{}
		}, "", ""},
		{
			"a name that is too long", func(o *v1alpha1.ScaledObject) { o.Name = strings.Repeat("a", 64) },
			"metadata.name: has more than 63 characters, and is a label's value on the HorizontalPodAutoscaler; shorten it", "",
		},
		{
			"a default HPA name that is too long", func(o *v1alpha1.ScaledObject) { o.Name = strings.Repeat("a", 55) },
			"spec.advanced.horizontalPodAutoscalerConfig.name: is, or would be by default, a name of more than 63 characters; set a shorter one", "",
		},
		{
			"annotations that are true without saying so", func(o *v1alpha1.ScaledObject) {
				o.Annotations[v1alpha1.AnnotationPaused], o.Annotations[v1alpha1.AnnotationPausedScaleIn] = "", "off"
				o.Annotations[v1alpha1.AnnotationPausedScaleOut], o.Annotations[v1alpha1.AnnotationForceActivation] = "F", "no"
			}, "",
			annotation("autoscaling.keda.sh/paused") + "\n" + annotation("autoscaling.keda.sh/paused-scale-in") + "\n" + annotation("autoscaling.keda.sh/force-activation"),
		},
		{"cached metrics", func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].UseCachedMetrics = true }, "", ""},
		{
			"cached metrics of what is not polled", func(o *v1alpha1.ScaledObject) {
				o.Spec.Triggers = []v1alpha1.Trigger{
					{Type: "cpu", UseCachedMetrics: true},
					{Type: "memory"},
					{Type: "memory", UseCachedMetrics: true},
					{Type: "cron", UseCachedMetrics: true},
				}
			},
			"spec.triggers[0].useCachedMetrics: cannot be used with cpu triggers; remove it\n" +
				"spec.triggers[2].useCachedMetrics: cannot be used with memory triggers; remove it\n" +
				"spec.triggers[3].useCachedMetrics: cannot be used with cron triggers; remove it", "",
		},
		{"a cooldown", func(o *v1alpha1.ScaledObject) { o.Spec.CooldownPeriod = new(int32(60)) }, "", ""},
		{
			"a cooldown above zero", func(o *v1alpha1.ScaledObject) {
				o.Spec.CooldownPeriod, o.Spec.MinReplicaCount = new(int32(60)), new(int32(1))
			}, "", cooling,
		},
		{
			"a cooldown to idle", func(o *v1alpha1.ScaledObject) {
				o.Spec.CooldownPeriod, o.Spec.MinReplicaCount, o.Spec.IdleReplicaCount = new(int32(60)), new(int32(2)), new(int32(0))
			}, "", "",
		},
		{"a min without a cooldown", func(o *v1alpha1.ScaledObject) { o.Spec.MinReplicaCount = new(int32(2)) }, "", ""},
		{
			"everything at once", func(o *v1alpha1.ScaledObject) {
				o.Spec.ScaleTargetRef.Name, o.Spec.MaxReplicaCount, o.Spec.IdleReplicaCount = "", new(int32(0)), new(int32(7))
			},
			"spec.scaleTargetRef.name: is required\n" +
				"spec.minReplicaCount: is more than maxReplicaCount, which is 0; lower it or raise maxReplicaCount\n" + idle(1), "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := triggers.CheckScaledObject(scaledObject(tc.change))
			if got := lines(t, problems); got != tc.problems {
				t.Errorf("problems\n%s\nwant\n%s", got, tc.problems)
			}
			if got := lines(t, warnings); got != tc.warnings {
				t.Errorf("warnings\n%s\nwant\n%s", got, tc.warnings)
			}
		})
	}
}

// lines are problems of the object as a whole, one per line.
func lines(t *testing.T, problems []triggers.Problem) string {
	t.Helper()
	out := make([]string, len(problems))
	for i, p := range problems {
		if out[i] = p.String(); p.Trigger != -1 {
			t.Errorf("%v is about trigger %d", p, p.Trigger)
		}
	}
	return strings.Join(out, "\n")
}
