// Package hpa is the arithmetic of the HorizontalPodAutoscaler, version 2: from
// what metrics say to a number of replicas, and why it is that number. It is pure:
// readings, pods and the time come in, one [Result] comes out. What the controller
// keeps in memory between two looks at an object is a [State].
//
// [State.Sync] is one look of the controller at one object. It computes with the
// same types in the same order as the controller, because rounding is part of the
// contract: 50 replicas and 10 % are 56, not 55. [Propose], [ProposeAverage] and
// [State.Limit] are its parts, for those who know less than the controller does.
//
// What is here is Kubernetes 1.37, checked against that controller sync by sync:
// see testdata/controller.jsonl. Older versions differ in what they are given. Below
// 1.37 the API refuses Min 0 unless the feature gate HPAScaleToZero is on; below
// 1.35 it drops [Rules].Tolerance unless HPAConfigurableTolerance is on; a new or
// changed object waits for up to one period instead of being looked at immediately.
//
// A sync here is one whose target could be read and, where needed, written. Of the
// kinds of metrics there are the three that weir asks for.
package hpa

import (
	"math"
	"time"
)

// Flags are the settings of the controller that take part in the arithmetic, flags
// of kube-controller-manager. Take [DefaultFlags] and change what differs: the zero
// value tolerates nothing and keeps nothing.
type Flags struct {
	// Tolerance is how far a ratio may be from 1 without any scaling, where the
	// object does not say: --horizontal-pod-autoscaler-tolerance.
	Tolerance float64
	// Downscale is the window for scaling down where the object does not say:
	// --horizontal-pod-autoscaler-downscale-stabilization.
	Downscale time.Duration
	// CPUInitialization is how long after its start the cpu of a pod counts only
	// while it is ready: --horizontal-pod-autoscaler-cpu-initialization-period.
	CPUInitialization time.Duration
	// ReadinessDelay is how long after its start a pod that is not ready, and has
	// been so since, counts as never having been ready:
	// --horizontal-pod-autoscaler-initial-readiness-delay.
	ReadinessDelay time.Duration
}

// DefaultFlags returns the flags that a controller has unless told otherwise.
func DefaultFlags() Flags {
	return Flags{Tolerance: 0.1, Downscale: 5 * time.Minute, CPUInitialization: 5 * time.Minute, ReadinessDelay: 30 * time.Second}
}

// Spec is what an HPA asks for. Sync does not validate it: the API server did.
type Spec struct {
	Min     int32    `json:"min"`     // minReplicas; 1 where an object has none, for 0 means zero
	Max     int32    `json:"max"`     // maxReplicas, at least 1 and Min
	Metrics []Metric `json:"metrics"` // at least one
	// Behavior is nil for the older algorithm: doubling at most, and every peak of
	// the last Flags.Downscale comes back.
	Behavior *Behavior `json:"behavior,omitempty"`
}

// Behavior says how fast an HPA may scale. What is not set has the API server's
// default.
type Behavior struct {
	ScaleUp   Rules `json:"scaleUp"`
	ScaleDown Rules `json:"scaleDown"`
}

// Rules are the rules of one direction. The zero value is the default of its
// direction.
type Rules struct {
	// Window is stabilizationWindowSeconds, 0 to 3600. Nil is 0 for scaling up and
	// Flags.Downscale for scaling down.
	Window *int32 `json:"window,omitempty"`
	// Select says which policy counts when there are several; empty is SelectMax.
	Select Select `json:"select,omitempty"`
	// Policies bound the change. None stands for 4 pods or 100 % in 15 s for
	// scaling up, and 100 % in 15 s for scaling down.
	Policies []Policy `json:"policies,omitempty"`
	// Tolerance is how far a ratio may be from 1 in this direction, in the value of
	// the quantity's AsApproximateFloat64; nil is Flags.Tolerance.
	Tolerance *float64 `json:"tolerance,omitempty"`
}

// Select chooses among policies.
type Select string

// The choices. Max allows the largest change and Min the smallest, in either
// direction.
const (
	SelectMax      Select = "Max"
	SelectMin      Select = "Min"
	SelectDisabled Select = "Disabled"
)

// Policy bounds how much may change within a period.
type Policy struct {
	Type   PolicyType `json:"type"`
	Value  int32      `json:"value"`  // pods, or percent of the replicas at the period's start; above 0
	Period int32      `json:"period"` // periodSeconds, 1 to 1800
}

// PolicyType is the unit of a policy.
type PolicyType string

// The units.
const (
	Pods    PolicyType = "Pods"
	Percent PolicyType = "Percent"
)

// Metric is one metric of the spec.
type Metric struct {
	Kind      Kind       `json:"kind"`
	Name      string     `json:"name"`                // of the external metric, or "cpu", "memory"
	Container string     `json:"container,omitempty"` // of ContainerResource
	Type      TargetType `json:"type"`
	// Target is in thousandths of the metric's unit; of Utilization in percent.
	Target int64 `json:"target"`
}

