package engine

import (
	"time"
)

const (
	// readLately is how long after a read by an HPA its query may join the batches
	// that other reads cause, if it was read once only: four of an HPA's usual
	// periods. Of one that was read more often the next read is foreseen.
	readLately = time.Minute
	// readSoon is how far ahead of its next read a query joins such a batch, and
	// how old its reading is then at least.
	readSoon = 5 * time.Second
	// wakeGap is the least time between two measurements of one query that are
	// caused by wakes, so that a busy key costs at most five per second.
	wakeGap = 200 * time.Millisecond
)

// batch is what one Fetch measures.
type batch struct {
	entries  []*entry
	interval time.Duration // the smallest of them
	solo     bool          // one quarantined query
}

// pick chooses what to measure now: urgent queries first, then those that are
// due, then a quarantined one. An empty batch means that nothing is due until
// the returned time has passed.
func (s *source) pick(now instant) (batch, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := picker{s: s, room: s.limit(), entries: s.loop.batch[:0]}
	s.ripen(now)
	p.urgent()
	if p.read {
		p.readers(now)
	}
	hurried := len(p.entries) > 0
	s.collect(now, hurried)
	if len(s.solo) > 0 && !hurried && (len(s.queue) == 0 || !s.loop.wasSolo) {
		p.alone()
	} else {
		p.queue()
	}
	s.loop.batch = p.entries
	s.loop.wasSolo = p.solo
	if len(p.entries) == 0 {
		return batch{}, s.idle(now)
	}
	b := batch{entries: p.entries, interval: p.entries[0].interval, solo: p.solo}
	for _, e := range p.entries {
		b.interval = min(b.interval, e.interval)
	}
	return b, 0
}

// picker fills one batch. The source's mu is held.
type picker struct {
	s       *source
	room    int
	entries []*entry
	read    bool // an HPA's read is among the reasons
	solo    bool
}

// take adds e, unless it is gone or there already. Lists that still hold e skip
// it by its flags.
func (p *picker) take(e *entry) {
	e.clear(isUrgent | isQueued | isRead)
	if e.gone() || e.has(isInFlight) {
		return
	}
	e.set(isInFlight)
	p.entries = append(p.entries, e)
	p.room--
}

func (p *picker) urgent() {
	s, n := p.s, 0
	for ; n < len(s.urgent) && p.room > 0; n++ {
		e := s.urgent[n]
		if e.quarantine != nil {
			e.clear(isUrgent | isRead)
			continue
		}
		p.read = p.read || e.has(isRead)
		p.take(e)
	}
	s.urgent = cut(s.urgent, n)
}

// readers fills what room is left with queries that HPAs read, in turn.
func (p *picker) readers(now instant) {
	s := p.s
	if s.key.Definition().PerQuery {
		return
	}
	kept, at := s.readers[:0], s.nextRead
	for i, e := range s.readers {
		if e.gone() || now-e.lastRead > max(readLately, 2*e.readGap) {
			e.clear(isReader)
			if i < at {
				s.nextRead--
			}
			continue
		}
		kept = append(kept, e)
	}
	clear(s.readers[len(kept):])
	s.readers = kept
	for range kept {
		if p.room == 0 {
			return
		}
		if s.nextRead >= len(kept) {
			s.nextRead = 0
		}
		if e := kept[s.nextRead]; e.quarantine == nil && !e.has(isInFlight) && e.readNext(now) {
			p.take(e)
		}
		s.nextRead++
	}
}

// readNext reports whether an HPA is about to read e, and would want a newer
// reading than there is. The source's mu is held.
func (e *entry) readNext(now instant) bool {
	since := now - e.lastRead
	near := e.readGap == 0 || since >= e.readGap-readSoon && since <= e.readGap+readSoon
	return near && now-e.tried >= readSoon
}

// queue takes what is due.
func (p *picker) queue() {
	s, n := p.s, 0
	for ; n < len(s.queue) && p.room > 0; n++ {
		if e := s.queue[n]; e.has(isQueued) {
			p.take(e)
		}
	}
	s.queue = cut(s.queue, n)
}

// alone takes one quarantined query.
func (p *picker) alone() {
	s := p.s
	for len(s.solo) > 0 && len(p.entries) == 0 {
		e := s.solo[0]
		s.solo = cut(s.solo, 1)
		p.take(e)
	}
	p.solo = len(p.entries) > 0
}

// cut removes the first n and lets go of the memory when nothing is left.
func cut(list []*entry, n int) []*entry {
	if n == len(list) {
		return nil
	}
	clear(list[:n])
	return list[n:]
}

// ripen makes urgent what woke, once the window has ended. Those measured for a
// wake very lately wait a little longer.
func (s *source) ripen(now instant) {
	if s.wakeAt == 0 || now < s.wakeAt {
		return
	}
	s.wakeAt = 0
	kept := s.woken[:0]
	for _, e := range s.woken {
		ripe := e.wakeRun + wakeGap
		if e.wakeRun != 0 && ripe > now && !e.gone() {
			kept = append(kept, e)
			if s.wakeAt == 0 || ripe < s.wakeAt {
				s.wakeAt = ripe
			}
			continue
		}
		e.clear(isWoken)
		if !e.gone() {
			e.wakeRun = now
			s.hurry(e)
		}
	}
	clear(s.woken[len(kept):])
	s.woken = kept
}

// collect starts a new round of what is due, when the last one is through. What
// is due soon joins only when there is a batch anyway.
func (s *source) collect(now instant, anyway bool) {
	if len(s.queue) > 0 {
		return
	}
	if s.everyone {
		s.everyone = false
		for _, it := range s.sched.items {
			if it.e.quarantine == nil {
				s.enqueue(it.e)
			}
		}
		return
	}
	if first, ok := s.sched.first(); ok && (anyway || first <= now) {
		s.sched.collect(now, s.enqueue)
	}
}

func (s *source) enqueue(e *entry) {
	switch {
	case e.has(isInFlight | isQueued):
	case e.quarantine != nil:
		e.set(isQueued)
		s.solo = append(s.solo, e)
	default:
		e.set(isQueued)
		s.queue = append(s.queue, e)
	}
}

// idle is how long nothing is due.
func (s *source) idle(now instant) time.Duration {
	wait := forever
	if first, ok := s.sched.first(); ok {
		wait = first - now
	}
	if s.wakeAt != 0 {
		wait = min(wait, s.wakeAt-now)
	}
	return max(wait, 1)
}

// forever is longer than anything waits without being told.
const forever = 24 * time.Hour

// leastTimeout is the shortest deadline of a Fetch.
const leastTimeout = 3 * time.Second

// fetchTimeout is the deadline of one Fetch: the smallest interval in the batch,
// but at least leastTimeout and at most FetchTimeout. A quarantined query gets
// the least.
func (s *source) fetchTimeout(b batch) time.Duration {
	if b.solo {
		return leastTimeout
	}
	return max(min(b.interval, s.engine.cfg.FetchTimeout), leastTimeout)
}
