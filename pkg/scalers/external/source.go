package external

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/weir-sh/weir/pkg/scalers"
	pb "github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
	"github.com/weir-sh/weir/pkg/scalers/internal/grpcx"
)

const (
	// specAge is how long the server's word about its metrics holds.
	specAge = time.Minute
	// idleAge is when what is remembered of a trigger that is not measured any
	// more is dropped. It is longer than any polling interval makes sense.
	idleAge = time.Hour
)

// source is an open connection to one server.
type source struct {
	settings settings
	env      scalers.Env
	secure   *tls.Config // nil without TLS
	conn     *grpc.ClientConn
	client   pb.ExternalScalerClient
	polls    scalers.Source[query]

	mu        sync.Mutex // guards the following and the contents of workloads
	workloads map[query]*workload
	swept     time.Time
}

// workload is what is remembered of one query.
type workload struct {
	ref    *pb.ScaledObjectRef
	redact func(string) string
	// The server's metrics, and when it said so; empty when they must be asked for.
	specs []metricSpec
	asked time.Time
	// version counts what streams said about specs, so that an older answer to
	// GetMetricSpec does not replace it.
	version int
	// pushed is set when a stream said that there is work, until it was reported.
	pushed bool
	used   time.Time
}

// open prepares the connection. It is made with the first Fetch.
func open(env scalers.Env, s settings) (*source, error) {
	secure, err := s.config(env.RootCAs)
	if err != nil {
		return nil, err
	}
	conn, err := grpcx.Connect(env, s.address, secure)
	if err != nil {
		return nil, err
	}
	src := &source{
		settings: s, env: env, secure: secure, conn: conn, client: pb.NewExternalScalerClient(conn),
		workloads: map[query]*workload{}, swept: time.Now(),
	}
	src.polls = scalers.Each(grpcx.InFlight, src.measure, nil)
	return src, nil
}

// Fetch implements scalers.Source. When no query could be measured because of the
// server, that is the error of all.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	s.sweep(time.Now())
	readings, err := s.polls.Fetch(ctx, queries)
	if err != nil {
		return nil, err
	}
	return readings, grpcx.Lost(readings)
}

// Close implements scalers.Source.
func (s *source) Close() error { return s.conn.Close() }

// measure asks for one query. Any error makes the next attempt begin with the
// server's metrics.
func (s *source) measure(ctx context.Context, q query) scalers.Reading {
	w, err := s.workload(q)
	if err != nil {
		return scalers.Reading{Err: err}
	}
	r, err := s.ask(ctx, q, w)
	if err != nil {
		s.mu.Lock()
		w.specs = nil
		s.mu.Unlock()
		return scalers.Reading{Err: err}
	}
	return r
}

func (s *source) ask(ctx context.Context, q query, w *workload) (scalers.Reading, error) {
	specs, err := s.specs(ctx, q, w)
	if err != nil {
		return scalers.Reading{}, err
	}
	r := scalers.Reading{Activity: scalers.Idle, Metrics: make([]scalers.Metric, len(specs))}
	for i, spec := range specs {
		op := s.op(q, "the metric "+quote(w.redact(spec.name)))
		answer, err := s.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: w.ref, MetricName: spec.name})
		if err != nil {
			return r, s.failed(op, err, w)
		}
		value, err := valueOf(answer.GetMetricValues())
		if err != nil {
			return r, &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: err, Hint: "correct what the server's GetMetrics answers"}
		}
		r.Metrics[i] = scalers.Metric{Name: spec.name, Target: spec.target, Value: value}
	}
	r.Value = r.Metrics[0].Value
	pushed := s.setPushed(w, false)
	active, err := s.client.IsActive(ctx, w.ref)
	if err != nil {
		if pushed {
			s.setPushed(w, true)
		}
		return r, s.failed(s.op(q, "whether there is work"), err, w)
	}
	if pushed || active.GetResult() {
		r.Activity = scalers.Busy
	}
	return r, nil
}

// specs returns the server's metrics, sorted by name, at least one.
func (s *source) specs(ctx context.Context, q query, w *workload) ([]metricSpec, error) {
	s.mu.Lock()
	known, version := w.specs, w.version
	old := time.Since(w.asked) > specAge
	s.mu.Unlock()
	if len(known) > 0 && !old {
		return known, nil
	}
	op := s.op(q, "its metrics")
	answer, err := s.client.GetMetricSpec(ctx, w.ref)
	if err != nil {
		return nil, s.failed(op, err, w)
	}
	specs, err := specsOf(answer.GetMetricSpecs(), w.redact)
	if err != nil {
		return nil, &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: err, Hint: "correct what the server's GetMetricSpec answers"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.version == version {
		w.specs, w.asked = specs, time.Now()
	}
	return specs, nil
}

// workload returns what is remembered of q.
func (s *source) workload(q query) (*workload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.workloads[q]
	if w == nil {
		ref, redact, err := q.ref()
		if err != nil {
			return nil, &scalers.Error{Kind: scalers.Invalid, Op: s.op(q, "anything"), Err: err}
		}
		w = &workload{ref: ref, redact: redact}
		s.workloads[q] = w
	}
	w.used = time.Now()
	return w, nil
}

// sweep drops what is remembered of queries that are gone.
func (s *source) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) < specAge {
		return
	}
	s.swept = now
	for q, w := range s.workloads {
		if now.Sub(w.used) > idleAge {
			delete(s.workloads, q)
		}
	}
}

// push notes that a stream said that q has work.
func (s *source) push(q query) {
	if w, err := s.workload(q); err == nil {
		s.setPushed(w, true)
	}
}

// setPushed notes whether a stream said so since the last reading, and returns
// what was noted before.
func (s *source) setPushed(w *workload, pushed bool) (before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, w.pushed = w.pushed, pushed
	return before
}

// op says what was tried.
func (s *source) op(q query, what string) string {
	return fmt.Sprintf("asking external scaler %s about %s/%s for %s", s.settings.address, q.namespace, q.name, what)
}

// failed makes an error of what a call returned.
func (s *source) failed(op string, err error, w *workload) error {
	err = grpcx.Failed(op, err, w.redact)
	if e, ok := errors.AsType[*scalers.Error](err); ok && e.Hint == "" {
		switch e.Kind {
		case scalers.Unauthorized:
			e.Hint = "give the client certificate that the server asks for as tlsClientCert and tlsClientKey"
		case scalers.Unreachable:
			e.Hint = "check that the server runs, and that scalerAddress and the TLS parameters are right"
		case scalers.BadAnswer, scalers.NotFound:
			e.Hint = "see the log of the server"
		case scalers.Invalid, scalers.Throttled, scalers.Unknown:
		}
	}
	return err
}
