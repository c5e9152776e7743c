package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// Group is the API group of every kind in this package.
	Group = "keda.sh"
	// Version is the only version of the group, both served and stored.
	Version = "v1alpha1"

	// KindScaledObject is the kind of ScaledObject.
	KindScaledObject = "ScaledObject"
	// KindScaledJob is the kind of ScaledJob.
	KindScaledJob = "ScaledJob"
	// KindTriggerAuthentication is the kind of TriggerAuthentication.
	KindTriggerAuthentication = "TriggerAuthentication"
	// KindClusterTriggerAuthentication is the kind of ClusterTriggerAuthentication.
	KindClusterTriggerAuthentication = "ClusterTriggerAuthentication"
)

// GroupVersion is keda.sh/v1alpha1. It must not be assigned to.
var GroupVersion = schema.GroupVersion{Group: Group, Version: Version} //nolint:gochecknoglobals // a constant in all but syntax: Go has no struct constants

// AddToScheme registers the kinds of this package, and the options every API
// group shares, with s. Its signature is that of the functions a
// runtime.SchemeBuilder collects; the error is always nil. Calling it again is
// harmless. It panics, as the scheme does, when s holds other types under the
// same names.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&ScaledObject{}, &ScaledObjectList{},
		&ScaledJob{}, &ScaledJobList{},
		&TriggerAuthentication{}, &TriggerAuthenticationList{},
		&ClusterTriggerAuthentication{}, &ClusterTriggerAuthenticationList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
