package v1alpha1

// Finalizer is on every object of this API while the controller has
// something to do before it may go.
const Finalizer = "finalizer.keda.sh"
