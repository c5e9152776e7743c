package decide

import (
	"fmt"
	"time"
)

// rule decides when it applies and leaves the decision to the next one otherwise.
type rule struct {
	reason Reason
	text   string // one sentence for the reference page, the comment of the reason
	when   func(*situation) bool
	then   func(*situation) Decision
}

// rules lists the rules in the order in which they are tried; the last one always
// applies. Whatever counts as work comes before everything that could take replicas
// away, and every kind of not knowing comes in between.
func rules() []rule {
	return []rule{
		{Paused, "The object is paused by annotation.", (*situation).paused, (*situation).freeze},
		{ReplicasUnknown, "The replica count of the target cannot be read, so nothing is scaled.", (*situation).blind, (*situation).waitForTarget},
		{ScaleOutPaused, "The object is active and would wake, but scale-out is paused by annotation.", (*situation).mayNotWake, (*situation).stayAsleep},
		{WorkWaiting, "A trigger has work: wake the workload, or leave it to the HPA when it is awake.", (*situation).hasWork, (*situation).beAwake},
		{FallbackActive, "A trigger failed for so long that its fallback counts as work.", (*situation).hasStandIn, (*situation).beAwake},
		{ResourceOnly, "All triggers are cpu or memory, which need a replica to be measured.", (*situation).resourceOnly, (*situation).beAwake},
		{Forced, "No trigger has work, but the force-activation annotation counts as work.", (*situation).forced, (*situation).beAwake},
		{NoTriggers, "The object has no trigger to decide by.", (*situation).triggerless, (*situation).waitForTriggers},
		{NotMeasured, "A trigger has not been measured yet, so nothing is scaled.", (*situation).unmeasured, (*situation).waitForReading},
		{TriggersFailing, "A trigger cannot be read and none has work: replicas stay where they are.", (*situation).fails, (*situation).holdOn},
		{ScaleInPaused, "The workload would go to rest, but scale-in is paused by annotation.", (*situation).mayNotRest, (*situation).stayAwake},
		{CoolingDown, "The workload would go to rest, but the cooldown has not passed.", (*situation).cooling, (*situation).coolDown},
		{Drained, "No trigger has work and the cooldown has passed: go to rest.", (*situation).awakeForNothing, (*situation).goToRest},
		{BelowMinPaused, "There are fewer replicas than the minimum, but scale-out is paused by annotation.", (*situation).mayNotCorrect, (*situation).stayBelow},
		{BelowMin, "There are fewer replicas than the minimum: set the minimum.", (*situation).belowMin, (*situation).correct},
		{AtRest, "No trigger has work and there is nothing to do.", (*situation).always, (*situation).rest},
	}
}

// freeze comes first: a paused object is ready even when its target is gone, and
// what it was (Active) stays visible.
func (s *situation) freeze() Decision {
	msg := "paused by annotation"
	if s.PausedReplicas != nil {
		msg += " at " + count(*s.PausedReplicas, "replica")
	}
	return Decision{Message: msg, Ready: ready()}
}

// waitForTarget lets work count as activity, for there may be replicas that do it.
func (s *situation) waitForTarget() Decision {
	const msg = "the replica count of the target cannot be read"
	return Decision{
		Message:    msg,
		Ready:      Condition{StatusFalse, ErrorGettingCurrentReplicas, msg},
		LastActive: s.activeAt(s.active()),
	}
}

// stayAsleep starts no cooldown at zero: nothing works there.
func (s *situation) stayAsleep() Decision {
	return Decision{
		Message:    fmt.Sprintf("scale-out is paused by annotation, so %s although %s", s.staying(), s.cause()),
		Ready:      s.readyWhileActive(Hold),
		Active:     active(s.activeBecause()),
		LastActive: s.activeAt(s.Replicas > 0),
	}
}

// beAwake wakes the workload to where the HPA takes over, or leaves it to the HPA.
// Triggers that cannot be read change nothing about that.
func (s *situation) beAwake() Decision {
	d := Decision{Action: Hold, LastActive: s.Now, Message: s.cause(), Active: active(s.activeBecause())}
	if s.asleep() {
		d.Action, d.To = Activate, max(1, s.Min)
	}
	if s.fails() {
		d.Message += "; " + s.failures()
	}
	d.Ready = s.readyWhileActive(d.Action)
	return d
}

func (s *situation) waitForTriggers() Decision {
	return Decision{Message: "the object has no triggers"}
}

// waitForReading leaves the conditions alone until every trigger was tried once, so
// that a restart does not make them flap.
func (s *situation) waitForReading() Decision {
	return Decision{Message: s.holding() + ": not measured yet: " + names(s.pending)}
}

// holdOn holds whatever the fallback says: a source that is down must not look like
// one that is empty.
func (s *situation) holdOn() Decision {
	d := Decision{Message: s.holding() + ": " + s.failures(), Ready: ready(), Active: notActive()}
	d.Active.Message = "no trigger is known to have work"
	if !s.Fallback || s.miscalculates() {
		d.Ready = Condition{StatusFalse, TriggerError, s.failures()}
	}
	return d
}

func (s *situation) stayAwake() Decision {
	return s.quiet("scale-in is paused by annotation, so " + s.staying())
}

func (s *situation) coolDown() Decision {
	calm, left := s.calm()
	kind := "cooldown"
	if s.LastActive.IsZero() {
		kind = "initial cooldown"
	}
	d := s.quiet(fmt.Sprintf("%s; %s of the %s left", calm, span(left), kind))
	d.Active = Condition{StatusFalse, ScalerCooldown, "no trigger has work; the " + kind + " has not passed"}
	d.Recheck = left
	return d
}

func (s *situation) goToRest() Decision {
	calm, _ := s.calm()
	d := s.quiet(calm + "; the cooldown is over")
	d.Action, d.To = Deactivate, s.resting()
	return d
}

func (s *situation) stayBelow() Decision {
	return s.quiet(s.missing() + ", but scale-out is paused by annotation")
}

// correct does what an HPA cannot do at zero.
func (s *situation) correct() Decision {
	d := s.quiet(s.missing())
	d.Action, d.To = Correct, s.Min
	return d
}

func (s *situation) rest() Decision { return s.quiet(s.staying()) }

// quiet is a decision without work: the readings that say so, and then what follows.
func (s *situation) quiet(then string) Decision {
	return Decision{Message: s.noWork() + "; " + then, Ready: ready(), Active: notActive()}
}

func (s *situation) activeAt(now bool) time.Time {
	if now {
		return s.Now
	}
	return s.LastActive
}

// finish completes what a rule said: Hold unless it said otherwise, and all that is
// the same for every rule.
func (s *situation) finish(d Decision, r Reason) Decision {
	d.At, d.Reason, d.Triggers = s.Now, r, s.triggers
	d.Paused, d.Fallback = s.pausedCondition(), s.fallbackCondition()
	d.From = s.Replicas
	if s.blind() {
		d.From = -1
	}
	if d.Action == "" || d.Action == Hold {
		d.Action, d.To = Hold, d.From
	}
	if d.LastActive.IsZero() {
		d.LastActive = s.LastActive
	}
	return d
}
