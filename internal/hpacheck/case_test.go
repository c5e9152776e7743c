//go:build e2e

package hpacheck

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-sh/weir/pkg/hpa"
)

// check is one case.
type check struct {
	name   string
	random *rand.Rand
	load   float64 // replicas that the load asks for

	// What the adapter's lock guards.
	in     hpa.Input
	state  hpa.State
	synced int      // syncs begun
	series []int32  // replicas, at the start and after each sync
	lines  []string // what pkg/hpa said
}

// generate makes the cases. Each has a target with a fixed number of pods, all of
// which there are from the beginning: nobody makes others.
func generate(seed uint64) []*check {
	out := make([]*check, cases)
	for i := range out {
		c := &check{name: fmt.Sprintf("case-%03d", i), random: rand.New(rand.NewPCG(seed, uint64(i)))}
		c.in.Flags = hpa.DefaultFlags()
		c.in.Flags.Downscale = downscale
		c.in.Spec = hpa.Spec{Min: 1 + c.random.Int32N(3), Max: 8 + c.random.Int32N(40), Metrics: c.metrics(i % 8)}
		if c.random.IntN(3) > 0 {
			c.in.Spec.Behavior = &hpa.Behavior{ScaleUp: c.rules(), ScaleDown: c.rules()}
		}
		replicas := c.in.Spec.Min + c.random.Int32N(6)
		c.in.Scale.Spec, c.in.Scale.Status = replicas, replicas
		c.load, c.series = float64(replicas), []int32{replicas}
		if i%8 >= 3 {
			c.in.Scale.Pods = c.pods(int(replicas))
		}
		out[i] = c
	}
	return out
}

func (c *check) metrics(kind int) []hpa.Metric {
	external := func(n int, target hpa.TargetType) hpa.Metric {
		return hpa.Metric{Kind: hpa.External, Name: fmt.Sprintf("%s-%d", c.name, n), Type: target, Target: []int64{1000, 5000, 333, 10_000}[c.random.IntN(4)]}
	}
	cpu := hpa.Metric{Kind: hpa.Resource, Name: "cpu", Type: hpa.Utilization, Target: []int64{50, 80, 120}[c.random.IntN(3)]}
	memory := hpa.Metric{Kind: hpa.Resource, Name: "memory", Type: hpa.AverageValue, Target: 100_000_000}
	container := hpa.Metric{Kind: hpa.ContainerResource, Name: "cpu", Container: "work", Type: hpa.Utilization, Target: 60}
	switch kind {
	case 0, 1:
		return []hpa.Metric{external(0, hpa.AverageValue)}
	case 2:
		return []hpa.Metric{external(0, hpa.AverageValue), external(1, hpa.AverageValue)}
	case 3:
		return []hpa.Metric{external(0, hpa.Value)}
	case 4:
		return []hpa.Metric{cpu}
	case 5:
		return []hpa.Metric{memory}
	case 6:
		return []hpa.Metric{container}
	default:
		return []hpa.Metric{external(0, hpa.AverageValue), cpu}
	}
}

// rules draws windows and periods of 1 s, which nothing of an earlier sync is in,
// or such as last longer than the test.
func (c *check) rules() hpa.Rules {
	length := func() int32 { return []int32{1, 1, 1800}[c.random.IntN(3)] }
	r := hpa.Rules{Policies: []hpa.Policy{{Type: hpa.Pods, Value: 1 + c.random.Int32N(6), Period: length()}}}
	if c.random.IntN(2) == 0 {
		r.Policies = append(r.Policies, hpa.Policy{Type: hpa.Percent, Value: []int32{10, 30, 50, 100}[c.random.IntN(4)], Period: length()})
	}
	r.Window = new([]int32{0, 0, 1, 1800}[c.random.IntN(4)])
	r.Select = []hpa.Select{"", hpa.SelectMax, hpa.SelectMin, hpa.SelectMin, hpa.SelectDisabled}[c.random.IntN(5)]
	if c.random.IntN(2) == 0 {
		r.Tolerance = new([]float64{0, .05, .2, .5}[c.random.IntN(4)])
	}
	return r
}

