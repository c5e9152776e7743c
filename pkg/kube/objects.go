// Package kube adapts Kubernetes to what the rest of the program needs of it:
// credentials of triggers, the scale subresource, and watches of single objects.
//
// It knows nothing of scalers, of the engine or of the controllers.
package kube

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Objects reads the objects that credentials are made of. A missing object is
// an error that apierrors.IsNotFound recognises. What is returned is only read.
type Objects interface {
	// Secret returns the data of a Secret.
	Secret(ctx context.Context, namespace, name string) (map[string][]byte, error)
	// ConfigMap returns the data of a ConfigMap.
	ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error)
	// TriggerAuthentication returns the spec of one, in the namespace.
	TriggerAuthentication(ctx context.Context, namespace, name string) (*v1alpha1.TriggerAuthenticationSpec, error)
	// ClusterTriggerAuthentication returns the spec of one.
	ClusterTriggerAuthentication(ctx context.Context, name string) (*v1alpha1.TriggerAuthenticationSpec, error)
	// ServiceAccount returns one with at least its metadata.
	ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error)
}

// Ref names an object that a trigger depends on.
type Ref struct {
	Kind      string // Secret, ConfigMap, ServiceAccount, TriggerAuthentication or ClusterTriggerAuthentication
	Namespace string // empty for cluster-scoped kinds
	Name      string
}

// The kinds a Ref has besides those of package v1alpha1.
const (
	KindSecret         = "Secret"
	KindConfigMap      = "ConfigMap"
	KindServiceAccount = "ServiceAccount"
)

// String describes the object for people: `Secret "name" in namespace "ns"`.
func (r Ref) String() string {
	if r.Namespace == "" {
		return fmt.Sprintf("%s %q", r.Kind, r.Name)
	}
	return fmt.Sprintf("%s %q in namespace %q", r.Kind, r.Name, r.Namespace)
}

// MissingError says that an object, or a key in it, does not exist.
type MissingError struct {
	Ref Ref
	Key string // empty when the object itself is missing
}

// Error implements error. It names what is missing and what to do.
func (e *MissingError) Error() string {
	if e.Key != "" {
		return fmt.Sprintf("%v has no key %q; add the key or correct the reference", e.Ref, e.Key)
	}
	return fmt.Sprintf("%v does not exist; create it or correct the reference", e.Ref)
}

// TransientError says that something could not be read for a reason that is not
// the user's: the API server did not answer, or the caller gave up. It says
// nothing of what was to be read; try again.
type TransientError struct{ Err error }

// Error implements error.
func (e *TransientError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *TransientError) Unwrap() error { return e.Err }

// recorder reads through Objects and remembers what was asked for, whether or
// not it exists: a missing object is to be watched too.
type recorder struct {
	objects Objects
	// only is the one namespace that Secrets may be read in; empty means any.
	only string
	refs map[Ref]bool
}

// secret reads a Secret. One that may not be read is not looked for at all, not
// even one of the same name elsewhere.
func (r *recorder) secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	ref := Ref{KindSecret, namespace, name}
	if r.only != "" && namespace != r.only {
		return nil, fmt.Errorf("reading %v is denied: weir is restricted to the Secrets of namespace %q; "+
			"let a ClusterTriggerAuthentication take it from there", ref, r.only)
	}
	r.refs[ref] = true
	data, err := r.objects.Secret(ctx, namespace, name)
	return data, readError(ref, err)
}

func (r *recorder) configMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	ref := Ref{KindConfigMap, namespace, name}
	r.refs[ref] = true
	data, err := r.objects.ConfigMap(ctx, namespace, name)
	return data, readError(ref, err)
}

func (r *recorder) serviceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	ref := Ref{KindServiceAccount, namespace, name}
	r.refs[ref] = true
	account, err := r.objects.ServiceAccount(ctx, namespace, name)
	return account, readError(ref, err)
}

func (r *recorder) authentication(ctx context.Context, namespace string, to v1alpha1.AuthenticationRef) (*v1alpha1.TriggerAuthenticationSpec, error) {
	var spec *v1alpha1.TriggerAuthenticationSpec
	var err error
	ref := Ref{Kind: to.EffectiveKind(), Name: to.Name}
	switch ref.Kind {
	case v1alpha1.KindTriggerAuthentication:
		ref.Namespace = namespace
		spec, err = r.objects.TriggerAuthentication(ctx, namespace, to.Name)
	case v1alpha1.KindClusterTriggerAuthentication:
		spec, err = r.objects.ClusterTriggerAuthentication(ctx, to.Name)
	default:
		return nil, errors.New("authenticationRef.kind must be TriggerAuthentication or ClusterTriggerAuthentication")
	}
	r.refs[ref] = true
	return spec, readError(ref, err)
}

// readError tells a missing object from one that weir may not read, and both from
// one that cannot be read at present.
func readError(ref Ref, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return &MissingError{Ref: ref}
	case apierrors.IsForbidden(err):
		return fmt.Errorf("reading %v: weir is not allowed to; grant its service account get and watch on it", ref)
	}
	return &TransientError{fmt.Errorf("reading %v: %w", ref, err)}
}

// container returns the container called name, or the first one when name is
// empty. The error names the containers there are.
func container(pod *corev1.PodSpec, name string) (*corev1.Container, error) {
	if pod == nil || len(pod.Containers) == 0 {
		return nil, errors.New("the workload has no pod template with containers to take the environment from")
	}
	if name == "" {
		return &pod.Containers[0], nil
	}
	known := make([]string, len(pod.Containers))
	for i := range pod.Containers {
		if pod.Containers[i].Name == name {
			return &pod.Containers[i], nil
		}
		known[i] = pod.Containers[i].Name
	}
	return nil, fmt.Errorf("the workload has no container %q; it has %q", name, known)
}
