// Package v1alpha1 holds the objects users write in the API group keda.sh,
// version v1alpha1: ScaledObject, ScaledJob, TriggerAuthentication and
// ClusterTriggerAuthentication.
//
// The field comments are what "kubectl explain" shows; the markers below them
// become the schema, defaults, rules and columns of the CustomResourceDefinitions
// in deploy/crds. Beside the types the package names everything of the API that
// is not a field: annotations, labels, the finalizer, condition types, reasons
// of conditions and of events. These names are an interface; changing one is a
// breaking change.
//
// Methods only read: they supply the value that holds when a field is unset and
// interpret annotations. The package decides nothing, does no I/O, and imports
// nothing but k8s.io/api and k8s.io/apimachinery.
//
// +kubebuilder:object:generate=true
// +groupName=keda.sh
package v1alpha1
