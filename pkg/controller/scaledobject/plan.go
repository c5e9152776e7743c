package scaledobject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/triggers"
)

// plan makes the object's newest spec the one in force: the HPA is written and
// the engine is told. A ProblemError leaves the last good plan in force, unless
// the workload belongs to another object.
func (r *Reconciler) plan(ctx context.Context, so *v1alpha1.ScaledObject, st *object) error {
	st.StaleAt = time.Time{}
	if err := r.claim(ctx, so); err != nil {
		return err
	}
	if so.PauseRequested() {
		// An object that is paused need not be right in any other respect.
		return r.pause(ctx, so, st)
	}
	st.Paused = false
	target, wrong, warnings, err := r.check(ctx, so)
	if err != nil {
		return err
	}
	result, err := r.triggers(ctx, so, st, target)
	if wrong, err = scaled.Collect(wrong, err); err != nil {
		return err
	}
	if target.Name != "" {
		if err := r.rivals(ctx, so, target); err != nil {
			return r.yield(ctx, so, st, err)
		}
	}
	st.yielded = false
	if err := scaled.Problems(append(wrong, result.Problems...)); err != nil {
		return err
	}
	if err := r.foreignHPA(ctx, so, target); err != nil {
		return err
	}
	next, err := r.draft(ctx, so, st.current.Load(), target, result.Triggers)
	if err != nil {
		return err
	}
	// An HPA without a metric would scale on CPU.
	if want := desiredHPA(so, next, r.Version); len(want.Spec.Metrics) > 0 {
		if err := r.applyHPA(ctx, so, st, want); err != nil {
			return err
		}
	}
	r.enforce(so, st, next)
	r.tell.Warnings(so, &st.Memory, append(warnings, result.Warnings...))
	return r.deleteHPAs(ctx, so, next.hpaName)
}

// check looks at the object apart from its triggers' parameters, and at its workload.
func (r *Reconciler) check(ctx context.Context, so *v1alpha1.ScaledObject) (target kube.Target, wrong, warnings []triggers.Problem, err error) {
	wrong, warnings = triggers.CheckScaledObject(so)
	target, err = r.target(so)
	if wrong, err = scaled.Collect(wrong, err); err != nil {
		return target, nil, nil, err
	}
	doubts, err := r.resources(ctx, so, target)
	return target, wrong, append(warnings, doubts...), err
}

// draft makes the plan of a spec that is right.
func (r *Reconciler) draft(ctx context.Context, so *v1alpha1.ScaledObject, before *plan, target kube.Target, list []triggers.Trigger) (*plan, error) {
	next := &plan{
		target: target, triggers: list, interval: so.Spec.PollingIntervalDuration(), hpaName: so.HPAName(), fallback: so.Spec.Fallback.DeepCopy(),
	}
	var err error
	if next.modifiers, err = modifiersOf(so, list); err != nil {
		return nil, err
	}
	return next, r.name(ctx, so, before, next)
}

// enforce puts a plan in force whose HPA is in place.
func (r *Reconciler) enforce(so *v1alpha1.ScaledObject, st *object, next *plan) {
	before := st.current.Load()
	next.carry(before, r.Engine.Latest)
	next.remember(before, st.written.Health, r.Engine.Latest, r.Now())
	st.replace(next, r.Engine.Latest)
	r.Engine.Set(scaled.Object.Owner(client.ObjectKeyFromObject(so)), next.uses(st.Watching))
	if st.retargeted(before, next) {
		st.original = nil
	}
	if before == nil && !slices.Equal(st.written.ExternalMetricNames, next.metricNames()) {
		// Not after a restart: nothing has changed for the user then.
		r.tell.Normal(so, v1alpha1.EventScalersStarted, "measuring",
			fmt.Sprintf("measuring %s every %s", strings.Join(next.metricNames(), ", "), next.interval))
	}
}

// retargeted reports whether a plan is for another workload than the one before
// or, if there was none, for one of another kind than the status tells of.
func (o *object) retargeted(before, next *plan) bool {
	if before != nil {
		return before.target != next.target
	}
	was := o.written.ScaleTargetGVKR
	return was != nil && *was != gvkr(next.target)
}

// claim adds the finalizer and the label that the HPA's selector uses.
func (r *Reconciler) claim(ctx context.Context, so *v1alpha1.ScaledObject) error {
	before := so.DeepCopy()
	changed := controllerutil.AddFinalizer(so, v1alpha1.Finalizer)
	if so.Labels[v1alpha1.LabelScaledObjectName] != so.Name && len(so.Name) <= maxLabelValue {
		if so.Labels == nil {
			so.Labels = map[string]string{}
		}
		so.Labels[v1alpha1.LabelScaledObjectName] = so.Name
		changed = true
	}
	if !changed {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, so, patch, client.FieldOwner(kube.FieldManager)); err != nil {
		return fmt.Errorf("adding finalizer and label: %w", err)
	}
	return nil
}

// maxLabelValue is the length that Kubernetes allows a label's value.
const maxLabelValue = 63

