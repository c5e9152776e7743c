package hostnode

import (
	"context"
	"time"
)

// The delays between restarts are the kubelet's, except for the cap, which is
// five minutes there: nobody watches a test bed for that long.
const (
	firstDelay = 10 * time.Second
	maxDelay   = time.Minute
	// steady is how long a container must have run to be forgiven: 2 × the cap.
	steady = 2 * maxDelay
)

// backOff says how long to wait before a container starts again. The zero
// value is a container that has not failed yet.
type backOff struct{ next time.Duration }

// delay returns the time to wait after a run of the given length: none after
// the first end, then 10 s, doubling up to the cap.
func (b *backOff) delay(ran time.Duration) time.Duration {
	if b.next == 0 || ran >= steady {
		b.next = firstDelay
		return 0
	}
	d := b.next
	b.next = min(2*b.next, maxDelay)
	return d
}

// sleep waits and reports whether the whole time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
