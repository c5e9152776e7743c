package scaledjob

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	old, now := st.written, r.Now()
	next := old.DeepCopy()
	// What has no fallback must not say that it is not known.
	next.Conditions = slices.DeleteFunc(next.Conditions, func(c v1alpha1.Condition) bool { return c.Type == v1alpha1.ConditionFallback })
	conditions := scaled.Conditions{
		List: &next.Conditions, Now: now, Generation: sj.Generation, MayReword: now.Sub(st.messageAt) >= scaled.RewriteAfter,
	}
	r.fill(next, sj, st, d)
	conditions.Set(v1alpha1.ConditionActive, activeCondition(st, d))
	conditions.Set(v1alpha1.ConditionPaused, pausedCondition(st, old))
	conditions.Set(v1alpha1.ConditionReady, readyCondition(st, d, failure))
	lastActive(next, st, old)
	if !equality.Semantic.DeepEqual(old, next) {
		err := kube.PatchStatus(ctx, r.Client, only(sj, "", old), only(sj, sj.UID, next))
		if apierrors.IsNotFound(err) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		st.written = next
		r.tellTransitions(sj, old, next, d)
	}
	if conditions.Reworded {
		st.messageAt = now
	}
	st.rewordAt = time.Time{}
	if conditions.Stale {
		st.rewordAt = st.messageAt.Add(scaled.RewriteAfter)
	}
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
	case st.problem != "":
		return decide.Condition{Status: decide.StatusUnknown, Reason: v1alpha1.ReasonUnknownState, Message: "the object is not in force; see Ready"}
	}
	return decide.Condition{}
}

// pausedCondition says whether the annotation pauses. An object that never was
// paused has the condition without a reason.
func pausedCondition(st *object, old *v1alpha1.ScaledJobStatus) decide.Condition {
	c := jobs.Decide(jobs.Input{Paused: st.paused}).Paused
	if was := v1alpha1.FindCondition(old.Conditions, v1alpha1.ConditionPaused); c.Status == decide.StatusFalse && (was == nil || was.Reason == "") {
		c.Reason, c.Message = "", ""
	}
	return c
}

// readyCondition is the worst of what is known. An empty one leaves Ready as it
// is.
func readyCondition(st *object, d *jobs.Decision, failure error) decide.Condition {
	bad := func(message string) decide.Condition {
		return decide.Condition{Status: decide.StatusFalse, Reason: v1alpha1.ReasonScaledJobCheckFailed, Message: message}
	}
	switch {
	case st.problem != "":
		return bad(st.problem)
	case apierrors.IsConflict(failure):
		return decide.Condition{}
	case failure != nil:
		return bad(scaled.Cause(failure))
	case st.paused:
		return jobs.Decide(jobs.Input{Paused: true}).Ready
	case st.refused != "":
		return bad(st.refused)
	case d != nil && d.Ready.Status == decide.StatusTrue && st.warned != "":
		doubtful := d.Ready
		doubtful.Message += andWarning + st.warned
		return doubtful
	case d != nil:
		return d.Ready
	}
	return decide.Condition{}
}

// andWarning stands in the Ready condition before what is doubtful about an object
// that is ready. There is an event for that alone.
const andWarning = "; warning: "

// lastActive puts the time into the status on transitions of Active only.
func lastActive(s *v1alpha1.ScaledJobStatus, st *object, old *v1alpha1.ScaledJobStatus) {
	if st.lastActive.IsZero() {
		return
	}
	was := v1alpha1.ConditionStatus(old.Conditions, v1alpha1.ConditionActive)
	is := v1alpha1.ConditionStatus(s.Conditions, v1alpha1.ConditionActive)
	if was != is || s.LastActiveTime == nil {
		s.LastActiveTime = new(metav1.NewTime(st.lastActive.Truncate(time.Second)))
	}
}

// tellTransitions logs and emits what became of Ready, Active and Paused.
func (r *Reconciler) tellTransitions(sj *v1alpha1.ScaledJob, old, next *v1alpha1.ScaledJobStatus, d *jobs.Decision) {
	r.tellReady(sj, v1alpha1.FindCondition(old.Conditions, v1alpha1.ConditionReady), v1alpha1.FindCondition(next.Conditions, v1alpha1.ConditionReady))
	became := func(t v1alpha1.ConditionType) (is *v1alpha1.Condition, from metav1.ConditionStatus) {
		was := v1alpha1.ConditionStatus(old.Conditions, t)
		if is = v1alpha1.FindCondition(next.Conditions, t); is == nil || is.Status == was {
			return nil, ""
		}
		return is, was
	}
	if is, was := became(v1alpha1.ConditionPaused); is != nil {
		switch {
		case is.Status == metav1.ConditionTrue:
			r.event(sj, corev1.EventTypeNormal, v1alpha1.EventScaledJobPaused, "pausing", is.Message)
		case was == metav1.ConditionTrue:
			r.event(sj, corev1.EventTypeNormal, v1alpha1.EventScaledJobUnpaused, "pausing", is.Message)
		}
	}
	if is, was := became(v1alpha1.ConditionActive); is != nil && d != nil {
		switch {
		case is.Status == metav1.ConditionTrue:
			r.event(sj, corev1.EventTypeNormal, v1alpha1.EventScaledJobActive, "scaling", d.Message)
		case was == metav1.ConditionTrue && is.Status == metav1.ConditionFalse:
			r.event(sj, corev1.EventTypeNormal, v1alpha1.EventScaledJobInactive, "scaling", d.Message)
		}
	}
}

// tellReady tells when an object became ready, and what is wrong when that changed.
func (r *Reconciler) tellReady(sj *v1alpha1.ScaledJob, was, is *v1alpha1.Condition) {
	switch {
	case is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message:
	case is.Reason == v1alpha1.ReasonScaledJobCheckFailed:
		r.Log.Warn("not ready", named(sj), slog.String("problem", is.Message))
		r.event(sj, corev1.EventTypeWarning, v1alpha1.EventScaledJobCheckFailed, "checking", is.Message)
	case is.Status == metav1.ConditionTrue && (was == nil || was.Status != is.Status):
		r.Log.Info("ready", named(sj))
		plain, _, _ := strings.Cut(is.Message, andWarning)
		r.event(sj, corev1.EventTypeNormal, v1alpha1.EventScaledJobReady, "checking", plain)
	}
}
