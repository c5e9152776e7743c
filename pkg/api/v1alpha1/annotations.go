package v1alpha1

import (
	"errors"
	"strconv"
	"strings"
)

const (
	// AnnotationPaused stops scaling. It is a lenient bool (see LenientBool) on a
	// ScaledObject or ScaledJob. The HorizontalPodAutoscaler is deleted and
	// replicas stay as they are; running Jobs are not touched.
	AnnotationPaused = "autoscaling.keda.sh/paused"

	// AnnotationPausedReplicas stops scaling as AnnotationPaused does and sets
	// the replica count that it gives, on a ScaledObject. Its presence pauses, even
	// beside a paused annotation that is false.
	AnnotationPausedReplicas = "autoscaling.keda.sh/paused-replicas"

	// AnnotationPausedScaleIn forbids taking replicas away. It is a lenient bool
	// on a ScaledObject.
	AnnotationPausedScaleIn = "autoscaling.keda.sh/paused-scale-in"

	// AnnotationPausedScaleOut forbids adding replicas. It is a lenient bool on a
	// ScaledObject.
	AnnotationPausedScaleOut = "autoscaling.keda.sh/paused-scale-out"

	// AnnotationForceActivation keeps the workload from zero as if a trigger had
	// work. It is a lenient bool on a ScaledObject. Metric values are not changed.
	AnnotationForceActivation = "autoscaling.keda.sh/force-activation"

	// AnnotationTransferHPAOwnership lets a ScaledObject take over the existing
	// HorizontalPodAutoscaler of its configured name. Its value is exactly "true".
	AnnotationTransferHPAOwnership = "scaledobject.keda.sh/transfer-hpa-ownership"

	// AnnotationValidateHPAOwnership exempts a HorizontalPodAutoscaler from the
	// check that a workload has one autoscaler only. Its value is exactly "false".
	AnnotationValidateHPAOwnership = "validations.keda.sh/hpa-ownership"

	// AnnotationHPAExcludedLabels keeps labels of a ScaledObject off its
	// HorizontalPodAutoscaler: their keys, joined with commas and no spaces.
	AnnotationHPAExcludedLabels = "scaledobject.keda.sh/hpa-excluded-labels"

	// AnnotationJobExcludedLabels keeps labels of a ScaledJob off its Jobs: their
	// keys, joined with commas and no spaces.
	AnnotationJobExcludedLabels = "scaledjob.keda.sh/job-excluded-labels"

	// AnnotationScaledJobGeneration is, on a Job, the generation of the ScaledJob
	// that created it, in decimal.
	AnnotationScaledJobGeneration = "scaledjob.keda.sh/generation"

	// AnnotationRoleARN is, on the service account of a workload, the AWS role
	// its pods assume. It belongs to EKS; the identity providers aws and aws-eks
	// read it.
	AnnotationRoleARN = "eks.amazonaws.com/role-arn"
)

// LenientBool interprets the value of an annotation that is present. Only 0, f,
// F, false, False and FALSE are false. Anything else is true, also the empty
// string, "no" and "off": presence is taken as intent.
func LenientBool(value string) bool {
	b, err := strconv.ParseBool(value)
	return b || err != nil
}

// AnnotationBool returns the lenient bool of key in annotations: false when absent.
func AnnotationBool(annotations map[string]string, key string) bool {
	v, ok := annotations[key]
	return ok && LenientBool(v)
}

// PauseRequested reports whether annotations of o stop its scaling altogether:
// paused is true, or paused-replicas is present with whatever value.
func (o *ScaledObject) PauseRequested() bool {
	_, ok := o.Annotations[AnnotationPausedReplicas]
	return ok || AnnotationBool(o.Annotations, AnnotationPaused)
}

// PausedReplicas returns the replica count at which an annotation of o pauses
// it, or nil when there is no such annotation. The error is non-nil when the
// annotation is no count from 0 to 2147483647; it does not repeat the value.
func (o *ScaledObject) PausedReplicas() (*int32, error) {
	v, ok := o.Annotations[AnnotationPausedReplicas]
	if !ok {
		return nil, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return nil, errors.New("annotation " + AnnotationPausedReplicas +
			" is no replica count; set a whole number from 0 to 2147483647, or remove the annotation")
	}
	count := int32(n)
	return &count, nil
}

// ScaleInPaused reports whether an annotation of o forbids taking replicas away.
func (o *ScaledObject) ScaleInPaused() bool {
	return AnnotationBool(o.Annotations, AnnotationPausedScaleIn)
}

// ScaleOutPaused reports whether an annotation of o forbids adding replicas.
func (o *ScaledObject) ScaleOutPaused() bool {
	return AnnotationBool(o.Annotations, AnnotationPausedScaleOut)
}

// ActivationForced reports whether an annotation of o demands that it count as active.
func (o *ScaledObject) ActivationForced() bool {
	return AnnotationBool(o.Annotations, AnnotationForceActivation)
}

// HPATransferAllowed reports whether an annotation of o lets it take over an
// existing HorizontalPodAutoscaler.
func (o *ScaledObject) HPATransferAllowed() bool {
	return o.Annotations[AnnotationTransferHPAOwnership] == "true"
}

// HPAExcludedLabels returns the keys of o's labels not to copy to its
// HorizontalPodAutoscaler, untrimmed; nil when none are excluded.
func (o *ScaledObject) HPAExcludedLabels() []string {
	return splitKeys(o.Annotations[AnnotationHPAExcludedLabels])
}

// PauseRequested reports whether an annotation of j stops its scaling.
func (j *ScaledJob) PauseRequested() bool {
	return AnnotationBool(j.Annotations, AnnotationPaused)
}

// JobExcludedLabels returns the keys of j's labels not to copy to its Jobs,
// untrimmed; nil when none are excluded.
func (j *ScaledJob) JobExcludedLabels() []string {
	return splitKeys(j.Annotations[AnnotationJobExcludedLabels])
}

func splitKeys(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
