package scaledobject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/kube"
)

// evaluate decides on the newest readings and acts on the decision. It returns
// nil and no error when there is nothing to decide on.
func (r *Reconciler) evaluate(ctx context.Context, so *v1alpha1.ScaledObject, st *object) (*decide.Decision, error) {
	p := st.current.Load()
	st.gone, st.countAt = "", time.Time{}
	if p == nil {
		return nil, nil
	}
	replicas, err := r.replicas(ctx, p.target)
	if st.missing(err) {
		return nil, nil
	}
	if st.original == nil && err == nil {
		st.original = &replicas
	}
	seen := r.view(ctx, p, replicas, err)
	in := r.input(so, st, p, seen)
	d := decide.Decide(in)
	switch {
	case err != nil:
		d.Ready.Message = scaled.Cause(err)
	case d.Action != decide.Hold:
		d, err = r.act(ctx, so, p, in)
		if st.missing(err) {
			return nil, nil
		}
		if err != nil {
			return &d, err
		}
	}
	if d.Action == decide.Hold && err == nil {
		r.settle(st, p, d, seen)
	}
	st.LastActive, st.marks, st.countAt = d.LastActive, seen.marks, seen.next
	st.seen.Store(&seen.size)
	r.record(so, st, d)
	r.tell.Failures(so, &st.Memory, p.failed(), p.failures(st.marks, d.Triggers))
	r.watch(so, st, p, d)
	return &d, err
}

// missing reports whether err says that the workload is gone, and remembers
// that. Measuring goes on for when it is back.
func (o *object) missing(err error) bool {
	wrong := scaled.AsProblem(err)
	if wrong != nil {
		o.gone = wrong.Message
	}
	return wrong != nil
}

// input gathers what the decision depends on.
func (r *Reconciler) input(so *v1alpha1.ScaledObject, st *object, p *plan, seen view) decide.Input {
	if at := time.Unix(0, st.activeAt.Swap(0)); at.After(st.LastActive) && at.Unix() > 0 {
		st.LastActive = at
	}
	in := decide.Input{
		Now: seen.at, Created: so.CreationTimestamp.Time, LastActive: st.LastActive,
		Replicas: seen.size.replicas, ReplicasKnown: seen.size.err == nil,
		Min: so.Spec.MinReplicas(), Max: so.Spec.MaxReplicas(),
		Cooldown: so.Spec.CooldownDuration(), InitialCooldown: so.Spec.InitialCooldownDuration(),
		PausedScaleIn: so.ScaleInPaused(), PausedScaleOut: so.ScaleOutPaused(), ForceActivation: so.ActivationForced(),
		Triggers: seen.triggers,
	}
	if so.Spec.IdleReplicaCount != nil {
		in.HasIdle, in.Idle = true, *so.Spec.IdleReplicaCount
	}
	if n, err := p.fallbackReplicas(seen.size); p.fallback != nil && err == nil {
		in.Fallback, in.FallbackReplicas = true, n
	}
	if st.Problem != "" {
		// The spec in force is not the newest one: it may wake the workload, but
		// not put it to rest.
		in.Triggers = append(in.Triggers, decide.Trigger{Name: "the newest spec", Err: st.Problem})
	}
	return in
}

// replicas returns how many replicas the workload is to have, from the cache
// where there is one. A missing workload is a ProblemError.
func (r *Reconciler) replicas(ctx context.Context, t kube.Target) (int32, error) {
	at := client.ObjectKey{Namespace: t.Namespace, Name: t.Name}
	var err error
	var n *int32
	switch {
	case isDeployment(t):
		d := new(appsv1.Deployment)
		err = r.Client.Get(ctx, at, d)
		n = d.Spec.Replicas
	case isStatefulSet(t):
		s := new(appsv1.StatefulSet)
		err = r.Client.Get(ctx, at, s)
		n = s.Spec.Replicas
	default:
		scale, err := r.scale(ctx, t)
		if err != nil {
			return 0, err
		}
		return scale.Spec.Replicas, nil
	}
	if err != nil {
		return 0, targetError(t, err)
	}
	if n == nil {
		return 1, nil
	}
	return *n, nil
}

// scale reads the scale of a workload. A missing one is a ProblemError.
func (r *Reconciler) scale(ctx context.Context, t kube.Target) (*autoscalingv1.Scale, error) {
	scale, err := r.Scales.Get(ctx, t)
	if missing, ok := errors.AsType[*kube.NoScaleError](err); ok {
		return nil, scaled.Problem("spec.scaleTargetRef: %v", missing)
	}
	return scale, err
}

