package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// WatchState says whether a source signals changes.
type WatchState string

// The states.
const (
	WatchNone        WatchState = ""            // the scaler has no signals
	WatchIdle        WatchState = "Idle"        // no query asks for it
	WatchStarting    WatchState = "Starting"    // changes may still go unnoticed
	WatchReady       WatchState = "Ready"       // every change is signalled
	WatchBroken      WatchState = "Broken"      // will be restarted; polling goes on
	WatchUnsupported WatchState = "Unsupported" // this upstream cannot; polling goes on
)

// A running Watch has the queries it was started with, so that every change of
// the set costs a restart, after which the upstream reads all keys again and the
// engine measures them. Changes are therefore collected: a small set follows
// within settleMin, one of 10,000 within about three seconds, and one whose Watch
// took long to be ready in ten times that. Until then the added queries are
// polled. A set that only lost queries is worth no hurry: their
// wakes are ignored.
const (
	settleMin  = 200 * time.Millisecond
	settleEach = 300 * time.Microsecond // per query of the set
	settleMax  = 5 * time.Second
	settleCost = 10 // times what the newest Watch took to be ready, up to shrinkWait
	shrinkWait = 30 * time.Second
	// A Watch that was ready for this long has worked: its end is a first failure.
	watchProven = time.Minute
)

// watch is the wake plane of one source. The source's mu guards it.
type watch struct {
	run          *watchRun     // nil while none runs
	wanted       int           // queries that ask for it
	missing      int           // of these, those that run lacks
	extra        int           // queries of run that ask no more
	took         time.Duration // what the newest run needed to be ready
	missingSince instant       // the first of them; valid while missing > 0
	extraSince   instant       // valid while extra > 0
	notBefore    instant       // back-off
	failures     int
	unsupported  bool  // on this connection
	disobeys     bool  // a Watch did not end with its context; never watch again
	reopen       bool  // a Watch panicked; the loop drops the connection
	err          error // why the newest run ended by itself
	wakes        uint64
}

// watchRun is one call of Watch.
type watchRun struct {
	cancel     context.CancelFunc
	done       chan struct{} // closed after the call returned
	ready      bool
	began      instant
	readySince instant
}

// setWatched notes whether e's users want it watched.
func (s *source) setWatched(e *entry, watched bool) {
	if e.has(isWatched) == watched {
		return
	}
	w, now := &s.watch, s.now()
	covered := e.has(isCovered)
	if watched {
		e.set(isWatched)
		w.wanted++
	} else {
		e.clear(isWatched)
		w.wanted--
	}
	switch {
	case watched && covered:
		w.extra--
	case watched:
		if w.missing == 0 {
			w.missingSince = now
		}
		w.missing++
	case covered:
		if w.extra == 0 {
			w.extraSince = now
		}
		w.extra++
	default:
		w.missing--
	}
	nudge(s.kick)
}

// cover marks what a running Watch has: all that is wanted, or nothing.
func (s *source) cover(running bool) {
	w := &s.watch
	w.missing, w.extra = 0, 0
	if !running {
		w.missing, w.missingSince = w.wanted, s.now()
	}
	for _, e := range s.entries {
		if running && e.has(isWatched) {
			e.set(isCovered)
		} else {
			e.clear(isCovered)
		}
	}
}

// turn is when the wake plane must be started, restarted or ended.
func (w *watch) turn() (at instant, ok bool) {
	settle := min(settleMin+time.Duration(w.wanted+w.extra)*settleEach, settleMax)
	settle = max(settle, min(settleCost*w.took, shrinkWait))
	switch {
	case w.unsupported || w.disobeys:
		return 0, false
	case w.missing > 0:
		return max(w.missingSince+settle, w.notBefore), true
	case w.extra > 0 && w.wanted == 0:
		return w.extraSince + settle, true
	case w.extra > 0:
		return w.extraSince + shrinkWait, true
	}
	return 0, false
}

// tendWatch starts, restarts or ends the wake plane when it is time, and returns
// how long nothing is to be done; zero after it did something.
func (s *source) tendWatch(ctx context.Context) time.Duration {
	if !s.key.Definition().Watches {
		return forever
	}
	s.mu.Lock()
	reopen, everOpen := s.watch.reopen, s.count.opens > 0
	s.watch.reopen = false
	at, ok := s.watch.turn()
	wait := at - s.now()
	s.mu.Unlock()
	switch {
	case reopen:
		s.dropConn()
		return 0
	case !ok || !everOpen: // the first poll opens
		return forever
	case wait > 0:
		return wait
	}
	s.endWatch()
	if err := s.connect(ctx); err != nil {
		if ctx.Err() == nil {
			s.fail(nil, err)
		}
		return 0
	}
	s.beginWatch(ctx)
	return 0
}