// pods are ready, not ready or pending, since long ago.
func (c *check) pods(n int) []hpa.Pod {
	out := make([]hpa.Pod, n)
	long := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range out {
		out[i] = hpa.Pod{
			Name: fmt.Sprintf("%s-%d", c.name, i), Phase: hpa.Running, Ready: "True", Started: long, ReadySince: long,
			Containers: []hpa.Container{{Name: "work", Requests: map[string]int64{"cpu": 200, "memory": 200_000_000}}, {Name: "proxy", Requests: map[string]int64{"cpu": 100, "memory": 50_000_000}}},
		}
		switch c.random.IntN(6) {
		case 0:
			out[i].Ready = "False"
		case 1:
			out[i].Ready, out[i].Phase = "False", hpa.Pending
		}
	}
	return out
}

// sync has pkg/hpa do the sync that the controller has begun.
func (c *check) sync(now time.Time) {
	c.synced++
	if c.random.IntN(3) == 0 {
		c.load = c.random.Float64() * float64(c.in.Spec.Max) * 1.2
	}
	c.in.Readings = make([]hpa.Reading, len(c.in.Spec.Metrics))
	for i, m := range c.in.Spec.Metrics {
		c.in.Readings[i] = c.reading(m, now)
	}
	c.in.Scale.Now = now
	r := c.state.Sync(c.in)
	c.in.Scale.Spec = r.Desired
	c.series, c.lines = append(c.series, r.Desired), append(c.lines, r.Lines...)
}

func (c *check) reading(m hpa.Metric, now time.Time) hpa.Reading {
	switch ratio := c.load / float64(c.in.Scale.Status) * (.9 + .2*c.random.Float64()); {
	case c.random.IntN(8) == 0:
		return hpa.Reading{Err: "not found"}
	case m.Kind == hpa.External && m.Type == hpa.Value:
		return hpa.Reading{Values: []int64{int64(ratio * float64(m.Target))}}
	case m.Kind == hpa.External:
		total := int64(c.load * float64(m.Target))
		return hpa.Reading{Values: []int64{total / 3, total - total/3}}
	default:
		return hpa.Reading{Pods: c.samples(m, ratio, now)}
	}
}

// samples are those of most pods.
func (c *check) samples(m hpa.Metric, ratio float64, now time.Time) map[string]hpa.Sample {
	out := map[string]hpa.Sample{}
	for _, p := range c.in.Scale.Pods {
		if c.random.IntN(8) == 0 {
			continue
		}
		use := ratio * float64(m.Target)
		switch m.Kind {
		case hpa.Resource:
			if m.Type == hpa.Utilization {
				use *= 3 // of 300
			}
		default:
			use *= 2
		}
		out[p.Name] = hpa.Sample{Value: int64(use * (.8 + .4*c.random.Float64())), At: now, Window: 30 * time.Second}
	}
	return out
}

func metricSpec(m hpa.Metric) autoscalingv2.MetricSpec {
	target := autoscalingv2.MetricTarget{Type: autoscalingv2.MetricTargetType(m.Type)}
	quantity := resource.NewMilliQuantity(m.Target, resource.DecimalSI)
	switch m.Type {
	case hpa.Utilization:
		target.AverageUtilization = new(int32(m.Target))
	case hpa.Value:
		target.Value = quantity
	default:
		target.AverageValue = quantity
	}
	out := autoscalingv2.MetricSpec{Type: autoscalingv2.MetricSourceType(m.Kind)}
	switch m.Kind {
	case hpa.External:
		out.External = &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: m.Name}, Target: target}
	case hpa.Resource:
		out.Resource = &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceName(m.Name), Target: target}
	default:
		out.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{Name: corev1.ResourceName(m.Name), Container: m.Container, Target: target}
	}
	return out
}

func scalingRules(r hpa.Rules) *autoscalingv2.HPAScalingRules {
	out := &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: r.Window}
	if r.Select != "" {
		out.SelectPolicy = new(autoscalingv2.ScalingPolicySelect(r.Select))
	}
	for _, p := range r.Policies {
		out.Policies = append(out.Policies, autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.HPAScalingPolicyType(p.Type), Value: p.Value, PeriodSeconds: p.Period})
	}
	if r.Tolerance != nil {
		out.Tolerance = new(resource.MustParse(strconv.FormatFloat(*r.Tolerance, 'f', -1, 64)))
	}
	return out
}
