package scaledtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Engine answers with the samples that a test sets; see NewEngine. Only Fresh may be
// called from several goroutines.
type Engine struct {
	Uses    map[engine.Owner][]engine.Use
	Sets    int // calls of Set
	Samples map[scalers.Query]engine.Sample
	Wait    func()       // what Fresh does before it answers; nil for nothing
	Asked   atomic.Int64 // the age that Fresh was last asked for, in nanoseconds
}

// NewEngine makes an Engine that measures nothing.
func NewEngine() *Engine {
	return &Engine{Uses: map[engine.Owner][]engine.Use{}, Samples: map[scalers.Query]engine.Sample{}}
}

// Set implements scaled.Engine.
func (e *Engine) Set(owner engine.Owner, uses []engine.Use) {
	e.Uses[owner], e.Sets = uses, e.Sets+1
}

// Remove implements scaled.Engine.
func (e *Engine) Remove(owner engine.Owner) { delete(e.Uses, owner) }

// Latest implements scaled.Engine.
func (e *Engine) Latest(q scalers.Query) engine.Sample { return e.Samples[q] }

// Fresh implements scaled.Engine.
func (e *Engine) Fresh(_ context.Context, q scalers.Query, maxAge time.Duration) engine.Sample {
	e.Asked.Store(int64(maxAge))
	if e.Wait != nil {
		e.Wait()
	}
	return e.Samples[q]
}

// Reads lets a query have a value, measured at an instant.
func (e *Engine) Reads(q scalers.Query, value float64, at time.Time) {
	e.Samples[q] = engine.Sample{OK: true, Value: value, Work: value, At: at, Measured: at}
}

// Breaks lets a query fail once more; what was last measured stays.
func (e *Engine) Breaks(q scalers.Query, err error, at time.Time) {
	s := e.Samples[q]
	if s.Err == nil {
		s.ErrSince = at
	}
	s.Err, s.Failures = err, s.Failures+1
	e.Samples[q] = s
}

// The settings and queries of the scalers under test: things at a place.
type (
	// Place is where things are.
	Place struct {
		addr     string
		password param.Secret
	}
	// Thing is one of them.
	Thing struct{ name string }
)

func spec(typ string) scalers.Spec[Place, Thing] {
	return scalers.Spec[Place, Thing]{
		Type: typ, Summary: "Scales on nothing.", Unit: "things",
		Settings: func(s *Place, p *param.Set) {
			s.addr = "here"
			p.String(&s.addr, "addr", "Address.")
			p.Secret(&s.password, "password", "Password.", param.From(param.Env, param.Auth))
		},
		Query: func(q *Thing, p *param.Set) { p.String(&q.name, "name", "Name.", param.Required) },
		Open: func(context.Context, scalers.Env, Place) (scalers.Source[Thing], error) {
			return nil, errors.New("the tests measure nothing")
		},
	}
}

// Fake is a scaler "fake" with a target for triggers without one. Its metrics are
// called "fake-" and the name of the thing.
func Fake(target float64) *scalers.Definition {
	s := spec("fake")
	s.Watches, s.MetricName = true, func(_ Place, q Thing) string { return "fake-" + q.name }
	s.Target = scalers.Target{Param: "target", Default: target, Activation: "activation"}
	return scalers.Define(s)
}

// Naming is a scaler whose upstream names its metrics and, if it watches, tells of
// work by itself.
func Naming(typ string, watches bool) *scalers.Definition {
	s := spec(typ)
	s.NamesMetrics, s.Watches, s.MetricName = true, watches, func(Place, Thing) string { return typ }
	return scalers.Define(s)
}

// Resource is a scaler "cpu" that the HPA reads itself.
func Resource() *scalers.Definition {
	return scalers.Define(scalers.Spec[struct{}, scalers.Resource]{
		Type: "cpu", Summary: "Scales on CPU.", Unit: "percent",
		Query: func(q *scalers.Resource, p *param.Set) {
			q.Name = "cpu"
			p.String(&q.Target, "value", "Target.", param.Required)
			p.String(&q.Container, "containerName", "Container.")
		},
		MetricName: func(struct{}, scalers.Resource) string { return "cpu" },
	})
}

// Query is what a trigger on a thing measures, with a password or without.
func Query(t testing.TB, of *scalers.Definition, name, password string) scalers.Query {
	t.Helper()
	values := param.Values{Metadata: map[string]string{"name": name}}
	if password != "" {
		values.Auth = map[string]string{"password": password}
	}
	trigger, _, err := of.Parse(values)
	if err != nil {
		t.Fatal(err)
	}
	return trigger.Query
}
