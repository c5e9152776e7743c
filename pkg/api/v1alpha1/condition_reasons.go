package v1alpha1

// Reasons of the Ready condition.
const (
	// ReasonScaledObjectReady (True): the ScaledObject is valid and was measured
	// without error. It also holds while paused.
	ReasonScaledObjectReady = "ScaledObjectReady"

	// ReasonScaledObjectCheckFailed (False): the ScaledObject, or something it
	// refers to, is wrong; the message says what.
	ReasonScaledObjectCheckFailed = "ScaledObjectCheckFailed"

	// ReasonScaledJobReady (True): the same as ReasonScaledObjectReady for a ScaledJob.
	ReasonScaledJobReady = "ScaledJobReady"

	// ReasonScaledJobCheckFailed (False): the same as ReasonScaledObjectCheckFailed
	// for a ScaledJob.
	ReasonScaledJobCheckFailed = "ScaledJobCheckFailed"

	// ReasonPartialTriggerError (Unknown): some triggers cannot be measured, but
	// others have work.
	ReasonPartialTriggerError = "PartialTriggerError"

	// ReasonTriggerError (False): some triggers cannot be measured, and no other
	// has work.
	ReasonTriggerError = "TriggerError"

	// ReasonErrorGettingCurrentReplicas (False): the replica count of the workload
	// cannot be read.
	ReasonErrorGettingCurrentReplicas = "ErrorGettingCurrentReplicas"
)

// Reasons of the Active condition.
const (
	// ReasonScalerActive (True): some trigger has work, or activation is forced.
	ReasonScalerActive = "ScalerActive"

	// ReasonScalerNotActive (False): no trigger has work.
	ReasonScalerNotActive = "ScalerNotActive"

	// ReasonScalerCooldown (False): no trigger has work, but the cooldown before
	// going to zero has not passed.
	ReasonScalerCooldown = "ScalerCooldown"

	// ReasonUnknownState (Unknown): the object cannot be used; Ready says why.
	ReasonUnknownState = "UnknownState"
)

// Reasons of the Fallback condition.
const (
	// ReasonFallbackExists (True): a trigger has failed more often than the
	// fallback's threshold.
	ReasonFallbackExists = "FallbackExists"

	// ReasonNoFallbackFound (False): no fallback is configured, or none is needed.
	ReasonNoFallbackFound = "NoFallbackFound"
)

// Reasons of the Paused condition. It has none before the first pause.
const (
	// ReasonScaledObjectPaused (True): an annotation pauses the ScaledObject.
	ReasonScaledObjectPaused = "ScaledObjectPaused"

	// ReasonScaledObjectUnpaused (False): the ScaledObject was paused and is no more.
	ReasonScaledObjectUnpaused = "ScaledObjectUnpaused"

	// ReasonScaledJobPaused (True): an annotation pauses the ScaledJob.
	ReasonScaledJobPaused = "ScaledJobPaused"

	// ReasonScaledJobUnpaused (False): the ScaledJob was paused and is no more.
	ReasonScaledJobUnpaused = "ScaledJobUnpaused"
)

// Reasons of the HPAActive condition. While False, the reason is the one that
// the HorizontalPodAutoscaler gives.
const (
	// ReasonHPAActive (True): the HorizontalPodAutoscaler scales.
	ReasonHPAActive = "HPAActive"

	// ReasonScalingDisabled (True): the HorizontalPodAutoscaler rests, as the
	// workload is at zero.
	ReasonScalingDisabled = "ScalingDisabled"

	// ReasonHPAMetricsUnavailable (False): the HorizontalPodAutoscaler does not
	// scale and gives no reason.
	ReasonHPAMetricsUnavailable = "HPAMetricsUnavailable"
)
