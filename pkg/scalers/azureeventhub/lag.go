package azureeventhub

import "math"

// partition is what the hub knows of one of its partitions.
type partition struct {
	id    string
	begin int64 // sequence number of the oldest event that is kept
	last  int64 // sequence number of the newest event; -1 when there never was one
}

// unprocessed is how many events of p come after a checkpoint, which is nil when
// the group has none. Sequence numbers wrap around at their highest value.
//
// A checkpoint that is ahead of the newest event looks like a difference of
// nearly all sequence numbers. Within tolerance of that, what is known of the
// partition is older than the checkpoint, and nothing is waiting; stale says so.
func unprocessed(p partition, checkpoint *int64, tolerance int64) (n int64, stale bool) {
	switch {
	case p.last == -1:
		return 0, false
	case checkpoint == nil:
		return retained(p), false
	case p.last >= *checkpoint:
		if n = p.last - *checkpoint; n < 0 {
			n = math.MaxInt64 // the checkpoint is negative, and the difference too large
		}
	default:
		n = math.MaxInt64 - *checkpoint + p.last
	}
	if n > math.MaxInt64-tolerance {
		return 0, true
	}
	return n, false
}

// retained is how many events a group without a checkpoint has before it. One
// event counts only while it is the first that the partition ever had.
func retained(p partition) int64 {
	switch {
	case p.begin == 0 && p.last == 0:
		return 1
	case p.begin != p.last:
		return p.last - p.begin + 1
	}
	return 0
}

// plus adds without overflow.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// capped bounds a total to what one consumer for each partition can work on.
// Totals that exceed that by less than a threshold are left alone.
func capped(total, threshold int64, partitions int) int64 {
	if total/threshold > int64(partitions) {
		return threshold * int64(partitions)
	}
	return total
}
