package explain

import (
	"cmp"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/hpa"
	"github.com/weir-sh/weir/pkg/snapshot"
)

const (
	// shownPods is how many pods are named; more are counted.
	shownPods = 5
	// shownEvents is how many events are told.
	shownEvents = 5
	// recent is how old an event may be to tell of the present.
	recent = time.Hour
)

// report makes the answer of the facts, with that many decisions.
func (f *facts) report(decisions int) Report {
	meta := f.meta()
	r := Report{
		Kind: f.kind, Namespace: meta.Namespace, Name: meta.Name, At: f.now,
		Conditions: []Condition{}, Triggers: []Trigger{}, Limits: []string{}, Outlook: []string{},
		Decisions: []snapshot.Decision{}, Events: f.newestEvents(), Unseen: append([]Unseen{}, f.unseen...),
	}
	for _, c := range f.conditions() {
		out := Condition{Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message}
		if c.LastTransitionTime != nil {
			out.Since = &c.LastTransitionTime.Time
		}
		r.Conditions = append(r.Conditions, out)
	}
	r.Triggers = append(r.Triggers, f.triggers()...)
	if f.weir != nil {
		r.Decisions = append(r.Decisions, f.weir.Decisions[max(0, len(f.weir.Decisions)-decisions):]...)
	}
	if f.podsSeen == found {
		r.Pods = podsReport(f.pods)
	}
	if f.so != nil {
		f.describeObject(&r)
	} else {
		f.describeJob(&r)
	}
	v := newView(f, &r)
	v.judge()
	return r
}

// describeObject fills in what only a ScaledObject has.
func (f *facts) describeObject(r *Report) {
	s := &f.so.Spec
	r.Min, r.Max, r.Idle = s.MinReplicas(), s.MaxReplicas(), s.IdleReplicaCount
	if r.Idle == nil && r.Min == 0 {
		r.Idle = new(int32(0))
	}
	r.Target = &Target{
		Kind: cmp.Or(s.ScaleTargetRef.Kind, v1alpha1.DefaultTargetKind), Name: s.ScaleTargetRef.Name, Missing: f.scaleSeen == missing,
	}
	if f.scale != nil {
		r.Target.Wanted, r.Target.Created = &f.scale.Spec.Replicas, &f.scale.Status.Replicas
		if f.scale.Status.Replicas == 0 {
			r.Target.Ready = new(int32(0))
		}
	} else if f.hpa != nil && f.scaleSeen == failed {
		r.Target.Created = &f.hpa.Status.CurrentReplicas
	}
	if r.Pods != nil {
		r.Target.Ready = &r.Pods.Ready
	}
	if f.hpa != nil {
		r.HPA = f.hpaReport()
	}
}

func (f *facts) hpaReport() *HPA {
	h, s := f.hpa, spec(f.hpa)
	out := &HPA{Name: h.Name, Current: h.Status.CurrentReplicas, Desired: h.Status.DesiredReplicas, Min: s.Min, Max: s.Max}
	if h.Status.LastScaleTime != nil {
		out.LastScale = &h.Status.LastScaleTime.Time
	}
	switch owner := metav1.GetControllerOfNoCopy(h); {
	case metav1.IsControlledBy(h, f.so):
	case owner != nil:
		out.Foreign = owner.Kind + " " + owner.Name
	default:
		out.Foreign = "nobody"
	}
	out.Up, out.Down = pace(nil, 0), pace(nil, 0)
	if b := h.Spec.Behavior; b != nil {
		out.Up, out.Down = pace(b.ScaleUp, 0), pace(b.ScaleDown, hpa.DefaultFlags().Downscale)
	}
	for _, c := range h.Status.Conditions {
		out.heed(c, f.replicas())
	}
	return out
}

// heed takes over what a condition of the HPA says of the present.
func (h *HPA) heed(c autoscalingv2.HorizontalPodAutoscalerCondition, replicas int32) {
	stabilised := c.Reason == string(hpa.ScaleDownStabilized) || c.Reason == string(hpa.ScaleUpStabilized)
	switch {
	case c.Type == autoscalingv2.ScalingLimited && c.Status == corev1.ConditionTrue:
		h.Limited = c.Message
	case c.Type == autoscalingv2.AbleToScale && stabilised:
		h.Stabilised = c.Message
	case c.Reason == v1alpha1.ReasonScalingDisabled && replicas > 0: // it has not looked since
	case c.Status == corev1.ConditionFalse && (c.Type == autoscalingv2.ScalingActive || c.Type == autoscalingv2.AbleToScale):
		h.Reason, h.Message = c.Reason, c.Message
	}
}

// describeJob fills in what only a ScaledJob has.
func (f *facts) describeJob(r *Report) {
	s := &f.job.Spec
	r.Min, r.Max = s.MinReplicas(), s.MaxReplicas()
	if f.jobsSeen != found {
		return
	}
	r.Jobs = &Jobs{}
	for i := range f.jobs {
		switch finished(&f.jobs[i]) {
		case batchv1.JobComplete:
			r.Jobs.Succeeded++
		case batchv1.JobFailed:
			r.Jobs.Failed++
		default:
			r.Jobs.Running++
		}
	}
}

// finished is how a Job ended, or "".
func finished(j *batchv1.Job) batchv1.JobConditionType {
	for _, c := range j.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return c.Type
		}
	}
	return ""
}

// podsReport counts pods.
func podsReport(pods []corev1.Pod) *Pods {
	out := &Pods{Total: int32(len(pods))}
	for i := range pods {
		state := podState(&pods[i])
		if state == podReady {
			out.Ready++
		} else {
			if out.Waiting == nil {
				out.Waiting = map[string]int32{}
			}
			out.Waiting[state]++
		}
		if len(pods) <= shownPods {
			out.Items = append(out.Items, Pod{pods[i].Name, state})
		}
	}
	return out
}

const podReady = "Ready"

// podState is podReady, or the most telling word why a pod is not.
func podState(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "" {
			return w.Reason
		}
	}
	for _, c := range p.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue:
			return podReady
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason != "":
			return c.Reason
		}
	}
	if p.Status.Phase == corev1.PodRunning {
		return "NotReady"
	}
	return cmp.Or(string(p.Status.Phase), string(corev1.PodUnknown))
}

// newestEvents are the newest events, oldest first.
func (f *facts) newestEvents() []Event {
	out := []Event{}
	for i := range f.events {
		e := &f.events[i]
		at := cmp.Or(e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time)
		n := max(e.Count, 1)
		if e.Series != nil {
			at, n = e.Series.LastObservedTime.Time, max(e.Series.Count, 1)
		}
		if f.now.Sub(at) > recent {
			continue
		}
		out = append(out, Event{
			At: at, Type: e.Type, Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name, Reason: e.Reason, Message: e.Message, Count: n,
		})
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.At.Compare(b.At) })
	return out[max(0, len(out)-shownEvents):]
}
