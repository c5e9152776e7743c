package jobs

import (
	"fmt"

	"github.com/weir-sh/weir/pkg/decide"
)

// rule decides when it applies and leaves the decision to the next one otherwise.
type rule struct {
	reason Reason
	text   string // the comment of the reason
	when   func(*situation) bool
	then   func(*situation) Decision
}

// rules lists the rules in the order in which they are tried; the last one always
// applies. What forbids creating comes before what creates.
func rules() []rule {
	return []rule{
		{Paused, "The object is paused by annotation: no Job is created.", (*situation).paused, (*situation).freeze},
		{JobsUnknown, "The Jobs cannot be read, so none is created.", (*situation).blind, (*situation).waitForJobs},
		{BackingOff, "Jobs are wanted, but creating one failed a moment ago: the next poll tries again.", (*situation).backsOff, (*situation).waitToRetry},
		{BelowMin, "There are fewer Jobs than the minimum: create those that are missing.", (*situation).belowMin, (*situation).fillUp},
		{RoundOver, "The strategy wants more Jobs, but has created some for these readings: wait for the next poll.", (*situation).roundOver, (*situation).waitForRound},
		{WorkWaiting, "The work asks for more Jobs than there are: create the rest.", (*situation).wantsMore, (*situation).create},
		{AtMax, "There is work, but there are as many Jobs as the maximum allows.", (*situation).full, (*situation).stayFull},
		{Covered, "There is work, but it asks for no more Jobs than there are.", (*situation).hasWork, (*situation).leave},
		{NotMeasured, "A trigger has not been measured yet and none has work.", (*situation).unmeasured, (*situation).waitForReading},
		{TriggersFailing, "A trigger cannot be read and none has work.", (*situation).fails, (*situation).holdOn},
		{NoWork, "No trigger has work.", (*situation).always, (*situation).rest},
	}
}

func (s *situation) paused() bool     { return s.Paused }
func (s *situation) blind() bool      { return !s.Known }
func (s *situation) backsOff() bool   { return s.Now.Before(s.RetryAt) && (s.missing > 0 || s.more > 0) }
func (s *situation) belowMin() bool   { return s.missing > 0 }
func (s *situation) wantsMore() bool  { return s.more > 0 }
func (s *situation) full() bool       { return s.hasWork() && s.Unfinished >= s.most }
func (s *situation) hasWork() bool    { return len(s.busy) > 0 }
func (s *situation) unmeasured() bool { return len(s.pending) > 0 }
func (s *situation) fails() bool      { return len(s.failing) > 0 }
func (s *situation) always() bool     { return true }

// roundOver holds back what does not deduct every Job that may have the work of a
// reading in hand.
func (s *situation) roundOver() bool {
	return s.more > 0 && s.inRounds && !s.LastRound.IsZero() && (s.untilRound() > 0 || !s.freshSince(s.LastRound))
}

// freeze leaves Active as it was, as for a ScaledObject.
func (s *situation) freeze() Decision {
	return Decision{Message: "paused by annotation", Ready: ready("the object is ready; scaling is paused by annotation")}
}

func (s *situation) waitForJobs() Decision {
	const msg = "the Jobs cannot be read"
	return Decision{Message: msg, Ready: decide.Condition{Status: decide.StatusFalse, Reason: checkFailed, Message: msg}, Active: s.active()}
}

func (s *situation) waitToRetry() Decision {
	left := s.RetryAt.Sub(s.Now)
	d := s.awake(fmt.Sprintf("%s wanted, but creating one failed; trying again in %s", jobs(max(s.missing, s.more), "more"), span(left)))
	d.Recheck = left
	return d
}

// fillUp leaves the work to the next decision, as the Jobs of the minimum may do it.
func (s *situation) fillUp() Decision {
	d := s.awake(fmt.Sprintf("%s, fewer than the minimum of %d: creating %d", jobs(s.Unfinished, "unfinished"), s.least, s.missing))
	d.Create = s.missing
	return d
}

func (s *situation) waitForRound() Decision {
	d := s.awake(s.cause() + "; Jobs were created for these readings, so the next poll decides on more")
	d.Recheck = max(s.untilRound(), 0)
	return d
}

func (s *situation) create() Decision {
	d := s.awake(fmt.Sprintf("%s; %s: creating %d", s.cause(), s.arithmetic(), s.more))
	d.Create = s.more
	return d
}

func (s *situation) stayFull() Decision {
	return s.awake(fmt.Sprintf("%s; %s, as many as the maximum allows", s.cause(), jobs(s.Unfinished, "unfinished")))
}

func (s *situation) leave() Decision {
	return s.awake(fmt.Sprintf("%s; %s: enough", s.cause(), s.arithmetic()))
}

func (s *situation) waitForReading() Decision {
	return s.awake("not measured yet: " + list(s.pending, func(t decide.Trigger) string { return t.Name }))
}

func (s *situation) holdOn() Decision { return s.awake("no trigger is known to have work") }

func (s *situation) rest() Decision {
	return s.awake(fmt.Sprintf("no work in %s: %s", count(len(s.triggers), "trigger"), list(s.idle, reading)))
}

// awake is a decision of an object that is neither paused nor blind.
func (s *situation) awake(message string) Decision {
	if s.fails() {
		message += "; " + s.failures()
	}
	return Decision{Message: message, Ready: s.ready(), Active: s.active()}
}

// finish completes what a rule said with what is the same for every rule.
func (s *situation) finish(d Decision, r Reason) Decision {
	d.At, d.Reason, d.Triggers = s.Now, r, s.triggers
	d.Work, d.Wanted = whole(s.work), whole(s.wanted)
	d.Action, d.From, d.Paused = Hold, s.Unfinished, s.pausedCondition()
	if d.Create > 0 {
		d.Action = Create
	}
	if s.blind() {
		d.From = -1
	}
	d.To = d.From + d.Create
	d.LastActive = s.LastActive
	if d.Active.Status == decide.StatusTrue {
		d.LastActive = s.Now
	}
	return d
}
