package kube

import (
	"context"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/scale"
)

// Target is a workload that can be scaled.
type Target struct {
	Kind      schema.GroupVersionKind
	Resource  schema.GroupVersionResource
	Namespace string
	Name      string
}

// String describes the target for people: `Deployment "ns/name"`.
func (t Target) String() string { return fmt.Sprintf("%s %q", t.Kind.Kind, t.Namespace+"/"+t.Name) }

// Scales reads and writes the scale subresource of any kind of workload. It is
// safe for concurrent use.
type Scales struct {
	mapper meta.RESTMapper
	scales scale.ScalesGetter
}

// NewScales makes a Scales that talks to the API server of config. It does no
// I/O.
func NewScales(config *rest.Config, mapper meta.RESTMapper) (*Scales, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a discovery client: %w", err)
	}
	scales, err := scale.NewForConfig(config, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(client))
	if err != nil {
		return nil, fmt.Errorf("making a scale client: %w", err)
	}
	return &Scales{mapper, scales}, nil
}

// WithGetter makes a Scales of ready parts; tests use it with a fake.
func WithGetter(mapper meta.RESTMapper, scales scale.ScalesGetter) *Scales {
	return &Scales{mapper, scales}
}

// Find returns the target that kind and name describe. The error is an
// *UnknownKindError when the API server has no such kind. It does not tell
// whether the object exists.
func (s *Scales) Find(kind schema.GroupVersionKind, namespace, name string) (Target, error) {
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	switch {
	case meta.IsNoMatchError(err):
		return Target{}, &UnknownKindError{kind}
	case err != nil:
		return Target{}, fmt.Errorf("looking up kind %q in %q: %w", kind.Kind, kind.GroupVersion(), err)
	}
	return Target{Kind: kind, Resource: mapping.Resource, Namespace: namespace, Name: name}, nil
}

// UnknownKindError says that the API server has no such kind.
type UnknownKindError struct{ Kind schema.GroupVersionKind }

// Error implements error.
func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("the API server knows no kind %q in %q; correct scaleTargetRef.apiVersion and kind, or install its CRD",
		e.Kind.Kind, e.Kind.GroupVersion())
}

// Get returns the scale of a target, live. The error is a *NoScaleError when the
// target does not exist or cannot be scaled.
func (s *Scales) Get(ctx context.Context, t Target) (*autoscalingv1.Scale, error) {
	out, err := s.scales.Scales(t.Namespace).Get(ctx, t.Resource.GroupResource(), t.Name, metav1.GetOptions{})
	switch {
	case err == nil:
		return out, nil
	case apierrors.IsNotFound(err):
		return nil, &NoScaleError{t}
	}
	return nil, fmt.Errorf("reading the scale of %v: %w", t, err)
}

// NoScaleError says that a target does not exist or has no scale subresource;
// the API server answers both alike.
type NoScaleError struct{ Target Target }

// Error implements error.
func (e *NoScaleError) Error() string {
	return fmt.Sprintf("%v does not exist or has no scale subresource; create it, or correct scaleTargetRef", e.Target)
}

// Set writes replicas into a scale that Get returned. The API server refuses it
// with a conflict, which apierrors.IsConflict recognises, when the scale has
// changed since.
func (s *Scales) Set(ctx context.Context, t Target, was *autoscalingv1.Scale, replicas int32) error {
	want := was.DeepCopy()
	want.Spec.Replicas = replicas
	if _, err := s.scales.Scales(t.Namespace).Update(ctx, t.Resource.GroupResource(), want, metav1.UpdateOptions{FieldManager: FieldManager}); err != nil {
		return fmt.Errorf("scaling %v to %d: %w", t, replicas, err)
	}
	return nil
}

// FieldManager is the name under which everything is written to the API server.
const FieldManager = "weir"
