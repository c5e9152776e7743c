package external

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
	"github.com/weir-sh/weir/pkg/scalers/internal/grpcx"
)

const (
	// perConn is how many queries are watched over one connection: each takes two
	// streams, and servers need not take more than 100.
	perConn = 50
	// A stream that ended while others go on is opened again after firstDelay,
	// twice as much each time up to mostDelay.
	firstDelay = 2 * time.Second
	mostDelay  = time.Minute
)

// pusher is a source whose server tells of new work.
type pusher struct{ *source }

// Watch implements scalers.Watcher. It ends when no stream is left that tells of
// work; until then a stream that ended is opened again alone.
func (p *pusher) Watch(ctx context.Context, queries []query, ready func(), wake func(query)) error {
	var conns []*grpc.ClientConn
	defer func() {
		for _, c := range conns {
			c.Close() //nolint:errcheck // it only ever says that it was closed before
		}
	}()
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watch{source: p.source, wake: wake, end: cancel, opening: len(queries), open: map[query]bool{}, opened: make(chan struct{})}
	for part := range slices.Chunk(queries, perConn) {
		conn, err := grpcx.Connect(p.env, p.settings.address, p.secure)
		if err != nil {
			return err
		}
		conns = append(conns, conn)
		client := pb.NewExternalScalerClient(conn)
		for _, q := range part {
			state, err := p.workload(q)
			if err != nil {
				return err
			}
			all.Go(func() { w.follow(ctx, q, state, client) })
			all.Go(func() { w.followSpecs(ctx, q, state, client) })
		}
	}
	if len(queries) == 0 {
		close(w.opened)
	}
	select {
	case <-w.opened:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.reach(ctx, conns, queries)
	if ctx.Err() == nil {
		ready()
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// reach waits for an answer on each connection: the server has got the streams
// that were opened before. What it says does not matter; a connection that broke
// ends its streams.
func (p *pusher) reach(ctx context.Context, conns []*grpc.ClientConn, queries []query) {
	var all sync.WaitGroup
	defer all.Wait()
	for i, conn := range conns {
		q := queries[i*perConn]
		all.Go(func() {
			state, err := p.workload(q)
			if err != nil {
				return // its readings tell
			}
			if _, err := pb.NewExternalScalerClient(conn).IsActive(ctx, state.ref); err != nil {
				p.env.Log.Debug("a server with new streams answers with an error", slog.Any("error", p.failed(p.op(q, "whether there is work"), err, state)))
			}
		})
	}
}

// watch is one call of Watch.
type watch struct {
	source *source
	wake   func(query)
	end    context.CancelCauseFunc
	opened chan struct{} // closed when each stream was opened or refused once

	mu      sync.Mutex // guards the following
	opening int        // streams that were not opened or refused yet
	open    map[query]bool
}

// follow keeps the stream of one query open.
func (w *watch) follow(ctx context.Context, q query, state *workload, client pb.ExternalScalerClient) {
	delay, missed := firstDelay, false
	for first := true; ; first = false {
		began := time.Now()
		stream, err := client.StreamIsActive(ctx, state.ref)
		opened := err == nil
		if opened {
			w.up(q, first)
			if missed {
				w.wake(q) // who knows what it would have told of
			}
			err = w.hear(stream, q)
		}
		if ctx.Err() != nil {
			return
		}
		w.down(q, first && !opened, w.reason(q, state, err))
		missed = !errors.Is(err, io.EOF) // by which the server says that all is well
		if !missed || time.Since(began) > mostDelay {
			delay = firstDelay
		}
		if !pause(ctx, delay) {
			return
		}
		delay = min(2*delay, mostDelay)
	}
}

// hear takes what a stream says until it ends.
func (w *watch) hear(stream grpc.ServerStreamingClient[pb.IsActiveResponse], q query) error {
	for {
		said, err := stream.Recv()
		if err != nil {
			return err
		}
		if said.GetResult() {
			w.source.push(q)
			w.wake(q)
		}
	}
}

// reason makes the error of a watch that ends because a stream did.
func (w *watch) reason(q query, state *workload, err error) error {
	if status.Code(err) == codes.Unimplemented {
		return errors.ErrUnsupported
	}
	op := w.source.op(q, "a stream that tells of work")
	if errors.Is(err, io.EOF) {
		err = status.Error(codes.Unavailable, "the server has ended it")
	}
	return w.source.failed(op, err, state)
}

// up notes that the stream of q is open.
func (w *watch) up(q query, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[q] = true
	if first {
		w.tried()
	}
}

// down notes that it is not, and ends the watch when none is left or the server
// has no such streams.
func (w *watch) down(q query, neverOpened bool, reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, q)
	left := w.opening
	if neverOpened {
		left--
		defer w.tried() // after the end, so that nobody takes the watch for ready
	}
	if errors.Is(reason, errors.ErrUnsupported) || len(w.open) == 0 && left == 0 {
		w.end(reason)
	}
}

// tried counts down the streams that were not opened or refused yet. The caller
// holds mu.
func (w *watch) tried() {
	if w.opening--; w.opening == 0 {
		close(w.opened)
	}
}

// followSpecs takes what the server says about its metrics until it says that it
// never will. What it says is measured at once.
func (w *watch) followSpecs(ctx context.Context, q query, state *workload, client pb.ExternalScalerClient) {
	for delay := firstDelay; ; delay = min(2*delay, mostDelay) {
		stream, err := client.StreamMetricSpec(ctx, state.ref)
		for heard := 0; err == nil; heard++ {
			var said *pb.GetMetricSpecResponse
			if said, err = stream.Recv(); err == nil {
				w.source.respecify(q, said.GetMetricSpecs())
				w.wake(q)
			}
			if heard > 0 || errors.Is(err, io.EOF) {
				delay = firstDelay
			}
		}
		if status.Code(err) == codes.Unimplemented || !pause(ctx, delay) {
			return
		}
	}
}

// respecify takes a streamed answer to GetMetricSpec. One that cannot be used makes
// the next measurement ask, and tell what is wrong.
func (s *source) respecify(q query, answer []*pb.MetricSpec) {
	w, err := s.workload(q)
	if err != nil {
		return // its readings tell
	}
	specs, err := specsOf(answer, w.redact)
	if err != nil {
		specs = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.specs, w.asked = specs, time.Now()
	w.version++
}

// pause waits for about delay, so that streams that broke together do not come
// back together. It reports whether ctx lasted.
func pause(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay/2 + rand.N(delay/2)) //nolint:gosec // it spreads load, it keeps no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
