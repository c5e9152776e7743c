package authentication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
)

// writeStatus writes who refers to o, if that differs.
func (r *Reconciler) writeStatus(ctx context.Context, o client.Object) error {
	objects, errObjects := r.referrers(ctx, o, new(v1alpha1.ScaledObjectList))
	jobs, errJobs := r.referrers(ctx, o, new(v1alpha1.ScaledJobList))
	if err := errors.Join(errObjects, errJobs); err != nil {
		return err
	}
	next := v1alpha1.TriggerAuthenticationStatus{ScaledObjectNames: objects, ScaledJobNames: jobs}
	was, is, same := patch(o, next)
	if same {
		return nil
	}
	err := kube.PatchStatus(ctx, r.client, was, is)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// It was deleted, or made anew, in between: there is news of that to come.
		return nil
	}
	return err
}

// patch returns what kube.PatchStatus takes to give o the status next, and
// whether o has it already.
func patch(o client.Object, next v1alpha1.TriggerAuthenticationStatus) (was, is client.Object, same bool) {
	before := metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}
	after := before
	after.UID = o.GetUID()
	switch o := o.(type) {
	case *v1alpha1.TriggerAuthentication:
		return &v1alpha1.TriggerAuthentication{ObjectMeta: before, Status: o.Status},
			&v1alpha1.TriggerAuthentication{ObjectMeta: after, Status: next}, o.Status == next
	case *v1alpha1.ClusterTriggerAuthentication:
		return &v1alpha1.ClusterTriggerAuthentication{ObjectMeta: before, Status: o.Status},
			&v1alpha1.ClusterTriggerAuthentication{ObjectMeta: after, Status: next}, o.Status == next
	}
	return nil, nil, true
}

// referrers describes the objects, of the kind that list is of, which refer to o:
// by name where all of them are in o's own namespace. Whoever may read a
// ClusterTriggerAuthentication need not know what other namespaces hold, so of
// one there are numbers only.
func (r *Reconciler) referrers(ctx context.Context, o client.Object, list client.ObjectList) (string, error) {
	key := scaled.AuthKey(r.kind.name, o.GetName())
	err := r.client.List(ctx, list, client.InNamespace(o.GetNamespace()), client.MatchingFields{scaled.IndexAuth: key}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return "", fmt.Errorf("looking up what refers to %s %q: %w", r.kind.name, client.ObjectKeyFromObject(o), err)
	}
	var names []string
	namespaces := map[string]bool{}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		at, err := meta.Accessor(item)
		if err != nil {
			return err
		}
		names = append(names, at.GetName())
		namespaces[at.GetNamespace()] = true
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading what refers to %s %q: %w", r.kind.name, client.ObjectKeyFromObject(o), err)
	}
	if o.GetNamespace() == "" {
		return numbers(len(names), len(namespaces)), nil
	}
	return joined(names), nil
}

// mostNames is how many names a status shows: a thousand of the longest names
// are 250 kB, a sixth of what an object may be.
const mostNames = 1000

// joined sorts names and joins them with commas.
func joined(names []string) string {
	slices.Sort(names)
	if more := len(names) - mostNames; more > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:mostNames], ","), more)
	}
	return strings.Join(names, ",")
}

// numbers is how many objects there are, in how many namespaces; empty for none.
func numbers(objects, namespaces int) string {
	switch {
	case objects == 0:
		return ""
	case namespaces == 1:
		return fmt.Sprintf("%d in 1 namespace", objects)
	}
	return fmt.Sprintf("%d in %d namespaces", objects, namespaces)
}
