package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weir-sh/weir/pkg/scalers"
)

// broker is one AMQP connection. Only one request runs on a channel at a time,
// so several channels hide the network's latency; the broker's own cost is the
// same however many there are.
type broker struct {
	conn   *amqp.Connection
	socket net.Conn
	lanes  [lanes]*amqp.Channel // nil or closed until needed

	// missing holds queues that did not exist when they were last asked for.
	// Asking for one costs a channel, which the broker closes in answer, so that
	// they are kept apart from the others.
	missing map[string]time.Time
}

const (
	lanes  = 12
	probes = 4 // channels at a time for queues that were missing
	// grace is how long probes may make the others wait. Those that did not get
	// their turn are the first ones next time.
	grace = 250 * time.Millisecond
	// forget is when a queue that nobody asks for any more leaves missing.
	forget = time.Hour
)

// Close implements scalers.Source.
func (b *broker) Close() error {
	const patience = 2 * time.Second
	err := b.conn.CloseDeadline(time.Now().Add(patience))
	b.sever()
	if errors.Is(err, amqp.ErrClosed) {
		return nil
	}
	return err
}

// sever ends the connection at once, and with it every call that waits for an
// answer.
func (b *broker) sever() {
	b.socket.Close() //nolint:errcheck // it may be closed already, which is what is wanted
}

// Fetch implements scalers.Source. The library's calls take no context, so that
// the connection is given up when ctx ends before they do.
func (b *broker) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.conn.IsClosed() {
		return nil, lost(amqp.ErrClosed)
	}
	disarm := context.AfterFunc(ctx, b.sever)
	defer disarm()

	out := make([]scalers.Reading, len(queries))
	present, absent := b.split(queries, out)
	f := &fetch{broker: b, queries: queries, out: out}
	stop := make(chan struct{})
	var probing sync.WaitGroup
	probing.Go(func() { f.probe(absent, stop) })
	f.run(present, b.lanes[:min(lanes, b.room())], nil)
	limit := time.AfterFunc(grace, func() { close(stop) })
	probing.Wait()
	limit.Stop()

	if err := f.failure(); err != nil || ctx.Err() != nil {
		return nil, lost(cmp.Or(ctx.Err(), err))
	}
	b.remember(f)
	return out, nil
}

// room is how many channels of the main batch the broker allows beside probes.
func (b *broker) room() int { return max(1, int(b.conn.Config.ChannelMax)-probes) }

// split sorts queries by whether their queue existed when it was last asked for;
// of those that did not, the ones that wait longest come first. They read as
// missing until they are asked for again.
func (b *broker) split(queries []query, out []scalers.Reading) (present, absent []int) {
	for i, q := range queries {
		if _, ok := b.missing[q.name]; ok {
			absent = append(absent, i)
			out[i].Err = missingQueue(q)
		} else {
			present = append(present, i)
		}
	}
	slices.SortStableFunc(absent, func(i, j int) int {
		return b.missing[queries[i].name].Compare(b.missing[queries[j].name])
	})
	return present, absent
}

// remember updates missing by what was asked.
func (b *broker) remember(f *fetch) {
	now := time.Now()
	for _, i := range f.asked {
		if name := f.queries[i].name; scalers.KindOf(f.out[i].Err) == scalers.NotFound {
			b.missing[name] = now
		} else {
			delete(b.missing, name)
		}
	}
	maps.DeleteFunc(b.missing, func(_ string, at time.Time) bool { return now.Sub(at) > forget })
}

// fetch is one call of Fetch.
type fetch struct {
	*broker
	queries []query
	out     []scalers.Reading // each entry is written by one goroutine

	mu    sync.Mutex
	asked []int // entries of out that are answered; guarded by mu
	err   error // the first failure of the connection; guarded by mu
}

// run asks for the queries at which, one at a time on each channel, until all
// are asked, the connection fails or stop closes.
func (f *fetch) run(which []int, channels []*amqp.Channel, stop <-chan struct{}) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for k := range min(len(channels), len(which)) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := int(next.Add(1)) - 1
				if n >= len(which) || f.failure() != nil {
					return
				}
				f.ask(which[n], &channels[k])
			}
		})
	}
	wg.Wait()
}

// probe asks for queues that were missing, on channels that are thrown away.
func (f *fetch) probe(which []int, stop <-chan struct{}) {
	channels := make([]*amqp.Channel, probes)
	f.run(which, channels, stop)
	for _, ch := range channels {
		if ch == nil || ch.IsClosed() {
			continue
		}
		if err := ch.Close(); err != nil {
			f.fail(err)
		}
	}
}

// ask measures one queue. The channel is opened where it is not.
func (f *fetch) ask(i int, ch **amqp.Channel) {
	if *ch == nil || (*ch).IsClosed() {
		opened, err := f.conn.Channel()
		if err != nil {
			f.fail(err)
			return
		}
		*ch = opened
	}
	q := f.queries[i]
	found, err := (*ch).QueueDeclarePassive(q.name, false, false, false, false, nil)
	r := q.reading(amounts{messages: float64(found.Messages)})
	// A quorum queue or stream without a leader is said to be empty.
	r.FalseZero = found.Messages == 0
	if err != nil {
		if r = (scalers.Reading{Err: refusedQueue(q, err)}); r.Err == nil {
			f.fail(err)
			return
		}
	}
	f.out[i] = r
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, i)
}

func (f *fetch) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = cmp.Or(f.err, err)
}

func (f *fetch) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// refusedQueue returns the error of one queue, or nil when err is about the
// connection.
func refusedQueue(q query, err error) error {
	said, ok := errors.AsType[*amqp.Error](err)
	if !ok || !said.Server {
		return nil
	}
	switch said.Code {
	case amqp.NotFound:
		return missingQueue(q)
	case amqp.AccessRefused:
		return &scalers.Error{Kind: scalers.Unauthorized, Op: q.op(), Err: errors.New("the user may not see it"), Hint: "grant the user a permission on the queue, such as read"}
	case amqp.ResourceLocked:
		return &scalers.Error{Kind: scalers.Invalid, Op: q.op(), Err: errors.New("it is exclusive to another connection"), Hint: "measure it with an http address, or do not declare it exclusive"}
	case amqp.PreconditionFailed:
		return &scalers.Error{Kind: scalers.BadAnswer, Op: q.op(), Err: fmt.Errorf("the broker answered %d %s", said.Code, scalers.Excerpt(said.Reason))}
	}
	return nil
}

func missingQueue(q query) error {
	return &scalers.Error{Kind: scalers.NotFound, Op: q.op(), Err: errMissing, Hint: "declare the queue, or correct its name or the virtual host"}
}

// lost says that the connection is of no use any more.
func lost(err error) error {
	out := &scalers.Error{Kind: scalers.Unreachable, Op: "asking the broker", Err: err}
	if said, ok := errors.AsType[*amqp.Error](err); ok {
		out.Err = fmt.Errorf("the connection is closed: %d %s", said.Code, scalers.Excerpt(said.Reason))
	}
	return out
}
