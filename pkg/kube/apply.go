package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Apply writes object by server-side apply: what it holds becomes what weir
// owns, and fields that weir owned and that it no longer holds are removed.
// Status and fields that the API server sets are left out. Object is not
// changed.
func Apply(ctx context.Context, c client.Writer, kind schema.GroupVersionKind, object client.Object) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("converting %s %q: %w", kind.Kind, object.GetName(), err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(kind)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(FieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying %s %q: %w", kind.Kind, object.GetName(), err)
	}
	return nil
}

// ApplyStatus writes the whole status of an object that exists, by server-side
// apply. The error is a conflict when the object was made anew meanwhile.
func ApplyStatus(ctx context.Context, c client.StatusClient, kind schema.GroupVersionKind, object client.Object, status any) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status)
	if err != nil {
		return fmt.Errorf("converting the status of %s %q: %w", kind.Kind, object.GetName(), err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	u.SetGroupVersionKind(kind)
	u.SetName(object.GetName())
	u.SetNamespace(object.GetNamespace())
	u.SetUID(object.GetUID())
	err = c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(FieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("writing the status of %s %q: %w", kind.Kind, object.GetName(), err)
	}
	return nil
}
