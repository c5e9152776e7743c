package certs

import (
	"context"
	"log/slog"
	"time"
)

// fieldManager owns the fields weir writes.
const fieldManager = "weir"

// keeper keeps a CA bundle that some object holds equal to a source's. Every
// replica may run one.
type keeper struct {
	certs    Source
	interval time.Duration
	log      *slog.Logger
	wake     chan struct{} // has room for one; sent to when the bundle may have changed
}

// newKeeper subscribes to certs. A zero interval between two looks means two
// minutes.
func newKeeper(certs Source, interval time.Duration, log *slog.Logger) keeper {
	if interval == 0 {
		interval = 2 * time.Minute
	}
	k := keeper{certs: certs, interval: interval, log: log, wake: make(chan struct{}, 1)}
	certs.OnChange(func() {
		select {
		case k.wake <- struct{}{}:
		default: // a look is due already
		}
	})
	return k
}

// run looks at once, after each change of the bundle, and from time to time until
// ctx ends. Errors are logged and tried again.
func (k keeper) run(ctx context.Context, look func(context.Context) error) {
	repeat(ctx, k.log, k.interval, k.wake, look)
}

// settle writes unless the object is right. Before it writes it loads the source
// again, so that a replica which has not seen a renewal does not undo it.
func (k keeper) settle(ctx context.Context, right func() bool, write func(context.Context) error) error {
	if right() {
		return nil
	}
	if err := k.certs.Load(ctx); err != nil {
		return err
	}
	if right() {
		return nil
	}
	return write(ctx)
}
