package telemetry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// producer gives OpenTelemetry the numbers that Prometheus is served, so that
// both always agree.
type producer struct {
	from    prometheus.Gatherer
	metrics map[string]Metric // by name in Prometheus
	began   time.Time         // when counting began
	deltas  *deltas           // nil for totals
}

func newProducer(from prometheus.Gatherer, metrics []Metric, delta bool) *producer {
	p := &producer{from: from, metrics: map[string]Metric{}, began: time.Now()}
	if delta {
		p.deltas = new(deltas)
	}
	for _, m := range metrics {
		p.metrics[m.Name] = m
	}
	return p
}

// Produce implements metric.Producer.
func (p *producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	families, err := p.from.Gather()
	if err != nil {
		err = fmt.Errorf("collecting metrics: %w", err) // the families that could be collected are pushed
	}
	out := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scopeName}}
	now := time.Now()
	for _, f := range families {
		m, ok := p.metrics[f.GetName()]
		if !ok {
			continue
		}
		unit := ""
		if strings.HasSuffix(m.Name, "_seconds") {
			unit = "s"
		}
		out.Metrics = append(out.Metrics, p.convert(f.GetMetric(), &m, m.OTel, unit, 1, now))
		switch {
		case m.Deprecated == "":
		case unit == "s":
			out.Metrics = append(out.Metrics, p.convert(f.GetMetric(), &m, m.Deprecated, "ms", 1000, now))
		default:
			out.Metrics = append(out.Metrics, p.convert(f.GetMetric(), &m, m.Deprecated, unit, 1, now))
		}
	}
	if p.deltas != nil {
		p.deltas.since(out.Metrics, now)
	}
	return []metricdata.ScopeMetrics{out}, err
}

// convert writes a family as OpenTelemetry does, with values times factor.
func (p *producer) convert(all []*dto.Metric, m *Metric, name, unit string, factor float64, now time.Time) metricdata.Metrics {
	out := metricdata.Metrics{Name: name, Description: m.Help, Unit: unit}
	points := make([]metricdata.DataPoint[float64], 0, len(all))
	var spread []metricdata.HistogramDataPoint[float64]
	for _, one := range all {
		at := attributes(one.GetLabel())
		switch m.Kind {
		case Histogram:
			spread = append(spread, histogram(one.GetHistogram(), at, p.began, now))
		case Counter:
			points = append(points, metricdata.DataPoint[float64]{Attributes: at, StartTime: p.began, Time: now, Value: one.GetCounter().GetValue() * factor})
		case Gauge:
			points = append(points, metricdata.DataPoint[float64]{Attributes: at, Time: now, Value: one.GetGauge().GetValue() * factor})
		}
	}
	switch m.Kind {
	case Histogram:
		out.Data = metricdata.Histogram[float64]{DataPoints: spread, Temporality: metricdata.CumulativeTemporality}
	case Counter:
		out.Data = metricdata.Sum[float64]{DataPoints: points, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}
	case Gauge:
		out.Data = metricdata.Gauge[float64]{DataPoints: points}
	}
	return out
}

// histogram converts the buckets, which Prometheus counts with those below.
func histogram(h *dto.Histogram, at attribute.Set, began, now time.Time) metricdata.HistogramDataPoint[float64] {
	out := metricdata.HistogramDataPoint[float64]{
		Attributes: at, StartTime: began, Time: now, Count: h.GetSampleCount(), Sum: h.GetSampleSum(),
	}
	below := uint64(0)
	for _, b := range h.GetBucket() {
		out.Bounds = append(out.Bounds, b.GetUpperBound())
		out.BucketCounts = append(out.BucketCounts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	out.BucketCounts = append(out.BucketCounts, h.GetSampleCount()-below)
	return out
}

func attributes(labels []*dto.LabelPair) attribute.Set {
	out := make([]attribute.KeyValue, 0, len(labels))
	for _, l := range labels {
		out = append(out, attribute.String(l.GetName(), l.GetValue()))
	}
	return attribute.NewSet(slices.Clip(out)...)
}
