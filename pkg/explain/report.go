package explain

import (
	"time"

	"github.com/weir-sh/weir/pkg/snapshot"
)

// Report is the answer to "why is this workload at its size?". It is what
// "weir explain -o json" and "weir status NAME -o json" print; fields may be
// added, and those here keep their names and meaning. A pointer that is null is
// not known.
type Report struct {
	Kind      string    `json:"kind"` // "ScaledObject" or "ScaledJob"
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	At        time.Time `json:"at"` // when it was looked at
	// State is the situation, as one word for programs.
	State State `json:"state"`
	// Attention says that something keeps the object from scaling as its spec asks:
	// the exit status is then 3.
	Attention bool `json:"attention"`
	// Answer is the situation as one sentence.
	Answer string `json:"answer"`
	// Min and Max are the bounds of replicas, or Jobs; Idle is where a workload goes
	// without work, and null when it does not go there.
	Min  int32  `json:"min"`
	Max  int32  `json:"max"`
	Idle *int32 `json:"idle"`
	// Asked is what the values ask for, before bounds and pace.
	Asked *int32 `json:"asked"`
	// Target is the workload of a ScaledObject, Jobs those of a ScaledJob.
	Target     *Target     `json:"target,omitempty"`
	Jobs       *Jobs       `json:"jobs,omitempty"`
	Conditions []Condition `json:"conditions"`
	Triggers   []Trigger   `json:"triggers"`
	HPA        *HPA        `json:"hpa,omitempty"`
	Pods       *Pods       `json:"pods,omitempty"`
	// Limits say what keeps the size from being what the values ask for, Outlook
	// what would change it: sentences.
	Limits  []string `json:"limits"`
	Outlook []string `json:"outlook"`
	// Decisions are weir's newest, oldest first.
	Decisions []snapshot.Decision `json:"decisions"`
	// Events are the newest about the object and its HPA, oldest first.
	Events []Event `json:"events"`
	// Unseen is what could not be looked at.
	Unseen []Unseen `json:"unseen"`
}

// State is a situation of an object. States are API.
type State string

// The states. Those that need attention say so.
const (
	Deleting        State = "Deleting"        // the object is being deleted
	NotSeen         State = "NotSeen"         // weir has not said anything about the object yet; needs attention
	Paused          State = "Paused"          // annotations stop all scaling
	TargetMissing   State = "TargetMissing"   // there is no workload to scale; needs attention
	NotReady        State = "NotReady"        // the spec is not in force; needs attention
	ReplicasUnknown State = "ReplicasUnknown" // weir cannot read the replicas of the workload; needs attention
	Fallback        State = "Fallback"        // the fallback stands in for what cannot be measured; needs attention
	Held            State = "Held"            // a trigger cannot be measured, so the workload stays as it is; needs attention
	HPAMissing      State = "HPAMissing"      // there is no HorizontalPodAutoscaler; needs attention
	HPAFailing      State = "HPAFailing"      // the HorizontalPodAutoscaler does not scale; needs attention
	Waking          State = "Waking"          // there is work and the workload is about to leave zero, or the idle count
	ScaleOutPaused  State = "ScaleOutPaused"  // there is work, but an annotation forbids more replicas
	AtRest          State = "AtRest"          // no work: the workload is at zero, or at its idle count, or no Job runs
	CoolingDown     State = "CoolingDown"     // no work, and the cooldown has not passed
	ScaleInPaused   State = "ScaleInPaused"   // fewer would do, but an annotation forbids to take replicas away
	AtMax           State = "AtMax"           // the values ask for more than the maximum
	Growing         State = "Growing"         // the values ask for more than there is
	Shrinking       State = "Shrinking"       // the values ask for less than there is
	AtMin           State = "AtMin"           // the values ask for less than the minimum
	Steady          State = "Steady"          // the size is what the values ask for
	Scaling         State = "Scaling"         // it scales, and what the values ask for cannot be seen
)

// attention reports whether a person should look.
func (s State) attention() bool {
	switch s {
	case NotSeen, TargetMissing, NotReady, ReplicasUnknown, Fallback, Held, HPAMissing, HPAFailing:
		return true
	default:
		return false
	}
}

// Target is the workload of a ScaledObject.
type Target struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Missing says that there is no such workload, or that it cannot be scaled.
	Missing bool   `json:"missing"`
	Wanted  *int32 `json:"wanted"`  // spec.replicas
	Created *int32 `json:"created"` // pods that were created for it
	Ready   *int32 `json:"ready"`   // of those, the ready ones
}

// Jobs are the Jobs of a ScaledJob, by what became of them.
type Jobs struct {
	Running   int32 `json:"running"` // not finished: pending ones count
	Succeeded int32 `json:"succeeded"`
	Failed    int32 `json:"failed"`
}

