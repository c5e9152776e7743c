package scaledobject

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/formula"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// What triggers say, whether the fallback stands in for them and what a formula
// makes of them is found here, for decisions and for reads of the HPA alike, so
// that the two cannot disagree.

// modifiers is a formula as a plan has it.
type modifiers struct {
	decide.Modifiers

	as        autoscalingv2.MetricTargetType
	variables []string // the formula's names for the triggers of the plan; empty for none
}

// modifiersOf returns the formula of an object over its parsed triggers, or nil.
func modifiersOf(so *v1alpha1.ScaledObject, list []triggers.Trigger) (*modifiers, error) {
	spec := so.Spec.Modifiers()
	if !spec.InUse() {
		return nil, nil
	}
	m := &modifiers{as: spec.EffectiveMetricType()}
	for _, t := range list {
		m.variables = append(m.variables, t.Name)
	}
	var err [3]error
	m.Formula, err[0] = formula.Compile(spec.Formula, triggers.FormulaNames(so.Spec.Triggers))
	m.Target, err[1] = strconv.ParseFloat(strings.TrimSpace(spec.Target), 64)
	if spec.ActivationTarget != "" {
		m.Activation, err[2] = strconv.ParseFloat(strings.TrimSpace(spec.ActivationTarget), 64)
	}
	if err := errors.Join(err[:]...); err != nil {
		return nil, scaled.Problem("spec.advanced.scalingModifiers: %v", err)
	}
	m.Name, m.Nil = v1alpha1.CompositeMetricName, so.Spec.Fallback != nil && so.Spec.Fallback.Behavior == v1alpha1.FallbackScalingModifiers
	return m, nil
}

// mark is what a trigger says. Equal marks ask for nothing new.
type mark struct {
	scaled.Sign

	failures int32 // in polling intervals; zero without a fallback
	fallback bool  // it fails for so long that the fallback stands in
}

// mark says what a reading means for a trigger of the plan, and when that changes
// without another reading; zero for never.
func (p *plan) mark(i int, s engine.Sample, now time.Time) (m mark, next time.Time) {
	t := p.triggers[i]
	m.Sign = scaled.SignOf(t, s, p.maxAge(), now)
	if p.fallback == nil || t.Resource != nil {
		return m, time.Time{}
	}
	m.failures, next = p.outage(i, s, now).Failures(now, p.mostFailures())
	m.fallback = m.failures > p.fallback.FailureThreshold
	return m, next
}

// marks marks all triggers. Next is when the first of them changes by itself.
func (p *plan) marks(samples []engine.Sample, now time.Time) (list []mark, next time.Time) {
	list = make([]mark, len(p.triggers))
	for i, s := range samples {
		m, at := p.mark(i, s, now)
		list[i] = m
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return list, next
}

// samples returns the newest readings of all triggers.
func (p *plan) samples(latest func(scalers.Query) engine.Sample) []engine.Sample {
	out := make([]engine.Sample, len(p.triggers))
	for i, t := range p.triggers {
		out[i] = latest(t.Query)
	}
	return out
}

// failedBefore is the error of a trigger that has none now, after a restart.
const failedBefore = "it failed before, and has not been measured since"

// weigh returns the triggers as a decision sees them and, where there is a formula,
// its result after them.
func (p *plan) weigh(samples []engine.Sample, marks []mark, w size, now time.Time) []decide.Trigger {
	out := make([]decide.Trigger, 0, len(p.triggers)+2)
	_, err := p.fallbackReplicas(w)
	for i, t := range p.triggers {
		d := scaled.Reading(t, samples[i], marks[i].Sign, now)
		d.FallbackActive = marks[i].fallback && err == nil
		d.Feeds = p.modifiers != nil && !pushed(t, samples[i])
		if d.FallbackActive && d.Err == "" {
			d.Err = failedBefore
		}
		if d.FallbackActive && p.modifiers == nil {
			p.fill(&d, w, t.MetricType)
		}
		out = append(out, d)
	}
	if p.modifiers != nil {
		result := p.modifiers.Result(out, p.modifiers.variables)
		if result.FallbackActive {
			p.fill(&result, w, p.modifiers.as)
		}
		out = append(out, result)
	}
	return out
}

// view is everything about an object at one moment.
type view struct {
	at       time.Time
	samples  []engine.Sample
	marks    []mark
	next     time.Time // when a mark changes without another reading; zero: never
	size     size
	triggers []decide.Trigger // of the plan, and then the result of the formula
}

// view weighs the newest readings for a decision. Replicas, or why they are not
// known, are those of the workload.
func (r *Reconciler) view(ctx context.Context, p *plan, replicas int32, err error) view {
	v := view{at: r.Now(), samples: p.samples(r.Engine.Latest), size: size{replicas: replicas, err: err}}
	v.marks, v.next = p.marks(v.samples, v.at)
	if standsIn(v.marks) {
		v.size = r.look(ctx, p, v.size)
	}
	v.triggers = p.weigh(v.samples, v.marks, v.size, v.at)
	return v
}

// pushed reports whether the upstream of a trigger has said of itself that there is
// work. That counts beside a formula.
func pushed(t triggers.Trigger, s engine.Sample) bool {
	if t.Resource != nil {
		return false
	}
	d := t.Source.Definition()
	return d.Watches && d.NamesMetrics && s.Err == nil && s.OK && s.Activity == scalers.Busy
}
