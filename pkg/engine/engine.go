// Package engine decides when to measure, measures, and keeps the last good
// readings.
//
// Three ideas carry it:
//
//   - Queries with equal settings share one source: one connection, one loop,
//     one Fetch for all that is due. Equal queries are measured once, however
//     many owners ask.
//   - Due is the one primitive. A timer, a read by an HPA, a wake from the
//     upstream and a new user each make a query due; there is one path that
//     measures. Everything else reads what is stored.
//   - Unknown is not zero. A failure never replaces a good value: it is stored
//     beside it, and the value only ages.
//
// Every source has its own goroutines, deadline, back-off and budget, so that
// one that fails, hangs or panics delays nobody else. A source costs one
// goroutine at rest and a second one while it watches; a query costs none.
//
// Locks: Engine.mu is taken before a source's mu, and neither is held while a
// scaler or Config.OnReadings runs. Fields of a source under "loop" belong to
// its loop's goroutine and need no lock.
//
// The package knows nothing of Kubernetes.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Owner identifies who uses queries, such as "scaledobject/namespace/name". The
// engine only compares it and gives it back.
type Owner string

// Use is one query an owner wants measured.
type Use struct {
	// Query is what to measure. A Use of the zero Query is ignored.
	Query scalers.Query
	// Interval is the longest time between two measurements. A query with
	// several users takes the smallest. Zero or less means DefaultInterval.
	Interval time.Duration
	// Watch asks that the upstream signal changes where it can: the workload is
	// idle, and the next poll may be too late to wake it.
	Watch bool
}

// DefaultInterval is the interval of a Use that has none.
const DefaultInterval = 30 * time.Second

// Config is what New needs. The zero Config works; durations of zero take the
// default stated, negative ones are an error.
type Config struct {
	// Env is given to every source. Log and HTTP are filled in when nil.
	Env scalers.Env
	// Log receives changes of state, never single readings; nil discards.
	Log *slog.Logger
	// OnReadings is called after each batch with the owners whose queries were
	// measured in it, successfully or not; nil calls nobody. It must return at
	// once: the source waits for it. It may call the engine. The slice is the
	// callee's. An owner is listed once per batch, or seldom twice when two of
	// its sources answer in the same instant.
	OnReadings func([]Owner)
	// OnFetch is called after each Fetch, and after each connection that could not
	// be opened, before OnReadings; nil calls nobody. It must return at once: the
	// source waits for it. No lock is held.
	OnFetch func(Fetch)

	OpenTimeout  time.Duration // for connecting; default 10 s
	FetchTimeout time.Duration // longest for one Fetch, at least 3 s; default 15 s. See fetchTimeout
	ReadWait     time.Duration // longest that Fresh waits; default 250 ms
	WakeWindow   time.Duration // how long a wake waits for others; default 50 ms
	MinBackoff   time.Duration // before the first reopening; default 1 s
	MaxBackoff   time.Duration // between reopenings; default 60 s
}

