package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// prefersDelta reports whether counters and histograms are to be pushed as what
// came since the last push, as some backends need it.
func prefersDelta(getenv func(string) string) (bool, error) {
	const variable = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
	switch strings.ToLower(getenv(variable)) {
	case "", "cumulative":
		return false, nil
	case "delta", "lowmemory":
		return true, nil
	}
	return false, fmt.Errorf(`$%s must be "cumulative", "delta" or "lowmemory"`, variable)
}

// deltas turns totals into what came since the last push. What is not in a push is
// forgotten: a series that comes back begins anew.
type deltas struct {
	at     time.Time // of the last push
	totals map[point]total
}

// point names a series.
type point struct {
	metric     string
	attributes attribute.Distinct
}

// total is what was last seen of a series: its value or sum, and the counts of a
// histogram, in all and by bucket.
type total struct {
	value   float64
	count   uint64
	buckets []uint64
}

// since replaces the totals of all counters and histograms. It takes over all.
func (d *deltas) since(all []metricdata.Metrics, now time.Time) {
	seen := map[point]total{}
	for i := range all {
		m := &all[i]
		switch data := m.Data.(type) {
		case metricdata.Sum[float64]:
			data.Temporality = metricdata.DeltaTemporality
			for k := range data.DataPoints {
				d.count(point{m.Name, data.DataPoints[k].Attributes.Equivalent()}, &data.DataPoints[k], seen)
			}
			m.Data = data
		case metricdata.Histogram[float64]:
			data.Temporality = metricdata.DeltaTemporality
			for k := range data.DataPoints {
				d.spread(point{m.Name, data.DataPoints[k].Attributes.Equivalent()}, &data.DataPoints[k], seen)
			}
			m.Data = data
		}
	}
	d.at, d.totals = now, seen
}

// count turns one counter. One that is lower than before began anew.
func (d *deltas) count(of point, p *metricdata.DataPoint[float64], seen map[point]total) {
	seen[of] = total{value: p.Value}
	if was, ok := d.totals[of]; ok && was.value <= p.Value {
		p.Value -= was.value
	}
	p.StartTime = d.start(p.StartTime)
}

// spread turns one histogram. One with a bucket that is lower than before began
// anew.
func (d *deltas) spread(of point, p *metricdata.HistogramDataPoint[float64], seen map[point]total) {
	seen[of] = total{value: p.Sum, count: p.Count, buckets: slices.Clone(p.BucketCounts)}
	if was, ok := d.totals[of]; ok && was.below(p.BucketCounts) {
		p.Sum, p.Count = p.Sum-was.value, p.Count-was.count
		for i := range p.BucketCounts {
			p.BucketCounts[i] -= was.buckets[i]
		}
	}
	p.StartTime = d.start(p.StartTime)
}

// below reports whether no bucket is lower than it was.
func (t total) below(buckets []uint64) bool {
	for i, n := range buckets {
		if n < t.buckets[i] {
			return false
		}
	}
	return true
}

// start is when a span begins that ends with this push.
func (d *deltas) start(began time.Time) time.Time {
	if d.at.IsZero() {
		return began
	}
	return d.at
}