// beginWatch watches all queries that want it, if there are any.
func (s *source) beginWatch(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	run := &watchRun{cancel: cancel, done: make(chan struct{})}
	s.mu.Lock()
	queries := make([]scalers.Query, 0, s.watch.wanted)
	for q, e := range s.entries {
		if e.has(isWatched) {
			queries = append(queries, q)
		}
	}
	if len(queries) == 0 || s.watch.disobeys {
		s.mu.Unlock()
		cancel()
		return
	}
	run.began, s.watch.run = s.now(), run
	s.cover(true)
	s.mu.Unlock()
	conn := s.loop.conn
	go func() {
		defer close(run.done)
		defer cancel()
		err := s.contain("watching", func() error {
			return conn.Watch(ctx, queries, func() { s.watchReady(run) }, s.wake)
		})
		s.watchEnded(run, err)
	}()
}

// endWatch ends the running Watch and waits for it. One that ignores its context
// is left to loop.lingering.
func (s *source) endWatch() {
	s.mu.Lock()
	run := s.watch.run
	s.watch.run = nil
	if run != nil {
		s.cover(false)
		s.watch.proven(run, s.now())
	}
	s.mu.Unlock()
	if run == nil {
		return
	}
	run.cancel()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-run.done:
		return
	case <-patience.C:
	}
	s.loop.lingering = run.done
	s.mu.Lock()
	s.watch.disobeys, s.watch.err = true, errDisobeys
	s.mu.Unlock()
	s.engine.cfg.Log.Error("a scaler does not stop watching; this source is only polled from now on", slog.String("source", s.name))
}

// watchReady makes all watched queries due: changes before now went unnoticed.
func (s *source) watchReady(run *watchRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch.run != run || run.ready {
		return
	}
	run.ready, run.readySince = true, s.now()
	s.watch.took, s.watch.err = run.readySince-run.began, nil
	for _, e := range s.entries {
		if e.has(isCovered) && e.has(isWatched) {
			s.hurry(e)
		}
	}
}

// wake makes q due at the end of the window that the first wake opens.
func (s *source) wake(q scalers.Query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch.wakes++
	e := s.entries[q]
	if e == nil || !e.has(isWatched) || e.has(isWoken) || e.quarantine != nil {
		return
	}
	e.set(isWoken)
	s.woken = append(s.woken, e)
	end := s.now() + s.engine.cfg.WakeWindow
	if s.wakeAt == 0 || end < s.wakeAt {
		s.wakeAt = end
		nudge(s.kick)
	}
}

// watchEnded deals with a Watch that returned. One that endWatch ended is none
// of its business.
func (s *source) watchEnded(run *watchRun, err error) {
	s.mu.Lock()
	w := &s.watch
	if w.run != run {
		s.mu.Unlock()
		return
	}
	w.run = nil
	s.cover(false)
	now := s.now()
	w.proven(run, now)
	first := w.failures == 0
	if errors.Is(err, errors.ErrUnsupported) {
		w.unsupported, w.err = true, err
	} else {
		if err == nil {
			err = errStreamEnded
		}
		w.err, w.reopen = err, isPanic(err)
		w.notBefore = now + s.engine.cfg.retryDelay(err, w.failures)
		w.failures++
	}
	nudge(s.kick)
	unsupported := w.unsupported
	s.mu.Unlock()
	switch {
	case unsupported:
		s.engine.cfg.Log.Info("this upstream does not signal changes; it is only polled", slog.String("source", s.name))
	case first:
		s.engine.cfg.Log.Warn("the stream of changes broke; polling goes on", slog.String("source", s.name), slog.Any("error", err))
	}
}

// proven forgets earlier failures when run has worked for a while.
func (w *watch) proven(run *watchRun, now instant) {
	if run.ready && now-run.readySince >= watchProven {
		w.failures = 0
	}
}

// state is for statistics. The caller holds the source's mu.
func (w *watch) state(can bool) WatchState {
	switch {
	case !can:
		return WatchNone
	case w.unsupported:
		return WatchUnsupported
	case w.run != nil && w.run.ready:
		return WatchReady
	case w.err != nil:
		return WatchBroken
	case w.wanted > 0:
		return WatchStarting
	}
	return WatchIdle
}

const (
	errStreamEnded = constError("the stream of changes ended")
	errDisobeys    = constError("the scaler does not stop watching when told to")
)
