package scaledjob

import (
	"sync"
	"time"
)

// awaited is how long a Job that was created may be missing from the cache before
// the API server is asked whether there is one.
const awaited = 15 * time.Second

// ledger knows of the Jobs of one object what the cache does not know yet, and
// what it has forgotten too early. Jobs are known by name. The zero ledger is
// empty; it is safe for concurrent use.
type ledger struct {
	mu sync.Mutex // guards the fields below
	// expected are the Jobs that were asked for and that the cache has not shown,
	// with the time from which they are awaited.
	expected map[string]time.Time
	// running are the Jobs that had not ended when they were last counted.
	running map[string]bool
	// ended are Jobs that were seen to have ended, or gone, with the time when
	// that was. Those that no reading can show any more are dropped.
	ended map[string]time.Time
}

// expect notes that a Job is about to be asked for, or was found at the API
// server only.
func (l *ledger) expect(name string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expected == nil {
		l.expected = map[string]time.Time{}
	}
	l.expected[name] = now
}

// refuse notes that the API server did not create a Job.
func (l *ledger) refuse(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.expected, name)
}

// end notes that a Job has ended or gone. What was known before stays.
func (l *ledger) end(name string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.expected, name)
	l.finish(name, now)
}

// finish is end for who holds mu.
func (l *ledger) finish(name string, now time.Time) {
	if _, known := l.ended[name]; known {
		return
	}
	if l.ended == nil {
		l.ended = map[string]time.Time{}
	}
	l.ended[name] = now
}

// count takes what the cache shows, which names all Jobs with whether they have
// ended, and returns the number of Jobs that have not, and the names of those
// that the cache does not show.
func (l *ledger) count(cached map[string]bool, now time.Time) (unfinished int, unseen []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	running := make(map[string]bool, len(cached))
	for name, ended := range cached {
		_, first := l.expected[name]
		delete(l.expected, name)
		switch {
		case !ended:
			running[name] = true
		case first:
			l.finish(name, now)
		}
	}
	for name := range l.expected {
		running[name] = true
		unseen = append(unseen, name)
	}
	// The cache changes before its events come.
	for name := range l.running {
		if !running[name] {
			l.finish(name, now)
		}
	}
	l.running = running
	return len(running), unseen
}

// recent returns how many Jobs ended at or after an instant, and drops those that
// ended before an earlier one.
func (l *ledger) recent(since, horizon time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for name, at := range l.ended {
		switch {
		case at.Before(horizon):
			delete(l.ended, name)
		case !at.Before(since):
			n++
		}
	}
	return n
}

// confirm takes a list from the API server that was asked for at an instant, as
// count takes the cache. What is not in the cache is awaited; what has been awaited
// for long and is not there never was, or is gone.
func (l *ledger) confirm(live, cached map[string]bool, asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expected == nil {
		l.expected = map[string]time.Time{}
	}
	for name, since := range l.expected {
		if _, there := live[name]; !there && asked.Sub(since) >= awaited {
			delete(l.expected, name)
			delete(l.running, name)
			l.finish(name, asked)
		}
	}
	for name := range live {
		if _, known := cached[name]; !known {
			l.expected[name] = asked
		}
	}
}

// overdueAt is when the first Job has been awaited for long; zero while none is.
func (l *ledger) overdueAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first time.Time
	for _, since := range l.expected {
		if at := since.Add(awaited); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// overdue reports whether a Job has been awaited for long.
func (l *ledger) overdue(now time.Time) bool {
	at := l.overdueAt()
	return !at.IsZero() && !now.Before(at)
}
