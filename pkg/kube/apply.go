package kube

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
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

// PatchStatus changes the status of an object from that of was to that of is: a
// merge patch, which also removes what another controller wrote before weir and
// no longer holds. Both are the object's type with nothing but name, namespace
// and status, and is has its UID. It takes what the API server answers. The error
// is a conflict, or not found, when the object was deleted or made anew.
func PatchStatus(ctx context.Context, c client.StatusClient, was, is client.Object) error {
	// The patch holds the UID, as only one side has it: a precondition.
	if err := c.Status().Patch(ctx, is, client.MergeFrom(was), client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("writing the status of %s %q: %w", reflect.TypeOf(was).Elem().Name(), was.GetName(), err)
	}
	return nil
}

// RemoveFinalizer takes weir's finalizer off an object, in the object given too;
// without one nothing is written. The error is a conflict when the object has
// changed meanwhile, and not found when it is gone.
func RemoveFinalizer(ctx context.Context, c client.Writer, o client.Object) error {
	before, ok := o.DeepCopyObject().(client.Object)
	if !ok || !controllerutil.RemoveFinalizer(o, v1alpha1.Finalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, o, patch, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("removing the finalizer of %s %q: %w", reflect.TypeOf(o).Elem().Name(), client.ObjectKeyFromObject(o), err)
	}
	return nil
}
