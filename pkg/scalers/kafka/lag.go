package kafka

import "github.com/weir-sh/weir/pkg/scalers"

// uncommitted is the offset that brokers answer for a partition in which the
// group has committed none.
const uncommitted = -1

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// progress is how far a group and producers have come in one partition: the
// next message to handle and the next to be written.
type progress struct {
	place
	committed int64 // uncommitted when there is no offset
	end       int64
}

// memory holds the offsets that a query with excludePersistentLag saw last.
type memory map[place]int64

// unchanged reports whether the offset is the one seen last, and remembers it.
// The first sight is a change.
func (m memory) unchanged(p progress) bool {
	last, seen := m[p.place]
	m[p.place] = p.committed
	return seen && last == p.committed
}

// totals are sums over partitions.
type totals struct {
	lag        int64 // without what stands still, with excludePersistentLag
	work       int64 // with it
	partitions int64
	lagging    int64 // partitions with lag
}

// sum adds up the partitions of a query. The memory is used, and advanced, with
// excludePersistentLag only.
func (q query) sum(all []progress, m memory) totals {
	var t totals
	for _, p := range all {
		lag, work := q.lag(p, m)
		t.lag += lag
		t.work += work
		t.partitions++
		if lag > 0 {
			t.lagging++
		}
	}
	return t
}

// lag is that of one partition, without and with what stands still. It is
// negative when the committed offset is beyond the end, as after a topic was
// deleted and created again.
func (q query) lag(p progress, m memory) (lag, work int64) {
	switch {
	case p.committed == uncommitted && q.zeroOnInvalid:
		return 0, 0
	case p.committed == uncommitted && q.earliest:
		return p.end, p.end
	case p.committed == uncommitted:
		return 1, 1 // something must start to commit an offset
	}
	work = p.end - p.committed
	if q.excludePersistent && m.unchanged(p) {
		return 0, work
	}
	return work, work
}

// reading applies bounds and even distribution. A total of less than one
// threshold above the bound is not cut, which may be one replica too many:
// users' workloads have always been scaled like that.
func (q query) reading(t totals) scalers.Reading {
	value := float64(t.lag)
	if q.bounded() {
		bound := t.partitions
		if q.even {
			value = q.evenly(t)
		}
		if q.withLag {
			bound = t.lagging
		}
		if replicas := value / float64(q.threshold); replicas >= float64(bound)+1 {
			value = float64(bound) * float64(q.threshold)
		}
	}
	r := scalers.Reading{Value: max(0, value), Work: float64(max(0, t.work))}
	if q.even || q.excludePersistent {
		r.Work, r.Activity = 0, scalers.Idle
		if t.work > q.activation {
			r.Activity = scalers.Busy
		}
	}
	return r
}

// evenly is the value for the smallest number of replicas that divides the
// partitions and carries the lag; one replica when there is none.
func (q query) evenly(t totals) float64 {
	replicas := t.partitions
	for n := int64(1); n <= t.partitions; n++ {
		if t.partitions%n == 0 && float64(n)*float64(q.threshold) >= float64(t.lag) {
			replicas = n
			break
		}
	}
	return float64(replicas) * float64(q.threshold)
}
