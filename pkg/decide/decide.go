// Package decide turns readings into the decision whether a workload wakes,
// stays or goes to rest. It is pure: what is known and the time come in, one
// [Decision] with its reason, sentence and inputs comes out, and every place that
// tells of scaling (conditions, events, log, CLI, simulator) prints that value.
//
// Three ideas carry it. The rules are tried in a fixed order and the first that
// applies decides, so [Reasons] is also the documentation. Unknown is not
// zero: only a fresh reading of every trigger may take replicas away. Between one
// and n the HorizontalPodAutoscaler decides; here it is only zero (or the idle
// count) and back.
//
// The package knows no clock, no network and no Kubernetes.
package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is what the newest reading of a trigger says.
type State uint8

// The states of a trigger.
const (
	Unknown State = iota // no fresh reading, or an error; the zero value, so a forgotten field never takes replicas away
	Idle                 // a fresh reading without work
	Busy                 // a fresh reading with work
)

// String returns the state in lower case; what is not a state is unknown.
func (s State) String() string {
	switch s {
	case Idle:
		return "idle"
	case Busy:
		return "busy"
	case Unknown:
	}
	return "unknown"
}

// Trigger is one trigger of the object with its newest reading.
type Trigger struct {
	Name       string        // the metric name users see, like "s0-redis-jobs"; empty: called by its position
	Type       string        // the scaler, like "redis"; carried, not used
	State      State         // counts only while Err is empty and the numbers are finite, otherwise it is Unknown
	Value      float64       // in the scaler's unit
	Target     float64       // work per replica, in the same unit; only for messages, zero where there is none
	Activation float64       // there is work above it; only for messages, State holds the outcome
	Age        time.Duration // of the reading; carried, not used
	// Err says why there is no fresh reading, as one sentence without secrets.
	// The same failure should give the same text, because it ends up in the
	// Ready condition. Unknown with an empty Err means not measured yet.
	Err string
	// FallbackActive says that the trigger failed for so long that the fallback
	// stands in for it. It then counts as Busy, or as failing when there is no
	// fallback or the fallback asks for no replicas.
	FallbackActive bool
	// Resource marks cpu and memory, which the HPA measures by itself. They have no
	// part in the decision unless the object has nothing else.
	Resource bool
	// Feeds marks a trigger whose value goes into a formula: not it, but the
	// Formula trigger after it says whether there is work. Its failing still
	// counts. Without a Formula trigger it means nothing.
	Feeds bool
	// Formula marks the result of a formula; see Modifiers. Unknown without an Err
	// means that a trigger that feeds it says why.
	Formula bool
}

// Input is everything a decision depends on. The zero Input holds.
type Input struct {
	Now           time.Time
	Replicas      int32 // spec.replicas of the target; meaningless unless ReplicasKnown
	ReplicasKnown bool  // false: the target could not be read
	Min           int32 // spec.minReplicaCount; 0 when unset, and never above Max
	Max           int32 // spec.maxReplicaCount; 0: no bound
	HasIdle       bool  // spec.idleReplicaCount is set
	Idle          int32 // spec.idleReplicaCount; meaningless unless HasIdle
	// Created is when the object was created. Zero counts as Now.
	Created time.Time
	// LastActive is when there last was work and replicas to do it: what the
	// caller carries from the previous Decision. Zero means never, and then
	// InitialCooldown counts from Created. The value in status is written on
	// transitions only, hence older than the truth; so after a restart the caller
	// passes Now for an object whose Active condition is True. A cooldown then
	// starts later than it might, never earlier.
	LastActive      time.Time
	Cooldown        time.Duration // idle time before the last replicas go
	InitialCooldown time.Duration // the same for an object that never was active

	Paused          bool   // annotation paused
	PausedReplicas  *int32 // annotation paused-replicas, which pauses by its presence; the reconciler applies it
	PausedScaleIn   bool   // annotation paused-scale-in
	PausedScaleOut  bool   // annotation paused-scale-out
	ForceActivation bool   // annotation force-activation

	Fallback bool // spec.fallback is set
	// FallbackReplicas is the count the fallback asks for: spec.fallback.replicas,
	// or what its behavior makes of it now.
	FallbackReplicas int32

	Triggers []Trigger // in the order of the spec; read only, not kept
}

// Action is what to do with the workload.
type Action string

// The actions. All but Hold set the replicas of the target to Decision.To.
const (
	Hold       Action = "hold"       // leave it to the HPA and to whoever set it
	Activate   Action = "activate"   // from zero or idle up to where the HPA takes over
	Deactivate Action = "deactivate" // down to zero or to the idle count
	Correct    Action = "correct"    // up to the minimum without any work
)

// Decision is an Action with its reason and what it was made of. It shares no
// memory with its Input.
type Decision struct {
	At      time.Time // Input.Now
	Action  Action
	From    int32  // replicas before; -1: could not be read
	To      int32  // replicas to set; equal to From on Hold
	Reason  Reason // the rule that decided
	Message string // for people: one line with the values, without secrets

	Ready    Condition
	Active   Condition
	Paused   Condition
	Fallback Condition

	// LastActive is the Input.LastActive of the next decision. It is At when the
	// object is active, also with partial errors, unless there is no replica to do
	// the work. The caller keeps its old value when the scaling of an Activate fails.
	LastActive time.Time
	// Recheck asks for the next decision after this time. Zero: the next reading is
	// soon enough.
	Recheck time.Duration
	// Triggers are those of the Input with the State that was counted. Their
	// numbers are finite.
	Triggers []Trigger
}

// Decide tries the rules in their order; the first that applies decides. Equal
// inputs give equal decisions.
func Decide(in Input) Decision {
	s, all := observe(in), rules()
	r := all[slices.IndexFunc(all, func(r rule) bool { return r.when(s) })]
	return s.finish(r.then(s), r.reason)
}

// ActiveTriggers returns the names of the triggers that count as active, in the
// order of the spec. It is what status.triggersActivity and the activation event show.
func (d Decision) ActiveTriggers() []string {
	var names []string
	for _, t := range d.Triggers {
		if t.State == Busy {
			names = append(names, t.Name)
		}
	}
	return names
}

// String returns the decision as one line, like "activate 0 -> 1 (WorkWaiting): 1
// of 1 trigger has work: s0-redis-jobs has 12 (above 0, target 5)".
func (d Decision) String() string {
	var b strings.Builder
	b.WriteString(string(d.Action))
	switch {
	case d.Action != Hold:
		fmt.Fprintf(&b, " %d -> %d", d.From, d.To)
	case d.From >= 0:
		fmt.Fprintf(&b, " %d", d.From)
	}
	fmt.Fprintf(&b, " (%s): %s", d.Reason, d.Message)
	return b.String()
}
