package scaledjob

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/triggers"
)

// only is sj with nothing but its name and a status.
func only(sj *v1alpha1.ScaledJob, uid types.UID, status *v1alpha1.ScaledJobStatus) *v1alpha1.ScaledJob {
	return &v1alpha1.ScaledJob{ObjectMeta: metav1.ObjectMeta{Name: sj.Name, Namespace: sj.Namespace, UID: uid}, Status: *status.DeepCopy()}
}

// writeStatus writes the status if it differs from the one last written. Failure
// is what kept this pass from being finished, or nil.
func (r *Reconciler) writeStatus(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, d *jobs.Decision, failure error) error {
	old := st.written
	next := old.DeepCopy()
	// What has no fallback must not say that it is not known.
	next.Conditions = slices.DeleteFunc(next.Conditions, func(c v1alpha1.Condition) bool { return c.Type == v1alpha1.ConditionFallback })
	conditions := st.Conditions(sj, &next.Conditions, r.Now())
	r.fill(next, sj, st, d)
	conditions.SetFor(st.rolled, v1alpha1.ConditionActive, activeCondition(st, d)) // see begin
	conditions.Set(v1alpha1.ConditionPaused, scaled.Paused(jobs.Decide(jobs.Input{Paused: st.Paused}).Paused, old.Conditions))
	conditions.Set(v1alpha1.ConditionReady, readyCondition(st, d, failure))
	next.LastActiveTime = scaled.LastActive(next.LastActiveTime, old.Conditions, next.Conditions, st.LastActive)
	if !equality.Semantic.DeepEqual(old, next) {
		err := kube.PatchStatus(ctx, r.Client, only(sj, "", old), only(sj, sj.UID, next))
		if apierrors.IsNotFound(err) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		st.written = next
		r.tell.Conditions(sj, old.Conditions, next.Conditions)
		r.tellActive(sj, old.Conditions, next.Conditions, d)
	}
	st.Written(conditions)
	return nil
}

// fill sets what follows from spec, plan and decision.
func (r *Reconciler) fill(s *v1alpha1.ScaledJobStatus, sj *v1alpha1.ScaledJob, st *object, d *jobs.Decision) {
	s.ObservedGeneration = sj.Generation
	types, auths := triggers.Types(sj.Spec.Triggers), triggers.Authentications(sj.Spec.Triggers)
	s.TriggersTypes, s.AuthenticationsTypes = &types, &auths
	p := st.current.Load()
	if p == nil {
		return
	}
	names, known := []string{}, true
	was, activity := s.TriggersActivity, map[string]v1alpha1.TriggerActivity{}
	for i, t := range p.triggers {
		list, ok := namesOf(t, r.Engine.Latest(t.Query))
		names, known = append(names, list...), known && ok
		if d == nil {
			continue
		}
		now := d.Triggers[i]
		unmeasured := now.State == decide.Unknown && now.Err == "" // as after a restart: what was said holds
		for _, name := range list {
			activity[name] = v1alpha1.TriggerActivity{IsActive: now.State == decide.Busy || unmeasured && was[name].IsActive}
		}
	}
	if known {
		s.ExternalMetricNames = names
		if d != nil {
			s.TriggersActivity = activity
		}
	}
}

// activeCondition tells whether there is work: unknown for an object that is not
// in force, and left as it was while scaling is paused.
func activeCondition(st *object, d *jobs.Decision) decide.Condition {
	switch {
	case d != nil:
		return d.Active
	case st.Problem != "":
		return scaled.NotInForce()
	}
	return decide.Condition{}
}

// readyCondition is the worst of what is known. An empty one leaves Ready as it
// is.
func readyCondition(st *object, d *jobs.Decision, failure error) decide.Condition {
	bad := func(message string) decide.Condition {
		return decide.Condition{Status: decide.StatusFalse, Reason: v1alpha1.ReasonScaledJobCheckFailed, Message: message}
	}
	switch {
	case st.Problem != "":
		return bad(st.Problem)
	case apierrors.IsConflict(failure):
		return decide.Condition{}
	case failure != nil:
		return bad(scaled.Cause(failure))
	case st.Paused:
		return jobs.Decide(jobs.Input{Paused: true}).Ready
	case st.refused != "":
		return bad(st.refused)
	case d != nil:
		return scaled.Doubtful(d.Ready, st.Warned)
	}
	return decide.Condition{}
}

// tellActive tells whether Active became True, or ceased to be.
func (r *Reconciler) tellActive(sj *v1alpha1.ScaledJob, before, after []v1alpha1.Condition, d *jobs.Decision) {
	was, is := v1alpha1.ConditionStatus(before, v1alpha1.ConditionActive), v1alpha1.ConditionStatus(after, v1alpha1.ConditionActive)
	switch {
	case d == nil || is == was:
	case is == metav1.ConditionTrue:
		r.tell.Normal(sj, v1alpha1.EventScaledJobActive, "scaling", d.Message)
	case was == metav1.ConditionTrue && is == metav1.ConditionFalse:
		r.tell.Normal(sj, v1alpha1.EventScaledJobInactive, "scaling", d.Message)
	}
}
