package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// loop is the state of the goroutine that runs a source.
type loop struct {
	conn      scalers.Conn    // nil while closed
	stuck     <-chan struct{} // closed when the call that outlasted its deadline ends; nil while there is none
	lingering <-chan struct{} // closed when the Watch of conn that ignored its context returns; nil when none did
	batch     []*entry        // buffer of pick
	queries   []scalers.Query // buffer of Fetch
	wasSolo   bool            // the last batch was a quarantined query
	delivered instant         // when the newest readings were stored, if the newest Fetch gave any
}

// run is the source's loop. It returns when ctx ends or the source is stopped.
func (s *source) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.attach(cancel) {
		return
	}
	defer s.dropConn()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(s.step(ctx))
		select {
		case <-ctx.Done():
		case <-s.kick:
		case <-timer.C:
		case <-s.loop.stuck:
			s.loop.stuck = nil
		}
	}
}

// step does what is to be done now and returns how long to wait afterwards.
func (s *source) step(ctx context.Context) time.Duration {
	if wait := s.held(s.now()); wait > 0 {
		return wait
	}
	tend := s.tendWatch(ctx)
	if tend == 0 {
		return 0
	}
	b, wait := s.pick(s.now())
	if len(b.entries) == 0 {
		return min(wait, tend)
	}
	s.measure(ctx, b)
	return 0
}

// held is how long the source is to be left alone. Queries that were added in
// the meantime are told why.
func (s *source) held(now instant) time.Duration {
	s.mu.Lock()
	wait := s.heldUntil - now
	if s.loop.stuck != nil {
		wait = forever
	}
	if wait <= 0 || s.err == nil {
		s.mu.Unlock()
		return wait
	}
	told := s.engine.concerned(0)
	for _, e := range s.urgent {
		if e.tried == 0 && !e.gone() {
			s.storeError(e, s.err, now)
			told.add(e)
		}
	}
	s.mu.Unlock()
	s.engine.tell(told.owners)
	return wait
}

// scope is what an error of fetch concerns.
type scope uint8

const (
	oneQuery     scope = iota // maybe one query only
	everyReading              // the queries of the batch, or else the source
	allOfIt                   // the source
	noConnect                 // the source, which could not be opened
)

// measure fetches a batch and deals with its failure.
func (s *source) measure(ctx context.Context, b batch) {
	timeout := s.fetchTimeout(b)
	where, err := s.fetch(ctx, b.entries, timeout)
	switch {
	case ctx.Err() != nil:
	case err == nil:
		s.works()
	case b.solo && s.ownFault(where, err):
		if where != everyReading { // else it gave a reading, and is released
			s.confine(b.entries[0], err)
		}
	case where == oneQuery:
		s.blame(ctx, b.entries, timeout, err)
	case where == everyReading && s.answers(ctx):
		s.works()
	default:
		s.fail(b.entries, err)
	}
}

// ownFault reports whether the failure of a quarantined query tells nothing about
// the source.
func (s *source) ownFault(where scope, err error) bool {
	return where != noConnect && s.loop.stuck == nil && scalers.KindOf(err) != scalers.Throttled
}

// answers asks for one query that answered lately: one user's queries that are
// refused must not close the source for everybody.
func (s *source) answers(ctx context.Context) bool {
	control := s.control()
	if control == nil {
		return false
	}
	delivered := s.loop.delivered
	_, err := s.fetch(ctx, []*entry{control}, leastTimeout)
	if err != nil {
		s.loop.delivered = delivered
		s.release(control)
	}
	return err == nil || ctx.Err() != nil
}

// fetch measures entries in one Fetch, on an open connection, and stores the
// readings. An error means that the batch as a whole gave none, or only such as
// say that the source is gone.
func (s *source) fetch(ctx context.Context, entries []*entry, timeout time.Duration) (scope, error) {
	ctx = withCall(ctx, s.begin(entries))
	note := Fetch{Type: s.key.Type(), Source: s.name, Queries: len(entries), Start: time.Now(), Opened: s.loop.conn == nil}
	if err := s.connect(ctx); err != nil {
		note.Opened, note.Opening, note.Err = false, time.Since(note.Start), err
		s.engine.note(note)
		return noConnect, err
	}
	conn, queries := s.loop.conn, s.queriesOf(entries)
	var readings []scalers.Reading
	began := s.now()
	stuck, err := s.call(ctx, timeout, measuring(len(entries)), func(ctx context.Context) (err error) {
		readings, err = conn.Fetch(ctx, queries)
		return err
	})
	ended := s.now()
	s.noteFetch(entries, ended-began, err)
	note.Fetched, note.Took, note.Err = true, ended-began, err
	if note.Opened {
		note.Opening = s.engine.clock.time(began).Sub(note.Start)
	}
	if err == nil {
		note.QueryErrors = failures(readings)
	}
	s.engine.note(note)
	switch {
	case stuck != nil:
		s.abandon(stuck)
		return allOfIt, err
	case err == nil:
		return s.deliver(entries, readings, ended)
	case ofSource(err):
		return allOfIt, err
	}
	if isPanic(err) {
		s.dropConn()
	}
	return oneQuery, err
}

