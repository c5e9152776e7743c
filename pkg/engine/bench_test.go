package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// quick is an upstream that costs nothing, so that benchmarks show the engine.
type quick struct{}

func (quick) Fetch(_ context.Context, things []thing) ([]scalers.Reading, error) {
	out := make([]scalers.Reading, len(things))
	for i := range out {
		out[i].Value = float64(i)
	}
	return out, nil
}

func (quick) Close() error { return nil }

// quickQueries makes n queries on each of sources upstreams.
func quickQueries(b *testing.B, sources, n int) []scalers.Query {
	b.Helper()
	def := scalers.Define(scalers.Spec[place, thing]{
		Type: "quick", Summary: "Scales on nothing.", Unit: "things",
		Settings:   func(s *place, p *param.Set) { p.String(&s.addr, "addr", "Address.") },
		Query:      func(q *thing, p *param.Set) { p.String(&q.name, "name", "Name.") },
		MetricName: func(place, thing) string { return "quick" },
		Open:       func(context.Context, scalers.Env, place) (scalers.Source[thing], error) { return quick{}, nil },
	})
	out := make([]scalers.Query, 0, sources*n)
	for s := range sources {
		for i := range n {
			trigger, _, err := def.Parse(param.Values{Metadata: map[string]string{"addr": fmt.Sprintf("host-%d", s), "name": fmt.Sprintf("list-%d", i)}})
			if err != nil {
				b.Fatal(err)
			}
			out = append(out, trigger.Query)
		}
	}
	return out
}

// BenchmarkBatch is one poll of 10,000 queries of 10,000 owners: choosing,
// Fetch, storing, telling the owners, scheduling.
func BenchmarkBatch(b *testing.B) {
	batches := make(chan int, 16)
	e := start(b, engine.Config{OnReadings: func(owners []engine.Owner) { batches <- len(owners) }})
	queries := quickQueries(b, 1, 10_000)
	for i, q := range queries {
		e.Set(engine.Owner(fmt.Sprintf("scaledobject/default/app-%d", i)), uses(time.Hour, q))
	}
	for n := 0; n < len(queries); {
		n += <-batches
	}
	b.ReportAllocs()
	for b.Loop() {
		e.Poke(queries...)
		for n := 0; n < len(queries); {
			n += <-batches
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(queries)), "ns/query")
}

// BenchmarkPokeOne is one small fetch on a source of 10,000 queries.
func BenchmarkPokeOne(b *testing.B) {
	batches := make(chan int, 16)
	e := start(b, engine.Config{OnReadings: func(owners []engine.Owner) { batches <- len(owners) }})
	queries := quickQueries(b, 1, 10_000)
	e.Set("o", uses(time.Hour, queries[1:]...))
	<-batches
	e.Set("one", uses(time.Hour, queries[0]))
	<-batches
	b.ReportAllocs()
	for b.Loop() {
		e.Poke(queries[0])
		<-batches
	}
}

// BenchmarkLatest is an HPA's read.
func BenchmarkLatest(b *testing.B) {
	e := start(b, engine.Config{})
	queries := quickQueries(b, 100, 100)
	e.Set("o", uses(time.Hour, queries...))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e.Latest(queries[i%len(queries)])
		i++
	}
}

// BenchmarkFreshYoung is an HPA's read of a young reading.
func BenchmarkFreshYoung(b *testing.B) {
	e := start(b, engine.Config{})
	queries := quickQueries(b, 100, 100)
	e.Set("o", uses(time.Hour, queries...))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e.Fresh(context.Background(), queries[i%len(queries)], time.Hour)
		i++
	}
}

// BenchmarkBytesPerQuery reports the heap and the stacks that queries at rest
// take, each with an owner of its own, without the query values themselves.
func BenchmarkBytesPerQuery(b *testing.B) {
	for _, size := range []struct{ sources, each int }{{1, 10_000}, {1000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", size.sources, size.each), func(b *testing.B) {
			var total, goroutines int64
			for b.Loop() {
				queries := quickQueries(b, size.sources, size.each)
				before, goBefore := memory(), runtime.NumGoroutine()
				e, err := engine.New(engine.Config{})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error)
				go func() { done <- e.Run(ctx) }()
				for i, q := range queries {
					e.Set(engine.Owner(fmt.Sprintf("scaledobject/default/app-%d", i)), uses(time.Hour, q))
				}
				for _, q := range queries {
					for !e.Latest(q).OK {
						time.Sleep(time.Millisecond)
					}
				}
				total += memory() - before
				goroutines += int64(runtime.NumGoroutine() - goBefore)
				cancel()
				if err := <-done; err != nil {
					b.Fatal(err)
				}
				runtime.KeepAlive(e)
			}
			n := int64(b.N * size.sources * size.each)
			b.ReportMetric(float64(total/n), "B/query")
			b.ReportMetric(float64(goroutines)/float64(b.N), "goroutines")
		})
	}
}

// memory is what is in use after a collection.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
