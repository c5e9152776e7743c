package explain

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/hpa"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// triggers are those of the object: as weir knows them, or else as far as the API
// server tells.
func (f *facts) triggers() []Trigger {
	var out []Trigger
	if f.weir != nil && len(f.weir.Triggers) > 0 {
		for _, t := range f.weir.Triggers {
			out = append(out, f.told(t))
		}
	} else {
		out = f.guessed()
	}
	if f.hpa != nil {
		f.reported(out)
	}
	for i := range out {
		if f.pauseRequested() {
			out[i].Active = nil // nothing is measured
		}
		f.compute(&out[i])
	}
	return out
}

// pauseRequested reports whether annotations stop scaling altogether.
func (f *facts) pauseRequested() bool {
	if f.so != nil {
		return f.so.PauseRequested()
	}
	return f.job.PauseRequested()
}

// told is a trigger as weir knows it.
func (f *facts) told(t snapshot.Trigger) Trigger {
	out := Trigger{
		Index: t.Index, Name: t.Name, Type: t.Type, Metric: t.Metric, MetricType: t.MetricType,
		Target: &t.Target, Activation: &t.Activation, Active: &t.Active, Fallback: t.Fallback, Error: t.Err,
	}
	if t.Resource {
		out.Activation, out.Active = nil, nil
		return out
	}
	if t.Err != "" && !t.Fallback {
		out.Active = nil // unknown is not idle
	}
	if t.Known {
		out.Value, out.From = &t.Value, "weir"
	}
	if !t.Measured.IsZero() {
		out.Age = new(snapshot.Of(max(f.now.Sub(t.Measured), 0)))
	}
	return out
}

// guessed are the triggers by the names of their metrics.
func (f *facts) guessed() []Trigger {
	names, activity := f.names()
	var out []Trigger
	for _, name := range names {
		t := Trigger{Index: indexOf(name), Metric: name}
		if specs := f.specs(); t.Index >= 0 && t.Index < len(specs) {
			t.Name, t.Type = specs[t.Index].Name, specs[t.Index].Type
		}
		if a, ok := activity[name]; ok {
			t.Active = &a.IsActive
		}
		if v, ok := f.served[name]; ok {
			t.Value, t.From = &v, "externalMetrics"
		}
		out = append(out, t)
	}
	return out
}

// names are the metrics of the object, and which of them have work.
func (f *facts) names() ([]string, map[string]v1alpha1.TriggerActivity) {
	if f.so == nil {
		return f.job.Status.ExternalMetricNames, f.job.Status.TriggersActivity
	}
	names := slices.Concat(f.so.Status.ExternalMetricNames, f.so.Status.ResourceMetricNames)
	if f.hpa != nil {
		for _, m := range f.hpa.Spec.Metrics {
			if metric, ok := metricOf(m); ok && !slices.Contains(names, metric.Name) {
				names = append(names, metric.Name)
			}
		}
	}
	return names, f.so.Status.TriggersActivity
}

// specs are the triggers as the user wrote them.
func (f *facts) specs() []v1alpha1.Trigger {
	if f.so != nil {
		return f.so.Spec.Triggers
	}
	return f.job.Spec.Triggers
}

// indexOf is the place of a trigger in the spec, which the name of its metric
// begins with: "s0-redis-jobs"; -1 when it does not.
func indexOf(metric string) int {
	rest, ok := strings.CutPrefix(metric, "s")
	digits, _, dash := strings.Cut(rest, "-")
	if i, err := strconv.Atoi(digits); ok && dash && err == nil {
		return i
	}
	return -1
}

// reported adds what the HPA says: targets, and values of which nobody else told.
func (f *facts) reported(all []Trigger) {
	for _, m := range f.hpa.Spec.Metrics {
		metric, ok := metricOf(m)
		i := slices.IndexFunc(all, func(t Trigger) bool { return t.Metric == metric.Name })
		if !ok || i < 0 {
			continue
		}
		t := &all[i]
		t.MetricType, t.Target = string(metric.Type), new(targetOf(metric))
		if metric.Kind != hpa.External {
			t.Type = cmp.Or(t.Type, metric.Name)
		}
		// At zero, what the HPA says is from before.
		if t.Value == nil && t.Error == "" && f.replicas() > 0 {
			if v, ok := f.current(metric); ok {
				if metric.Kind == hpa.External && metric.Type == hpa.AverageValue {
					v *= float64(f.hpa.Status.CurrentReplicas)
				}
				t.Value, t.From = &v, "hpa"
			}
		}
	}
}