// Condition is a condition of the object.
type Condition struct {
	Type    string     `json:"type"`
	Status  string     `json:"status"`
	Reason  string     `json:"reason,omitempty"`
	Message string     `json:"message,omitempty"`
	Since   *time.Time `json:"since"` // of this status
}

// Trigger is a trigger with its value and what follows from it.
type Trigger struct {
	Index      int    `json:"index"`          // place in the spec from zero; -1: the result of the formula, or not known
	Name       string `json:"name,omitempty"` // as the user named it
	Type       string `json:"type,omitempty"` // the scaler's
	Metric     string `json:"metric"`         // as the HPA knows it
	MetricType string `json:"metricType,omitempty"`
	// From says who told the value: "weir", "externalMetrics" (the external metrics
	// API) or "hpa" (the status of the HPA, which is rounded).
	From       string            `json:"from,omitempty"`
	Value      *float64          `json:"value"`
	Age        *snapshot.Seconds `json:"ageSeconds"` // of the value
	Target     *float64          `json:"target"`     // work per replica; percent for Utilization
	Activation *float64          `json:"activation"` // there is work above it
	Active     *bool             `json:"active"`
	Fallback   bool              `json:"fallback,omitempty"` // the value is that of spec.fallback
	Error      string            `json:"error,omitempty"`    // why it could not be measured
	// Replicas is what the value asks for, before bounds and pace; Arithmetic is how
	// that follows, such as "ceil(47 / 5) = 10", or why nothing does.
	Replicas   *int32 `json:"replicas"`
	Arithmetic string `json:"arithmetic,omitempty"`
	// Tolerated says that the value is so close to the target that the HPA leaves
	// the replicas as they are.
	Tolerated bool `json:"tolerated,omitempty"`
}

// HPA is the HorizontalPodAutoscaler of a ScaledObject.
type HPA struct {
	Name string `json:"name"`
	// Foreign names who controls the HPA, when that is not the ScaledObject: a kind
	// and a name, or "nobody".
	Foreign string `json:"foreign,omitempty"`
	Current int32  `json:"current"` // as it last saw them
	Desired int32  `json:"desired"` // as it last decided
	Min     int32  `json:"min"`
	Max     int32  `json:"max"`
	// Up and Down are the pace as one line each, such as "at most 4 pods or 100 % in
	// 15s, window 0s".
	Up   string `json:"up"`
	Down string `json:"down"`
	// Next is the most, or fewest, replicas that its policies allow in the next step
	// towards what the values ask for; null when nothing is asked or known.
	Next *int32 `json:"next"`
	// Reason and Message are those of its condition ScalingActive when it does not
	// scale; Limited is the message of ScalingLimited when that holds, Stabilised
	// that of AbleToScale when earlier values hold the replicas.
	Reason     string     `json:"reason,omitempty"`
	Message    string     `json:"message,omitempty"`
	Limited    string     `json:"limited,omitempty"`
	Stabilised string     `json:"stabilised,omitempty"`
	LastScale  *time.Time `json:"lastScale"`
}

// Pods are the pods of the workload.
type Pods struct {
	Total int32 `json:"total"`
	Ready int32 `json:"ready"`
	// Waiting counts those that are not ready, by why.
	Waiting map[string]int32 `json:"waiting,omitempty"`
	// Items are all of them up to five; none when there are more.
	Items []Pod `json:"items,omitempty"`
}

// Pod is one pod.
type Pod struct {
	Name  string `json:"name"`
	State string `json:"state"` // "Ready", or why it is not
}

// Event is an event about the object or its HPA.
type Event struct {
	At      time.Time `json:"at"`
	Type    string    `json:"type"` // "Normal" or "Warning"
	Object  string    `json:"object"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Count   int32     `json:"count"`
}

// Unseen is something that could not be looked at.
type Unseen struct {
	What string `json:"what"`
	Why  string `json:"why"` // with the right that is missing
}

// Row is one object in the list that "weir status" prints; with -o json the list
// is an array of them.
type Row struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Target    string `json:"target,omitempty"` // such as "Deployment/orders"; empty for a ScaledJob
	Min       int32  `json:"min"`
	Max       int32  `json:"max"`
	Current   *int32 `json:"current"` // pods created, or Jobs that run
	Desired   *int32 `json:"desired"` // replicas that the workload is to have
	Ready     string `json:"ready"`   // a status: True, False or Unknown; so are the next three
	Active    string `json:"active"`
	Paused    string `json:"paused"`
	Fallback  string `json:"fallback,omitempty"` // empty for a ScaledJob
	Triggers  string `json:"triggers"`           // their types
	// Reason is the one word that tells most: that of Ready unless it is True, then
	// Paused, Fallback, that of HPAActive when it is False, and that of Active.
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"` // what belongs to it
}

// Overview is a list of objects.
type Overview struct {
	At     time.Time `json:"at"`
	Items  []Row     `json:"items"`
	Unseen []Unseen  `json:"unseen"`
}
