package telemetry_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-sh/weir/pkg/telemetry"
)

// BenchmarkScrape is one scrape of 10,000 objects with a trigger each, without
// writing it as text.
func BenchmarkScrape(b *testing.B) {
	served := prometheus.NewRegistry() // not the pedantic one of tests, which checks more
	s := newScene(b, func(c *telemetry.Config) { c.Registerer = served })
	for i := range 10_000 {
		name := fmt.Sprintf("app-%d", i)
		s.objects = append(s.objects, queue("shop", name, list(0, "", 12)))
		s.Decided(telemetry.Decision{Kind: "ScaledObject", Namespace: "shop", Name: name, To: 1})
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		families, err := served.Gather()
		if err != nil {
			b.Fatal(err)
		}
		n = 0
		for _, f := range families {
			n += len(f.GetMetric())
		}
	}
	b.ReportMetric(float64(n), "series")
}
