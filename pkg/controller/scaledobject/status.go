package scaledobject

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/triggers"
)

// draft is a status in the making.
type draft struct {
	*v1alpha1.ScaledObjectStatus

	conditions scaled.Conditions
}

// only is so with nothing but its name and a status.
func only(so *v1alpha1.ScaledObject, uid types.UID, status *v1alpha1.ScaledObjectStatus) *v1alpha1.ScaledObject {
	return &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Name: so.Name, Namespace: so.Namespace, UID: uid}, Status: *status.DeepCopy()}
}

// writeStatus writes the status if it differs from the one last written. Failure
// is what kept this pass from being finished, or nil.
func (r *Reconciler) writeStatus(ctx context.Context, so *v1alpha1.ScaledObject, st *object, d *decide.Decision, failure error) error {
	old := st.written
	next := &draft{ScaledObjectStatus: old.DeepCopy()}
	next.conditions = st.Conditions(so, &next.Conditions, r.Now())
	next.fill(so, st, d)
	next.conditions.Set(v1alpha1.ConditionActive, activeCondition(st, d))
	next.conditions.Set(v1alpha1.ConditionPaused, scaled.Paused(pausedCondition(so, st), old.Conditions))
	next.conditions.Set(v1alpha1.ConditionReady, readyCondition(st, d, failure))
	next.conditions.Set(v1alpha1.ConditionFallback, fallbackCondition(so, d)) // last: tools show the last that is bad
	if err := r.hpaCondition(ctx, so, st, next); err != nil {
		return err
	}
	next.LastActiveTime = scaled.LastActive(next.LastActiveTime, old.Conditions, next.Conditions, st.LastActive)
	if !equality.Semantic.DeepEqual(old, next.ScaledObjectStatus) {
		err := kube.PatchStatus(ctx, r.Client, only(so, "", old), only(so, so.UID, next.ScaledObjectStatus))
		if apierrors.IsNotFound(err) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		st.written = next.ScaledObjectStatus
		r.tellFallback(so, st, v1alpha1.ConditionStatus(old.Conditions, v1alpha1.ConditionFallback), d)
		r.tell.Conditions(so, old.Conditions, next.Conditions)
	}
	st.Written(next.conditions)
	return nil
}

// fill sets what follows from spec, plan and decision.
func (s *draft) fill(so *v1alpha1.ScaledObject, st *object, d *decide.Decision) {
	s.ObservedGeneration = so.Generation
	types, auths := triggers.Types(so.Spec.Triggers), triggers.Authentications(so.Spec.Triggers)
	s.TriggersTypes, s.AuthenticationsTypes = &types, &auths
	s.PausedReplicaCount = nil
	if st.Paused || st.yielded {
		s.HPAName = ""
	}
	if count, err := so.PausedReplicas(); err == nil && st.Paused {
		s.PausedReplicaCount = count
	}
	p := st.current.Load()
	if p == nil {
		return
	}
	s.HPAName, s.OriginalReplicaCount = p.hpaName, st.original
	gvkr := gvkr(p.target)
	s.ScaleTargetGVKR, s.ScaleTargetKind = &gvkr, gvkr.KindString()
	s.ExternalMetricNames, s.ResourceMetricNames = p.metricNames(), p.resourceNames()
	s.CompositeScalerName = ""
	if p.modifiers != nil {
		s.CompositeScalerName = p.modifiers.Name
	}
	if d != nil {
		s.activity(p, d)
		s.health(p, st.marks)
	}
}

// activity tells which triggers have work, and whether the formula does.
func (s *draft) activity(p *plan, d *decide.Decision) {
	was := s.TriggersActivity
	s.TriggersActivity = make(map[string]v1alpha1.TriggerActivity, len(p.triggers))
	for i, t := range d.Triggers[:p.decided()] {
		unmeasured := t.State == decide.Unknown && t.Err == "" // as after a restart: what was said holds
		for _, name := range p.namesOf(i) {
			s.TriggersActivity[name] = v1alpha1.TriggerActivity{IsActive: t.State == decide.Busy || unmeasured && was[name].IsActive}
		}
	}
}

// health tells of the failures of each trigger that a fallback may stand in for.
func (s *draft) health(p *plan, marks []mark) {
	was := s.Health
	s.Health = nil
	for i, m := range marks {
		for _, name := range p.namesOf(i) {
			h := v1alpha1.HealthStatus{NumberOfFailures: new(m.failures), Status: v1alpha1.HealthStatusHappy}
			if m.failures > 0 {
				h.Status = v1alpha1.HealthStatusFailing
			}
			if _, known := was[name]; p.fallback == nil || m.Sign == (scaled.Sign{}) && m.failures == 0 && !known {
				continue // not measured yet
			}
			if s.Health == nil {
				s.Health = map[string]v1alpha1.HealthStatus{}
			}
			s.Health[name] = h
		}
	}
}

// gvkr is the kind of a workload as the status has it.
func gvkr(t kube.Target) v1alpha1.GroupVersionKindResource {
	return v1alpha1.GroupVersionKindResource{Group: t.Kind.Group, Version: t.Kind.Version, Kind: t.Kind.Kind, Resource: t.Resource.Resource}
}

// activeCondition tells whether there is work: unknown for an object that is not
// in force, and left as it was while scaling is paused.
func activeCondition(st *object, d *decide.Decision) decide.Condition {
	switch {
	case d != nil:
		return d.Active
	case st.complaint() != "":
		return scaled.NotInForce()
	}
	return decide.Condition{}
}