// begin marks entries as being measured, and says what for.
func (s *source) begin(entries []*entry) Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, e := range entries {
		e.set(isInFlight)
		e.started = now
	}
	s.busySince, s.loop.delivered = now, 0
	return s.callFor(entries)
}

// queriesOf copies the queries into the loop's buffer.
func (s *source) queriesOf(entries []*entry) []scalers.Query {
	out := s.loop.queries[:0]
	for _, e := range entries {
		out = append(out, e.query)
	}
	s.loop.queries = out
	return out
}

func measuring(n int) string {
	if n == 1 {
		return "measuring one query"
	}
	return fmt.Sprintf("measuring %d queries at once", n)
}

// connect opens the source unless it is open.
func (s *source) connect(ctx context.Context) error {
	l := &s.loop
	if l.conn != nil {
		return nil
	}
	var opened scalers.Conn
	stuck, err := s.call(ctx, s.engine.cfg.OpenTimeout, "connecting", func(ctx context.Context) (err error) {
		opened, err = s.key.Open(ctx, s.engine.cfg.Env)
		return err
	})
	if stuck != nil {
		l.stuck = stuck
		s.retire(func() scalers.Conn { return opened }, stuck)
		return err
	}
	if err != nil {
		return err
	}
	l.conn = opened
	s.noteConn(true)
	return nil
}

// abandon gives up the connection that a call is stuck in.
func (s *source) abandon(stuck <-chan struct{}) {
	s.loop.stuck = stuck
	s.loop.queries = nil // the call may still read them
	s.dropConn()
}

// dropConn ends the watch and closes the connection, if there is one.
func (s *source) dropConn() {
	s.endWatch()
	conn, lingering := s.loop.conn, s.loop.lingering
	s.loop.conn, s.loop.lingering = nil, nil
	if conn != nil {
		s.noteConn(false)
		s.retire(func() scalers.Conn { return conn }, s.loop.stuck, lingering)
	}
}

// release ends a measurement that gave nothing.
func (s *source) release(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.clear(isInFlight)
	s.busySince = 0
}

// works notes that the source answers.
func (s *source) works() {
	s.mu.Lock()
	err, since := s.err, s.errSince
	s.err, s.errSince, s.failures, s.heldUntil = nil, 0, 0, 0
	now := s.now()
	s.mu.Unlock()
	if err != nil {
		s.engine.cfg.Log.Info("a source works again", slog.String("source", s.name), slog.Duration("after", now-since))
	}
}

// fail leaves the source alone for a while. batch is what was being measured.
// Throttled keeps an open connection, and only the batch has the error; after any
// other failure the connection is closed, every query has the error, and all are
// due once the time is over.
func (s *source) fail(batch []*entry, err error) {
	keep := scalers.KindOf(err) == scalers.Throttled && s.loop.conn != nil
	s.mu.Lock()
	first := scalers.KindOf(s.err) != scalers.KindOf(err)
	delay := s.hold(err)
	told := s.engine.concerned(len(batch))
	now := s.now()
	for _, e := range batch {
		e.clear(isInFlight)
		s.suffer(e, err, now, told)
		if keep && e.err != nil && !e.gone() {
			s.hurry(e)
		}
	}
	if !keep {
		s.failAll(err, now, told)
	}
	s.mu.Unlock()
	s.engine.tell(told.owners)
	if first {
		s.engine.cfg.Log.Warn("a source fails", slog.String("source", s.name), slog.Any("error", err),
			slog.String("kind", string(scalers.KindOf(err))), slog.Duration("retry", delay))
	}
	if !keep {
		s.dropConn()
	}
}

// hold lets the source be until the back-off for err has passed, and returns
// how long that is. The caller holds s.mu.
func (s *source) hold(err error) time.Duration {
	now := s.now()
	if s.err == nil {
		s.errSince = now
	}
	delay := s.engine.cfg.retryDelay(err, s.failures)
	s.err, s.heldUntil, s.busySince = err, now+delay, 0
	s.failures++
	return delay
}

// failAll gives every query the error and makes all due. The caller holds s.mu.
func (s *source) failAll(err error, now instant, told *concerned) {
	s.everyone = true
	if s.loop.delivered != 0 { // err is one query's
		err = fmt.Errorf("the source failed: %w", err)
	}
	for _, e := range s.entries {
		s.suffer(e, err, now, told)
	}
}

// suffer stores a failure of the source, unless the newest Fetch already gave
// the query an error of its own. The caller holds s.mu.
func (s *source) suffer(e *entry, err error, now instant, told *concerned) {
	if e.gone() || e.tried == now || s.loop.delivered != 0 && e.tried == s.loop.delivered {
		return
	}
	s.storeError(e, err, now)
	told.add(e)
}
