package v1alpha1

// ConditionType is what a Condition observes.
type ConditionType string

const (
	// ConditionReady tells whether the object is valid and its triggers can be
	// measured. It says nothing about the amount of work.
	ConditionReady ConditionType = "Ready"

	// ConditionActive tells whether there is work.
	ConditionActive ConditionType = "Active"

	// ConditionFallback tells whether the replica count is that of spec.fallback,
	// as some trigger cannot be measured. ScaledObjects only.
	ConditionFallback ConditionType = "Fallback"

	// ConditionPaused tells whether an annotation stops scaling, altogether or in
	// one direction.
	ConditionPaused ConditionType = "Paused"

	// ConditionHPAActive tells whether the HorizontalPodAutoscaler says that it
	// scales, or has nothing to do as the workload is at zero. It is missing until
	// the HorizontalPodAutoscaler has said anything. ScaledObjects only.
	ConditionHPAActive ConditionType = "HPAActive"
)
