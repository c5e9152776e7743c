// Package snapshot says what weir knows of one object at one moment, in the form
// in which it is served to people and tools: values without behaviour, with one
// JSON form. Controllers make snapshots; telemetry, the debug routes and the
// command line read them.
package snapshot

import "time"

// Object is one ScaledObject or ScaledJob.
type Object struct {
	Kind      string `json:"kind"` // "ScaledObject" or "ScaledJob"
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Paused says that annotations stop scaling, altogether or in one direction.
	Paused bool `json:"paused,omitempty"`
	// Problem says why the newest spec is not in force; empty when it is.
	Problem string `json:"problem,omitempty"`
	// Min and Max bound the replicas that triggers can bring about, or the Jobs; both
	// are zero while that is not known.
	Min int32 `json:"minReplicas"`
	Max int32 `json:"maxReplicas"`
	// Interval is the time between measurements.
	Interval Seconds `json:"intervalSeconds"`
	// Triggers are those in force, in the order of the spec; then, where a formula
	// is used, its result with the Index -1.
	Triggers []Trigger `json:"triggers,omitempty"`
	// Errors counts, since this process first saw the object, what could not be
	// measured or parsed. It never decreases.
	Errors uint64 `json:"errors"`
	// Decisions are the newest, oldest first; nil where they were not asked for.
	Decisions []Decision `json:"decisions,omitempty"`
}

// Trigger is one trigger with its newest reading.
type Trigger struct {
	Index      int     `json:"index"`          // place in the spec from zero; -1 for the result of a formula
	Name       string  `json:"name,omitempty"` // as the user named it
	Type       string  `json:"type"`           // the scaler's, such as "redis"; empty for the result of a formula
	Metric     string  `json:"metric"`         // as the HPA knows it, such as "s0-redis-jobs", "cpu" or "composite-metric"
	MetricType string  `json:"metricType"`     // how the HPA compares: "AverageValue", "Value" or "Utilization"
	Target     float64 `json:"target"`         // work per replica, in the scaler's unit
	Activation float64 `json:"activation"`     // there is work above it
	// Resource marks what the HPA reads itself: it has no value here.
	Resource bool `json:"resource,omitempty"`
	// Known says that Value is valid: there was a reading, maybe an old one, or a
	// fallback stands in.
	Known  bool    `json:"known"`
	Value  float64 `json:"value"`
	Active bool    `json:"active"` // counts as work
	// Fallback marks a Value that spec.fallback stands in with.
	Fallback bool `json:"fallback,omitempty"`
	// Measured is when Value was last measured; zero for never.
	Measured time.Time `json:"measured,omitzero"`
	// Took is how long the newest measurement took, together with those it shared
	// a round trip with.
	Took Seconds `json:"tookSeconds"`
	// Err says why the newest attempt failed; empty when it did not. No secrets.
	Err string `json:"error,omitempty"`
	// Failures counts failed attempts since the trigger was first measured.
	Failures uint64 `json:"failures"`
	// Empty counts the answers without a result since then. EmptyFails says that the
	// newest of them counted as a failure, as the trigger asks, and not as a value.
	Empty      uint64 `json:"emptyAnswers,omitempty"`
	EmptyFails bool   `json:"emptyAnswersFail,omitempty"`
}

// Decision is one decision about an object.
type Decision struct {
	At      time.Time `json:"at"`
	Action  string    `json:"action"`  // such as "hold" or "activate"
	From    int32     `json:"from"`    // replicas, or Jobs, before; -1: could not be read
	To      int32     `json:"to"`      // after
	Reason  string    `json:"reason"`  // the stable code of the rule that decided
	Message string    `json:"message"` // one line with the values
	// Triggers are the inputs, as they were counted.
	Triggers []Input `json:"triggers,omitempty"`
}

// Input is what one trigger said to a decision.
type Input struct {
	Metric     string  `json:"metric"`
	Type       string  `json:"type,omitempty"`
	State      string  `json:"state"` // "busy", "idle" or "unknown"
	Value      float64 `json:"value"`
	Target     float64 `json:"target"`
	Activation float64 `json:"activation"`
	Age        Seconds `json:"ageSeconds"` // of the reading
	Err        string  `json:"error,omitempty"`
	Fallback   bool    `json:"fallback,omitempty"`
}

// Seconds is a span of time, written as a number of seconds.
type Seconds float64

// Of returns d in seconds.
func Of(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Duration returns s as a duration.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }
