package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

const (
	// longPoll is how long a broker holds a fetch that finds nothing.
	longPoll = 10 * time.Second
	// A partition that was written to is left alone for restMin, doubled each
	// time that more came meanwhile, up to restMax. Then only its end is asked
	// for, so that messages are not transferred while they keep coming.
	restMin = 100 * time.Millisecond
	restMax = 5 * time.Second
)

// errChanged ends a watch for which other partitions, or other leaders, are to
// be watched.
var errChanged = errors.New("partitions have come, gone or moved to another broker")

// watch tells of new messages: at each leader a fetch waits at the ends of the
// partitions. It joins no group and commits nothing. A broker works on one
// request of a connection at a time, so that these are connections of its own.
type watch struct {
	*cluster
	queries map[place][]query
	wake    func(query)
	survey  time.Duration // how often to look whether leaders and partitions are the same
}

// Watch implements scalers.Watcher. Queries without a topic are not watched, nor
// are topics that the user may not read.
func (s *source) Watch(ctx context.Context, queries []query, ready func(), wake func(query)) error {
	w := &watch{cluster: newCluster(s.access), queries: map[place][]query{}, wake: wake, survey: fresh}
	defer w.hangUp()
	err := w.run(ctx, queries, ready)
	if ctx.Err() == nil && errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return failure("watching "+s.settings.where(), err)
}

// run watches until something ends it.
func (w *watch) run(ctx context.Context, queries []query, ready func()) error {
	var names []string
	for _, q := range queries {
		names = append(names, q.names()...)
	}
	names = sorted(names)
	for _, name := range names {
		unmetered(name)
	}
	if err := w.describe(ctx, names); err != nil {
		return err
	}
	leaders := w.layout(queries)
	at, err := w.arm(ctx, leaders)
	if err != nil {
		return err
	}
	ready()
	for {
		if err := w.follow(ctx, at, time.Now().Add(w.survey)); err != nil {
			return err
		}
		w.begin()
		w.doubt(names)
		if err := w.describe(ctx, names); err != nil {
			return err
		}
		if !maps.Equal(leaders, w.layout(queries)) {
			return errChanged
		}
	}
}

// unmetered keeps sarama from making a meter of a topic, which would start a
// goroutine that never ends. It takes it from the metrics library's own registry
// when it works out how long a fetch is, whatever its configuration says.
func unmetered(topic string) {
	metrics.GetOrRegister("consumer-fetch-rate-for-topic-"+strings.ReplaceAll(topic, ".", "_"), metrics.NilMeter{})
}

// layout notes which queries wait for which partition, and returns the leaders of
// those.
func (w *watch) layout(queries []query) map[place]int32 {
	clear(w.queries)
	leaders := map[place]int32{}
	for _, q := range queries {
		for _, name := range q.names() {
			for _, n := range w.numbers(name, q.limit) {
				p := place{name, n}
				w.queries[p] = append(w.queries[p], q)
				leaders[p] = w.topics[name].leader(n)
			}
		}
	}
	return leaders
}

// spot is where a watch is in one partition.
type spot struct {
	offset int64         // of the next message
	rest   time.Duration // how long the partition is left alone; zero while a fetch waits for it
	until  time.Time     // the end of that
}

// arm finds the ends of partitions, by leader, and leaves out those that the user
// may not read. From then on nothing that is written goes unnoticed.
func (w *watch) arm(ctx context.Context, leaders map[place]int32) (map[int32]map[place]*spot, error) {
	found, err := w.findEnds(ctx, slices.Collect(maps.Keys(leaders)))
	if err != nil {
		return nil, err
	}
	out := map[int32]map[place]*spot{}
	for p, e := range found {
		if e.err != nil {
			return nil, e.err
		}
		if out[leaders[p]] == nil {
			out[leaders[p]] = map[place]*spot{}
		}
		out[leaders[p]][p] = &spot{offset: e.offset}
	}
	w.keepOnly(out)
	readable := 0
	for broker, spots := range out {
		if err := w.fetch(ctx, broker, spots, 0); err != nil {
			return nil, err
		}
		readable += len(spots)
	}
	if len(leaders) > 0 && readable == 0 {
		return nil, errors.ErrUnsupported
	}
	return out, nil
}

// keepOnly closes connections to brokers that lead nothing that is watched.
func (w *watch) keepOnly(leaders map[int32]map[place]*spot) {
	used := map[string]bool{}
	for broker := range leaders {
		used[w.addresses[broker]] = true
	}
	w.prune(used)
}

// follow waits for messages until a time. It returns nil when that has come.
func (w *watch) follow(ctx context.Context, at map[int32]map[place]*spot, until time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(at))
	for broker, spots := range at {
		go func() { ended <- w.tail(ctx, broker, spots, until) }()
	}
	var first error
	for range at {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	if len(at) == 0 {
		return pause(ctx, time.Until(until))
	}
	return first
}

// tail waits for messages at one leader.
func (w *watch) tail(ctx context.Context, broker int32, spots map[place]*spot, until time.Time) error {
	for {
		now := time.Now()
		wait := min(longPoll, until.Sub(now))
		if wait <= 0 {
			return nil
		}
		armed := make(map[place]*spot, len(spots))
		var rested []place
		for p, s := range spots {
			switch {
			case s.rest == 0:
				armed[p] = s
			case s.until.After(now):
				wait = min(wait, s.until.Sub(now))
			default:
				rested = append(rested, p)
			}
		}
		var err error
		switch {
		case len(rested) > 0:
			err = w.look(ctx, broker, rested, spots)
		case len(armed) > 0:
			err = w.fetch(ctx, broker, armed, wait)
			maps.DeleteFunc(spots, func(_ place, s *spot) bool { return s.offset == forbidden })
		default:
			err = pause(ctx, wait)
		}
		if err != nil {
			return err
		}
	}
}

// look asks for the ends of partitions that rested. Those that stand still are
// waited for again.
func (w *watch) look(ctx context.Context, broker int32, rested []place, spots map[place]*spot) error {
	for p, e := range w.listOffsets(ctx, broker, rested) {
		s := spots[p]
		switch {
		case e.err != nil:
			return e.err
		case e.offset == s.offset:
			s.rest = 0
		default:
			w.moved(p, s, e.offset)
		}
	}
	return nil
}

// moved wakes the queries of a partition and lets it rest.
func (w *watch) moved(p place, s *spot, offset int64) {
	s.offset = offset
	s.rest = min(max(restMin, 2*s.rest), restMax)
	s.until = time.Now().Add(s.rest)
	for _, q := range w.queries[p] {
		w.wake(q)
	}
}

// forbidden is the offset of a spot that the user may not read.
const forbidden = -2

// request is an empty fetch that waits, outside of a session; nil where the
// protocol is too old to tell where the end is.
func (w *watch) request(wait time.Duration) *sarama.FetchRequest {
	r := &sarama.FetchRequest{MaxWaitTime: int32(wait.Milliseconds()), MinBytes: 1, MaxBytes: 1, SessionEpoch: -1}
	switch release := w.settings.release(); {
	case release.IsAtLeast(sarama.V2_3_0_0):
		r.Version = 11
	case release.IsAtLeast(sarama.V1_1_0_0):
		r.Version = 7
	case release.IsAtLeast(sarama.V0_11_0_0):
		r.Version = 4
	default:
		return nil
	}
	return r
}

// fetch waits for messages in partitions, no longer than wait. It removes those
// that the user may not read from spots.
func (w *watch) fetch(ctx context.Context, broker int32, spots map[place]*spot, wait time.Duration) error {
	request := w.request(wait)
	if request == nil {
		return errors.ErrUnsupported
	}
	for p, s := range spots {
		request.AddBlock(p.topic, p.partition, s.offset, 1, -1)
	}
	answer, err := ask(ctx, w.cluster, broker, func(l *link) (*sarama.FetchResponse, error) {
		return call(ctx, l, func(b *sarama.Broker) (*sarama.FetchResponse, error) { return b.Fetch(request) })
	})
	if err != nil {
		return err
	}
	if err := coded(sarama.KError(answer.ErrorCode)); err != nil {
		return err
	}
	for p, s := range spots {
		switch b := answer.GetBlock(p.topic, p.partition); {
		case b == nil:
		case b.Err == sarama.ErrTopicAuthorizationFailed:
			s.offset = forbidden
			delete(spots, p)
		case b.Err == sarama.ErrOffsetOutOfRange: // the topic was emptied or made anew
			w.moved(p, s, s.offset)
		case b.Err != sarama.ErrNoError:
			return b.Err
		case b.HighWaterMarkOffset != s.offset:
			w.moved(p, s, b.HighWaterMarkOffset)
		}
	}
	return nil
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