// current is the value of a metric in the status of the HPA: per replica, unless the
// HPA compares it as a whole.
func (f *facts) current(metric hpa.Metric) (float64, bool) {
	for _, c := range f.hpa.Status.CurrentMetrics {
		switch {
		case metric.Kind == hpa.External && c.External != nil && c.External.Metric.Name == metric.Name:
			return valueOf(c.External.Current, metric)
		case metric.Kind == hpa.Resource && c.Resource != nil && string(c.Resource.Name) == metric.Name:
			return valueOf(c.Resource.Current, metric)
		case metric.Kind == hpa.ContainerResource && c.ContainerResource != nil && string(c.ContainerResource.Name) == metric.Name:
			return valueOf(c.ContainerResource.Current, metric)
		}
	}
	return 0, false
}

// valueOf is the value that is compared with the target.
func valueOf(v autoscalingv2.MetricValueStatus, metric hpa.Metric) (float64, bool) {
	switch {
	case metric.Type == hpa.Utilization && v.AverageUtilization != nil:
		return float64(*v.AverageUtilization), true
	case metric.Type == hpa.AverageValue && v.AverageValue != nil:
		return v.AverageValue.AsApproximateFloat64(), true
	case metric.Type == hpa.Value && v.Value != nil:
		return v.Value.AsApproximateFloat64(), true
	}
	return 0, false
}

// compute says how many replicas the value of a trigger asks for, as the HPA counts.
func (f *facts) compute(t *Trigger) {
	if f.partOfFormula(t) {
		t.Arithmetic = "part of the formula"
		return
	}
	if t.Value == nil || t.Target == nil || *t.Target <= 0 {
		return
	}
	m := hpa.Metric{Kind: hpa.External, Name: t.Metric, Type: hpa.TargetType(t.MetricType), Target: milli(*t.Target)}
	if f.so == nil {
		m.Type = hpa.AverageValue
	}
	scale := hpa.Scale{Now: f.now, Spec: f.replicas(), Status: f.created(), Pods: podsOf(f.pods)}
	tolerance := hpa.Tolerance{}
	if f.hpa != nil {
		s := spec(f.hpa)
		tolerance = s.Tolerance(hpa.DefaultFlags())
	}
	var p hpa.Proposal
	if t.Type == "cpu" || t.Type == "memory" {
		m.Kind = hpa.Resource
		average := milli(*t.Value)
		if m.Type == hpa.Utilization {
			m.Target, average = int64(*t.Target), int64(*t.Value)
		}
		p = hpa.ProposeAverage(m, average, scale.Spec, f.ready(), tolerance)
	} else {
		p = hpa.Propose(m, hpa.Reading{Values: []int64{milli(*t.Value)}}, scale, tolerance, hpa.DefaultFlags())
	}
	if p.Err != "" {
		t.Arithmetic = p.Err
		return
	}
	t.Replicas, t.Arithmetic, t.Tolerated = &p.Replicas, p.Formula, p.Tolerated
}

// partOfFormula reports whether only the formula looks at the trigger.
func (f *facts) partOfFormula(t *Trigger) bool {
	return f.so != nil && f.so.Spec.Modifiers().InUse() && t.Metric != v1alpha1.CompositeMetricName && t.Type != "cpu" && t.Type != "memory"
}

// replicas are those that the workload is to have; zero when not known.
func (f *facts) replicas() int32 {
	switch {
	case f.scale != nil:
		return f.scale.Spec.Replicas
	case f.hpa != nil:
		return f.hpa.Status.CurrentReplicas
	}
	return 0
}

// created are the pods that exist for the workload; zero when not known.
func (f *facts) created() int32 {
	if f.scale != nil {
		return f.scale.Status.Replicas
	}
	return f.replicas()
}

// ready are the ready pods, or all of them when they cannot be seen.
func (f *facts) ready() int32 {
	if f.podsSeen != found {
		return f.created()
	}
	return podsReport(f.pods).Ready
}
