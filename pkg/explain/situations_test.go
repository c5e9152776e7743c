package explain_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/explain"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// situation is a change of the scene with the state it must be told as.
type situation struct {
	name      string
	state     explain.State
	attention bool
	change    func(*scene)
}

func situations() []situation {
	return []situation{
		{"steady", explain.Steady, false, func(*scene) {}},
		{"stuck at zero", explain.AtRest, false, func(s *scene) {
			s.replicas(0, 0)
			s.weir.Triggers[0].Activation = 10
			s.value(7, false)
			s.hpaSays("ScalingActive", "False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
			s.weir.Decisions = nil
			s.decided(2*time.Hour, "deactivate", 1, 0, "Drained", "no work in 1 trigger: s0-redis-jobs has 0 (not above 10); idle for 5m; the cooldown is over")
			s.decided(20*time.Second, "hold", 0, 0, "AtRest", "no work in 1 trigger: s0-redis-jobs has 7 (not above 10); 0 replicas stay")
		}},
		{"waking", explain.Waking, false, func(s *scene) {
			s.replicas(0, 0)
			s.value(12, true)
			s.events = []corev1.Event{
				event(2*time.Hour, "Normal", "KEDAScaleTargetDeactivated", "long ago"),
				event(20*time.Second, "Warning", "KEDAScaleTargetActivationFailed", "scaling Deployment shop/orders from 0 to 1: forbidden by policy"),
			}
		}},
		{"about to get its minimum", explain.Waking, false, func(s *scene) {
			s.so.Spec.MinReplicaCount, s.hpa.Spec.MinReplicas = new(int32(2)), new(int32(2))
			s.replicas(0, 0)
			s.value(0, false)
		}},
		{"below its minimum", explain.Growing, false, func(s *scene) {
			s.so.Spec.MinReplicaCount, s.hpa.Spec.MinReplicas = new(int32(3)), new(int32(3))
			s.replicas(2, 2)
			s.value(3, true)
		}},
		{"idle count", explain.CoolingDown, false, func(s *scene) {
			s.so.Spec.MinReplicaCount, s.so.Spec.IdleReplicaCount, s.hpa.Spec.MinReplicas = new(int32(3)), new(int32(1)), new(int32(3))
			s.replicas(3, 3)
			s.value(0, false)
		}},
		{"growing", explain.Growing, false, func(s *scene) {
			s.replicas(4, 3)
			s.value(47, true)
		}},
		{"growing to the maximum", explain.Growing, false, func(s *scene) { s.value(117, true) }},
		{"stuck at max", explain.AtMax, false, func(s *scene) {
			s.replicas(10, 8)
			s.value(117, true)
			s.hpaSays("ScalingLimited", "True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
		}},
		{"cooling down", explain.CoolingDown, false, func(s *scene) {
			s.replicas(2, 2)
			s.value(0, false)
			s.condition(v1alpha1.ConditionActive, "False", v1alpha1.ReasonScalerCooldown, "no trigger has work; the cooldown has not passed", 48*time.Second)
			s.decided(time.Second, "hold", 2, 2, "CoolingDown", "no work in 1 trigger: s0-redis-jobs has 0 (not above 0); idle for 47s; 4m13s of the cooldown left")
		}},
		{"shrinking", explain.Shrinking, false, func(s *scene) {
			s.replicas(9, 9)
			s.value(14, true)
			s.hpaSays("AbleToScale", "True", "ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation")
		}},
		{"at the minimum", explain.AtMin, false, func(s *scene) {
			s.so.Spec.MinReplicaCount, s.hpa.Spec.MinReplicas = new(int32(2)), new(int32(2))
			s.replicas(2, 2)
			s.value(0, false)
		}},
		{"tolerated", explain.Steady, false, func(s *scene) { s.value(21, true) }},
		{"just awake", explain.Growing, false, func(s *scene) {
			s.replicas(1, 1)
			s.value(12, true)
			s.hpa.Status.CurrentReplicas, s.hpa.Status.DesiredReplicas = 0, 0
			s.hpaSays("ScalingActive", "False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
			s.hpaSays("ScaledToZero", "False", "NotScaledToZero", "the HPA controller did not scale the workload to zero")
		}},
		{"failing", explain.Held, true, func(s *scene) {
			const why = "measuring: Redis at 10.0.0.9:6379 is unreachable: connection refused"
			s.fails(why)
			s.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonTriggerError, "s0-redis-jobs cannot be read ("+why+")", 4*time.Minute)
			s.condition(v1alpha1.ConditionActive, "False", v1alpha1.ReasonScalerNotActive, "no trigger is known to have work", 4*time.Minute)
			s.hpaSays("ScalingActive", "False", "FailedGetExternalMetric", "unable to get external metric shop/s0-redis-jobs")
			s.decided(10*time.Second, "hold", 4, 4, "TriggersFailing", "holding 4 replicas: s0-redis-jobs cannot be read ("+why+")")
		}},
		{"failing without weir", explain.Held, true, func(s *scene) {
			s.value(0, false)
			s.weir = nil
			s.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonTriggerError, "s0-redis-jobs cannot be read (connection refused)", 4*time.Minute)
			s.condition(v1alpha1.ConditionActive, "False", v1alpha1.ReasonScalerNotActive, "no trigger is known to have work", 4*time.Minute)
		}},
		{"fallback", explain.Fallback, true, func(s *scene) {
			s.so.Spec.Fallback = &v1alpha1.Fallback{FailureThreshold: 3, Replicas: 6}
			s.replicas(6, 6)
			s.fails("measuring: Redis at 10.0.0.9:6379 is unreachable: connection refused")
			s.weir.Triggers[0].Value, s.weir.Triggers[0].Fallback, s.weir.Triggers[0].Active = 30, true, true
			s.condition(v1alpha1.ConditionFallback, "True", v1alpha1.ReasonFallbackExists, "the fallback stands in for at least one trigger", time.Minute)
		}},
		{"paused", explain.Paused, false, func(s *scene) {
			s.so.Annotations[v1alpha1.AnnotationPaused], s.hpa = "true", nil
			s.weir.Paused, s.weir.Triggers = true, nil
			s.condition(v1alpha1.ConditionPaused, "True", v1alpha1.ReasonScaledObjectPaused, "scaling is paused by annotation", time.Hour)
		}},
		{"paused at a number", explain.Paused, false, func(s *scene) {
			s.so.Annotations[v1alpha1.AnnotationPausedReplicas], s.hpa = "2", nil
			s.weir.Triggers = nil
			s.condition(v1alpha1.ConditionPaused, "True", v1alpha1.ReasonScaledObjectPaused, "scaling is paused by annotation", time.Hour)
		}},
		{"scale-out paused", explain.ScaleOutPaused, false, func(s *scene) {
			s.so.Annotations[v1alpha1.AnnotationPausedScaleOut] = "true"
			s.hpa.Spec.Behavior.ScaleUp.SelectPolicy = new(autoscalingv2.DisabledPolicySelect)
			s.value(47, true)
			s.condition(v1alpha1.ConditionPaused, "True", v1alpha1.ReasonScaledObjectPaused, "scale-out is paused by annotation", time.Hour)
		}},
		{"scale-in paused", explain.ScaleInPaused, false, func(s *scene) {
			s.so.Annotations[v1alpha1.AnnotationPausedScaleIn] = "true"
			s.value(0, false)
			s.condition(v1alpha1.ConditionPaused, "True", v1alpha1.ReasonScaledObjectPaused, "scale-in is paused by annotation", time.Hour)
		}},
		{"formula", explain.Steady, false, formula},
		{"formula at rest", explain.AtRest, false, func(s *scene) {
			formula(s)
			s.replicas(0, 0)
			s.value(3, true)
			s.weir.Triggers[2].Value, s.weir.Triggers[2].Activation, s.weir.Triggers[2].Active = 4, 5, false
			s.condition(v1alpha1.ConditionActive, "False", v1alpha1.ReasonScalerNotActive, "no trigger has work", 3*time.Minute)
		}},
		{"one of two fails", explain.Growing, true, func(s *scene) {
			other := s.weir.Triggers[0]
			other.Index, other.Metric = 1, "s1-redis-refunds"
			s.weir.Triggers = append(s.weir.Triggers, other)
			s.hpa.Spec.Metrics = append(s.hpa.Spec.Metrics, external("s1-redis-refunds", 5))
			s.fails("measuring: Redis at 10.0.0.9:6379 is unreachable: connection refused")
			s.weir.Triggers[0].Value, s.weir.Triggers[1].Value, s.weir.Triggers[1].Active = 45, 31, true
			s.condition(v1alpha1.ConditionReady, "Unknown", v1alpha1.ReasonPartialTriggerError, "s0-redis-jobs cannot be read", time.Minute)
		}},
		{"formula that fails", explain.Held, true, func(s *scene) {
			formula(s)
			s.fails("measuring: Redis at 10.0.0.9:6379 is unreachable: connection refused")
			s.weir.Triggers[2].Err, s.weir.Triggers[2].Known = "s0-redis-jobs is not known", false
			s.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonTriggerError, "s0-redis-jobs cannot be read", time.Minute)
		}},
		{"cpu beside a queue", explain.Steady, false, cpu},
		{"HPA without metrics", explain.HPAFailing, true, func(s *scene) {
			const why = "the HPA was unable to compute the replica count: unable to get external metric shop/s0-redis-jobs: no metrics returned"
			s.hpaSays("ScalingActive", "False", "FailedGetExternalMetric", why)
			s.condition(v1alpha1.ConditionHPAActive, "False", "FailedGetExternalMetric", why, 10*time.Minute)
			s.condition(v1alpha1.ConditionReady, "Unknown", v1alpha1.ReasonPartialTriggerError, "", 10*time.Minute)
		}},
		{"HPA missing", explain.HPAMissing, true, func(s *scene) { s.hpa = nil }},
		{"foreign HPA", explain.NotReady, true, func(s *scene) {
			s.hpa.OwnerReferences = nil
			const why = `HorizontalPodAutoscaler "keda-hpa-orders" does not belong to this ScaledObject and scales the same workload or has the name of its HPA; delete it`
			s.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonScaledObjectCheckFailed, why, time.Minute)
			s.weir.Problem = why
		}},
		{"target missing", explain.TargetMissing, true, func(s *scene) {
			s.noTarget = true
			s.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonScaledObjectCheckFailed,
				`spec.scaleTargetRef: Deployment "shop/orders" does not exist or has no scale subresource; create it, or correct scaleTargetRef`, time.Minute)
		}},
		{"target of another kind", explain.Steady, false, func(s *scene) {
			s.so.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "orders"}
		}},
		{"target of an unknown kind", explain.TargetMissing, true, func(s *scene) {
			s.so.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "argoproj.io/v1alpha1", Kind: "Rocket", Name: "orders"}
		}},
		{"metricType Value", explain.Growing, false, func(s *scene) {
			s.weir.Triggers[0].MetricType = "Value"
			s.hpa.Spec.Metrics[0].External.Target = autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: quantity("10")}
			s.value(18, true)
		}},
		{"not looked at", explain.NotSeen, true, func(s *scene) {
			s.so.Status, s.hpa, s.weir = v1alpha1.ScaledObjectStatus{}, nil, nil
		}},
		{"being deleted", explain.Deleting, false, func(s *scene) { s.so.DeletionTimestamp = new(ago(time.Second)) }},
		{"without weir", explain.Steady, false, func(s *scene) {
			s.weir = nil
			s.served = map[string]string{"s0-redis-jobs": "18"}
		}},
		{"at zero without weir", explain.AtRest, false, func(s *scene) {
			s.replicas(0, 0)
			s.value(0, false)
			s.weir, s.forbidden = nil, []string{"external.metrics"}
			s.hpa.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: "External", External: &autoscalingv2.ExternalMetricStatus{
				Metric: autoscalingv2.MetricIdentifier{Name: "s0-redis-jobs"}, Current: autoscalingv2.MetricValueStatus{AverageValue: quantity("5")},
			}}}
		}},
		{"without rights", explain.Growing, false, func(s *scene) {
			s.forbidden = []string{"/pods", "/events", "/services/", "external.metrics"}
			s.value(47, true)
			s.hpa.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: "External", External: &autoscalingv2.ExternalMetricStatus{
				Metric:  autoscalingv2.MetricIdentifier{Name: "s0-redis-jobs"},
				Current: autoscalingv2.MetricValueStatus{AverageValue: quantity("11750m")},
			}}}
		}},
		{"with the object alone", explain.Scaling, false, func(s *scene) {
			s.forbidden = []string{"/pods", "/events", "/services/", "external.metrics", "horizontalpodautoscalers", "orders/scale"}
		}},
		{"jobs at work", explain.Growing, false, func(s *scene) {
			jobs(s, 3)
			s.value(8, true)
			s.pods = []corev1.Pod{{}, {}, {}}
			s.pods[0].Name, s.pods[0].Status.Phase = "waits", corev1.PodPending
			s.pods[1].Status.Phase, s.pods[2].Status.Phase = corev1.PodSucceeded, corev1.PodFailed
			s.decided(time.Second, "hold", 3, 3, "RoundOver", "8 Jobs wanted, 3 unfinished, at most 5 (default); 2 were created for these readings")
		}},
		{"jobs that cannot be read", explain.ReplicasUnknown, true, func(s *scene) {
			jobs(s, 3)
			s.value(8, true)
			s.forbidden = []string{"/jobs"}
			s.decided(time.Second, "hold", -1, -1, "JobsUnknown", "the Jobs cannot be read: connection refused")
		}},
		{"jobs at the maximum", explain.AtMax, false, func(s *scene) { jobs(s, 5); s.value(30, true) }},
		{"jobs at rest", explain.AtRest, false, func(s *scene) { jobs(s, 0); s.value(0, false) }},
		{"jobs that cannot be measured", explain.Held, true, func(s *scene) {
			jobs(s, 2)
			s.fails("measuring: Redis at 10.0.0.9:6379 is unreachable: connection refused")
			s.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonTriggerError, "s0-redis-jobs cannot be read", time.Minute)
		}},
		{"jobs paused", explain.Paused, false, func(s *scene) {
			jobs(s, 1)
			s.job.Annotations = map[string]string{v1alpha1.AnnotationPaused: "true"}
			s.weir = nil
		}},
	}
}

