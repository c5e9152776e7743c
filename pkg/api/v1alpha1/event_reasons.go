package v1alpha1

// Reasons of events about the state of a ScaledObject. Normal unless marked
// Warning.
const (
	// EventScaledObjectReady: the ScaledObject became ready.
	EventScaledObjectReady = "ScaledObjectReady"
	// EventScaledObjectCheckFailed (Warning): the ScaledObject, or something it refers to, is wrong.
	EventScaledObjectCheckFailed = "ScaledObjectCheckFailed"
	// EventScaledObjectUpdateFailed (Warning): the status could not be written.
	EventScaledObjectUpdateFailed = "ScaledObjectUpdateFailed"
	// EventScaledObjectPaused: an annotation paused the ScaledObject.
	EventScaledObjectPaused = "ScaledObjectPaused"
	// EventScaledObjectUnpaused: the ScaledObject is no longer paused.
	EventScaledObjectUnpaused = "ScaledObjectUnpaused"
	// EventScaledObjectFallbackActivated: the fallback replica count took effect.
	EventScaledObjectFallbackActivated = "ScaledObjectFallbackActivated"
	// EventScaledObjectFallbackDeactivated: the fallback ended.
	EventScaledObjectFallbackDeactivated = "ScaledObjectFallbackDeactivated"
	// EventScaledObjectDeleted (Warning): the ScaledObject was deleted and its finalizer removed.
	EventScaledObjectDeleted = "ScaledObjectDeleted"
)

// Reasons of events about the state of a ScaledJob.
const (
	// EventScaledJobReady: the ScaledJob became ready.
	EventScaledJobReady = "ScaledJobReady"
	// EventScaledJobCheckFailed (Warning): the ScaledJob, or something it refers to, is wrong.
	EventScaledJobCheckFailed = "ScaledJobCheckFailed"
	// EventScaledJobPaused: an annotation paused the ScaledJob.
	EventScaledJobPaused = "ScaledJobPaused"
	// EventScaledJobUnpaused: the ScaledJob is no longer paused.
	EventScaledJobUnpaused = "ScaledJobUnpaused"
	// EventScaledJobActive: the ScaledJob has work.
	EventScaledJobActive = "ScaledJobActive"
	// EventScaledJobInactive: the ScaledJob has no more work.
	EventScaledJobInactive = "ScaledJobInactive"
	// EventScaledJobRolloutCleanupStarted: Jobs of earlier specs are about to be deleted.
	EventScaledJobRolloutCleanupStarted = "ScaledJobRolloutCleanupStarted"
	// EventScaledJobRolloutCleanupCompleted: Jobs of earlier specs were deleted.
	EventScaledJobRolloutCleanupCompleted = "ScaledJobRolloutCleanupCompleted"
	// EventScaledJobRolloutCleanupFailed (Warning): a Job of an earlier spec could not be deleted.
	EventScaledJobRolloutCleanupFailed = "ScaledJobRolloutCleanupFailed"
	// EventScaledJobDeleted (Warning): the ScaledJob was deleted and its finalizer removed.
	EventScaledJobDeleted = "ScaledJobDeleted"
)

// Reasons of events about triggers.
const (
	// EventScalersStarted: measuring the triggers of an object began.
	EventScalersStarted = "KEDAScalersStarted"
	// EventScalersStopped: measuring the triggers of an object ended.
	EventScalersStopped = "KEDAScalersStopped"
	// EventScalerFailed (Warning): a trigger is invalid or cannot be measured.
	EventScalerFailed = "KEDAScalerFailed"
	// EventMetricSourceFailed (Warning): as EventScalerFailed, for a trigger that a formula uses.
	EventMetricSourceFailed = "KEDAMetricSourceFailed"
	// EventScalerInfo (Normal or Warning): advice, such as a deprecated or unknown parameter.
	EventScalerInfo = "KEDAScalerInfo"
)

// Reasons of events about scaling.
const (
	// EventScaleTargetActivated: the workload was taken from zero, or from its idle count.
	EventScaleTargetActivated = "KEDAScaleTargetActivated"
	// EventScaleTargetActivationFailed (Warning): taking the workload from zero failed.
	EventScaleTargetActivationFailed = "KEDAScaleTargetActivationFailed"
	// EventScaleTargetDeactivated: the workload was put to zero, or to its idle count.
	EventScaleTargetDeactivated = "KEDAScaleTargetDeactivated"
	// EventScaleTargetDeactivationFailed (Warning): putting the workload to zero failed.
	EventScaleTargetDeactivationFailed = "KEDAScaleTargetDeactivationFailed"
	// EventJobsCreated: Jobs of a ScaledJob were created.
	EventJobsCreated = "KEDAJobsCreated"
	// EventJobCreateFailed (Warning): a Job of a ScaledJob could not be created.
	EventJobCreateFailed = "KEDAJobCreateFailed"
)

// Reasons of events about authentication objects.
const (
	// EventTriggerAuthenticationAdded: the TriggerAuthentication was created.
	EventTriggerAuthenticationAdded = "TriggerAuthenticationAdded"
	// EventTriggerAuthenticationDeleted: the TriggerAuthentication was deleted.
	EventTriggerAuthenticationDeleted = "TriggerAuthenticationDeleted"
	// EventClusterTriggerAuthenticationAdded: the ClusterTriggerAuthentication was created.
	EventClusterTriggerAuthenticationAdded = "ClusterTriggerAuthenticationAdded"
	// EventClusterTriggerAuthenticationUpdated: the spec of a TriggerAuthentication
	// or of a ClusterTriggerAuthentication changed. Both kinds share this reason.
	EventClusterTriggerAuthenticationUpdated = "ClusterTriggerAuthenticationUpdated"
	// EventClusterTriggerAuthenticationDeleted: the ClusterTriggerAuthentication was deleted.
	EventClusterTriggerAuthenticationDeleted = "ClusterTriggerAuthenticationDeleted"
)
