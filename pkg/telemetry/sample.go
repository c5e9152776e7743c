package telemetry

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// described is a metric that is read from snapshots, as Prometheus knows it.
type described struct {
	metric Metric
	desc   *prometheus.Desc
	order  []int // of the labels, by name
}

func describe(m Metric) *described {
	d := &described{metric: m, desc: m.descriptor(), order: make([]int, len(m.Labels))}
	for i := range d.order {
		d.order[i] = i
	}
	slices.SortFunc(d.order, func(a, b int) int { return cmp.Compare(m.Labels[a], m.Labels[b]) })
	return d
}

// labels pairs values, one per label in the order of the catalogue. Metrics with
// the same labels may share the result.
func (d *described) labels(values ...string) []*dto.LabelPair {
	pairs := make([]dto.LabelPair, len(values))
	out := make([]*dto.LabelPair, len(values))
	for i, from := range d.order {
		pairs[i].Name, pairs[i].Value = &d.metric.Labels[from], &values[from]
		out[i] = &pairs[i]
	}
	return out
}

// sample is the value of a counter or gauge at one scrape. It costs a fraction
// of what prometheus.MustNewConstMetric does, which counts with 100,000 of them.
type sample struct {
	*described
	pairs []*dto.LabelPair
	value float64
}

// Desc implements prometheus.Metric.
func (s sample) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s sample) Write(m *dto.Metric) error {
	m.Label = s.pairs
	if s.metric.Kind == Counter {
		m.Counter = &dto.Counter{Value: &s.value}
	} else {
		m.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}
