package explain

import (
	"fmt"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// jobSituations are those of a ScaledJob, in the order in which they are tried. The
// last always holds.
func jobSituations() []situation {
	return []situation{
		{Deleting, (*view).deleting, tell("is being deleted, and creates no more Jobs"), nothing},
		{Paused, (*view).jobsPaused, (*view).sayJobsPaused, (*view).nextResume},
		{NotSeen, (*view).notSeen, tell("has not been looked at by weir yet"), outlook(seeWeir)},
		{NotReady, (*view).notReady, (*view).sayNotReady, outlook(putRight)},
		{ReplicasUnknown, (*view).jobsUnread, (*view).sayJobsUnread, (*view).nextLook},
		{Held, (*view).held, (*view).sayJobsHeld, (*view).nextMeasured},
		{AtMax, (*view).jobsAtMax, (*view).sayJobsAtMax, outlook("creates more when Jobs end, or with a higher spec.maxReplicaCount")},
		{Growing, (*view).jobsLack, (*view).sayJobs, (*view).nextLook},
		{Steady, (*view).active, (*view).sayJobs, (*view).nextLook},
		{AtRest, (*view).jobsAtRest, (*view).sayJobsAtRest, (*view).nextJobs},
		{Shrinking, (*view).inactive, (*view).sayJobsEnding, (*view).nextJobs},
		{Scaling, always, (*view).sayJobsUnseen, nothing},
	}
}

func (v *view) jobsPaused() bool {
	return v.job.PauseRequested() && v.is(v1alpha1.ConditionReady) != "False"
}

func (v *view) jobsAtMax() bool { return v.active() && v.jobsKnown() && v.r.Jobs.Running >= v.r.Max }

func (v *view) jobsAtRest() bool {
	return v.inactive() && (!v.jobsKnown() || v.r.Jobs.Running <= v.r.Min)
}

func (v *view) jobsLack() bool {
	return v.active() && v.jobsKnown() && v.lead != nil && *v.lead.Replicas > v.r.Jobs.Running
}

func (v *view) sayJobsPaused() string {
	return "is paused by annotation and creates no Jobs; " + v.running()
}

// last is weir's last decision, or nil.
func (v *view) last() *snapshot.Decision {
	if v.weir == nil || len(v.weir.Decisions) == 0 {
		return nil
	}
	return &v.weir.Decisions[len(v.weir.Decisions)-1]
}

// jobsUnread reports whether weir could not read the Jobs when it last decided.
func (v *view) jobsUnread() bool { return v.last() != nil && v.last().From < 0 }

func (v *view) sayJobsUnread() string {
	return "creates no Jobs, because weir cannot read those there are: " + v.last().Message
}

func (v *view) sayJobsHeld() string {
	return fmt.Sprintf("creates no Jobs, as %s cannot be measured; %s", v.unmeasured(), v.running())
}

func (v *view) sayJobsAtMax() string {
	return fmt.Sprintf("is at its maximum of %s, and there is more work%s", count(v.r.Max, "Job"), v.asked())
}

func (v *view) sayJobs() string { return "has work; " + v.running() + v.asked() }

func (v *view) sayJobsAtRest() string {
	return fmt.Sprintf("is at rest, as %s; %s", v.noWork(), v.running())
}

func (v *view) sayJobsEnding() string {
	return fmt.Sprintf("creates no more Jobs, as %s; %s to the end", v.noWork(), v.running())
}

func (v *view) sayJobsUnseen() string {
	if !v.jobsKnown() {
		return "creates Jobs as its work asks; neither can be seen from here"
	}
	return "creates Jobs as its work asks, which cannot be seen from here; " + v.running()
}

func (v *view) jobsKnown() bool { return v.r.Jobs != nil }

// running says how many Jobs there are.
func (v *view) running() string {
	switch {
	case !v.jobsKnown():
		return "its Jobs cannot be seen from here"
	case v.r.Jobs.Running == 0:
		return "no Job runs"
	}
	return count(v.r.Jobs.Running, "Job") + verb(v.r.Jobs.Running, " runs", " run")
}

// asked is what the values ask for, as the end of a sentence.
func (v *view) asked() string {
	if v.lead == nil {
		return ""
	}
	return fmt.Sprintf(": %s asks for %d (%s)", v.lead.Metric, *v.lead.Replicas, v.lead.Arithmetic)
}

func (v *view) jobLimits() {
	if v.job.PauseRequested() {
		v.limit("annotation %s: no Jobs are created; those that run are left alone", v1alpha1.AnnotationPaused)
	}
	if len(v.failing) > 0 && v.r.State != Paused {
		v.limit("%s cannot be measured", v.unmeasured())
	}
	if v.r.State == AtMax {
		v.limit("maxReplicaCount %d: as many Jobs run, or wait to run", v.r.Max)
	}
	if d := v.last(); d != nil && d.From == d.To && (v.r.State == Growing || v.r.State == Steady) {
		v.limit("%s: %s", d.Reason, d.Message)
	}
	if v.r.Pods != nil && v.r.Pods.Total > v.r.Pods.Ready {
		waiting := v.r.Pods.Total - v.r.Pods.Ready
		v.limit("%s of %d %s not ready: %s", count(waiting, "pod"), v.r.Pods.Total, verb(waiting, "is", "are"), waitingText(v.r.Pods.Waiting))
	}
}

func (v *view) nextLook() {
	v.expect("weir looks again every %s", span(v.job.Spec.PollingIntervalDuration()))
}

func (v *view) nextJobs() { v.expect("creates Jobs when %s", v.whenWork()) }
