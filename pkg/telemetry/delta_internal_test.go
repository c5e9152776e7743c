package telemetry

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// pushed writes what a push has, with the seconds that it covers.
func pushed(t *testing.T, p *producer) string {
	t.Helper()
	all, err := p.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range all[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[float64]:
			for _, d := range data.DataPoints {
				of, _ := d.Attributes.Value("kind")
				out = append(out, fmt.Sprintf("%s %s %v %s %v", data.Temporality, m.Name, d.Time.Sub(d.StartTime), of.AsString(), d.Value))
			}
		case metricdata.Histogram[float64]:
			for _, d := range data.DataPoints {
				out = append(out, fmt.Sprintf("%s %s %v %d %v %v", data.Temporality, m.Name, d.Time.Sub(d.StartTime), d.Count, d.Sum, d.BucketCounts))
			}
		case metricdata.Gauge[float64]:
			out = append(out, fmt.Sprint(m.Name, " ", data.DataPoints[0].Value))
		}
	}
	return strings.Join(out, "\n")
}

func TestDeltasAreWhatCameSinceTheLastPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "c"}, []string{"kind"})
		spread := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}})
		gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "g"})
		registry := prometheus.NewRegistry()
		registry.MustRegister(counter, spread, gauge)
		metrics := []Metric{{Name: "c_total", Kind: Counter, OTel: "c"}, {Name: "h", Kind: Histogram, OTel: "h"}, {Name: "g", Kind: Gauge, OTel: "g"}}
		totals, deltas := newProducer(registry, metrics, false), newProducer(registry, metrics, true)
		for i, step := range []struct {
			change func()
			want   string
		}{
			{func() {
				counter.WithLabelValues("a").Add(3)
				spread.Observe(0.5)
				gauge.Set(7)
			}, "DeltaTemporality c 1s a 3\ng 7\nDeltaTemporality h 1s 1 0.5 [1 0 0]"},
			{func() {
				counter.WithLabelValues("a").Add(2)
				counter.WithLabelValues("b").Inc()
				spread.Observe(1.5)
				spread.Observe(9)
			}, "DeltaTemporality c 1s a 2\nDeltaTemporality c 1s b 1\ng 7\nDeltaTemporality h 1s 2 10.5 [0 1 1]"},
			{func() {}, "DeltaTemporality c 1s a 0\nDeltaTemporality c 1s b 0\ng 7\nDeltaTemporality h 1s 0 0 [0 0 0]"},
			{func() { // "b" is gone, and "a" begins anew below what it was
				counter.Reset()
				counter.WithLabelValues("a").Add(4)
			}, "DeltaTemporality c 1s a 4\ng 7\nDeltaTemporality h 1s 0 0 [0 0 0]"},
			{func() { counter.WithLabelValues("b").Add(6) }, "DeltaTemporality c 1s a 0\nDeltaTemporality c 1s b 6\ng 7\nDeltaTemporality h 1s 0 0 [0 0 0]"},
		} {
			time.Sleep(time.Second)
			step.change()
			if got := pushed(t, deltas); got != step.want {
				t.Errorf("push %d: got\n%s\nwant\n%s", i+1, got, step.want)
			}
		}
		const all = "CumulativeTemporality c 5s a 4\nCumulativeTemporality c 5s b 6\ng 7\nCumulativeTemporality h 5s 3 11 [1 1 1]"
		if got := pushed(t, totals); got != all {
			t.Errorf("totals: got\n%s\nwant\n%s", got, all)
		}
	})
}

func TestAHistogramThatBeganAnewIsPushedWhole(t *testing.T) {
	d := new(deltas)
	push := func(counts ...uint64) uint64 {
		n := uint64(0)
		for _, c := range counts {
			n += c
		}
		all := []metricdata.Metrics{{Name: "h", Data: metricdata.Histogram[float64]{DataPoints: []metricdata.HistogramDataPoint[float64]{{Count: n, BucketCounts: counts}}}}}
		d.since(all, time.Now())
		return all[0].Data.(metricdata.Histogram[float64]).DataPoints[0].Count
	}
	for i, got := range []uint64{push(5, 0), push(6, 0), push(1, 9)} {
		if want := []uint64{5, 1, 10}[i]; got != want {
			t.Errorf("push %d has %d, want %d", i+1, got, want)
		}
	}
}
