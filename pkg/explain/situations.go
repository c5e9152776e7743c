package explain

import (
	"fmt"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// situation is one state with when it holds, how it is told, and what would change
// it. The sentence goes on after the name of the object.
type situation struct {
	state State
	when  func(*view) bool
	say   func(*view) string
	next  func(*view)
}

// tell returns a sentence that depends on nothing.
func tell(text string) func(*view) string { return func(*view) string { return text } }

// outlook returns a prospect that depends on nothing.
func outlook(text string) func(*view) { return func(v *view) { v.expect("%s", text) } }

func nothing(*view) {}

func always(*view) bool { return true }

const (
	seeWeir  = "see whether weir runs, and whether it watches this namespace"
	putRight = "scales when that is put right; the condition Ready then becomes True"
)

// objectSituations are those of a ScaledObject, in the order in which they are
// tried: what keeps weir from acting comes first. The last always holds.
func objectSituations() []situation {
	return []situation{
		{Deleting, (*view).deleting, tell("is being deleted, and nothing scales it any more"), nothing},
		{Paused, (*view).pausedAltogether, (*view).sayPaused, (*view).nextResume},
		{TargetMissing, (*view).targetMissing, (*view).sayTargetMissing, (*view).nextTarget},
		{NotSeen, (*view).notSeen, tell("has not been looked at by weir yet"), outlook(seeWeir)},
		{NotReady, (*view).notReady, (*view).sayNotReady, outlook(putRight)},
		{ReplicasUnknown, (*view).blind, (*view).sayBlind, outlook(putRight)},
		{Fallback, (*view).inFallback, (*view).sayFallback, (*view).nextMeasured},
		{Held, (*view).held, (*view).sayHeld, (*view).nextMeasured},
		{ScaleOutPaused, (*view).mayNotWake, (*view).sayScaleOutPaused, (*view).nextScaleOut},
		{Waking, (*view).wakes, (*view).sayWaking, (*view).nextWaking},
		{AtRest, (*view).atRest, (*view).sayAtRest, (*view).nextWork},
		{HPAMissing, (*view).hpaMissing, (*view).sayHPAMissing, outlook("weir creates the HPA anew within seconds while it runs; see its log if it does not")},
		{HPAFailing, (*view).hpaFails, (*view).sayHPAFails, (*view).nextHPA},
		{ScaleInPaused, (*view).mayNotRest, (*view).sayScaleInPaused, (*view).nextScaleIn},
		{CoolingDown, (*view).awakeForNothing, (*view).sayCooling, (*view).nextRest},
		{AtMax, (*view).atMax, (*view).sayAtMax, (*view).nextMax},
		{ScaleOutPaused, (*view).mayNotGrow, (*view).sayScaleOutPaused, (*view).nextScaleOut},
		{Growing, (*view).wantsMore, (*view).sayGrowing, outlook("the HPA looks again within its sync period, usually 15s")},
		{AtMin, (*view).atMin, (*view).sayAtMin, (*view).nextSteps},
		{ScaleInPaused, (*view).mayNotShrink, (*view).sayScaleInPaused, (*view).nextScaleIn},
		{Shrinking, (*view).wantsLess, (*view).sayShrinking, (*view).nextShrinking},
		{Steady, (*view).steady, (*view).saySteady, (*view).nextSteps},
		{Scaling, always, (*view).sayScaling, nothing},
	}
}

// pausedAltogether leaves a pause that is itself wrong to what Ready says.
func (v *view) pausedAltogether() bool {
	return v.so.PauseRequested() && v.is(v1alpha1.ConditionReady) != "False"
}

func (v *view) targetMissing() bool { return v.scaleSeen == missing }

func (v *view) blind() bool {
	return v.reason(v1alpha1.ConditionReady) == v1alpha1.ReasonErrorGettingCurrentReplicas
}

func (v *view) inFallback() bool   { return v.is(v1alpha1.ConditionFallback) == "True" }
func (v *view) mayNotWake() bool   { return v.wakes() && v.so.ScaleOutPaused() }
func (v *view) wakes() bool        { return v.asleep() && (v.active() || v.r.Idle == nil) }
func (v *view) hpaMissing() bool   { return v.hpaSeen == missing }
func (v *view) mayNotRest() bool   { return v.awakeForNothing() && v.so.ScaleInPaused() }
func (v *view) mayNotGrow() bool   { return v.wantsMore() && v.so.ScaleOutPaused() }
func (v *view) mayNotShrink() bool { return v.wantsLess() && v.so.ScaleInPaused() }

func (v *view) sayNotReady() string { return "is not scaled as its spec asks: " + v.wrong() }

func (v *view) sayBlind() string {
	return "stays as it is, because weir cannot read its replicas: " + v.message(v1alpha1.ConditionReady)
}

func (v *view) sayFallback() string {
	return fmt.Sprintf("is held at %s by its fallback, as %s cannot be measured", v.size(), v.unmeasured())
}

func (v *view) sayHeld() string {
	return fmt.Sprintf("stays at %s, as %s cannot be measured and unknown is not zero", v.size(), v.unmeasured())
}

func (v *view) sayAtRest() string { return fmt.Sprintf("is at %s, as %s", v.size(), v.noWork()) }

func (v *view) sayHPAMissing() string {
	return fmt.Sprintf("stays at %s, as it has no HPA %s", v.size(), v.so.HPAName())
}

func (v *view) sayHPAFails() string {
	return fmt.Sprintf("stays at %s, as its HPA does not scale (%s): %s", v.size(), v.r.HPA.Reason, v.r.HPA.Message)
}

func (v *view) sayScaleInPaused() string {
	less := "there is no work"
	if n, ok := v.asks(); ok && v.active() {
		less = fmt.Sprintf("the work asks for %d", n)
	}
	return fmt.Sprintf("stays at %s although %s: an annotation forbids to take replicas away", v.size(), less)
}

func (v *view) sayAtMax() string {
	return fmt.Sprintf("is at its maximum of %s, and the work asks for %d", count(v.high(), "replica"), *v.lead.Replicas)
}

func (v *view) sayScaling() string {
	if !v.sized() {
		return "scales; neither its replicas nor what its work asks for can be seen from here"
	}
	return fmt.Sprintf("has %s; what its work asks for cannot be seen from here", v.size())
}

func (v *view) sayPaused() string {
	if n, err := v.so.PausedReplicas(); err == nil && n != nil {
		text := "is paused by annotation at " + count(*n, "replica")
		if v.scale != nil && v.scale.Spec.Replicas != *n {
			text += fmt.Sprintf(", and has %d now", v.scale.Spec.Replicas)
		}
		return text
	}
	return fmt.Sprintf("is paused by annotation and stays at %s", v.size())
}

func (v *view) sayTargetMissing() string {
	return fmt.Sprintf("has nothing to scale: %s %q does not exist, or has no scale", v.r.Target.Kind, v.r.Target.Name)
}

func (v *view) sayScaleOutPaused() string {
	return fmt.Sprintf("stays at %s although there is more work: an annotation forbids to add replicas", v.size())
}

func (v *view) sayWaking() string {
	why := v.message(v1alpha1.ConditionActive)
	switch {
	case !v.active():
		why = fmt.Sprintf("its minimum is %d", v.r.Min)
	case len(v.busy) > 0:
		why = readings(v.busy)
	}
	return fmt.Sprintf("is at %s and about to wake: %s", v.size(), why)
}

func (v *view) sayCooling() string {
	rest, _ := v.resting()
	if left, _ := v.cooldown(); left > 0 {
		return fmt.Sprintf("has %s without work and goes to %d in %s", v.size(), rest, span(left))
	}
	return fmt.Sprintf("has %s without work and is about to go to %d", v.size(), rest)
}

func (v *view) sayGrowing() string {
	n, _ := v.asks()
	if *v.lead.Replicas < n {
		return fmt.Sprintf("grows from %d to its minimum of %s", v.replicas(), count(n, "replica"))
	}
	return fmt.Sprintf("grows from %d to %s: %s asks for %d", v.replicas(), count(n, "replica"), v.lead.Metric, *v.lead.Replicas)
}

func (v *view) sayAtMin() string {
	if v.inactive() {
		return fmt.Sprintf("is at its minimum of %s, as %s", count(v.low(), "replica"), v.noWork())
	}
	return fmt.Sprintf("is at its minimum of %s; the work asks for %d", count(v.low(), "replica"), *v.lead.Replicas)
}

func (v *view) sayShrinking() string {
	n, _ := v.asks()
	text := fmt.Sprintf("has %s although the work asks for %d", v.size(), n)
	switch {
	case v.r.HPA == nil:
		return text
	case v.r.HPA.Down == pacedNever:
		return text + ": its HPA may not take replicas away"
	case len(v.failing) > 0:
		return fmt.Sprintf("%s: the HPA takes none away while %s cannot be measured", text, v.unmeasured())
	}
	return fmt.Sprintf("%s: the HPA holds the most of its window of %s", text, span(downWindow(v.hpa)))
}

func (v *view) saySteady() string {
	return fmt.Sprintf("has %s, which suits %s: %s", v.size(), v.lead.Metric, v.lead.Arithmetic)
}