// moreSituations are variations.
func moreSituations() []situation {
	return []situation{
		{"replicas unknown", explain.ReplicasUnknown, true, func(s *scene) {
			s.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonErrorGettingCurrentReplicas, "reading the scale of Deployment \"shop/orders\": timeout", time.Minute)
		}},
		{"forced", explain.AtMin, false, func(s *scene) {
			s.so.Annotations[v1alpha1.AnnotationForceActivation] = "true"
			s.replicas(1, 1)
			s.value(0, false)
			s.condition(v1alpha1.ConditionActive, "True", v1alpha1.ReasonScalerActive, "force-activation is set by annotation", time.Minute)
		}},
		{"new and without work", explain.CoolingDown, false, func(s *scene) {
			s.so.Status.LastActiveTime, s.so.CreationTimestamp, s.so.Spec.InitialCooldownPeriod = nil, ago(time.Minute), new(int32(90))
			s.value(0, false)
		}},
		{"the cooldown is over", explain.CoolingDown, false, func(s *scene) {
			s.so.Status.LastActiveTime = new(ago(time.Hour))
			s.value(0, false)
		}},
		{"shrinking is forbidden", explain.Shrinking, false, func(s *scene) {
			s.hpa.Spec.Behavior.ScaleDown.SelectPolicy = new(autoscalingv2.DisabledPolicySelect)
			s.replicas(9, 9)
		}},
		{"shrinking without a look at the HPA", explain.Shrinking, false, func(s *scene) {
			s.forbidden = []string{"horizontalpodautoscalers"}
			s.replicas(9, 9)
		}},
		{"shrinking while another fails", explain.Shrinking, true, func(s *scene) {
			other := s.weir.Triggers[0]
			other.Index, other.Metric, other.Err, other.Active = 1, "s1-redis-refunds", "down", false
			s.weir.Triggers = append(s.weir.Triggers, other)
			s.replicas(9, 9)
			s.condition(v1alpha1.ConditionReady, "Unknown", v1alpha1.ReasonPartialTriggerError, "s1-redis-refunds cannot be read (down)", time.Minute)
		}},
		{"growing by the smaller policy", explain.Growing, false, func(s *scene) {
			up := s.hpa.Spec.Behavior.ScaleUp
			up.SelectPolicy, up.StabilizationWindowSeconds = new(autoscalingv2.MinChangePolicySelect), new(int32(60))
			up.Policies[1].Value, up.Tolerance = 25, quantity("0.02")
			s.value(21, true)
		}},
		{"pods that do not start", explain.Steady, false, func(s *scene) {
			s.replicas(5, 5)
			s.value(25, true)
			s.pods = s.pods[:4]
			s.pods[1].DeletionTimestamp = new(ago(time.Second))
			s.pods[2].Status = corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
				State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			}}}
			s.pods[3].Status.Conditions = nil
		}},
		{"cpu alone without metrics", explain.HPAFailing, true, func(s *scene) {
			cpu(s)
			s.weir.Triggers, s.hpa.Spec.Metrics, s.hpa.Status.CurrentMetrics = s.weir.Triggers[1:], s.hpa.Spec.Metrics[1:], nil
			s.hpaSays("ScalingActive", "False", "FailedGetResourceMetric", "unable to get metrics for resource cpu")
			s.condition(v1alpha1.ConditionHPAActive, "False", "FailedGetResourceMetric", "unable to get metrics for resource cpu", time.Minute)
			s.condition(v1alpha1.ConditionReady, "Unknown", v1alpha1.ReasonPartialTriggerError, "", time.Minute)
		}},
		{"memory of one container", explain.Growing, false, func(s *scene) {
			s.weir = nil
			s.so.Status.ExternalMetricNames, s.so.Status.ResourceMetricNames = nil, []string{"memory"}
			s.hpa.Spec.Metrics = []autoscalingv2.MetricSpec{{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
				Name: "memory", Container: "main", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: quantity("100")},
			}}}
			s.hpa.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{
				Name: "memory", Container: "main", Current: autoscalingv2.MetricValueStatus{AverageValue: quantity("160")},
			}}}
		}},
		{"a scaler that knows better", explain.AtRest, false, func(s *scene) {
			s.replicas(0, 0)
			s.value(7, false)
		}},
		{"jobs that run to their end", explain.Shrinking, false, func(s *scene) { jobs(s, 3); s.value(0, false) }},
		{"jobs of which nothing is known", explain.Scaling, false, func(s *scene) {
			jobs(s, 3)
			s.job.Status.Conditions = s.job.Status.Conditions[:1]
			s.forbidden = []string{"/jobs", "/pods"}
			s.weir = nil
		}},
	}
}

