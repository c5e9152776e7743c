package decide

import (
	"math"
	"time"
)

// Behavior is how a fallback uses its count, as users write it. Anything else, also
// nothing, means Static.
type Behavior string

// The behaviors.
const (
	Static                  Behavior = "static"                  // the count asked for
	CurrentReplicas         Behavior = "currentReplicas"         // what there is
	CurrentReplicasIfHigher Behavior = "currentReplicasIfHigher" // the greater of the two
	CurrentReplicasIfLower  Behavior = "currentReplicasIfLower"  // the smaller of the two
	ByFormula               Behavior = "scalingModifiers"        // left to the formula; the count asked for where it gives nil
)

// UsesCurrent reports whether the behavior depends on the replicas that there are.
func (b Behavior) UsesCurrent() bool {
	return b == CurrentReplicas || b == CurrentReplicasIfHigher || b == CurrentReplicasIfLower
}

// Replicas returns the count that a fallback comes to where asked is the count it
// asks for and current is what there is.
func (b Behavior) Replicas(asked, current int32) int32 {
	switch b {
	case CurrentReplicas:
		return current
	case CurrentReplicasIfHigher:
		return max(asked, current)
	case CurrentReplicasIfLower:
		return min(asked, current)
	case Static, ByFormula:
	}
	return asked
}

// Outage is the time for which a trigger could not be measured. Its failures are
// counted by that time and not by attempts, of which HPA reads and back-off make
// more or fewer: one for each polling interval that has begun.
type Outage struct {
	Since    time.Time     // zero: it can be measured, or was not tried yet
	Before   int32         // failures counted before Since
	Interval time.Duration // between polls; above zero
}

// Failures returns the count at now, at most most, and when it grows; zero for
// never.
func (o Outage) Failures(now time.Time, most int32) (n int32, next time.Time) {
	if o.Since.IsZero() || o.Before >= most {
		return min(o.Before, most), time.Time{}
	}
	polls := int64(max(now.Sub(o.Since), 0) / o.Interval)
	if polls >= int64(most-o.Before)-1 {
		return most, time.Time{}
	}
	return o.Before + 1 + int32(polls), o.Since.Add(time.Duration(polls+1) * o.Interval)
}

// StandIn returns the value of a metric of which an HPA makes exactly so many
// replicas. Target is the work per replica. With ready above zero the metric is of
// type Value, for which the HPA divides among that many ready pods; zero means
// AverageValue. It is 0 when that needs numbers that a quantity cannot hold.
func StandIn(target float64, replicas int32, ready int) float64 {
	const most = 9e15 // thousandths: whole numbers, in floats as well
	per := math.Round(target * 1000)
	milli := per * float64(replicas)
	if ready > 0 && per > 0 {
		// The HPA multiplies and rounds up in floats, where a little too much is one
		// replica too many.
		milli = math.Floor(milli / float64(ready))
		computed := func(m float64) float64 { return math.Ceil(m / per * float64(ready)) }
		if computed(milli) > float64(replicas) {
			milli--
		}
		if computed(milli) < float64(replicas) {
			milli++
		}
	}
	if !(milli >= 0 && milli <= most) {
		return 0
	}
	return milli / 1000
}
