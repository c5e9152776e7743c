package scaledobject

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
)

// OnReference is for kube.NewWatches: it asks for the objects to be planned anew
// that depend on ref, which are named as References.Set named them.
func (r *Reconciler) OnReference(dependents []string) {
	for key := range scaled.KeysOf(scaled.Object, dependents) {
		r.ask(key, scaled.Replan)
	}
}

// SetUp registers the reconciler with a manager, with so many objects at a time.
func (r *Reconciler) SetUp(ctx context.Context, m ctrl.Manager, concurrency int) error {
	if err := scaled.AddIndexes(ctx, m.GetFieldIndexer(), indexes()); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(m).
		Named("scaledobject").
		WithOptions(scaled.Options(concurrency)).
		For(&v1alpha1.ScaledObject{}, builder.WithPredicates(changedByUser())).
		Watches(&v1alpha1.ScaledObject{}, r.siblings()).
		Watches(&autoscalingv2.HorizontalPodAutoscaler{}, r.fromHPA()).
		Watches(&appsv1.Deployment{}, r.fromTarget("Deployment")).
		Watches(&appsv1.StatefulSet{}, r.fromTarget("StatefulSet")).
		Watches(&v1alpha1.TriggerAuthentication{}, r.finder().FromAuthentication(v1alpha1.KindTriggerAuthentication)).
		Watches(&v1alpha1.ClusterTriggerAuthentication{}, r.finder().FromAuthentication(v1alpha1.KindClusterTriggerAuthentication)).
		WatchesRawSource(source.Func(r.queue.Start)).
		Complete(r)
}

// indexes are what the reconciler looks things up by in the cache.
func indexes() []scaled.Index {
	return []scaled.Index{
		{Object: &v1alpha1.ScaledObject{}, Name: indexTarget, Keys: targetKeys},
		{Object: &v1alpha1.ScaledObject{}, Name: indexHPA, Keys: hpaKeys},
		{Object: &v1alpha1.ScaledObject{}, Name: scaled.IndexAuth, Keys: scaled.AuthKeys},
		{Object: &autoscalingv2.HorizontalPodAutoscaler{}, Name: indexTarget, Keys: scaledByHPA},
		{Object: &autoscalingv2.HorizontalPodAutoscaler{}, Name: indexOwner, Keys: ownedHPA},
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

// finder finds the ScaledObjects that a change concerns.
func (r *Reconciler) finder() scaled.Finder {
	return scaled.Finder{Cache: r.Client, List: func() client.ObjectList { return new(v1alpha1.ScaledObjectList) }, Ask: r.ask, Log: r.Log}
}

// ask asks for an object to be reconciled.
func (r *Reconciler) ask(k client.ObjectKey, what scaled.Effect) {
	if st := r.objects.Find(k); st != nil && what == scaled.Replan {
		st.Dirty.Store(true)
	}
	r.queue.Add(k)
}

// siblings plans anew, after an object came, changed or went, those that ask for
// the same workload or HPA: one of them may be free to have it now.
func (r *Reconciler) siblings() handler.EventHandler {
	return r.finder().Affects(scaled.NewGeneration, func(o client.Object) []scaled.Query {
		var out []scaled.Query
		for index, keys := range map[string][]string{indexTarget: targetKeys(o), indexHPA: hpaKeys(o)} {
			for _, k := range keys {
				out = append(out, scaled.Query{Namespace: o.GetNamespace(), Index: index, Key: k})
			}
		}
		return out
	})
}

// fromHPA plans anew what an HPA belongs to, or whose workload or HPA name it
// has, and evaluates it when only the HPA's word on scaling changed.
func (r *Reconciler) fromHPA() handler.EventHandler {
	return r.finder().Affects(hpaEffect, func(o client.Object) []scaled.Query {
		out := []scaled.Query{{Namespace: o.GetNamespace(), Index: indexHPA, Key: o.GetName()}}
		for _, key := range scaledByHPA(o) {
			out = append(out, scaled.Query{Namespace: o.GetNamespace(), Index: indexTarget, Key: key})
		}
		return out
	})
}

// hpaEffect leaves out what the HPA controller writes on every tick.
func hpaEffect(before, after client.Object) scaled.Effect {
	a, okA := before.(*autoscalingv2.HorizontalPodAutoscaler)
	b, okB := after.(*autoscalingv2.HorizontalPodAutoscaler)
	if !okA || !okB {
		return scaled.Nothing
	}
	if !equality.Semantic.DeepEqual(a.Spec, b.Spec) ||
		!equality.Semantic.DeepEqual(a.Labels, b.Labels) ||
		!equality.Semantic.DeepEqual(a.Annotations, b.Annotations) ||
		!equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences) {
		return scaled.Replan
	}
	was, _ := scalingActive(a)
	is, _ := scalingActive(b)
	if was.Status != is.Status || was.Reason != is.Reason {
		return scaled.Look
	}
	return scaled.Nothing
}

// fromTarget plans anew when a workload came, went, or changed in its template,
// which holds the environment, and evaluates when it was scaled.
func (r *Reconciler) fromTarget(kind string) handler.EventHandler {
	gk := schema.GroupKind{Group: appsv1.GroupName, Kind: kind}
	return r.finder().Affects(targetEffect, func(o client.Object) []scaled.Query {
		return []scaled.Query{{Namespace: o.GetNamespace(), Index: indexTarget, Key: workload(gk, o.GetName())}}
	})
}

// targetEffect leaves out status, which changes with every pod.
func targetEffect(before, after client.Object) scaled.Effect {
	if scaled.NewGeneration(before, after) == scaled.Nothing {
		return scaled.Nothing
	}
	if equality.Semantic.DeepEqual(podTemplate(before), podTemplate(after)) {
		return scaled.Look
	}
	return scaled.Replan
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
var _ scaled.References = (*kube.Watches)(nil)
