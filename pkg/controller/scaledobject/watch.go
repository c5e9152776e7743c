package scaledobject

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
)

// queue is the controller's queue, once it runs.
type queue struct {
	q atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]
}

// add asks for an object to be reconciled; before the controller runs it does
// nothing, as every object is reconciled when it starts.
func (q *queue) add(key client.ObjectKey) {
	if to := q.q.Load(); to != nil {
		(*to).Add(reconcile.Request{NamespacedName: key})
	}
}

// OnReference is for kube.NewWatches: it asks for the objects to be planned anew
// that depend on ref, which are named as References.Set named them.
func (r *Reconciler) OnReference(dependents []string) {
	for _, d := range dependents {
		if k, ok := key(engine.Owner(ownerPrefix + d)); ok {
			r.ask(k, replan)
		}
	}
}

// How long an object waits after a failure of the API server: doubling from
// the first to the last.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 30 * time.Second
)

// SetUp registers the reconciler with a manager, with so many objects at a time.
func (r *Reconciler) SetUp(ctx context.Context, m ctrl.Manager, concurrency int) error {
	for _, i := range indexes() {
		if err := m.GetFieldIndexer().IndexField(ctx, i.object, i.name, i.keys); err != nil {
			return fmt.Errorf("adding index %q: %w", i.name, err)
		}
	}
	return ctrl.NewControllerManagedBy(m).
		Named("scaledobject").
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryLast),
		}).
		For(&v1alpha1.ScaledObject{}, builder.WithPredicates(changedByUser())).
		Watches(&v1alpha1.ScaledObject{}, r.siblings()).
		Watches(&autoscalingv2.HorizontalPodAutoscaler{}, r.fromHPA()).
		Watches(&appsv1.Deployment{}, r.fromTarget("Deployment")).
		Watches(&appsv1.StatefulSet{}, r.fromTarget("StatefulSet")).
		Watches(&v1alpha1.TriggerAuthentication{}, r.fromAuthentication(v1alpha1.KindTriggerAuthentication)).
		Watches(&v1alpha1.ClusterTriggerAuthentication{}, r.fromAuthentication(v1alpha1.KindClusterTriggerAuthentication)).
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			r.queue.q.Store(&q)
			return nil
		})).
		Complete(r)
}

// index is what the reconciler looks things up by in the cache.
type index struct {
	object client.Object
	name   string
	keys   client.IndexerFunc
}

func indexes() []index {
	return []index{
		{&v1alpha1.ScaledObject{}, indexTarget, targetKeys},
		{&v1alpha1.ScaledObject{}, indexHPA, hpaKeys},
		{&v1alpha1.ScaledObject{}, indexAuth, authKeys},
		{&autoscalingv2.HorizontalPodAutoscaler{}, indexTarget, scaledByHPA},
		{&autoscalingv2.HorizontalPodAutoscaler{}, indexOwner, ownedHPA},
	}
}

func targetKeys(o client.Object) []string {
	so, ok := o.(*v1alpha1.ScaledObject)
	if !ok || targetOf(so) == "" {
		return nil
	}
	return []string{targetOf(so)}
}

func hpaKeys(o client.Object) []string {
	so, ok := o.(*v1alpha1.ScaledObject)
	if !ok {
		return nil
	}
	return []string{so.HPAName()}
}

func authKeys(o client.Object) []string {
	so, ok := o.(*v1alpha1.ScaledObject)
	if !ok {
		return nil
	}
	var keys []string
	for _, t := range so.Spec.Triggers {
		if t.AuthenticationRef != nil {
			keys = append(keys, authKey(t.AuthenticationRef.EffectiveKind(), t.AuthenticationRef.Name))
		}
	}
	return keys
}

func authKey(kind, name string) string { return kind + "/" + name }

func scaledByHPA(o client.Object) []string {
	h, ok := o.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return nil
	}
	gv, err := schema.ParseGroupVersion(h.Spec.ScaleTargetRef.APIVersion)
	if err != nil {
		return nil
	}
	return []string{workload(schema.GroupKind{Group: gv.Group, Kind: h.Spec.ScaleTargetRef.Kind}, h.Spec.ScaleTargetRef.Name)}
}

func ownedHPA(o client.Object) []string {
	h, ok := o.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok || scaledObjectOf(h) == "" {
		return nil
	}
	return []string{scaledObjectOf(h)}
}

// effect is what a change of an object means for the ScaledObjects it concerns.
type effect int

const (
	nothing effect = iota
	look           // evaluate them
	replan         // plan them anew, and evaluate them
)

// query finds ScaledObjects by an index; without a namespace, in all of them.
type query struct{ namespace, index, key string }

