package telemetry

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// readsPerSpan is how many reads of external metrics there are to a span: HPAs
// read each metric every 15 s.
const readsPerSpan = 100

// tracing makes spans of what has happened. Its zero value makes none.
type tracing struct {
	tracer atomic.Pointer[trace.Tracer]
	reads  atomic.Uint64
}

// to has spans made by tracer from now on.
func (t *tracing) to(tracer trace.Tracer) { t.tracer.Store(&tracer) }

// span makes a span of the time from start to end, below the one of ctx, and
// returns its context. Err makes it a failed one.
func span(ctx context.Context, by trace.Tracer, name string, start, end time.Time, err error, attrs ...attribute.KeyValue) context.Context {
	ctx, s := by.Start(ctx, name, trace.WithTimestamp(start), trace.WithAttributes(attrs...))
	if err != nil {
		s.SetStatus(codes.Error, err.Error())
	}
	s.End(trace.WithTimestamp(end))
	return ctx
}

// fetched makes a span of an attempt to measure, with one below it for connecting.
func (t *tracing) fetched(f *Fetch) {
	by := t.tracer.Load()
	if by == nil {
		return
	}
	connected := f.Start.Add(f.Opening)
	ctx := span(context.Background(), *by, "measure "+f.Type, f.Start, connected.Add(f.Took), f.Err,
		attribute.String("weir.scaler", f.Type), attribute.String("weir.source", f.Source),
		attribute.Int("weir.queries", f.Queries), attribute.Int("weir.query_errors", f.QueryErrors))
	if !f.Opened && f.Fetched {
		return
	}
	var err error
	if !f.Fetched {
		err = f.Err
	}
	span(ctx, *by, "connect", f.Start, connected, err)
}

// scaled makes a span from the reading until the scale was written, with one below
// it for the write.
func (t *tracing) scaled(s Scale) {
	by := t.tracer.Load()
	if by == nil {
		return
	}
	start := s.Started
	if !s.Measured.IsZero() && s.Measured.Before(start) {
		start = s.Measured
	}
	ctx := span(context.Background(), *by, "scale", start, s.Done, s.Err,
		attribute.String("weir.kind", s.Kind), attribute.String("weir.object", s.Namespace+"/"+s.Name),
		attribute.String("weir.action", s.Action), attribute.String("weir.reason", s.Reason),
		attribute.Int64("weir.from", int64(s.From)), attribute.Int64("weir.to", int64(s.To)))
	span(ctx, *by, "write", s.Started, s.Done, s.Err)
}

// read makes a span of every hundredth read.
func (t *tracing) read(r *Read) {
	by := t.tracer.Load()
	if by == nil || t.reads.Add(1)%readsPerSpan != 1 {
		return
	}
	span(context.Background(), *by, "read metric", r.Start, r.Start.Add(r.Took), r.Err,
		attribute.String("weir.object", r.Namespace+"/"+r.Object), attribute.String("weir.metric", r.Metric),
		attribute.String("weir.outcome", string(r.Outcome)), attribute.String("weir.sampled", "1 in "+strconv.Itoa(readsPerSpan)))
}
