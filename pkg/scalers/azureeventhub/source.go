package azureeventhub

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
)

const (
	// hubsAtOnce is how many hubs are asked at a time, each on its connection.
	hubsAtOnce = 16
	// unusedFor is how long connections and checkpoints are kept that no query
	// asks for. The HPA may ask for some of the queries only.
	unusedFor = 15 * time.Minute
)

// source is a namespace and the storage account with its checkpoints.
type source struct {
	namespace   string // as checkpoints name it
	open        func(name string) (*hub, error)
	hubs        map[string]*hub
	checkpoints *checkpoints
	storage     *azstorage.Client
}

// Fetch implements scalers.Source. A hub that fails costs its own queries only.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	hubs := map[string]*hubReading{}
	for _, q := range queries {
		hubs[q.hub] = &hubReading{}
	}
	s.readHubs(ctx, hubs)
	known := s.readCheckpoints(ctx, queries, hubs)
	out := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		h := hubs[q.hub]
		if out[i].Err = h.err; h.err == nil {
			out[i] = q.reading(h.partitions, known[q.whose()])
		}
	}
	return out, wholeFailure(out)
}

// wholeFailure returns an error that all readings have and that the source as a
// whole is to be left alone for.
func wholeFailure(readings []scalers.Reading) error {
	if len(readings) == 0 {
		return nil
	}
	for _, r := range readings {
		switch scalers.KindOf(r.Err) {
		case scalers.Unreachable, scalers.Unauthorized, scalers.Throttled:
		default:
			return nil
		}
	}
	return readings[0].Err
}

// hubReading is what a hub said.
type hubReading struct {
	partitions []partition
	err        error
}

// readHubs fills in what the hubs say.
func (s *source) readHubs(ctx context.Context, into map[string]*hubReading) {
	names := slices.Sorted(maps.Keys(into))
	open := make([]*hub, len(names))
	for i, name := range names {
		open[i], into[name].err = s.hub(name)
	}
	atOnce(hubsAtOnce, len(names), func(i int) {
		if r := into[names[i]]; r.err == nil {
			open[i], r.partitions, r.err = s.readHub(ctx, open[i])
		}
	})
	for i, name := range names {
		if open[i] != nil {
			s.hubs[name] = open[i]
		}
	}
	s.prune(ctx)
}

// readHub asks a hub. A connection that worked and has broken since is replaced
// at once: the service closes those that rest.
func (s *source) readHub(ctx context.Context, h *hub) (*hub, []partition, error) {
	partitions, err := h.read(ctx)
	if h.proven && h.broken && ctx.Err() == nil {
		return s.again(ctx, h)
	}
	return h, partitions, err
}

// prune closes hubs that are spent, and those that nobody asked for in a while.
func (s *source) prune(ctx context.Context) {
	for name, h := range s.hubs {
		if h.spent() || time.Since(h.used) > unusedFor {
			h.close(ctx)
			delete(s.hubs, name)
		}
	}
}

// again replaces the connection of a hub and asks once more.
func (s *source) again(ctx context.Context, old *hub) (*hub, []partition, error) {
	fresh, err := s.open(old.name)
	if err != nil {
		return old, nil, err
	}
	old.close(ctx)
	fresh.used, fresh.ids, fresh.listed = old.used, old.ids, old.listed
	partitions, err := fresh.read(ctx)
	return fresh, partitions, err
}

// hub returns the hub of a name, which is connected when it is first asked.
func (s *source) hub(name string) (*hub, error) {
	h := s.hubs[name]
	if h == nil {
		var err error
		if h, err = s.open(name); err != nil {
			return nil, err
		}
		s.hubs[name] = h
	}
	h.used = time.Now()
	return h, nil
}

// group identifies whose progress it is.
type group struct {
	hub, name string
	layout    layout
	container string
}

func (q query) whose() group { return group{q.hub, q.group, q.layout, q.container} }

// progress is what is known of a group's checkpoints.
type progress struct {
	found
	prefixes []string // where they may be
	missing  []string // partitions whose checkpoint was not found yet
}

// place is where to look for what is missing, in a given turn.
func (p *progress) place(g group, turn int) (at place, ok bool) {
	if turn >= len(p.prefixes) || len(p.missing) == 0 {
		return place{}, false
	}
	return place{g.container, p.prefixes[turn], g.layout}, true
}

// readCheckpoints looks for the checkpoints of all groups. Where a group's blobs
// may be in one of several places, the later ones are read for what the earlier
// ones lack.
func (s *source) readCheckpoints(ctx context.Context, queries []query, hubs map[string]*hubReading) map[group]*progress {
	out := map[group]*progress{}
	turns := 0
	for _, q := range queries {
		g, h := q.whose(), hubs[q.hub]
		if out[g] != nil || h.err != nil {
			continue
		}
		out[g] = &progress{prefixes: q.prefixes(s.namespace), found: newFound()}
		turns = max(turns, len(out[g].prefixes))
		for _, p := range h.partitions {
			if p.last != -1 { // without events no checkpoint matters
				out[g].missing = append(out[g].missing, p.id)
			}
		}
	}
	for turn := range turns {
		wanted := map[place][]string{}
		for g, p := range out {
			if at, ok := p.place(g, turn); ok {
				wanted[at] = append(wanted[at], p.missing...)
			}
		}
		works := s.checkpoints.read(ctx, wanted)
		for g, p := range out {
			if at, ok := p.place(g, turn); ok {
				p.missing = p.take(works[at], p.missing)
			}
		}
	}
	return out
}

// take adds what w found, and returns the partitions that still lack a checkpoint.
func (f *found) take(w *work, ids []string) (missing []string) {
	if w.failed != nil {
		f.failed = w.failed
		return nil
	}
	for _, id := range ids {
		n, ok := w.sequence[id]
		err := w.err[id]
		switch {
		case err != nil:
			f.err[id] = err
		case ok:
			f.sequence[id] = n
		default:
			missing = append(missing, id)
		}
	}
	return missing
}

// reading adds up the partitions.
func (q query) reading(partitions []partition, f *progress) scalers.Reading {
	if f.failed != nil {
		return scalers.Reading{Err: f.failed}
	}
	var total int64
	anyStale := false
	for _, p := range partitions {
		if err := f.err[p.id]; err != nil {
			return scalers.Reading{Err: err}
		}
		var checkpoint *int64
		if n, ok := f.sequence[p.id]; ok {
			checkpoint = &n
		}
		n, stale := unprocessed(p, checkpoint, q.tolerance)
		total, anyStale = plus(total, n), anyStale || stale
	}
	return scalers.Reading{
		Value:     float64(capped(total, q.threshold, len(partitions))),
		Work:      float64(total),
		FalseZero: anyStale && total == 0,
	}
}

// Close implements scalers.Source.
func (s *source) Close() error {
	names := slices.Collect(maps.Keys(s.hubs))
	atOnce(hubsAtOnce, len(names), func(i int) { s.hubs[names[i]].close(context.Background()) })
	clear(s.hubs)
	return s.storage.Close()
}