// event is one about the object.
func event(before time.Duration, kind, reason, message string) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "ScaledObject", Name: "orders"},
		Type:           kind, Reason: reason, Message: message, LastTimestamp: ago(before), Count: 3,
	}
}

// formula lets a formula combine two triggers.
func formula(s *scene) {
	s.so.Spec.Advanced = &v1alpha1.AdvancedConfig{ScalingModifiers: v1alpha1.ScalingModifiers{Formula: "max(orders, refunds * 2)", Target: "5"}}
	s.hpa.Spec.Metrics = []autoscalingv2.MetricSpec{external(v1alpha1.CompositeMetricName, 5)}
	first := s.weir.Triggers[0]
	first.Name = "orders"
	second, result := first, first
	second.Index, second.Name, second.Metric, second.Value = 1, "refunds", "s1-redis-refunds", 9
	result.Index, result.Name, result.Type, result.Metric = -1, "", "", v1alpha1.CompositeMetricName
	s.weir.Triggers = []snapshot.Trigger{first, second, result}
}

// cpu adds a trigger that the HPA measures itself, and which asks for more.
func cpu(s *scene) {
	s.weir.Triggers = append(s.weir.Triggers, snapshot.Trigger{Index: 1, Type: "cpu", Metric: "cpu", MetricType: "Utilization", Target: 80, Resource: true})
	s.hpa.Spec.Metrics = append(s.hpa.Spec.Metrics, autoscalingv2.MetricSpec{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{
		Name: "cpu", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(80))},
	}})
	s.hpa.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: "Resource", Resource: &autoscalingv2.ResourceMetricStatus{
		Name: "cpu", Current: autoscalingv2.MetricValueStatus{AverageUtilization: new(int32(84))},
	}}}
	s.value(9, true)
}