// fallbackCondition tells whether a fallback is in use. Without a decision, or the
// replicas that it may depend on, it stays as it is, unless there is no fallback any
// more.
func fallbackCondition(so *v1alpha1.ScaledObject, d *decide.Decision) decide.Condition {
	switch {
	case d != nil && d.Ready.Reason != decide.ErrorGettingCurrentReplicas:
		return d.Fallback
	case so.Spec.Fallback == nil:
		return decide.Decide(decide.Input{}).Fallback
	}
	return decide.Condition{}
}

// pausedCondition says what annotations pause.
func pausedCondition(so *v1alpha1.ScaledObject, st *object) decide.Condition {
	return decide.Decide(decide.Input{Paused: st.Paused, PausedScaleIn: so.ScaleInPaused(), PausedScaleOut: so.ScaleOutPaused()}).Paused
}

// readyCondition is the worst of what is known. An empty one leaves Ready as it
// is.
func readyCondition(st *object, d *decide.Decision, failure error) decide.Condition {
	bad := func(message string) decide.Condition {
		return decide.Condition{Status: decide.StatusFalse, Reason: v1alpha1.ReasonScaledObjectCheckFailed, Message: message}
	}
	switch {
	case st.complaint() != "":
		return bad(st.complaint())
	case apierrors.IsConflict(failure):
		return decide.Condition{}
	case d != nil && d.Ready.Reason == decide.ErrorGettingCurrentReplicas:
		return d.Ready
	case failure != nil:
		return bad(scaled.Cause(failure))
	case st.Paused:
		return decide.Condition{Status: decide.StatusTrue, Reason: v1alpha1.ReasonScaledObjectReady, Message: "the object is ready; scaling is paused by annotation"}
	case d != nil:
		return scaled.Doubtful(d.Ready, st.Warned)
	}
	return decide.Condition{}
}

// graceAfterStart is how long the HPA may go on saying that it has no metrics
// after weir, which serves them, was away: a few of its usual periods.
const graceAfterStart = time.Minute

// ownFault reports whether the HPA fails since before weir began, and not long
// after that: it is about to recover, and 10,000 objects need not say so. The
// HPA's times are in whole seconds.
func (o *object) ownFault(c autoscalingv2.HorizontalPodAutoscalerCondition, now time.Time) bool {
	until := o.began.Add(graceAfterStart)
	if c.LastTransitionTime.IsZero() || !c.LastTransitionTime.Time.Before(o.began.Truncate(time.Second)) || !now.Before(until) {
		return false
	}
	o.hpaGrace = until
	return true
}

// hpaCondition repeats what the HPA says of itself. Without an HPA there is no
// such condition.
func (r *Reconciler) hpaCondition(ctx context.Context, so *v1alpha1.ScaledObject, st *object, next *draft) error {
	p := st.current.Load()
	st.hpaGrace = time.Time{}
	if p == nil {
		if st.Paused || st.yielded {
			next.Conditions = slices.DeleteFunc(next.Conditions, func(c v1alpha1.Condition) bool { return c.Type == v1alpha1.ConditionHPAActive })
		}
		return nil
	}
	h := new(autoscalingv2.HorizontalPodAutoscaler)
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: so.Namespace, Name: p.hpaName}, h); err != nil {
		// What was made just now is not in the cache yet.
		if err = client.IgnoreNotFound(err); err != nil {
			err = fmt.Errorf("reading HorizontalPodAutoscaler %q: %w", p.hpaName, err)
		}
		return err
	}
	c, ok := scalingActive(h)
	if !ok {
		return nil
	}
	out := decide.Condition{Status: decide.StatusTrue, Reason: v1alpha1.ReasonHPAActive, Message: "the HorizontalPodAutoscaler scales"}
	switch {
	case c.Status == corev1.ConditionTrue:
	case c.Reason == v1alpha1.ReasonScalingDisabled:
		out.Reason, out.Message = v1alpha1.ReasonScalingDisabled, "the HorizontalPodAutoscaler rests while the workload is at zero"
	case st.ownFault(c, r.Now()):
		return nil
	default:
		reason := cmp.Or(c.Reason, v1alpha1.ReasonHPAMetricsUnavailable)
		out = decide.Condition{Status: decide.StatusFalse, Reason: decide.ConditionReason(reason), Message: c.Message}
	}
	next.conditions.Set(v1alpha1.ConditionHPAActive, out)
	return nil
}

// scalingActive returns the HPA's ScalingActive condition.
func scalingActive(h *autoscalingv2.HorizontalPodAutoscaler) (autoscalingv2.HorizontalPodAutoscalerCondition, bool) {
	for _, c := range h.Status.Conditions {
		if c.Type == autoscalingv2.ScalingActive {
			return c, true
		}
	}
	return autoscalingv2.HorizontalPodAutoscalerCondition{}, false
}

// tellFallback tells when a fallback began to stand in for something, or ended.
func (r *Reconciler) tellFallback(so *v1alpha1.ScaledObject, st *object, was metav1.ConditionStatus, d *decide.Decision) {
	is, p := v1alpha1.ConditionStatus(st.written.Conditions, v1alpha1.ConditionFallback), st.current.Load()
	switch {
	case is == metav1.ConditionTrue && was != metav1.ConditionTrue && d != nil && p != nil && p.fallback != nil:
		note := fmt.Sprintf("more than %d polls in a row failed: %s; %s", p.fallback.FailureThreshold, d.StandsInFor(), p.asks(*st.seen.Load()))
		r.Log.Warn("fallback began", scaled.Named(so), slog.String("message", note))
		r.tell.Normal(so, v1alpha1.EventScaledObjectFallbackActivated, "falling back", note)
	case is != metav1.ConditionTrue && was == metav1.ConditionTrue:
		r.Log.Info("fallback ended", scaled.Named(so))
		r.tell.Normal(so, v1alpha1.EventScaledObjectFallbackDeactivated, "falling back", "the fallback stands in for no trigger any more")
	}
}
