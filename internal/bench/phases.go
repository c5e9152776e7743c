package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// result is all that was measured with n ScaledObjects.
type result struct {
	n         int
	hpaPeriod time.Duration
	empty     int64         // resident memory without ScaledObjects
	created   time.Duration // from the first object until all HPAs are there
	start     *started      // of weir with all objects there, idle
	restart   *started      // after kill -9, busy
	idle      *steady
	busy      *steady
	wakes     []time.Duration // from message to spec.replicas
	all       []time.Duration // the same when all lists are filled at once
	downs     int             // workloads that went to zero though they had work
	// admissions are creations that were not kept, from request to answer.
	admissions []time.Duration
	reads      []readRow
	versions   string
}

// measureSize does everything for n ScaledObjects on a cluster of their own.
func measureSize(ctx context.Context, o *options, log *progress, bin string, n int, withReads bool) (_ *result, err error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	b := &bed{opts: o, n: n, dir: dir, log: log}
	defer func() {
		log.say("%d: stopping everything", n)
		err = errors.Join(err, b.stop())
	}()
	if err := b.start(ctx, bin); err != nil {
		return nil, err
	}
	r := &result{n: n, hpaPeriod: hpaPeriod(n)}
	l := load{prefix: "bench", n: n, addr: b.server.Addr()}
	steps := []func(context.Context, *result, load) error{b.prepare, b.whileIdle, b.admit, b.wake, b.wakeAll, b.whileBusy}
	if withReads {
		steps = append(steps, b.readAll)
	}
	for _, step := range steps {
		if err := step(ctx, r, l); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// prepare creates the objects.
func (b *bed) prepare(ctx context.Context, r *result, l load) error {
	var err error
	if r.versions, err = b.versions(ctx); err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	if r.empty, err = b.memory("VmRSS"); err != nil {
		return err
	}
	b.log.say("%d: creating Deployments and ScaledObjects", b.n)
	began := time.Now()
	if err := b.create(ctx, l); err != nil {
		return err
	}
	err = b.await(ctx, "all HPAs", 10*time.Minute, func(ctx context.Context) error { return b.inForce(ctx, l.n) })
	if err != nil {
		return err
	}
	r.created = time.Since(began)
	b.log.say("%d: all HPAs exist after %s", b.n, r.created.Round(time.Second))
	return b.settle(ctx)
}

// whileIdle measures with all workloads at zero, after a start that finds all
// objects there.
func (b *bed) whileIdle(ctx context.Context, r *result, l load) error {
	var err error
	if r.start, err = b.restart(ctx, l, b.weir.Stop); err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	r.idle, err = b.measureSteady(ctx, "idle")
	return err
}

// wake sends one message at a time and watches how soon the workload leaves zero.
func (b *bed) wake(ctx context.Context, r *result, l load) error {
	b.log.say("%d: waking %d workloads, one after the other", b.n, b.opts.trials)
	var err error
	if b.watch, err = observe(ctx, b.cluster.Client()); err != nil {
		return err
	}
	for trial := range min(b.opts.trials, l.n) {
		name := l.name(trial * (l.n / min(b.opts.trials, l.n)))
		woken := b.watch.next(name)
		sent := time.Now()
		if err := b.redis.RPush(ctx, name, "item").Err(); err != nil {
			return fmt.Errorf("sending a message: %w", err)
		}
		select {
		case at := <-woken:
			r.wakes = append(r.wakes, at.Sub(sent))
		case <-time.After(2 * pollingInterval):
			return fmt.Errorf("workload %q did not leave zero within %s of a message", name, 2*pollingInterval)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// wakeAll fills all lists at once.
func (b *bed) wakeAll(ctx context.Context, r *result, l load) error {
	b.log.say("%d: filling all lists", b.n)
	sent := time.Now()
	if err := b.fill(ctx, l); err != nil {
		return err
	}
	err := b.await(ctx, "all workloads to leave zero", 10*time.Minute, func(context.Context) error {
		if woken, _ := b.watch.state(); len(woken) < l.n {
			return fmt.Errorf("%d of %d have", len(woken), l.n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	woken, _ := b.watch.state()
	for _, at := range woken {
		if at.After(sent) {
			r.all = append(r.all, at.Sub(sent))
		}
	}
	b.log.say("%d: the last workload left zero after %s", b.n, slices.Max(r.all).Round(time.Millisecond))
	return nil
}

// whileBusy measures with work in every list, and then crashes weir.
func (b *bed) whileBusy(ctx context.Context, r *result, l load) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	var err error
	if r.busy, err = b.measureSteady(ctx, "busy"); err != nil {
		return err
	}
	if r.restart, err = b.restart(ctx, l, b.weir.Kill); err != nil {
		return err
	}
	_, r.downs = b.watch.state()
	return nil
}