// jobs turns the object into a ScaledJob with that many Jobs that run.
func jobs(s *scene, running int) {
	s.job = &v1alpha1.ScaledJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders", UID: "2", CreationTimestamp: ago(time.Hour)},
		Spec: v1alpha1.ScaledJobSpec{
			MaxReplicaCount: new(int32(5)), Triggers: s.so.Spec.Triggers,
		},
		Status: v1alpha1.ScaledJobStatus{ExternalMetricNames: []string{"s0-redis-jobs"}},
	}
	s.so, s.hpa, s.pods = nil, nil, nil
	s.condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonScaledJobReady, "the object is ready for scaling", time.Hour)
	s.condition(v1alpha1.ConditionActive, "True", v1alpha1.ReasonScalerActive, "at least one trigger has work", time.Hour)
	s.weir.Kind, s.weir.Decisions, s.weir.Triggers[0].Target = "ScaledJob", nil, 1
	ours := metav1.ObjectMeta{Namespace: "shop", Labels: map[string]string{v1alpha1.LabelScaledJobName: "orders"}}
	done := batchv1.Job{ObjectMeta: ours, Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}}}
	s.jobs = []batchv1.Job{done, done}
	for range running {
		s.jobs = append(s.jobs, batchv1.Job{ObjectMeta: ours})
	}
}

