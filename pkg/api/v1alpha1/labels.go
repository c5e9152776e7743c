package v1alpha1

const (
	// LabelScaledObjectName is the name of the ScaledObject, on the ScaledObject
	// itself, on its HorizontalPodAutoscaler, and in the selector by which the
	// external metrics API finds its metrics.
	LabelScaledObjectName = "scaledobject.keda.sh/name"

	// LabelScaledJobName is the name of the ScaledJob, on its Jobs and their
	// pods. Jobs are found by it.
	LabelScaledJobName = "scaledjob.keda.sh/name"

	// LabelName is, on a HorizontalPodAutoscaler its own name, on a Job the name
	// of its ScaledJob, as a label value.
	LabelName = "app.kubernetes.io/name"

	// LabelVersion is the version of the controller that wrote the object.
	LabelVersion = "app.kubernetes.io/version"

	// LabelPartOf is the name of the ScaledObject or ScaledJob the object is for.
	LabelPartOf = "app.kubernetes.io/part-of"

	// LabelManagedBy says who wrote the object; its value is ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"

	// ManagedBy is the value of LabelManagedBy on HorizontalPodAutoscalers and
	// Jobs. Dashboards and policies select by it.
	ManagedBy = "keda-operator"
)