// target finds the kind of the workload.
func (r *Reconciler) target(so *v1alpha1.ScaledObject) (kube.Target, error) {
	kind, err := so.Spec.ScaleTargetRef.GroupVersionKind()
	if err != nil {
		return kube.Target{}, scaled.Problem("spec.scaleTargetRef: %v", err)
	}
	target, err := r.Scales.Find(kind, so.Namespace, so.Spec.ScaleTargetRef.Name)
	if _, unknown := errors.AsType[*kube.UnknownKindError](err); unknown {
		return kube.Target{}, scaled.Problem("spec.scaleTargetRef: %v", err)
	}
	return target, err
}

// triggers resolves credentials and parses the triggers. What they depend on is
// watched from now on, also what is missing.
func (r *Reconciler) triggers(ctx context.Context, so *v1alpha1.ScaledObject, st *object, target kube.Target) (triggers.Result, error) {
	workload := kube.Workload{Namespace: so.Namespace, Name: so.Name, Container: so.Spec.ScaleTargetRef.EnvSourceContainerName}
	var missing error
	if target.Name != "" && scaled.NeedsEnvironment(so.Spec.Triggers) {
		workload.Pod, missing = r.podTemplate(ctx, target)
	}
	found, err := r.resolver.Resolve(ctx, scaled.Object.Owner(client.ObjectKeyFromObject(so)), workload, so.Spec.Triggers, so.Spec.Modifiers().InUse())
	if err != nil {
		return triggers.Result{}, err
	}
	st.StaleAt = found.StaleAt
	return found.Result, missing
}

// resources warns of cpu and memory triggers that admission refuses. Here they only
// cause doubts: an object that got past admission may have other triggers, its pods
// may get their requests when they are made, and what runs must go on.
func (r *Reconciler) resources(ctx context.Context, so *v1alpha1.ScaledObject, target kube.Target) ([]triggers.Problem, error) {
	if !slices.ContainsFunc(so.Spec.Triggers, func(t v1alpha1.Trigger) bool { return t.Type == "cpu" || t.Type == "memory" }) {
		return nil, nil
	}
	var limits corev1.LimitRangeList
	if err := r.Client.List(ctx, &limits, client.InNamespace(so.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing LimitRanges: %w", err)
	}
	var pod *corev1.PodSpec
	if isDeployment(target) || isStatefulSet(target) {
		var err error
		if pod, err = r.podTemplate(ctx, target); err != nil && scaled.AsProblem(err) == nil {
			return nil, err
		}
	}
	wrong, doubtful := triggers.CheckResources(so, pod, limits.Items)
	return append(wrong, doubtful...), nil
}

// podTemplate returns the pod template of a target, or nil when it has none.
// Deployments and StatefulSets come from the cache, anything else is read.
func (r *Reconciler) podTemplate(ctx context.Context, t kube.Target) (*corev1.PodSpec, error) {
	at := client.ObjectKey{Namespace: t.Namespace, Name: t.Name}
	var err error
	var pod *corev1.PodSpec
	switch {
	case isDeployment(t):
		d := new(appsv1.Deployment)
		err = r.Client.Get(ctx, at, d)
		pod = &d.Spec.Template.Spec
	case isStatefulSet(t):
		s := new(appsv1.StatefulSet)
		err = r.Client.Get(ctx, at, s)
		pod = &s.Spec.Template.Spec
	default:
		return r.customPodTemplate(ctx, t)
	}
	if err != nil {
		return nil, targetError(t, err)
	}
	return pod, nil
}

// customPodTemplate reads spec.template.spec of any kind; nil when there is none
// or weir may not read the kind, which then has an empty environment.
func (r *Reconciler) customPodTemplate(ctx context.Context, t kube.Target) (*corev1.PodSpec, error) {
	u := new(unstructured.Unstructured)
	u.SetGroupVersionKind(t.Kind)
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Name}, u)
	switch {
	case apierrors.IsForbidden(err):
		r.Log.Warn("cannot read the workload's environment; grant weir get on its kind", slog.Any("object", t))
		return nil, nil
	case err != nil:
		return nil, targetError(t, err)
	}
	spec, found, err := unstructured.NestedMap(u.Object, "spec", "template", "spec")
	if err != nil || !found {
		return nil, nil //nolint:nilerr // something else is called spec.template there: no pod template
	}
	pod := new(corev1.PodSpec)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, pod); err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	return pod, nil
}

// targetError tells a missing workload from one that cannot be read.
func targetError(t kube.Target, err error) error {
	if apierrors.IsNotFound(err) {
		return scaled.Problem("spec.scaleTargetRef: %v does not exist; create it, or correct the reference", t)
	}
	return fmt.Errorf("reading %v: %w", t, err)
}

func isDeployment(t kube.Target) bool {
	return t.Kind == appsv1.SchemeGroupVersion.WithKind("Deployment")
}

func isStatefulSet(t kube.Target) bool {
	return t.Kind == appsv1.SchemeGroupVersion.WithKind("StatefulSet")
}