// Kind is where a metric comes from.
type Kind string

// The kinds.
const (
	External          Kind = "External"
	Resource          Kind = "Resource"
	ContainerResource Kind = "ContainerResource"
)

// TargetType is how a metric is compared with its target.
type TargetType string

// The comparisons. Resources have no Value, only resources have Utilization.
const (
	AverageValue TargetType = "AverageValue" // per replica
	Value        TargetType = "Value"        // as it is; the replicas are scaled by the ratio
	Utilization  TargetType = "Utilization"  // per replica, in percent of what its containers request
)

// Reading is what a metrics API answered about one metric.
type Reading struct {
	// Err is why there is no answer; nothing else counts then.
	Err string `json:"error,omitempty"`
	// Values are those of an external metric in thousandths, as
	// Quantity.MilliValue rounds them: usually one, and none is an error.
	Values []int64 `json:"values,omitempty"`
	// Pods are those of a resource, by the pod's name. None is an error; a pod
	// without a sample is missing.
	Pods map[string]Sample `json:"pods,omitempty"`
}

// Sample is the use of a resource by one pod.
type Sample struct {
	Value  int64         `json:"value"` // thousandths of cores or bytes, of all containers or the metric's one
	At     time.Time     `json:"at"`    // end of the time it was measured over
	Window time.Duration `json:"window"`
}

// Phase is the phase of a pod, spelt as in Kubernetes.
type Phase string

// The phases that make a difference.
const (
	Pending Phase = "Pending"
	Running Phase = "Running"
	Failed  Phase = "Failed"
)

// Pod is one pod that the target's selector matches.
type Pod struct {
	Name     string    `json:"name"`
	Phase    Phase     `json:"phase"`
	Deleting bool      `json:"deleting,omitempty"` // has a deletion time
	Started  time.Time `json:"started,omitzero"`   // status.startTime; zero: none
	// Ready is the status of the condition Ready: "True", "False", "Unknown", or
	// empty where there is no such condition.
	Ready      string    `json:"ready,omitempty"`
	ReadySince time.Time `json:"readySince,omitzero"` // its lastTransitionTime
	// Containers are the containers and the restartable init containers.
	Containers []Container `json:"containers,omitempty"`
	// Requests are those of the pod as a whole, in thousandths by resource; nil
	// where the pod sets none and its containers count.
	Requests map[string]int64 `json:"requests,omitempty"`
}

// Container is what one container requests, in thousandths by resource.
type Container struct {
	Name     string           `json:"name"`
	Requests map[string]int64 `json:"requests,omitempty"`
}

// ready is the pod as those metrics count it that know readiness only.
func (p *Pod) ready() bool { return p.Phase == Running && p.Ready == "True" }

// Scale is the target as one sync sees it.
type Scale struct {
	Now    time.Time `json:"now"`
	Spec   int32     `json:"spec"`   // spec.replicas of the scale
	Status int32     `json:"status"` // status.replicas of the scale: pods there are, ready or not
	Pods   []Pod     `json:"pods,omitempty"`
}

// Tolerance is how far a ratio may be from 1.
type Tolerance struct {
	Down, Up float64
}

// Tolerance returns what holds for the spec under flags.
func (s *Spec) Tolerance(f Flags) Tolerance {
	t := Tolerance{f.Tolerance, f.Tolerance}
	if s.Behavior == nil {
		return t
	}
	if v := s.Behavior.ScaleDown.Tolerance; v != nil {
		t.Down = *v
	}
	if v := s.Behavior.ScaleUp.Tolerance; v != nil {
		t.Up = *v
	}
	return t
}

// Within reports whether a ratio calls for no scaling. Both ends do not.
func (t Tolerance) Within(ratio float64) bool {
	return 1-t.Down <= ratio && ratio <= 1+t.Up
}

// withDefaults returns the behaviour with everything set.
func (b *Behavior) withDefaults(f Flags) Behavior {
	return Behavior{
		ScaleUp:   b.ScaleUp.or(0, []Policy{{Pods, 4, 15}, {Percent, 100, 15}}),
		ScaleDown: b.ScaleDown.or(int32(f.Downscale.Seconds()), []Policy{{Percent, 100, 15}}),
	}
}

func (r Rules) or(window int32, policies []Policy) Rules {
	if r.Window == nil {
		r.Window = &window
	}
	if r.Select == "" {
		r.Select = SelectMax
	}
	if len(r.Policies) == 0 {
		r.Policies = policies
	}
	return r
}

// ceil rounds up to replicas. What no int32 holds becomes what the machine makes of
// it, in the controller too; where that has a bound there is [clamped].
func ceil(x float64) int32 { return int32(math.Ceil(x)) }

// clamped is ceil, and the largest number where there is none.
func clamped(x float64) int32 {
	if x > math.MaxInt32 {
		return math.MaxInt32
	}
	return ceil(x)
}
