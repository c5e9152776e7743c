package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// source is one upstream under one identity, with all that is measured there.
type source struct {
	engine *Engine
	key    scalers.SourceKey
	name   string        // key.String(), for the log and statistics
	phase  time.Duration // see next
	kick   chan struct{} // holds one token when the loop should look again

	born instant // when it was made

	loop loop // no lock: the loop's goroutine only

	mu      sync.Mutex // guards all below, and every entry; never held while a scaler runs
	cancel  context.CancelFunc
	stopped bool // the last query left
	entries map[scalers.Query]*entry
	sched   schedule // every entry

	urgent   []*entry // due now, whatever their time says
	queue    []*entry // due, in the round under way
	solo     []*entry // quarantined and due
	readers  []*entry // read by HPAs lately
	nextRead int      // where the next batch continues in readers
	woken    []*entry // waiting for the end of the wake window
	wakeAt   instant  // when the window ends; zero while nothing is woken
	everyone bool     // after a failure of the source: all are due

	err       error   // why the source is left alone; nil while it works
	errSince  instant // when it began to fail
	failures  int     // attempts that failed since it worked
	heldUntil instant // no attempt before this
	busySince instant // when the running Fetch began; zero while none runs
	latency   latency
	count     counters
	watch     watch
}

// entry is one query of a source. The source's mu guards it, except query and
// source, which never change. It stays in the schedule until it is gone.
type entry struct {
	query  scalers.Query
	source *source
	users  []user
	slot   int // place in the schedule; -1 once gone
	flags  flags
	zeros  uint16 // doubtful zeros in a row; see believes
	took   uint32 // microseconds of the newest Fetch
	failed uint32 // attempts that failed
	empty  uint32 // answers without a result

	interval time.Duration // the smallest of its users
	started  instant       // when the newest attempt began
	tried    instant       // when it ended; zero before the first
	wakeRun  instant       // when the newest attempt caused by a wake began
	lastRead instant       // when an HPA read it
	readGap  time.Duration // between its reads, see noteRead; zero before the second

	measured instant // when value was confirmed; zero: there is none
	at       time.Time
	value    float64
	work     float64
	activity scalers.Activity
	metrics  []scalers.Metric
	err      error
	errSince instant

	zeroSince instant // when the first of the zeros was measured

	quarantine *quarantine   // nil for healthy queries
	answered   chan struct{} // closed after the next attempt; nil when nobody waits
}

// user is one owner's interest in an entry.
type user struct {
	owner    *owner
	interval time.Duration
	watch    bool
}

// quarantine is the state of a query that failed its whole batch.
type quarantine struct{ failures int }

// flags say on which of the source's lists an entry is, and why.
type flags uint16

const (
	isUrgent   flags = 1 << iota // on urgent
	isRead                       // ... because an HPA read it
	isQueued                     // on queue or solo
	isReader                     // on readers
	isWoken                      // on woken
	isInFlight                   // in the batch being measured
	isWatched                    // a user asks for Watch
	isCovered                    // the running Watch has it
	emptyFails                   // the newest answer without a result counted as a failure
)

func (e *entry) has(f flags) bool { return e.flags&f != 0 }
func (e *entry) set(f flags)      { e.flags |= f }
func (e *entry) clear(f flags)    { e.flags &^= f }
func (e *entry) gone() bool       { return e.slot < 0 }

func newSource(e *Engine, key scalers.SourceKey) *source {
	return &source{
		engine: e, key: key, name: key.String(), phase: phaseOf(key), born: e.clock.now(),
		kick: make(chan struct{}, 1), entries: map[scalers.Query]*entry{},
	}
}

func (s *source) now() instant { return s.engine.clock.now() }

// limit is the most queries of one Fetch.
func (s *source) limit() int {
	if n := s.key.Definition().MaxBatch; n > 0 {
		return n
	}
	return int(^uint(0) >> 1)
}

// use makes o a user of u.Query, or changes how it uses it.
func (s *source) use(o *owner, u Use) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[u.Query]
	if e == nil {
		e = &entry{query: u.Query, source: s, interval: u.Interval}
		s.entries[u.Query] = e
		s.sched.add(e, s.now())
		if scalers.KindOf(s.err) == scalers.Invalid { // what was asked for changed
			s.heldUntil = min(s.heldUntil, s.now()+s.engine.cfg.MinBackoff)
		}
	}
	i := slices.IndexFunc(e.users, func(x user) bool { return x.owner == o })
	if i < 0 {
		e.users = append(e.users, user{owner: o, interval: u.Interval, watch: u.Watch})
		s.hurry(e)
		if e.quarantine != nil { // still alone, but now: its new user waits to be told
			s.sched.move(e, s.now())
			nudge(s.kick)
		}
	} else {
		e.users[i].interval, e.users[i].watch = u.Interval, u.Watch
	}
	s.settle(e)
	return e
}

// drop ends o's use of e. It reports whether no entry is left, in which case the
// caller forgets and stops the source.
func (s *source) drop(o *owner, e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(e.users, func(x user) bool { return x.owner == o })
	e.users = slices.Delete(e.users, i, i+1)
	s.settle(e)
	if len(e.users) == 0 {
		delete(s.entries, e.query)
		s.sched.remove(e)
		s.answer(e)
	}
	return len(s.entries) == 0
}

// settle derives from e's users what depends on all of them.
func (s *source) settle(e *entry) {
	interval, watched := time.Duration(1<<63-1), false
	for _, u := range e.users {
		interval, watched = min(interval, u.interval), watched || u.watch
	}
	s.setWatched(e, watched)
	if len(e.users) == 0 || interval == e.interval {
		return
	}
	sooner := interval < e.interval
	e.interval = interval
	if sooner && e.quarantine == nil {
		s.sched.move(e, min(s.sched.items[e.slot].due, next(e.started, interval, s.phase)))
		nudge(s.kick)
	}
}

// hurry makes e due now. A quarantined query keeps its own pace.
func (s *source) hurry(e *entry) {
	if e.quarantine != nil || e.has(isUrgent) {
		return
	}
	e.set(isUrgent)
	s.urgent = append(s.urgent, e)
	nudge(s.kick)
}

// answer releases those who wait for e.
func (s *source) answer(e *entry) {
	if e.answered != nil {
		close(e.answered)
		e.answered = nil
	}
}

// attach tells the source how to be stopped. It reports false when it was
// stopped before.
func (s *source) attach(cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = cancel
	return !s.stopped
}

// stop ends the loop, which closes the connection.
func (s *source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.cancel != nil {
		s.cancel()
	}
}

// concerned collects the owners of entries, each once per batch.
type concerned struct {
	batch  uint64
	owners []Owner
}

func (e *Engine) concerned(entries int) *concerned {
	if e.cfg.OnReadings == nil {
		return &concerned{}
	}
	return &concerned{batch: e.batches.Add(1), owners: make([]Owner, 0, entries)}
}

// add collects e's owners. The caller holds the source's mu. Another source's
// loop may mark the same owner in between; it is then collected twice.
func (c *concerned) add(e *entry) {
	if c.batch == 0 {
		return
	}
	for _, u := range e.users {
		if u.owner.mark.Swap(c.batch) != c.batch {
			c.owners = append(c.owners, u.owner.name)
		}
	}
}