// act scales the workload as the decision on in says. The scale is read first:
// when the workload is not what the cache said, the decision is taken anew, once.
func (r *Reconciler) act(ctx context.Context, so *v1alpha1.ScaledObject, p *plan, in decide.Input) (decide.Decision, error) {
	started := r.Now()
	scale, err := r.scale(ctx, p.target)
	if err != nil {
		d := decide.Decide(in)
		if scaled.AsProblem(err) == nil {
			r.tellScaled(so, p, d, started, err)
		}
		return d, err
	}
	in.Replicas = scale.Spec.Replicas
	d := decide.Decide(in)
	if d.Action == decide.Hold {
		return d, nil
	}
	err = r.Scales.Set(ctx, p.target, scale, d.To)
	if !apierrors.IsConflict(err) {
		r.tellScaled(so, p, d, started, err)
	}
	return d, err
}

// tellScaled logs a scaling and emits its event.
func (r *Reconciler) tellScaled(so *v1alpha1.ScaledObject, p *plan, d decide.Decision, started time.Time, err error) {
	if r.OnScaled != nil {
		r.OnScaled(Scaled{so.Namespace, so.Name, d, newest(d), started, r.Now(), err})
	}
	reason, failed := v1alpha1.EventScaleTargetActivated, v1alpha1.EventScaleTargetActivationFailed
	if d.Action == decide.Deactivate {
		reason, failed = v1alpha1.EventScaleTargetDeactivated, v1alpha1.EventScaleTargetDeactivationFailed
	}
	note := fmt.Sprintf("%s %s/%s from %d to %d: %s", p.target.Kind.Kind, p.target.Namespace, p.target.Name, d.From, d.To, d.Message)
	if err != nil {
		r.Log.Error("scaling failed", scaled.Named(so), slog.Any("decision", d), slog.Any("error", err))
		r.tell.Warning(so, failed, "scaling", fmt.Sprintf("scaling %s: %v", note, err))
		return
	}
	r.Log.Info("scaled", scaled.Named(so), slog.String("action", string(d.Action)), slog.Int("from", int(d.From)),
		slog.Int("to", int(d.To)), slog.String("reason", string(d.Reason)), slog.String("message", d.Message))
	r.tell.Normal(so, reason, "scaling", "scaled "+note)
}

// newest is when the newest of the readings was taken that say there is work; zero
// when none does.
func newest(d decide.Decision) time.Time {
	var at time.Time
	for _, t := range d.Triggers {
		if measured := d.At.Add(-t.Age); t.State == decide.Busy && !t.FallbackActive && measured.After(at) {
			at = measured
		}
	}
	return at
}

// record remembers a decision.
func (r *Reconciler) record(so *v1alpha1.ScaledObject, st *object, d decide.Decision) {
	st.Decisions.Add(told(d))
	if r.OnDecision != nil {
		r.OnDecision(so.Namespace, so.Name, d)
	}
}

// failures are the triggers of a decision as far as their failures are to be told:
// those of the plan by what was measured, whatever stands in for it, and the formula
// unless a trigger that feeds it fails, which is told.
func (p *plan) failures(marks []mark, list []decide.Trigger) []decide.Trigger {
	out := slices.Clone(list[:p.decided()])
	for i := range p.triggers {
		if marks[i].Kind == "" {
			out[i].Err = ""
		}
	}
	if n := len(p.triggers); len(out) > n && out[n].FallbackActive {
		out = out[:n]
	}
	return out
}

// failed is the reason of the event that tells of a failure.
func (p *plan) failed() string {
	if p.modifiers != nil {
		return v1alpha1.EventMetricSourceFailed
	}
	return v1alpha1.EventScalerFailed
}

// decided is how many triggers of a decision are of the plan or its formula; they
// come first.
func (p *plan) decided() int {
	if p.modifiers != nil {
		return len(p.triggers) + 1
	}
	return len(p.triggers)
}

// watch tells the engine when the workload went to rest or woke, so that it
// watches for work only where a signal can wake something.
func (r *Reconciler) watch(so *v1alpha1.ScaledObject, st *object, p *plan, d decide.Decision) {
	idle := d.To == 0 || so.Spec.IdleReplicaCount != nil && d.To <= *so.Spec.IdleReplicaCount
	if idle == st.Watching || d.From < 0 {
		return
	}
	st.Watching = idle
	r.Engine.Set(scaled.Object.Owner(client.ObjectKeyFromObject(so)), p.uses(idle))
}
