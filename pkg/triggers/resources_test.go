package triggers_test

import (
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

// requesting is a container that requests so much CPU.
func requesting(name, cpu string) corev1.Container {
	c := corev1.Container{Name: name}
	if cpu != "" {
		c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
	return c
}

func TestCheckResources(t *testing.T) {
	t.Parallel()
	const missing = "spec.triggers[0]: needs a request of cpu in each container that counts, and there is none in "
	const advice = "; set resources.requests.cpu there, or use metricType AverageValue"
	limited := corev1.Container{Name: "limited"}
	limited.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
	pod := func(containers ...corev1.Container) *corev1.PodSpec { return &corev1.PodSpec{Containers: containers} }
	whole := pod(requesting("a", ""))
	whole.Resources = &corev1.ResourceRequirements{Requests: requesting("", "1").Resources.Requests}
	given := func(kind corev1.LimitType, cpu string) []corev1.LimitRange {
		item := corev1.LimitRangeItem{Type: kind, DefaultRequest: requesting("", cpu).Resources.Requests}
		return []corev1.LimitRange{{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}}}}
	}
	none := func(*v1alpha1.ScaledObject) {}
	for _, tc := range []struct {
		name           string
		change         func(*v1alpha1.ScaledObject)
		pod            *corev1.PodSpec
		limits         []corev1.LimitRange
		want, warnings string
	}{
		{"requested", none, pod(requesting("a", "1"), limited), nil, "", ""},
		{"not requested", none, pod(requesting("a", "1"), requesting("b", ""), requesting("c", "0")), nil, missing + `"b", "c"` + advice, ""},
		{
			"of another resource", func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].Type = "memory" }, pod(requesting("a", "1")), nil,
			strings.ReplaceAll(missing+`"a"`+advice, "cpu", "memory"), "",
		},
		{
			"in the container that counts", func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].Metadata["containerName"] = "a" },
			pod(requesting("a", "1"), requesting("b", "")), nil, "", "",
		},
		{
			"not in the container that counts", func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].Metadata["containerName"] = "b" },
			pod(requesting("a", "1"), requesting("b", "")), nil, missing + `"b"` + advice, "",
		},
		{
			"no such container", func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].Metadata["containerName"] = "c" }, pod(requesting("a", "")), nil, "",
			"spec.triggers[0].metadata.containerName: is no container of the workload's pod template; unless something adds it to the pods, the HPA reads nothing",
		},
		{"by the namespace", none, pod(requesting("a", "")), given(corev1.LimitTypeContainer, "1"), "", ""},
		{"by the namespace, for pods", none, pod(requesting("a", "")), given(corev1.LimitTypePod, "1"), missing + `"a"` + advice, ""},
		{"by the namespace, nothing", none, pod(requesting("a", "")), given(corev1.LimitTypeContainer, "0"), missing + `"a"` + advice, ""},
		{"by the pod", none, whole, nil, "", ""},
		{
			"not needed for AverageValue", func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].MetricType = autoscalingv2.AverageValueMetricType },
			pod(requesting("a", "")), nil, "", "",
		},
		{"a workload that is not known", none, nil, nil, "", ""},
		{"a workload of another kind", func(o *v1alpha1.ScaledObject) {
			o.Spec.ScaleTargetRef.APIVersion, o.Spec.ScaleTargetRef.Kind, o.Spec.MinReplicaCount = "argoproj.io/v1alpha1", "Rollout", nil
		}, pod(requesting("a", "")), nil, "", ""},
		{
			"cpu alone, and no minimum", func(o *v1alpha1.ScaledObject) { o.Spec.MinReplicaCount = nil }, nil, nil,
			"spec.minReplicaCount: must be at least 1 where all triggers are of type cpu or memory: without pods there is nothing to measure, and nothing would wake the workload", "",
		},
		{"cpu with another, and no minimum", func(o *v1alpha1.ScaledObject) {
			o.Spec.MinReplicaCount, o.Spec.Triggers = nil, append(o.Spec.Triggers, v1alpha1.Trigger{Type: "redis"})
		}, pod(requesting("a", "1")), nil, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := scaledObject(func(o *v1alpha1.ScaledObject) {
				o.Spec.MinReplicaCount = new(int32(1))
				o.Spec.Triggers = []v1alpha1.Trigger{{Type: "cpu", MetricType: autoscalingv2.UtilizationMetricType, Metadata: metadata{"value": "60"}}}
				tc.change(o)
			})
			problems, warnings := triggers.CheckResources(o, tc.pod, tc.limits)
			if got := text(problems); got != tc.want {
				t.Errorf("problems\n%s\nwant\n%s", got, tc.want)
			}
			if got := text(warnings); got != tc.warnings {
				t.Errorf("warnings\n%s\nwant\n%s", got, tc.warnings)
			}
		})
	}
}

// text is a list of problems, one per line.
func text(problems []triggers.Problem) string {
	out := make([]string, len(problems))
	for i, p := range problems {
		out[i] = p.String()
	}
	return strings.Join(out, "\n")
}
