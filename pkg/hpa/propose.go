package hpa

import (
	"fmt"
	"math"
)

// Proposal is what one metric asks for.
type Proposal struct {
	Metric Metric `json:"metric"`
	// Err says in own words why the metric asks for nothing; Reason is then the
	// reason of the HPA's condition, and the other fields mean nothing.
	Err    string `json:"error,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Usage is what was compared with the target: in thousandths, and percent for
	// Utilization. Of external metrics it is the sum, of resources the average of
	// the pods that count.
	Usage int64 `json:"usage"`
	// Ratio is usage to target; with AverageValue of an external metric, to the
	// target of all replicas, NaN or infinite without any. See Formula for JSON.
	Ratio float64 `json:"-"`
	// Tolerated says that the ratio is too near to 1 to scale.
	Tolerated bool  `json:"tolerated"`
	Replicas  int32 `json:"replicas"` // may be negative for a negative Value
	// Formula is the arithmetic on one line, such as "ceil(47 / 5) = 10".
	Formula string `json:"formula"`
}

// Propose returns what a metric asks for. Of s, metrics differ in what they need:
// external ones with AverageValue only Status, those with Value also Spec and Pods.
func Propose(m Metric, r Reading, s Scale, t Tolerance, f Flags) Proposal {
	p := Proposal{Metric: m}
	switch {
	case r.Err != "":
		return p.fail(r.Err)
	case m.Kind == External:
		return p.external(r, s, t)
	default:
		return p.resource(r, s, t, f)
	}
}

// ProposeAverage returns what a resource asks for of which only the average is
// known, in the unit of the target, as in the status of an HPA: what [Propose] says
// if that is the average of n pods, and no other is missing or not ready. Spec is
// the replica count of the target.
func ProposeAverage(m Metric, average int64, spec, n int32, t Tolerance) Proposal {
	p := Proposal{Metric: m, Usage: average, Ratio: float64(average) / float64(m.Target)}
	return p.byPods(spec, int(n), t)
}

// fail is a metric that asks for nothing.
func (p Proposal) fail(why string) Proposal {
	return Proposal{Metric: p.Metric, Err: why, Reason: "FailedGet" + string(p.Metric.Kind) + "Metric"}
}

func (p Proposal) external(r Reading, s Scale, t Tolerance) Proposal {
	if len(r.Values) == 0 {
		return p.fail("the metrics API answered without any value")
	}
	if p.Metric.Type == AverageValue {
		return p.averageValue(r.Values, s.Status, t)
	}
	return p.value(r.Values, s, t)
}

// averageValue asks for one replica per target. Which pods there are plays no
// part, and within the tolerance it is the replicas that exist that stay, not
// those asked for.
func (p Proposal) averageValue(values []int64, status int32, t Tolerance) Proposal {
	for _, v := range values {
		p.Usage += v
		if p.Usage < 0 { // negative, or more than there are numbers: as much as there can be
			p.Usage = math.MaxInt64
			break
		}
	}
	p.Ratio = float64(p.Usage) / (float64(p.Metric.Target) * float64(status))
	if p.Tolerated = t.Within(p.Ratio); p.Tolerated {
		p.Replicas = status
		p.Formula = fmt.Sprintf("%s / (%s * %d) = %s, %s: %s", p.usage(), p.target(), status, ratio(p.Ratio), t.text(), stays(status))
		return p
	}
	p.Replicas = clamped(float64(p.Usage) / float64(p.Metric.Target))
	p.Formula = fmt.Sprintf("ceil(%s / %s) = %d", p.usage(), p.target(), p.Replicas)
	return p
}

// value scales the ready pods by the ratio.
func (p Proposal) value(values []int64, s Scale, t Tolerance) Proposal {
	for _, v := range values {
		if v > 0 && p.Usage > math.MaxInt64-v {
			p.Usage = math.MaxInt64
			break
		}
		p.Usage += v
	}
	p.Ratio = float64(p.Usage) / float64(p.Metric.Target)
	if s.Spec == 0 {
		p.Replicas = ceil(p.Ratio)
		p.Formula = fmt.Sprintf("ceil(%s / %s) = %d", p.usage(), p.target(), p.Replicas)
		return p
	}
	if p.Tolerated = t.Within(p.Ratio); p.Tolerated {
		return p.stay(s.Spec, t)
	}
	if len(s.Pods) == 0 {
		return p.fail("the selector of the target matches no pod")
	}
	ready := 0
	for i := range s.Pods {
		if s.Pods[i].ready() {
			ready++
		}
	}
	p.Replicas = clamped(p.Ratio * float64(ready))
	p.Formula = fmt.Sprintf("ceil(%s / %s * %s) = %d", p.usage(), p.target(), count(ready, "ready pod"), p.Replicas)
	return p
}

// stay leaves the replicas as they are because of the tolerance.
func (p Proposal) stay(replicas int32, t Tolerance) Proposal {
	p.Tolerated, p.Replicas = true, replicas
	p.Formula = fmt.Sprintf("%s / %s = %s, %s: %s", p.usage(), p.target(), ratio(p.Ratio), t.text(), stays(replicas))
	return p
}

// byPods scales n pods by the ratio.
func (p Proposal) byPods(spec int32, n int, t Tolerance) Proposal {
	if t.Within(p.Ratio) {
		return p.stay(spec, t)
	}
	p.Replicas = ceil(p.Ratio * float64(n))
	p.Formula = fmt.Sprintf("ceil(%s / %s * %s) = %d", p.usage(), p.target(), count(n, "measured pod"), p.Replicas)
	return p
}
