package engine

import (
	"hash/fnv"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// schedule orders the entries of one source by due time. It is a binary heap
// with the times inline, so that a look at what is due touches no entry, and a
// batch of most entries is put back in one linear pass.
type schedule struct {
	items   []scheduled
	longest time.Duration // the longest interval ever seen
}

type scheduled struct {
	due instant
	e   *entry // e.slot is the index of this item
}

// soon is the part of an interval by which a query may be measured early, so
// that it shares a batch with others, or glides towards the source's phase.
func soon(interval time.Duration) time.Duration { return interval / 10 }

// next is when a query measured at now falls due again: within its interval, at
// most a tenth early. Within that tenth it prefers the instants that are phase
// plus a multiple of the interval. All queries of one source with one interval
// thus end up in one batch after at most ten polls, whenever they were added,
// and none is ever late for it.
func next(now instant, interval, phase time.Duration) instant {
	latest := now + interval
	onPhase := latest - (latest-phase%interval)%interval
	return max(onPhase, latest-soon(interval))
}

// phaseOf spreads sources over time. It is the same for equal descriptions.
func phaseOf(key scalers.SourceKey) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key.String())) // a hash never fails
	return time.Duration(h.Sum64() % uint64(24*time.Hour))
}

// add inserts e, which is in no schedule.
func (h *schedule) add(e *entry, due instant) {
	h.longest = max(h.longest, e.interval)
	e.slot = len(h.items)
	h.items = append(h.items, scheduled{due, e})
	h.up(e.slot)
}

// remove takes e out.
func (h *schedule) remove(e *entry) {
	last := len(h.items) - 1
	i := e.slot
	h.place(i, h.items[last])
	h.items[last] = scheduled{}
	h.items = h.items[:last]
	if i < last {
		h.fix(i)
	}
	e.slot = -1
}

// move changes when e is due.
func (h *schedule) move(e *entry, due instant) {
	h.longest = max(h.longest, e.interval)
	h.items[e.slot].due = due
	h.fix(e.slot)
}

// moveAll is move for each of entries, to e.due as told by due.
func (h *schedule) moveAll(entries []*entry, due func(*entry) instant) {
	if len(entries) < len(h.items)/8 {
		for _, e := range entries {
			if e.slot >= 0 {
				h.move(e, due(e))
			}
		}
		return
	}
	for _, e := range entries {
		if e.slot >= 0 {
			h.items[e.slot].due = due(e)
		}
	}
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

// first is when the first entry is due; false when there is none.
func (h *schedule) first() (instant, bool) {
	if len(h.items) == 0 {
		return 0, false
	}
	return h.items[0].due, true
}

// collect calls take for all that is due at now or soon after. It costs time in
// proportion to what it looks at, not to the size of the heap.
func (h *schedule) collect(now instant, take func(*entry)) {
	h.walk(0, now+soon(h.longest), func(it scheduled) {
		if it.due <= now || it.due-soon(it.e.interval) <= now {
			take(it.e)
		}
	})
}

// walk visits the items below i that are due at limit.
func (h *schedule) walk(i int, limit instant, visit func(scheduled)) {
	for i < len(h.items) && h.items[i].due <= limit {
		visit(h.items[i])
		h.walk(2*i+1, limit, visit)
		i = 2*i + 2
	}
}

func (h *schedule) place(i int, it scheduled) {
	h.items[i] = it
	it.e.slot = i
}

func (h *schedule) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h *schedule) up(i int) {
	it := h.items[i]
	for i > 0 {
		parent := (i - 1) / 2
		if h.items[parent].due <= it.due {
			break
		}
		h.place(i, h.items[parent])
		i = parent
	}
	h.place(i, it)
}

// down reports whether the item moved.
func (h *schedule) down(i int) bool {
	it, start := h.items[i], i
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			break
		}
		if right := child + 1; right < len(h.items) && h.items[right].due < h.items[child].due {
			child = right
		}
		if it.due <= h.items[child].due {
			break
		}
		h.place(i, h.items[child])
		i = child
	}
	h.place(i, it)
	return i > start
}
