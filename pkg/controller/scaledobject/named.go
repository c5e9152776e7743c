package scaledobject

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Some upstreams name their metrics and targets themselves, so that what the HPA
// gets is known after the first reading only. Until then it is what the plan
// before had, or what the HPA holds from before a restart: a metric that an HPA
// loses is one that can no longer keep replicas.

// name fills in the metrics that upstreams name, as far as they are known.
func (r *Reconciler) name(ctx context.Context, so *v1alpha1.ScaledObject, before, next *plan) error {
	var held map[string]scalers.Metric
	for i, t := range next.triggers {
		if !t.Source.Definition().NamesMetrics {
			continue
		}
		if next.named == nil {
			next.named = map[int][]scalers.Metric{}
		}
		if s := r.Engine.Latest(t.Query); s.OK {
			next.named[i] = s.Metrics
			continue
		}
		if list, ok := before.namedBy(t.Index); ok {
			next.named[i] = list
			continue
		}
		if held == nil {
			var err error
			if held, err = r.held(ctx, so, next.hpaName); err != nil {
				return err
			}
		}
		next.named[i] = ofTrigger(held, t)
	}
	return nil
}

// namedBy returns the metrics that the upstream of the trigger at an index of the
// spec was known to name.
func (p *plan) namedBy(index int) ([]scalers.Metric, bool) {
	if p == nil {
		return nil, false
	}
	i := slices.IndexFunc(p.triggers, func(t triggers.Trigger) bool { return t.Index == index })
	list, ok := p.named[i]
	return list, ok
}

// held returns the external metrics of the object's HPA by name.
func (r *Reconciler) held(ctx context.Context, so *v1alpha1.ScaledObject, name string) (map[string]scalers.Metric, error) {
	out := map[string]scalers.Metric{}
	h := new(autoscalingv2.HorizontalPodAutoscaler)
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: so.Namespace, Name: name}, h)
	if err != nil {
		if err = client.IgnoreNotFound(err); err != nil {
			err = fmt.Errorf("reading HorizontalPodAutoscaler %q: %w", name, err)
		}
		return out, err
	}
	if !ours(h, so) {
		return out, nil
	}
	for _, m := range h.Spec.Metrics {
		if m.External == nil {
			continue
		}
		target := m.External.Target.AverageValue
		if target == nil {
			target = m.External.Target.Value
		}
		if target != nil {
			out[m.External.Metric.Name] = scalers.Metric{Target: target.AsApproximateFloat64()}
		}
	}
	return out, nil
}

// ofTrigger picks a trigger's metrics out of those of an HPA, sorted by name.
func ofTrigger(held map[string]scalers.Metric, t triggers.Trigger) []scalers.Metric {
	var out []scalers.Metric
	for name, m := range held {
		if inner, ok := strings.CutPrefix(name, namedMetric(t, "")); ok {
			m.Name = inner
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b scalers.Metric) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// namedMetric is the name that the HPA has for a metric of the upstream.
func namedMetric(t triggers.Trigger, name string) string {
	return "s" + strconv.Itoa(t.Index) + "-" + name
}

// renamed reports whether an upstream names other metrics or targets than the
// plan in force has.
func (o *object) renamed(latest func(scalers.Query) engine.Sample) bool {
	p := o.current.Load()
	return p != nil && p.renamed(latest)
}

func (p *plan) renamed(latest func(scalers.Query) engine.Sample) bool {
	for i, have := range p.named {
		s := latest(p.triggers[i].Query)
		if s.OK && !slices.EqualFunc(have, s.Metrics, func(a, b scalers.Metric) bool { return a.Name == b.Name && a.Target == b.Target }) {
			return true
		}
	}
	return false
}

// served returns the place of the trigger that answers for a metric of the HPA, and
// the name that its upstream has for it where the upstream names its metrics. Case
// does not count. A formula answers for every metric, its own among them.
func (p *plan) served(name string) (i int, inner string, ok bool) {
	for i, t := range p.triggers {
		switch {
		case t.Resource != nil:
		case !t.Source.Definition().NamesMetrics:
			if strings.EqualFold(t.MetricName, name) {
				return i, "", true
			}
		default:
			for _, m := range p.named[i] {
				if strings.EqualFold(namedMetric(t, m.Name), name) {
					return i, m.Name, true
				}
			}
		}
	}
	return -1, "", p.modifiers != nil && strings.EqualFold(p.modifiers.Name, name)
}

// targetOf is the target of a metric of a trigger; inner is as served returns it.
func (p *plan) targetOf(i int, inner string) float64 {
	for _, m := range p.named[i] {
		if inner != "" && m.Name == inner {
			return m.Target
		}
	}
	return p.triggers[i].Target
}

// measured is the value of a metric in a sample that is new enough; inner is the
// name that the upstream has for it, if it does.
func measured(s engine.Sample, t triggers.Trigger, inner string) (Measured, error) {
	if inner == "" {
		return Measured{s.Value, s.At}, nil
	}
	for _, m := range s.Metrics {
		if m.Name == inner {
			return Measured{m.Value, s.At}, nil
		}
	}
	return Measured{}, fmt.Errorf("%s is no longer among the metrics that its upstream names", namedMetric(t, inner))
}

// metricNames returns the names of the metrics that weir serves, in the order of
// the triggers.
func (p *plan) metricNames() []string {
	names := []string{}
	for i := range p.triggers {
		names = append(names, p.namesOf(i)...)
	}
	return names
}

// namesOf returns the names of the metrics that weir serves for the trigger at a
// place of the plan; after those, for the formula.
func (p *plan) namesOf(i int) []string {
	if i == len(p.triggers) {
		return []string{p.modifiers.Name}
	}
	t := p.triggers[i]
	switch {
	case t.Resource != nil:
		return nil
	case !t.Source.Definition().NamesMetrics:
		return []string{t.MetricName}
	}
	names := make([]string, len(p.named[i]))
	for k, m := range p.named[i] {
		names[k] = namedMetric(t, m.Name)
	}
	return names
}

// resourceNames returns the names of the metrics that the HPA reads itself, those
// of single containers left out.
func (p *plan) resourceNames() []string {
	var names []string
	for _, t := range p.triggers {
		if t.Resource != nil && t.Resource.Container == "" {
			names = append(names, string(t.Resource.Name))
		}
	}
	return names
}
