// Package jobs decides how many Jobs a ScaledJob creates. It is pure, as package
// decide is: what is known and the time come in, one [Decision] with its reason,
// sentence and inputs comes out, and every place that tells of it prints that
// value.
//
// Four ideas carry it. The rules are tried in a fixed order and the first that
// applies decides, so [Reasons] is also the documentation. The maximum is hard:
// Jobs that have not ended and Jobs to be created are never more, whatever the
// strategy says. Unknown is not zero: a trigger that cannot be read neither
// creates a Job nor hides the work of the others. And no work is counted twice:
// what a reading shows may already be in the hands of a Job that was created, or
// that has ended, since it was taken (see [Input.Recent] and [Input.LastRound]).
//
// The package knows no clock, no network and no Kubernetes.
package jobs

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
)

// Strategy is how the number of new Jobs follows from the work and from the Jobs
// there are. Any other value counts as Default.
type Strategy string

// The strategies, as users write them.
const (
	Default  Strategy = "default"  // as many as there is work for, less the Jobs there are
	Custom   Strategy = "custom"   // less Input.Deduction and a share of the Jobs there are
	Accurate Strategy = "accurate" // less the pending Jobs only
	Eager    Strategy = "eager"    // all the room there is, while there is work for as many
)

// Calculation is how several triggers are combined. Any other value counts as Max.
type Calculation string

// The calculations, as users write them. Triggers without work do not count.
const (
	Max Calculation = "max" // the trigger with the most work
	Min Calculation = "min" // the trigger with the least work above zero
	Avg Calculation = "avg" // the mean
	Sum Calculation = "sum" // the sum
)

// Input is everything a decision depends on. The zero Input holds.
type Input struct {
	Now    time.Time
	Paused bool // annotation paused

	// Known says that the three counts below are valid; false: the Jobs could not
	// be read.
	Known bool
	// Unfinished is how many Jobs have neither completed nor failed, also those
	// that were created and are not seen yet.
	Unfinished int32
	// Pending is how many of them have no pod that runs. It counts with the
	// strategies Accurate and Eager.
	Pending int32
	// Recent is how many Jobs ended, or went, after the oldest reading of a
	// trigger with work was taken: the reading may still show what they did. They
	// are deducted as Jobs that run, but take no room.
	Recent int32

	Min int32 // spec.minReplicaCount; more than Max counts as Max
	Max int32 // spec.maxReplicaCount, or its default; zero or less creates nothing

	Strategy    Strategy
	Calculation Calculation
	// Deduction is spec.scalingStrategy.customScalingQueueLengthDeduction.
	Deduction int32
	// Percentage is spec.scalingStrategy.customScalingRunningJobPercentage: a
	// number like "0.5". With anything else Custom is Default.
	Percentage string

	Interval time.Duration // spec.pollingInterval
	// LastRound is when Jobs were last created for work; zero: never. All strategies
	// but Default create once per interval, and only on readings taken since: they
	// do not deduct all the Jobs there are, and would create for the same work again.
	// So does Default with a target below one.
	LastRound time.Time
	// RetryAt is when creating may be tried again after it failed; zero: it did not.
	RetryAt time.Time
	// LastActive is what the last Decision said; zero: never.
	LastActive time.Time

	Triggers []decide.Trigger // in the order of the spec; read only, not kept. Target is the work per Job
}

// Action is what to do.
type Action string

// The actions.
const (
	Hold   Action = "hold"   // create nothing
	Create Action = "create" // create Decision.Create Jobs
)

// Decision is an Action with its reason and what it was made of. It shares no
// memory with its Input.
type Decision struct {
	At      time.Time // Input.Now
	Action  Action
	Create  int32  // Jobs to create: more than zero exactly with the action Create
	From    int32  // Jobs that have not ended; -1: could not be read
	To      int32  // From and Create together
	Work    int32  // the work of all triggers together, rounded up; at most 2147483647
	Wanted  int32  // Jobs that Work asks for, by target and Max
	Reason  Reason // the rule that decided
	Message string // for people: one line with the values, without secrets

	Ready  decide.Condition
	Active decide.Condition
	Paused decide.Condition

	// LastActive is the Input.LastActive of the next decision.
	LastActive time.Time
	// Recheck asks for the next decision after this time. Zero: the next reading or
	// the next change of a Job is soon enough.
	Recheck time.Duration
	// Triggers are those of the Input with the State that was counted. Their
	// numbers are finite.
	Triggers []decide.Trigger
}

// Decide tries the rules in their order; the first that applies decides. Equal
// inputs give equal decisions.
func Decide(in Input) Decision {
	s, all := observe(in), rules()
	r := all[slices.IndexFunc(all, func(r rule) bool { return r.when(s) })]
	return s.finish(r.then(s), r.reason)
}

// String returns the decision as one line, like "create 2 (3 -> 5) (WorkWaiting):
// ...".
func (d Decision) String() string {
	switch {
	case d.Action == Create:
		return fmt.Sprintf("create %d (%d -> %d) (%s): %s", d.Create, d.From, d.To, d.Reason, d.Message)
	case d.From >= 0:
		return fmt.Sprintf("hold %d (%s): %s", d.From, d.Reason, d.Message)
	}
	return fmt.Sprintf("hold (%s): %s", d.Reason, d.Message)
}
