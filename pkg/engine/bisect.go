package engine

import (
	"context"
	"log/slog"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// hunt looks for what makes a batch fail as a whole. It halves the batch, so one
// culprit among n costs about 2·log2(n) probes.
type hunt[T any] struct {
	// probe measures a part again. over says that there is no point in going on:
	// the source failed in another way, or the engine stops.
	probe func([]T) (over bool, err error)

	alive    bool // a probe succeeded
	over     bool
	probes   int
	patience int // probes without any success before the source is given up
	budget   int // probes in all
	culprits []culprit[T]
	rest     []T // failed with others, and not looked into
}

type culprit[T any] struct {
	who T
	err error
}

// run searches all, which failed with err. It reorders all.
func (h *hunt[T]) run(all []T, err error) {
	depth := bits.Len(uint(len(all)))
	h.patience, h.budget = depth+4, 8*depth+16
	// Neighbours tend to fail together; apart, they do not look like a dead source.
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // an order is no secret
	h.search(all, err)
}

// search looks into part, which failed with err.
func (h *hunt[T]) search(part []T, err error) {
	if len(part) == 1 {
		h.culprits = append(h.culprits, culprit[T]{part[0], err})
		return
	}
	for _, half := range [][]T{part[:len(part)/2], part[len(part)/2:]} {
		if h.over || h.probes >= h.budget || !h.alive && h.probes >= h.patience {
			h.rest = append(h.rest, half...)
			continue
		}
		h.probes++
		over, err := h.probe(half)
		h.over = h.over || over
		switch {
		case err == nil:
			h.alive = true
		case h.over:
			h.rest = append(h.rest, half...)
		default:
			h.search(half, err)
		}
	}
}

// blame finds out which of entries, whose Fetch failed with err, are to blame,
// and quarantines these. When nothing can be measured at all, the source is to
// blame.
func (s *source) blame(ctx context.Context, entries []*entry, timeout time.Duration, err error) {
	var failed error // of the source
	h := hunt[*entry]{probe: func(part []*entry) (bool, error) {
		where, err := s.fetch(ctx, part, timeout)
		switch {
		case where == everyReading: // it answered, be it with refusals
			err = nil
		case err != nil && where != oneQuery:
			failed = err
		}
		return ctx.Err() != nil || failed != nil, err
	}}
	all := slices.Clone(entries)
	h.run(all, err)
	all = s.crossCheck(&h, all)
	switch {
	case ctx.Err() != nil:
	case failed != nil:
		s.fail(all, failed)
	case !h.alive:
		s.fail(all, err)
	default:
		s.works()
		for _, c := range h.culprits {
			s.confine(c.who, c.err)
		}
		s.spare(h.rest, err)
	}
}

// crossCheck asks a query that is not suspected when none of the suspects
// answered: if it does, the source is alive. It returns what was asked in vain.
func (s *source) crossCheck(h *hunt[*entry], asked []*entry) []*entry {
	if h.alive || h.over {
		return asked
	}
	control := s.control()
	if control == nil {
		return asked
	}
	if _, err := h.probe([]*entry{control}); err != nil {
		return append(asked, control)
	}
	h.alive = true
	return asked
}

// control is a query that answered lately and is not being measured, or nil: it
// tells a bad batch from a bad source.
func (s *source) control() *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.measured != 0 && e.err == nil && !e.has(isInFlight) && e.quarantine == nil {
			return e
		}
	}
	return nil
}

// confine quarantines e, which failed alone with err: from now on it is measured
// in requests of its own, ever more seldom, until one succeeds.
func (s *source) confine(e *entry, err error) {
	s.mu.Lock()
	s.busySince = 0
	e.clear(isInFlight)
	if e.gone() {
		s.mu.Unlock()
		return
	}
	first := e.quarantine == nil
	if first {
		e.quarantine = &quarantine{}
	}
	now := s.now()
	s.sched.move(e, now+backoff(e.quarantine.failures, minQuarantine, maxQuarantine))
	e.quarantine.failures++
	s.storeError(e, err, now)
	told := s.engine.concerned(1)
	told.add(e)
	s.mu.Unlock()
	s.engine.tell(told.owners)
	if first {
		s.engine.cfg.Log.Warn("a query fails its whole batch and is measured alone", slog.String("source", s.name),
			slog.String("query", e.query.String()), slog.Any("error", err), slog.String("kind", string(scalers.KindOf(err))))
	}
}

// spare stores err for entries that could not be looked into. They are due
// again after their interval.
func (s *source) spare(entries []*entry, err error) {
	told := s.engine.concerned(len(entries))
	s.mu.Lock()
	s.busySince = 0
	now := s.now()
	for _, e := range entries {
		e.clear(isInFlight)
		if !e.gone() {
			s.storeError(e, err, now)
			told.add(e)
		}
	}
	s.sched.moveAll(entries, s.nextFor)
	s.mu.Unlock()
	s.engine.tell(told.owners)
}
