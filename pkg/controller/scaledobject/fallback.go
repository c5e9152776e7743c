package scaledobject

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// past is what is known of a trigger's failures from before its present query.
type past struct {
	failures int32     // counted then; they count until the query is measured
	began    time.Time // when the query came into the plan; it cannot have failed earlier
	attempts uint64    // that had failed then, for whomever
}

// remember takes over the failures counted before: by the plan before or, after a
// restart or a pause, those in the status.
func (p *plan) remember(before *plan, health map[string]v1alpha1.HealthStatus, latest func(scalers.Query) engine.Sample, now time.Time) {
	p.past = make([]past, len(p.triggers))
	for i, t := range p.triggers {
		p.past[i].began, p.past[i].attempts = now, latest(t.Query).Failures
		if before == nil {
			for _, name := range p.namesOf(i) {
				if n := health[name].NumberOfFailures; n != nil {
					p.past[i].failures = max(p.past[i].failures, *n)
				}
			}
			continue
		}
		k := slices.IndexFunc(before.triggers, func(was triggers.Trigger) bool { return was.MetricName == t.MetricName })
		switch {
		case k < 0:
		case before.triggers[k].Query == t.Query:
			p.past[i] = before.past[k]
		default:
			p.past[i].failures, _ = before.outage(k, latest(before.triggers[k].Query), now).Failures(now, p.mostFailures())
		}
	}
}

// outage is the time for which a trigger could not be measured.
func (p *plan) outage(i int, s engine.Sample, now time.Time) decide.Outage {
	o := decide.Outage{Interval: p.interval}
	if !s.OK {
		o.Before = p.past[i].failures
	}
	switch {
	case s.Err != nil:
		o.Since = s.ErrSince
	case s.OK && now.Sub(s.Measured) > p.maxAge(): // its source has gone silent
		o.Since = s.Measured.Add(p.interval)
	default:
		return o
	}
	if o.Since.Before(p.past[i].began) {
		o.Since = p.past[i].began
	}
	return o
}

// mostFailures is as far as failures are counted: one more than the fallback lets
// pass, so that an outage causes few writes.
func (p *plan) mostFailures() int32 {
	if p.fallback == nil {
		return math.MaxInt32
	}
	return min(p.fallback.FailureThreshold, math.MaxInt32-1) + 1
}

// size is how large a workload is: what a fallback depends on.
type size struct {
	replicas int32
	err      error // why replicas are not known
	ready    int   // pods, where a metric of type Value is to stand in for one
	unready  error // why ready is not known, or that it is zero
}

// standsIn reports whether the fallback stands in for some trigger.
func standsIn(marks []mark) bool {
	return slices.ContainsFunc(marks, func(m mark) bool { return m.fallback })
}

// look reads what a fallback that stands in for something depends on. W holds the
// replicas.
func (r *Reconciler) look(ctx context.Context, p *plan, w size) size {
	ofValue := func(t triggers.Trigger) bool {
		return t.Resource == nil && t.MetricType == autoscalingv2.ValueMetricType
	}
	if p.modifiers != nil && p.modifiers.as == autoscalingv2.ValueMetricType || p.modifiers == nil && slices.ContainsFunc(p.triggers, ofValue) {
		w.ready, w.unready = r.readyPods(ctx, p.target)
	}
	return w
}

// readyPods counts those pods of a workload that an HPA divides a metric of type
// Value among; none is an error.
func (r *Reconciler) readyPods(ctx context.Context, t kube.Target) (int, error) {
	scale, err := r.scale(ctx, t)
	if err != nil {
		return 0, err
	}
	if scale.Status.Selector == "" {
		return 0, fmt.Errorf("the scale of %v has no selector, so its ready pods cannot be counted", t)
	}
	n, err := kube.Pods{Cache: r.Client}.CountReady(ctx, t.Namespace, scale.Status.Selector)
	if err == nil && n == 0 {
		err = fmt.Errorf("no pod of %v is ready, and the fallback of a metric of type Value is divided among them", t)
	}
	return n, err
}

// fallbackReplicas is what the fallback asks for now. It is no count while that
// depends on the replicas that there are, and those are not known.
func (p *plan) fallbackReplicas(w size) (int32, error) {
	if p.fallback == nil {
		return 0, nil
	}
	behavior := decide.Behavior(p.fallback.EffectiveBehavior())
	if behavior.UsesCurrent() && w.err != nil {
		return 0, fmt.Errorf("the fallback is made of the replicas that there are: %w", w.err)
	}
	return behavior.Replicas(p.fallback.Replicas, w.replicas), nil
}

// asks says what the fallback asks for.
func (p *plan) asks(w size) string {
	behavior := p.fallback.EffectiveBehavior()
	n, err := p.fallbackReplicas(w)
	switch {
	case behavior == v1alpha1.FallbackScalingModifiers:
		return "the formula sees nil, and where it gives nil the fallback asks for replicas: " + strconv.Itoa(int(n))
	case err != nil || n <= 0:
		return fmt.Sprintf("the fallback (%s) asks for no replicas, so those that there are stay", behavior)
	}
	return fmt.Sprintf("the fallback (%s) asks for replicas: %d", behavior, n)
}

// standIn is the value of a metric that the fallback stands in for: that of which
// the HPA makes the replicas that the fallback asks for. A fallback that asks for
// none stands in for nothing: the HPA holds, as it does without a fallback.
func (p *plan) standIn(w size, as autoscalingv2.MetricTargetType, target float64) (float64, error) {
	n, err := p.fallbackReplicas(w)
	switch {
	case err != nil:
		return 0, err
	case n <= 0:
		return 0, errors.New("the fallback asks for no replicas, so those that there are stay")
	case as != autoscalingv2.ValueMetricType:
		return decide.StandIn(target, n, 0), nil
	case w.unready != nil:
		return 0, w.unready
	}
	return decide.StandIn(target, n, w.ready), nil
}

// fill gives t the value that stands in for it; zero when there is none now.
func (p *plan) fill(t *decide.Trigger, w size, as autoscalingv2.MetricTargetType) {
	t.Value = 0
	if v, err := p.standIn(w, as, t.Target); err == nil {
		t.Value = v
	}
}