// fill checks the configuration and replaces zeros by defaults.
func (c *Config) fill() error {
	var errs []error
	for _, d := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"OpenTimeout", &c.OpenTimeout, 10 * time.Second},
		{"FetchTimeout", &c.FetchTimeout, 15 * time.Second},
		{"ReadWait", &c.ReadWait, 250 * time.Millisecond},
		{"WakeWindow", &c.WakeWindow, 50 * time.Millisecond},
		{"MinBackoff", &c.MinBackoff, time.Second},
		{"MaxBackoff", &c.MaxBackoff, time.Minute},
	} {
		if *d.v < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", d.name))
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if c.MinBackoff > c.MaxBackoff {
		errs = append(errs, errors.New("MinBackoff must not exceed MaxBackoff"))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Env.Log == nil {
		c.Env.Log = c.Log
	}
	if c.Env.HTTP == nil {
		c.Env.HTTP = &http.Client{Timeout: c.FetchTimeout}
	}
	return errors.Join(errs...)
}

// Engine measures queries. Its methods are safe for concurrent use.
type Engine struct {
	cfg     Config
	clock   clock
	kick    chan struct{} // holds one token while unstarted may not be empty
	batches atomic.Uint64 // numbers the batches, for owner.mark

	mu        sync.RWMutex // guards the fields below
	sources   map[scalers.SourceKey]*source
	owners    map[Owner]*owner
	unstarted []*source // made by Set, not yet taken up by Run
	started   bool      // Run was called
	running   bool      // ... and has not been told to end
}

// owner is what the engine knows of an Owner.
type owner struct {
	name Owner
	held []*entry      // one per query, any order; guarded by Engine.mu
	mark atomic.Uint64 // the batch that listed the owner last
}

// New makes an Engine. It starts nothing.
func New(cfg Config) (*Engine, error) {
	if err := cfg.fill(); err != nil {
		return nil, fmt.Errorf("configuring the engine: %w", err)
	}
	return &Engine{
		cfg:     cfg,
		clock:   clock{time.Now()},
		kick:    make(chan struct{}, 1),
		sources: map[scalers.SourceKey]*source{},
		owners:  map[Owner]*owner{},
	}, nil
}

// Run measures until ctx ends, and then closes every source. It returns nil, or
// an error at once when it was called before. It leaves no goroutine behind,
// except those of scalers that ignore the end of their context: these are
// waited for a few seconds and then reported in the log.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	again := e.started
	e.started, e.running = true, !again || e.running
	e.mu.Unlock()
	if again {
		return errors.New("running the engine: it runs already or has run; make a new one")
	}
	var loops sync.WaitGroup
	defer loops.Wait()
	defer e.ended()
	for {
		e.mu.Lock()
		unstarted := e.unstarted
		e.unstarted = nil
		e.mu.Unlock()
		for _, s := range unstarted {
			loops.Go(func() { s.run(ctx) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.kick:
		}
	}
}

// ended lets reads know that nothing is measured any more.
func (e *Engine) ended() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = false
}

// Set replaces what owner measures. It returns at once and may be called before
// Run. Queries that the owner did not use before are due now. A query listed
// twice counts once, with the smaller interval.
//
// What the owner no longer uses is forgotten with its reading, unless others use
// it; a source that nobody uses is closed. When settings change (a rotated
// password), an owner that needs the old readings until the first new one keeps
// the old Use beside the new one until Latest of the new one is OK.
func (e *Engine) Set(owner Owner, uses []Use) {
	wanted := make(map[scalers.Query]Use, len(uses))
	for _, u := range uses {
		if u.Query.Source.Definition() == nil {
			continue
		}
		if u.Interval <= 0 {
			u.Interval = DefaultInterval
		}
		if other, ok := wanted[u.Query]; ok {
			u.Interval, u.Watch = min(u.Interval, other.Interval), u.Watch || other.Watch
		}
		wanted[u.Query] = u
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.replace(owner, wanted)
}

// Remove forgets the owner and all it measured. It returns at once.
func (e *Engine) Remove(owner Owner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.replace(owner, nil)
}

// replace makes wanted all that the owner uses. New sources start before old
// ones stop. The caller holds e.mu.
func (e *Engine) replace(name Owner, wanted map[scalers.Query]Use) {
	o := e.owners[name]
	if o == nil {
		if len(wanted) == 0 {
			return
		}
		o = &owner{name: name}
		e.owners[name] = o
	}
	old := o.held
	o.held = make([]*entry, 0, len(wanted))
	for q, u := range wanted {
		o.held = append(o.held, e.open(q.Source).use(o, u))
	}
	for _, had := range old {
		if _, kept := wanted[had.query]; kept {
			continue
		}
		if s := had.source; s.drop(o, had) {
			delete(e.sources, s.key)
			s.stop()
		}
	}
	if len(o.held) == 0 {
		delete(e.owners, name)
	}
}

// open returns the source for key, made when there is none. Its loop connects.
// The caller holds e.mu.
func (e *Engine) open(key scalers.SourceKey) *source {
	if s := e.sources[key]; s != nil {
		return s
	}
	s := newSource(e, key)
	e.sources[key] = s
	e.unstarted = append(e.unstarted, s)
	nudge(e.kick)
	return s
}

// find returns the source of q, or nil, and whether it is being measured.
func (e *Engine) find(q scalers.Query) (s *source, running bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.sources[q.Source], e.running
}

// tell calls OnReadings. No lock may be held.
func (e *Engine) tell(owners []Owner) {
	if e.cfg.OnReadings != nil && len(owners) > 0 {
		e.cfg.OnReadings(owners)
	}
}

// nudge wakes whoever receives from c, which has a buffer of one.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// instant is a time on the monotonic clock since the engine was made. Zero
// means never: the engine's first instant is 1.
type instant = time.Duration

// clock converts between times and instants.
type clock struct{ epoch time.Time }

func (c clock) now() instant { return time.Since(c.epoch) + 1 }

// time returns the zero Time for never.
func (c clock) time(i instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return c.epoch.Add(i - 1)
}