// affects makes a handler of the changes of objects: what is created or deleted
// makes those concerned plan anew, a change has the effect that compare says.
func (r *Reconciler) affects(compare func(before, after client.Object) effect, concerned func(client.Object) []query) handler.EventHandler {
	type q = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, _ q) {
			r.affect(ctx, e.Object, replan, concerned(e.Object))
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, _ q) {
			r.affect(ctx, e.Object, replan, concerned(e.Object))
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, _ q) {
			if what := compare(e.ObjectOld, e.ObjectNew); what != nothing {
				queries := append(concerned(e.ObjectOld), concerned(e.ObjectNew)...)
				slices.SortFunc(queries, func(a, b query) int { return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.key, b.key)) })
				r.affect(ctx, e.ObjectNew, what, slices.Compact(queries))
			}
		},
	}
}

// affect has the effect on all ScaledObjects that queries find, but on the one
// that changed itself.
func (r *Reconciler) affect(ctx context.Context, changed client.Object, what effect, queries []query) {
	for _, q := range queries {
		var list v1alpha1.ScaledObjectList
		err := r.Client.List(ctx, &list, client.InNamespace(q.namespace), client.MatchingFields{q.index: q.key}, client.UnsafeDisableDeepCopy)
		if err != nil {
			r.Log.Error("looking up ScaledObjects failed", slog.String("index", q.index), slog.Any("error", err))
			continue
		}
		for i := range list.Items {
			if so := &list.Items[i]; so.UID != changed.GetUID() {
				r.ask(client.ObjectKeyFromObject(so), what)
			}
		}
	}
}

// ask asks for an object to be reconciled.
func (r *Reconciler) ask(k client.ObjectKey, what effect) {
	if st := r.objects.find(k); st != nil && what == replan {
		st.dirty.Store(true)
	}
	r.queue.add(k)
}

// newGeneration is the effect of a change that counts when the spec changed.
func newGeneration(before, after client.Object) effect {
	if before.GetGeneration() == after.GetGeneration() {
		return nothing
	}
	return replan
}

// siblings plans anew, after an object came, changed or went, those that ask for
// the same workload or HPA: one of them may be free to have it now.
func (r *Reconciler) siblings() handler.EventHandler {
	return r.affects(newGeneration, func(o client.Object) []query {
		var out []query
		for index, keys := range map[string][]string{indexTarget: targetKeys(o), indexHPA: hpaKeys(o)} {
			for _, k := range keys {
				out = append(out, query{o.GetNamespace(), index, k})
			}
		}
		return out
	})
}

// fromHPA plans anew what an HPA belongs to, or whose workload or HPA name it
// has, and evaluates it when only the HPA's word on scaling changed.
func (r *Reconciler) fromHPA() handler.EventHandler {
	return r.affects(hpaEffect, func(o client.Object) []query {
		out := []query{{o.GetNamespace(), indexHPA, o.GetName()}}
		for _, key := range scaledByHPA(o) {
			out = append(out, query{o.GetNamespace(), indexTarget, key})
		}
		return out
	})
}

// hpaEffect leaves out what the HPA controller writes on every tick.
func hpaEffect(before, after client.Object) effect {
	a, okA := before.(*autoscalingv2.HorizontalPodAutoscaler)
	b, okB := after.(*autoscalingv2.HorizontalPodAutoscaler)
	if !okA || !okB {
		return nothing
	}
	if !equality.Semantic.DeepEqual(a.Spec, b.Spec) ||
		!equality.Semantic.DeepEqual(a.Labels, b.Labels) ||
		!equality.Semantic.DeepEqual(a.Annotations, b.Annotations) ||
		!equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences) {
		return replan
	}
	was, _ := scalingActive(a)
	is, _ := scalingActive(b)
	if was.Status != is.Status || was.Reason != is.Reason {
		return look
	}
	return nothing
}

// fromTarget plans anew when a workload came, went, or changed in its template,
// which holds the environment, and evaluates when it was scaled.
func (r *Reconciler) fromTarget(kind string) handler.EventHandler {
	gk := schema.GroupKind{Group: appsv1.GroupName, Kind: kind}
	return r.affects(targetEffect, func(o client.Object) []query {
		return []query{{o.GetNamespace(), indexTarget, workload(gk, o.GetName())}}
	})
}

// targetEffect leaves out status, which changes with every pod.
func targetEffect(before, after client.Object) effect {
	if newGeneration(before, after) == nothing {
		return nothing
	}
	if equality.Semantic.DeepEqual(podTemplate(before), podTemplate(after)) {
		return look
	}
	return replan
}

// podTemplate returns the pod template of a Deployment or StatefulSet.
func podTemplate(o client.Object) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	}
	return nil
}

// fromAuthentication plans anew what refers to an authentication object.
func (r *Reconciler) fromAuthentication(kind string) handler.EventHandler {
	return r.affects(newGeneration, func(o client.Object) []query {
		return []query{{o.GetNamespace(), indexAuth, authKey(kind, o.GetName())}}
	})
}

// changedByUser lets through what a user changes: spec, annotations, labels and
// deletion; not status.
func changedByUser() predicate.Predicate {
	return predicate.Or(
		predicate.GenerationChangedPredicate{},
		predicate.AnnotationChangedPredicate{},
		predicate.LabelChangedPredicate{},
	)
}

// The watches of package kube are the references a reconciler needs.
var _ References = (*kube.Watches)(nil)
