package v1alpha1_test

import (
	"fmt"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

type row struct {
	name      string
	got, want any
}

func check(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		if got, want := fmt.Sprint(r.got), fmt.Sprint(r.want); got != want {
			t.Errorf("%s is %s, want %s", r.name, got, want)
		}
	}
}

func TestWhatHoldsForAScaledObjectWhenUnset(t *testing.T) {
	t.Parallel()
	o := &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Name: "orders"}}
	s := &o.Spec
	check(t, []row{
		{"polling interval", s.PollingIntervalDuration(), "30s"},
		{"cooldown", s.CooldownDuration(), "5m0s"},
		{"initial cooldown", s.InitialCooldownDuration(), "0s"},
		{"min", s.MinReplicas(), 0},
		{"max", s.MaxReplicas(), 100},
		{"HPA min", s.HPAMinReplicas(), 1},
		{"HPA name", o.HPAName(), "keda-hpa-orders"},
		{"HPA behavior", s.HPABehavior() == nil, true},
		{"modifiers in use", s.Modifiers().InUse(), false},
		{"modifiers' metric type", s.Modifiers().EffectiveMetricType(), "AverageValue"},
		{"fallback behavior", (&v1alpha1.Fallback{}).EffectiveBehavior(), "static"},
		{"authentication kind", v1alpha1.AuthenticationRef{}.EffectiveKind(), "TriggerAuthentication"},
	})
	s.Advanced = &v1alpha1.AdvancedConfig{}
	check(t, []row{
		{"HPA name beside other settings", o.HPAName(), "keda-hpa-orders"},
		{"HPA behavior beside other settings", s.HPABehavior() == nil, true},
		{"modifiers in use beside other settings", s.Modifiers().InUse(), false},
	})
	s.Advanced.HorizontalPodAutoscalerConfig = &v1alpha1.HorizontalPodAutoscalerConfig{}
	check(t, []row{
		{"HPA name beside other HPA settings", o.HPAName(), "keda-hpa-orders"},
		{"HPA behavior beside other HPA settings", s.HPABehavior() == nil, true},
	})
}

func TestWhatAScaledObjectSays(t *testing.T) {
	t.Parallel()
	behavior := &autoscalingv2.HorizontalPodAutoscalerBehavior{}
	o := &v1alpha1.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{Name: "orders"},
		Spec: v1alpha1.ScaledObjectSpec{
			PollingInterval:       new(int32(5)),
			CooldownPeriod:        new(int32(0)),
			InitialCooldownPeriod: new(int32(90)),
			MinReplicaCount:       new(int32(3)),
			MaxReplicaCount:       new(int32(7)),
			Advanced: &v1alpha1.AdvancedConfig{
				HorizontalPodAutoscalerConfig: &v1alpha1.HorizontalPodAutoscalerConfig{Name: "mine", Behavior: behavior},
				ScalingModifiers:              v1alpha1.ScalingModifiers{ActivationTarget: "1", MetricType: autoscalingv2.ValueMetricType},
			},
		},
	}
	s := &o.Spec
	check(t, []row{
		{"polling interval", s.PollingIntervalDuration(), "5s"},
		{"cooldown", s.CooldownDuration(), "0s"},
		{"initial cooldown", s.InitialCooldownDuration(), "1m30s"},
		{"min", s.MinReplicas(), 3},
		{"max", s.MaxReplicas(), 7},
		{"HPA min", s.HPAMinReplicas(), 3},
		{"HPA name", o.HPAName(), "mine"},
		{"HPA behavior", s.HPABehavior() == behavior, true},
		{"modifiers in use", s.Modifiers().InUse(), true},
		{"modifiers' metric type", s.Modifiers().EffectiveMetricType(), "Value"},
		{"fallback behavior", (&v1alpha1.Fallback{Behavior: v1alpha1.FallbackCurrentReplicas}).EffectiveBehavior(), "currentReplicas"},
		{"authentication kind", v1alpha1.AuthenticationRef{Kind: v1alpha1.KindClusterTriggerAuthentication}.EffectiveKind(), "ClusterTriggerAuthentication"},
	})
	s.MinReplicaCount = new(int32(0))
	check(t, []row{
		{"explicit zero min", s.MinReplicas(), 0},
		{"HPA min at explicit zero", s.HPAMinReplicas(), 1},
	})
}