// TestSituations compares what explain and status print with testdata.
func TestSituations(t *testing.T) {
	t.Parallel()
	for _, tc := range slices.Concat(situations(), moreSituations()) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newScene()
			tc.change(s)
			text := s.run(t, "explain", "orders")
			tree := s.run(t, "status", "orders")
			file := filepath.Join("testdata", strings.ReplaceAll(strings.ToLower(tc.name), " ", "_")+".txt")
			golden(t, file, "$ weir explain orders -n shop\n"+text.out+"\n$ weir status orders -n shop\n"+tree.out)
			if text.err+tree.err != "" {
				t.Errorf("messages: %s%s", text.err, tree.err)
			}
			for line := range strings.Lines(text.out + tree.out) {
				if n := len([]rune(line)); n > 101 && !strings.HasPrefix(line, "shop/orders ") {
					t.Errorf("a line of %d columns: %s", n, line)
				}
			}
			want := 0
			if tc.attention {
				want = explain.StatusAttention
			}
			if text.status != want || tree.status != want {
				t.Errorf("exit statuses %d and %d, want %d", text.status, tree.status, want)
			}
			var r explain.Report
			if err := json.Unmarshal([]byte(s.run(t, "explain", "orders", "-o", "json").out), &r); err != nil {
				t.Fatal(err)
			}
			if r.State != tc.state || r.Attention != tc.attention {
				t.Errorf("state %s, attention %t; want %s, %t", r.State, r.Attention, tc.state, tc.attention)
			}
			if !strings.HasPrefix(r.Answer, "shop/orders ") || !strings.HasSuffix(r.Answer, ".") {
				t.Errorf("no sentence about the object: %q", r.Answer)
			}
		})
	}
}
