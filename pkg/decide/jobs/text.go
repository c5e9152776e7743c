package jobs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
)

const (
	shown     = 3   // triggers named in a message; the rest are counted
	errorSize = 200 // bytes of an error in a message
)

// Reasons of conditions that only a ScaledJob has.
const (
	scaledJobReady    decide.ConditionReason = "ScaledJobReady"       // Ready is True
	checkFailed       decide.ConditionReason = "ScaledJobCheckFailed" // Ready is False
	scaledJobPaused   decide.ConditionReason = "ScaledJobPaused"      // Paused is True
	scaledJobUnpaused decide.ConditionReason = "ScaledJobUnpaused"    // Paused is False
)

func ready(message string) decide.Condition {
	return decide.Condition{Status: decide.StatusTrue, Reason: scaledJobReady, Message: message}
}

// ready says whether all triggers can be measured. Before every trigger was tried
// once it says nothing, unless some trigger has work: a restart must not make it
// flap.
func (s *situation) ready() decide.Condition {
	switch {
	case s.fails() && (s.hasWork() || s.least > 0):
		return decide.Condition{Status: decide.StatusUnknown, Reason: decide.PartialTriggerError, Message: s.failures()}
	case s.fails():
		return decide.Condition{Status: decide.StatusFalse, Reason: decide.TriggerError, Message: s.failures()}
	case s.unmeasured() && !s.hasWork():
		return decide.Condition{}
	}
	return ready("the object is ready for scaling")
}

// active says whether there is work. A minimum counts as work.
func (s *situation) active() decide.Condition {
	no := decide.Condition{Status: decide.StatusFalse, Reason: decide.ScalerNotActive, Message: "no trigger has work"}
	yes := decide.Condition{Status: decide.StatusTrue, Reason: decide.ScalerActive, Message: "at least one trigger has work"}
	switch {
	case s.hasWork():
		return yes
	case s.least > 0:
		yes.Message = "minReplicaCount asks for Jobs without work"
		return yes
	case s.unmeasured():
		return decide.Condition{}
	case s.fails():
		no.Message = "no trigger is known to have work"
	}
	return no
}

func (s *situation) pausedCondition() decide.Condition {
	if s.Paused {
		return decide.Condition{Status: decide.StatusTrue, Reason: scaledJobPaused, Message: "scaling is paused by annotation"}
	}
	return decide.Condition{Status: decide.StatusFalse, Reason: scaledJobUnpaused, Message: "scaling is not paused"}
}

// cause says what asks for Jobs, with the values.
func (s *situation) cause() string {
	return fmt.Sprintf("%d of %s %s work: %s", len(s.busy), count(len(s.triggers), "trigger"), verb(len(s.busy), "has", "have"), list(s.busy, reading))
}

// arithmetic says what the strategy compares.
func (s *situation) arithmetic() string {
	text := jobs(whole(s.wanted), "wanted") + ", " + strconv.Itoa(int(s.Unfinished)) + " unfinished"
	if s.strategy == Accurate || s.strategy == Eager {
		text += fmt.Sprintf(", %d of them pending", s.Pending)
	}
	if s.Recent > 0 {
		text += fmt.Sprintf(", %d ended since the reading", s.Recent)
	}
	return text + ", at most " + strconv.Itoa(int(s.most)) + " (" + string(s.strategy) + ")"
}

func (s *situation) failures() string { return list(s.failing, failure) }

func reading(t decide.Trigger) string {
	return fmt.Sprintf("%s has %s (target %s)", t.Name, number(t.Value), number(t.Target))
}

func failure(t decide.Trigger) string {
	why := strings.Join(strings.FieldsFunc(t.Err, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(why) > errorSize {
		why = strings.ToValidUTF8(why[:errorSize], "") + "…"
	}
	return fmt.Sprintf("%s cannot be read (%s)", t.Name, why)
}

func list(ts []decide.Trigger, say func(decide.Trigger) string) string {
	var parts []string
	for _, t := range ts[:min(len(ts), shown)] {
		parts = append(parts, say(t))
	}
	if more := len(ts) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

// number prints thousandths; what would vanish, or is too large to have a
// fraction, keeps its magnitude.
func number(v float64) string {
	if abs := math.Abs(v); v != 0 && (abs < 0.001 || abs >= 1e15) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strings.TrimRight(strconv.FormatFloat(v, 'f', 3, 64), "0")
	return strings.TrimSuffix(s, ".")
}

// span prints whole seconds, or milliseconds below one second.
func span(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// jobs is "1 Job unfinished", "2 Jobs unfinished".
func jobs(n int32, what string) string { return count(int(n), "Job") + " " + what }

func count(n int, what string) string { return fmt.Sprintf("%d %s%s", n, what, verb(n, "", "s")) }

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
