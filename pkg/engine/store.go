package engine

import (
	"math"
	"slices"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// A zero that its source calls doubtful is believed after zeroProofs in a row
// that span at least zeroSpan: what makes sources answer a false zero (a leader
// election, a replica that lags) takes seconds.
const (
	zeroProofs = 3
	zeroSpan   = 6 * time.Second
	zeroRetry  = 3 * time.Second // asked again after this, or sooner when the interval is shorter
)

// deliver stores readings, one per entry, and tells the owners. The error is
// the first reading's when all of them say that the source is gone, or one that
// says to wait.
func (s *source) deliver(entries []*entry, readings []scalers.Reading, now instant) (scope, error) {
	told := s.engine.concerned(len(entries))
	at := s.engine.clock.time(now)
	gone, throttled := 0, error(nil)
	s.mu.Lock()
	s.busySince, s.loop.delivered = 0, now
	for i, e := range entries {
		r := &readings[i]
		e.clear(isInFlight)
		switch scalers.KindOf(r.Err) {
		case scalers.Unreachable, scalers.Unauthorized:
			gone++
		case scalers.Throttled:
			throttled = r.Err
		default:
		}
		if e.gone() {
			continue
		}
		e.quarantine = nil
		s.store(e, r, at, now)
		told.add(e)
	}
	s.sched.moveAll(entries, s.nextFor)
	s.mu.Unlock()
	s.engine.tell(told.owners)
	if gone == len(entries) {
		return everyReading, readings[0].Err
	}
	return allOfIt, throttled
}

// nextFor is when e is due after a batch that gave it a reading.
func (s *source) nextFor(e *entry) instant {
	if e.zeros > 0 {
		return e.started + min(e.interval, zeroRetry)
	}
	return next(e.started, e.interval, s.phase)
}

// store takes in one reading, measured at now, which is also at. The caller
// holds s.mu.
func (s *source) store(e *entry, r *scalers.Reading, at time.Time, now instant) {
	if r.Empty {
		e.countEmpty(r.Err != nil)
	}
	if err := wrong(r); err != nil {
		s.storeError(e, err, now)
		return
	}
	value, work := max(r.Value, 0), max(r.Value, r.Work, 0)
	e.tried, e.err, e.errSince = now, nil, 0
	s.answer(e)
	if r.FalseZero && work == 0 && !e.believes(now) {
		return
	}
	e.zeros = 0
	if !r.At.IsZero() {
		at = r.At
	}
	e.value, e.work, e.activity, e.metrics, e.at, e.measured = value, work, r.Activity, r.Metrics, at, now
}

// countEmpty counts an answer without a result, which may count as a failure.
func (e *entry) countEmpty(fails bool) {
	e.empty++
	e.clear(emptyFails)
	if fails {
		e.set(emptyFails)
	}
}

// wrong says why r is no reading; nil when it is one.
func wrong(r *scalers.Reading) error {
	if r.Err == nil && (!finite(r.Value) || !finite(r.Work) || slices.ContainsFunc(r.Metrics, odd)) {
		return &scalers.Error{
			Kind: scalers.BadAnswer, Op: "reading the answer",
			Err: errNotFinite, Hint: "make the upstream answer with a finite number",
		}
	}
	return r.Err
}

// believes counts a doubtful zero and reports whether it can be taken for one:
// the last known value is zero as well, or enough of them came in a row.
func (e *entry) believes(now instant) bool {
	if e.measured != 0 && e.work == 0 {
		return true
	}
	if e.zeros == 0 {
		e.zeroSince = now
	}
	e.zeros++
	return e.zeros >= zeroProofs && now-e.zeroSince >= zeroSpan
}

// storeError notes a failed attempt. The last good value stays; zeros in doubt
// are forgotten, as a failure proves nothing. The caller holds s.mu.
func (s *source) storeError(e *entry, err error, now instant) {
	switch {
	case e.err != nil:
	case e.tried == 0 && s.err != nil: // as its sample has said; see sample
		e.errSince = s.errSince
	default:
		e.errSince = now
	}
	e.err, e.tried, e.zeros = err, now, 0
	e.failed++
	s.count.queryErrors++
	s.answer(e)
}

// odd reports whether a number of m is not finite.
func odd(m scalers.Metric) bool { return !finite(m.Value) || !finite(m.Target) }

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// errNotFinite is the cause when a scaler answers NaN or an infinity.
const errNotFinite = constError("the source answered a number that is not finite")

// constError is an error that is its text.
type constError string

// Error implements error.
func (e constError) Error() string { return string(e) }
