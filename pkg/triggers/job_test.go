package triggers_test

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

func TestCheckScaledJob(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		change         func(*v1alpha1.ScaledJob)
		want, warnings string
	}{
		{"nothing wrong", func(*v1alpha1.ScaledJob) {}, "", ""},
		{"the longest name", func(j *v1alpha1.ScaledJob) { j.Name = strings.Repeat("a", 63) }, "", ""},
		{
			"a longer name", func(j *v1alpha1.ScaledJob) { j.Name = strings.Repeat("a", 64) },
			"metadata.name: has more than 63 characters, and is a label's value on the Jobs and their pods; shorten it", "",
		},
		{"no Job", func(j *v1alpha1.ScaledJob) { j.Spec.JobTargetRef = nil }, "spec.jobTargetRef: is required", ""},
		{
			"pods that never end", func(j *v1alpha1.ScaledJob) {
				j.Spec.JobTargetRef.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
			},
			"spec.jobTargetRef.template.spec.restartPolicy: must be OnFailure or Never for Jobs; OnFailure holds when it is unset", "",
		},
		{"pods that end", func(j *v1alpha1.ScaledJob) {
			j.Spec.JobTargetRef.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		}, "", ""},
		{
			"a metric type", func(j *v1alpha1.ScaledJob) { j.Spec.Triggers[0].MetricType = "Value" },
			"spec.triggers[0].metricType: is for ScaledObjects only; remove it", "",
		},
		{
			"cached metrics", func(j *v1alpha1.ScaledJob) { j.Spec.Triggers[0].UseCachedMetrics = true }, "",
			"spec.triggers[0].useCachedMetrics: has no effect on a ScaledJob, whose triggers are read by polls only",
		},
		{
			"cached metrics of cron", func(j *v1alpha1.ScaledJob) {
				j.Spec.Triggers[0].Type, j.Spec.Triggers[0].UseCachedMetrics = "cron", true
			},
			"spec.triggers[0].useCachedMetrics: cannot be used with cron triggers; remove it", "",
		},
		{
			"cpu alone", func(j *v1alpha1.ScaledJob) {
				j.Spec.Triggers[0] = v1alpha1.Trigger{Type: "cpu", MetricType: "Utilization"}
			},
			"spec.triggers: are all of type cpu or memory, which cannot be measured for Jobs; add another",
			"spec.triggers[0]: is ignored: cpu cannot be measured for Jobs",
		},
		{
			"cpu with another", func(j *v1alpha1.ScaledJob) {
				j.Spec.Triggers = append(j.Spec.Triggers, v1alpha1.Trigger{Type: "memory"})
			}, "",
			"spec.triggers[1]: is ignored: memory cannot be measured for Jobs",
		},
		{"doubts", func(j *v1alpha1.ScaledJob) {
			j.Annotations = map[string]string{v1alpha1.AnnotationPaused: "yes", v1alpha1.AnnotationPausedReplicas: "0"}
			j.Spec.MinReplicaCount, j.Spec.MaxReplicaCount = new(int32(5)), new(int32(4))
			j.Spec.RolloutStrategy = v1alpha1.RolloutGradual //nolint:staticcheck // that it is deprecated is what is tested
			j.Spec.ScalingStrategy.Strategy = v1alpha1.StrategyCustom
		}, "", annotation("autoscaling.keda.sh/paused") + "\n" +
			"metadata.annotations[autoscaling.keda.sh/paused-replicas]: has no effect on a ScaledJob; autoscaling.keda.sh/paused pauses one\n" +
			"spec.minReplicaCount: is more than maxReplicaCount, which is 4 and which the Jobs never exceed\n" +
			"spec.rolloutStrategy: is deprecated and overrides rollout.strategy; set that instead\n" +
			`spec.scalingStrategy.customScalingRunningJobPercentage: is no number such as "0.5", so that the strategy is default instead of custom`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			j := &v1alpha1.ScaledJob{
				ObjectMeta: metav1.ObjectMeta{Name: "orders"},
				Spec:       v1alpha1.ScaledJobSpec{JobTargetRef: &batchv1.JobSpec{}, Triggers: []v1alpha1.Trigger{{Type: "redis"}}},
			}
			tc.change(j)
			problems, warnings := triggers.CheckScaledJob(j)
			if got := text(problems); got != tc.want {
				t.Errorf("problems\n%s\nwant\n%s", got, tc.want)
			}
			if got := text(warnings); got != tc.warnings {
				t.Errorf("warnings\n%s\nwant\n%s", got, tc.warnings)
			}
		})
	}
}
