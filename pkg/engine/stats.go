package engine

import (
	"cmp"
	"slices"
	"time"
)

// SourceStats is what one source has cost and how it is. Counters count since
// the source was first used.
type SourceStats struct {
	Type   string // the scaler's
	Source string // describes the settings, without secrets

	Queries     int // measured now
	Watched     int // of these, those that ask for signals
	Quarantined int // of these, those measured alone
	Failing     int // of these, those whose newest attempt failed

	Opens        uint64 // times the connection was opened; all but the first are reopenings
	Fetches      uint64 // calls of Fetch, each about one round trip per batch of the upstream
	FetchErrors  uint64 // of these, those that failed as a whole
	Measured     uint64 // queries in all Fetches; divided by Fetches the mean batch
	QueryErrors  uint64 // attempts to measure a query that failed, for whatever reason
	Panics       uint64
	LastBatch    int // queries in the newest Fetch
	LargestBatch int

	Latency    time.Duration // of Fetch: moving average; zero before the first
	LatencyP99 time.Duration // of the newest 128

	// Oldest is the age of the oldest reading; a query that was never measured
	// counts from when its source was made. Zero without queries.
	Oldest time.Duration

	Open    bool      // connected
	Err     error     // why the source is left alone; nil while it works
	Since   time.Time // when it began to fail; zero while it works
	RetryAt time.Time // when it will be tried again; zero while it works

	Watch    WatchState
	WatchErr error  // why the newest Watch ended by itself
	Wakes    uint64 // signals received
}

// Stats returns one entry per source, ordered by Type and Source.
func (e *Engine) Stats() []SourceStats {
	e.mu.RLock()
	sources := make([]*source, 0, len(e.sources))
	for _, s := range e.sources {
		sources = append(sources, s)
	}
	e.mu.RUnlock()
	out := make([]SourceStats, len(sources))
	for i, s := range sources {
		out[i] = s.stats()
	}
	slices.SortStableFunc(out, func(a, b SourceStats) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Source, b.Source))
	})
	return out
}

// counters are the sums of a source. Its mu guards them.
type counters struct {
	opens, fetches, fetchErrors, measured, queryErrors, panics uint64
	lastBatch, largestBatch                                    int
	open                                                       bool
}

func (s *source) stats() SourceStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, clock := s.now(), s.engine.clock
	out := SourceStats{
		Type: s.key.Type(), Source: s.name, Queries: len(s.entries), Watched: s.watch.wanted,
		Opens: s.count.opens, Fetches: s.count.fetches, FetchErrors: s.count.fetchErrors,
		Measured: s.count.measured, QueryErrors: s.count.queryErrors, Panics: s.count.panics,
		LastBatch: s.count.lastBatch, LargestBatch: s.count.largestBatch,
		Latency: s.latency.mean, LatencyP99: s.latency.p99(),
		Open: s.count.open, Err: s.err, Since: clock.time(s.errSince),
		Watch: s.watch.state(s.key.Definition().Watches), WatchErr: s.watch.err, Wakes: s.watch.wakes,
	}
	if s.err != nil {
		out.RetryAt = clock.time(s.heldUntil)
	}
	for _, e := range s.entries {
		if e.quarantine != nil {
			out.Quarantined++
		}
		if e.err != nil {
			out.Failing++
		}
		out.Oldest = max(out.Oldest, now-max(e.measured, s.born))
	}
	return out
}

// noteFetch counts one Fetch of entries.
func (s *source) noteFetch(entries []*entry, took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, n := &s.count, len(entries)
	c.fetches++
	c.measured += uint64(n)
	c.lastBatch, c.largestBatch = n, max(c.largestBatch, n)
	if err != nil {
		c.fetchErrors++
	}
	us := microseconds(took)
	for _, e := range entries {
		e.took = us
	}
	s.latency.add(us)
}

// noteConn notes that the connection was opened or given up.
func (s *source) noteConn(open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.open = open
	if open {
		s.count.opens++
		s.watch.unsupported = false
	}
}

// notePanic counts a panic and reports whether it was the source's first.
func (s *source) notePanic() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.panics++
	return s.count.panics == 1
}

// latency describes how long Fetch takes.
type latency struct {
	mean   time.Duration // exponentially weighted
	recent []uint32      // the newest, in microseconds, in no order
	at     int           // where the next goes once recent is full
}

const (
	latencyKept   = 128
	latencyWeight = 5 // the newest counts 1/5
)

// microseconds is d, at most a little over an hour.
func microseconds(d time.Duration) uint32 { return uint32(min(d.Microseconds(), 1<<32-1)) }

func (l *latency) add(us uint32) {
	took := time.Duration(us) * time.Microsecond
	if len(l.recent) == 0 {
		l.mean = took
	} else {
		l.mean += (took - l.mean) / latencyWeight
	}
	if len(l.recent) < latencyKept {
		l.recent = append(l.recent, us)
		return
	}
	l.recent[l.at] = us
	l.at = (l.at + 1) % latencyKept
}

// p99 is zero before the first.
func (l *latency) p99() time.Duration {
	if len(l.recent) == 0 {
		return 0
	}
	sorted := slices.Clone(l.recent)
	slices.Sort(sorted)
	return time.Duration(sorted[(len(sorted)*99+99)/100-1]) * time.Microsecond
}
