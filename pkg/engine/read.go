package engine

import (
	"context"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Sample is what the engine knows of a query. The zero Sample knows nothing.
type Sample struct {
	// OK says that there is a good value, maybe an old one: Value, Work,
	// Activity, Metrics, At and Measured are valid.
	OK bool
	// Value is in the scaler's Unit; finite, >= 0.
	Value float64
	// Work is compared with the activation threshold; finite, >= Value.
	Work float64
	// Activity overrides that comparison.
	Activity scalers.Activity
	// Metrics are what the upstream named itself, sorted by name; nil for scalers
	// that measure one value. Read only.
	Metrics []scalers.Metric
	// At is when the upstream says the value was true.
	At time.Time
	// Measured is when the upstream last gave it. Judge staleness by this: At may
	// lag by minutes where the upstream itself measures seldom.
	Measured time.Time
	// Err says why the newest attempt failed; nil when it did not, or when there
	// was none yet. It holds no secret.
	Err error
	// ErrSince is when attempts began to fail; zero when Err is nil.
	ErrSince time.Time
	// Took is how long the newest Fetch for the query took, together with the
	// others it measured; in microseconds, zero before the first.
	Took time.Duration
	// Failures counts the attempts that failed since the query is measured.
	Failures uint64
	// Empty counts the answers without a result since the query is measured. They
	// are values or failures as the trigger's parameters say; EmptyFails says which
	// the newest of them was.
	Empty      uint64
	EmptyFails bool
}

// Latest returns the newest there is, from memory. It never waits for a source.
// A query that nobody uses gives the zero Sample.
func (e *Engine) Latest(q scalers.Query) Sample {
	if s, _ := e.find(q); s != nil {
		return s.latest(q)
	}
	return Sample{}
}

// Fresh is Latest for HPAs. When the query was last tried more than maxAge ago
// it is made due, and waited for until ctx ends or ReadWait has passed; not at
// all while the source is failing, is usually slower than that, or has kept its
// present Fetch waiting for longer, nor while Run is not running.
//
// Where the source batches (not PerQuery), the same Fetch refreshes the
// other queries that HPAs read, so far as the next reads of them are near: N HPAs
// cost a batch per five seconds, and each query is measured about once per read.
func (e *Engine) Fresh(ctx context.Context, q scalers.Query, maxAge time.Duration) Sample {
	s, running := e.find(q)
	if s == nil {
		return Sample{}
	}
	sample, answered := s.read(q, maxAge)
	if answered == nil || !running {
		return sample
	}
	timer := time.NewTimer(e.cfg.ReadWait)
	defer timer.Stop()
	select {
	case <-answered:
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.latest(q)
}

// Poke makes queries due now. Queries nobody uses are ignored; a source that
// backs off, and a query that is measured alone because it fails whole batches,
// keep doing so.
func (e *Engine) Poke(queries ...scalers.Query) {
	for _, q := range queries {
		if s, _ := e.find(q); s != nil {
			s.poke(q)
		}
	}
}

func (s *source) latest(q scalers.Query) Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[q]; e != nil {
		return s.sample(e)
	}
	return Sample{}
}

// read notes that an HPA read q. The channel is nil when there is nothing to
// wait for; else it is closed after the next attempt.
func (s *source) read(q scalers.Query, maxAge time.Duration) (Sample, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[q]
	if e == nil {
		return Sample{}, nil
	}
	now := s.now()
	e.noteRead(now)
	if !e.has(isReader) {
		e.set(isReader)
		s.readers = append(s.readers, e)
	}
	if e.tried != 0 && now-e.tried <= maxAge || e.quarantine != nil {
		return s.sample(e), nil
	}
	if !e.has(isInFlight) {
		e.set(isRead)
		s.hurry(e)
	}
	if s.err != nil || s.slow(now) {
		return s.sample(e), nil
	}
	if e.answered == nil {
		e.answered = make(chan struct{})
	}
	return s.sample(e), e.answered
}

// noteRead learns how often e is read. One late read does not count for much:
// it would keep the next one from being foreseen.
func (e *entry) noteRead(now instant) {
	if e.lastRead != 0 {
		gap := now - e.lastRead
		if e.readGap != 0 && gap > e.readGap {
			gap = e.readGap + (gap-e.readGap)/4
		}
		e.readGap = gap
	}
	e.lastRead = now
}

// slow reports whether waiting for the source is pointless. The caller holds
// s.mu.
func (s *source) slow(now instant) bool {
	wait := s.engine.cfg.ReadWait
	return s.latency.mean > wait || s.busySince != 0 && now-s.busySince > wait
}

func (s *source) poke(q scalers.Query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[q]; e != nil {
		s.hurry(e)
	}
}

// sample copies what is stored. The caller holds s.mu.
func (s *source) sample(e *entry) Sample {
	out := Sample{
		OK: e.measured != 0, Value: e.value, Work: e.work, Activity: e.activity, Metrics: e.metrics,
		At: e.at, Measured: s.engine.clock.time(e.measured),
		Err: e.err, ErrSince: s.engine.clock.time(e.errSince),
		Took: time.Duration(e.took) * time.Microsecond, Failures: uint64(e.failed),
		Empty: uint64(e.empty), EmptyFails: e.has(emptyFails),
	}
	if e.tried == 0 && s.err != nil { // new on a source that backs off
		out.Err, out.ErrSince = s.err, s.engine.clock.time(s.errSince)
	}
	return out
}
