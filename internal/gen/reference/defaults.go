package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// The defaults are asked of the functions that the controllers use, with nothing
// set. Paths are below spec. A default that stands in the definition is not here.

func scaledObjectDefaults() map[string]string {
	named := v1alpha1.ScaledObject{}
	named.Name = "NAME"
	s := &named.Spec
	out := triggerDefaults()
	out["triggers[].metricType"] = string(s.Modifiers().EffectiveMetricType()) // external metrics compare alike
	out["pollingInterval"] = seconds(s.PollingIntervalDuration())
	out["cooldownPeriod"] = seconds(s.CooldownDuration())
	out["initialCooldownPeriod"] = seconds(s.InitialCooldownDuration())
	out["minReplicaCount"] = fmt.Sprint(s.MinReplicas())
	out["maxReplicaCount"] = fmt.Sprint(s.MaxReplicas())
	out["scaleTargetRef.apiVersion"] = v1alpha1.DefaultTargetAPIVersion
	out["scaleTargetRef.kind"] = v1alpha1.DefaultTargetKind
	out["advanced.restoreToOriginalReplicaCount"] = "false"
	out["advanced.horizontalPodAutoscalerConfig.name"] = named.HPAName()
	out["advanced.scalingModifiers.metricType"] = string(s.Modifiers().EffectiveMetricType())
	out["advanced.scalingModifiers.activationTarget"] = "0"
	const behavior = "advanced.horizontalPodAutoscalerConfig.behavior."
	out[behavior+"scaleUp.stabilizationWindowSeconds"] = "0"
	out[behavior+"scaleUp.selectPolicy"] = "Max"
	out[behavior+"scaleDown.selectPolicy"] = "Max"
	return out
}

func scaledJobDefaults() map[string]string {
	var s v1alpha1.ScaledJobSpec
	out := triggerDefaults()
	out["pollingInterval"] = seconds(s.PollingIntervalDuration())
	out["successfulJobsHistoryLimit"] = fmt.Sprint(s.SuccessfulHistoryLimit())
	out["failedJobsHistoryLimit"] = fmt.Sprint(s.FailedHistoryLimit())
	out["rollout.strategy"] = string(s.EffectiveRolloutStrategy())
	out["rollout.propagationPolicy"] = strings.ToLower(string(s.Rollout.Propagation()))
	out["minReplicaCount"] = fmt.Sprint(s.MinReplicas())
	out["maxReplicaCount"] = fmt.Sprint(s.MaxReplicas())
	out["scalingStrategy.strategy"] = string(s.ScalingStrategy.EffectiveStrategy())
	out["scalingStrategy.customScalingQueueLengthDeduction"] = "0"
	out["scalingStrategy.multipleScalersCalculation"] = string(s.ScalingStrategy.EffectiveCalculation())
	return out
}

func triggerDefaults() map[string]string {
	return map[string]string{
		"triggers[].useCachedMetrics":       "false",
		"triggers[].authenticationRef.kind": v1alpha1.AuthenticationRef{}.EffectiveKind(),
	}
}

func authenticationDefaults() map[string]string {
	owner := string(new(v1alpha1.PodIdentity).EffectiveIdentityOwner())
	out := map[string]string{"gcpSecretManager.secrets[].version": "latest"}
	for _, at := range []string{"", "azureKeyVault.", "gcpSecretManager.", "awsSecretManager."} {
		out[at+"podIdentity.identityOwner"] = owner
	}
	return out
}

func seconds(d time.Duration) string { return fmt.Sprint(int(d.Seconds())) }

// borrowed describes, in words of ours, the fields that the API takes from
// Kubernetes' HorizontalPodAutoscaler. It is empty for all others.
func borrowed(path string) string {
	rest, ok := strings.CutPrefix(path, "spec.advanced.horizontalPodAutoscalerConfig.behavior.")
	if !ok {
		return ""
	}
	way, name, _ := strings.Cut(rest, ".")
	texts := map[string]string{
		"selectPolicy":             "Which of several policies counts: the one that allows the greatest change (Max), the smallest (Min), or none at all (Disabled).",
		"policies[].type":          "What value counts: Pods, or Percent of the replicas at the beginning of the period.",
		"policies[].value":         "The greatest change in one period, more than 0.",
		"policies[].periodSeconds": "Seconds in one period, 1 to 1800.",
		"tolerance": "How far the ratio of value to target may be from 1 without a change, such as 0.1; when unset, what the HPA controller is started with, " +
			"0.1 by default. Needs Kubernetes 1.35.",
	}
	if way == "scaleUp" {
		texts[""] = "Pace of adding replicas."
		texts["stabilizationWindowSeconds"] = "Seconds for which the smallest of the wishes counts when replicas are added."
		texts["policies"] = "How fast replicas may be added; when unset 4 pods or 100 percent in 15 s."
	} else {
		texts[""] = "Pace of taking replicas away, down to minReplicaCount but at least 1."
		texts["stabilizationWindowSeconds"] = "Seconds for which the greatest of the wishes counts when replicas are taken away; when unset, what the HPA controller " +
			"is started with, 300 by default."
		texts["policies"] = "How fast replicas may be taken away; when unset 100 percent in 15 s."
	}
	return texts[name]
}