func TestTargetKind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, apiVersion, kind string
		want, wantErr          string
	}{
		{"unset", "", "", "apps/v1, Kind=Deployment", ""},
		{"kind alone", "", "StatefulSet", "apps/v1, Kind=StatefulSet", ""},
		{"API version alone", "foo.io/v1", "", "foo.io/v1, Kind=Deployment", ""},
		{"both", "argoproj.io/v1alpha1", "Rollout", "argoproj.io/v1alpha1, Kind=Rollout", ""},
		{"core group", "v1", "ReplicationController", "/v1, Kind=ReplicationController", ""},
		{"two slashes", "a/b/c", "X", "/, Kind=", `scaleTargetRef.apiVersion has more than one slash; write "group/version" or "version"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := v1alpha1.ScaleTargetRef{APIVersion: tc.apiVersion, Kind: tc.kind}.GroupVersionKind()
			if text(err) != tc.wantErr {
				t.Errorf("error %q, want %q", text(err), tc.wantErr)
			}
			if got.String() != tc.want {
				t.Errorf("kind %s, want %s", got, tc.want)
			}
		})
	}
}

func TestTargetKindInStatus(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"apps", v1alpha1.GroupVersionKindResource{Group: "apps", Version: "v1", Kind: "Deployment"}.KindString(), "apps/v1.Deployment"},
		{"core", v1alpha1.GroupVersionKindResource{Version: "v1", Kind: "ReplicationController"}.KindString(), "/v1.ReplicationController"},
	})
}

func TestWhatHoldsForAScaledJob(t *testing.T) {
	t.Parallel()
	var unset v1alpha1.ScaledJobSpec
	set := v1alpha1.ScaledJobSpec{
		PollingInterval:            new(int32(5)),
		MinReplicaCount:            new(int32(3)),
		MaxReplicaCount:            new(int32(7)),
		SuccessfulJobsHistoryLimit: new(int32(0)),
		FailedJobsHistoryLimit:     new(int32(2)),
		Rollout:                    v1alpha1.Rollout{Strategy: v1alpha1.RolloutGradual, PropagationPolicy: v1alpha1.PropagationForeground},
		ScalingStrategy: v1alpha1.ScalingStrategy{
			Strategy:                   v1alpha1.StrategyEager,
			MultipleScalersCalculation: v1alpha1.CalculationSum,
		},
	}
	deprecated := v1alpha1.ScaledJobSpec{
		RolloutStrategy: v1alpha1.RolloutImmediate,
		Rollout:         v1alpha1.Rollout{Strategy: v1alpha1.RolloutGradual, PropagationPolicy: v1alpha1.PropagationBackground},
	}
	check(t, []row{
		{"unset polling interval", unset.PollingIntervalDuration(), "30s"},
		{"unset min", unset.MinReplicas(), 0},
		{"unset max", unset.MaxReplicas(), 100},
		{"unset limit of succeeded", unset.SuccessfulHistoryLimit(), 100},
		{"unset limit of failed", unset.FailedHistoryLimit(), 100},
		{"unset rollout", unset.EffectiveRolloutStrategy(), "immediate"},
		{"unset propagation", unset.Rollout.Propagation(), "Background"},
		{"unset strategy", unset.ScalingStrategy.EffectiveStrategy(), "default"},
		{"unset calculation", unset.ScalingStrategy.EffectiveCalculation(), "max"},

		{"polling interval", set.PollingIntervalDuration(), "5s"},
		{"min", set.MinReplicas(), 3},
		{"max", set.MaxReplicas(), 7},
		{"limit of succeeded", set.SuccessfulHistoryLimit(), 0},
		{"limit of failed", set.FailedHistoryLimit(), 2},
		{"rollout", set.EffectiveRolloutStrategy(), "gradual"},
		{"propagation", set.Rollout.Propagation(), "Foreground"},
		{"strategy", set.ScalingStrategy.EffectiveStrategy(), "eager"},
		{"calculation", set.ScalingStrategy.EffectiveCalculation(), "sum"},

		{"rollout by the deprecated field", deprecated.EffectiveRolloutStrategy(), "immediate"},
		{"propagation in the background", deprecated.Rollout.Propagation(), "Background"},
	})
}

func TestWhatHoldsForAnIdentity(t *testing.T) {
	t.Parallel()
	var s v1alpha1.TriggerAuthenticationSpec
	check(t, []row{{"unset provider", s.EffectivePodIdentity(), "none"}})
	s.PodIdentity = &v1alpha1.PodIdentity{}
	check(t, []row{
		{"empty provider", s.EffectivePodIdentity(), "none"},
		{"unset owner", s.PodIdentity.EffectiveIdentityOwner(), "keda"},
	})
	s.PodIdentity = &v1alpha1.PodIdentity{Provider: v1alpha1.PodIdentityAWS, IdentityOwner: new(v1alpha1.IdentityOwnerWorkload)}
	check(t, []row{
		{"provider", s.EffectivePodIdentity(), "aws"},
		{"owner", s.PodIdentity.EffectiveIdentityOwner(), "workload"},
	})
	s.PodIdentity.IdentityOwner = new(v1alpha1.IdentityOwner(""))
	check(t, []row{{"empty owner", s.PodIdentity.EffectiveIdentityOwner(), "keda"}})
}
