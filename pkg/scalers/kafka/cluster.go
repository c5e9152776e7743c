package kafka

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// fresh is how long metadata is believed without a reason to doubt it. New
	// partitions are found after that long.
	fresh = time.Minute
	// forget is how long what nobody asks for is kept.
	forget = 24 * time.Hour
)

// cluster is what one plane of a source knows of the brokers, and its
// connections to them. Its methods are called from one goroutine, but for ask.
type cluster struct {
	*access
	addresses    map[int32]string // of the brokers, by number
	topics       map[string]topic // that were asked for
	everything   listing
	coordinators map[string]int32 // of groups; numbers of brokers

	mu    sync.Mutex // guards the rest; never held while connecting
	links map[string]*link
	down  map[string]error // addresses that failed in this round
}

// topic is what metadata says of one.
type topic struct {
	at      time.Time // when it was asked for
	err     error
	leaders map[int32]int32 // of each partition; negative where there is none
}

// listing is the topics of the whole cluster.
type listing struct {
	at    time.Time
	names []string
}

func newCluster(a *access) *cluster {
	return &cluster{
		access: a, addresses: map[int32]string{}, topics: map[string]topic{}, coordinators: map[string]int32{},
		links: map[string]*link{}, down: map[string]error{},
	}
}

// begin starts a round: brokers that were down are tried again.
func (c *cluster) begin() {
	clear(c.down)
	old := func(at time.Time) bool { return time.Since(at) > forget }
	maps.DeleteFunc(c.topics, func(_ string, t topic) bool { return old(t.at) })
}

// hangUp closes all connections.
func (c *cluster) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		l.close()
	}
	clear(c.links)
}

// errNoBroker says that a leader or coordinator is no broker of the cluster.
var errNoBroker = errors.New("no broker serves it at the moment")

// ask calls a broker by its number.
func ask[T any](ctx context.Context, c *cluster, broker int32, f func(*link) (T, error)) (T, error) {
	addr, ok := c.addresses[broker]
	if !ok {
		return *new(T), errNoBroker
	}
	return askAt(ctx, c, addr, f)
}

// askAt calls the broker at an address. A connection that broke while it was
// idle is made anew once. At most one goroutine asks one broker at a time.
func askAt[T any](ctx context.Context, c *cluster, addr string, f func(*link) (T, error)) (T, error) {
	for {
		l, idle, err := c.link(ctx, addr)
		if err == nil {
			err = l.wait(ctx)
		}
		if err != nil {
			return *new(T), err
		}
		answer, err := f(l)
		if err == nil || own(err) {
			return answer, err
		}
		c.drop(addr, l)
		if !idle || ctx.Err() != nil {
			c.markDown(ctx, addr, err)
			return answer, err
		}
	}
}

// own reports whether an error was made on this side, so that the connection is
// still good.
func own(err error) bool {
	_, encoding := errors.AsType[sarama.PacketEncodingError](err)
	return encoding || errors.Is(err, sarama.ErrUnsupportedVersion)
}

// link returns the connection to an address; idle tells that it was open before.
func (c *cluster) link(ctx context.Context, addr string) (l *link, idle bool, err error) {
	c.mu.Lock()
	l, idle = c.links[addr]
	err = c.down[addr]
	c.mu.Unlock()
	if idle || err != nil {
		return l, idle, err
	}
	if l, err = c.connect(ctx, addr); err != nil {
		c.markDown(ctx, addr, err)
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[addr] = l
	return l, false, nil
}

func (c *cluster) markDown(ctx context.Context, addr string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil {
		c.down[addr] = err
	}
}

// drop closes a connection.
func (c *cluster) drop(addr string, l *link) {
	c.mu.Lock()
	delete(c.links, addr)
	c.mu.Unlock()
	l.close()
}

// askAny calls any one broker: one that is connected, else one that is known,
// else one of those to begin with.
func askAny[T any](ctx context.Context, c *cluster, f func(*link) (T, error)) (answer T, err error) {
	var first error
	for _, addr := range c.candidates() {
		if answer, err = askAt(ctx, c, addr, f); err == nil || own(err) {
			return answer, err
		}
		first = cmp.Or(first, err)
		if ctx.Err() != nil || scalers.KindOf(failure("", err)) == scalers.Unauthorized {
			return answer, err
		}
	}
	return answer, first
}

// candidates are the addresses of askAny, in order, each once: those that failed
// in this round are left out, unless all have.
func (c *cluster) candidates() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Sorted(maps.Keys(c.links))
	all = append(all, slices.Sorted(maps.Values(c.addresses))...)
	all = append(all, c.settings.bootstrap.Items()...)
	seen := map[string]bool{"": true}
	all = slices.DeleteFunc(all, func(addr string) bool {
		again := seen[addr]
		seen[addr] = true
		return again
	})
	up := slices.DeleteFunc(slices.Clone(all), func(addr string) bool { return c.down[addr] != nil })
	if len(up) == 0 {
		return all
	}
	return up
}

// describe brings what is known of topics up to date, in one request for all
// that need it. The error means that no broker answered; a topic's own error is
// kept with it.
func (c *cluster) describe(ctx context.Context, names []string) error {
	var due []string
	for _, name := range names {
		if t, ok := c.topics[name]; !ok || t.err != nil || time.Since(t.at) > fresh {
			due = append(due, name)
		}
	}
	if len(due) == 0 {
		return nil
	}
	answer, err := c.metadata(ctx, due)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, name := range due {
		c.topics[name] = topic{at: now, err: sarama.ErrUnknownTopicOrPartition}
	}
	c.learn(answer, now)
	return nil
}

// list brings the list of all topics up to date.
func (c *cluster) list(ctx context.Context) ([]string, error) {
	if time.Since(c.everything.at) <= fresh {
		return c.everything.names, nil
	}
	answer, err := c.metadata(ctx, nil)
	if err != nil {
		return nil, err
	}
	c.everything = listing{at: time.Now()}
	c.learn(answer, c.everything.at)
	for _, t := range answer.Topics {
		c.everything.names = append(c.everything.names, t.Name)
	}
	slices.Sort(c.everything.names)
	return c.everything.names, nil
}

// metadata asks for topics; for all of them when there are none.
func (c *cluster) metadata(ctx context.Context, names []string) (*sarama.MetadataResponse, error) {
	request := sarama.NewMetadataRequest(c.settings.release(), names)
	request.AllowAutoTopicCreation = false
	answer, err := askAny(ctx, c, func(l *link) (*sarama.MetadataResponse, error) {
		return call(ctx, l, func(b *sarama.Broker) (*sarama.MetadataResponse, error) { return b.GetMetadata(request) })
	})
	if err == nil && len(answer.Brokers) == 0 {
		err = &scalers.Error{Kind: scalers.BadAnswer, Err: errors.New("the cluster names no broker"), Hint: "check bootstrapServers"}
	}
	return answer, err
}

// learn takes over what metadata says, and closes connections to addresses that
// are none of the brokers': those that were only to begin with.
func (c *cluster) learn(answer *sarama.MetadataResponse, now time.Time) {
	clear(c.addresses)
	known := map[string]bool{}
	for _, b := range answer.Brokers {
		c.addresses[b.ID()] = b.Addr()
		known[b.Addr()] = true
	}
	c.prune(known)
	for _, t := range answer.Topics {
		described := topic{at: now, err: coded(t.Err), leaders: map[int32]int32{}}
		if t.Err == sarama.ErrLeaderNotAvailable { // of some partitions
			described.err = nil
		}
		for _, p := range t.Partitions {
			described.leaders[p.ID] = p.Leader
		}
		c.topics[t.Name] = described
	}
}

// prune closes the connections to other addresses than these.
func (c *cluster) prune(keep map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, l := range c.links {
		if !keep[addr] {
			delete(c.links, addr)
			l.close()
		}
	}
}

// doubt has topics described anew.
func (c *cluster) doubt(names []string) {
	for _, name := range names {
		delete(c.topics, name)
	}
}

// coordinate finds the brokers that keep the offsets of groups. Releases and
// sarama up to now allow one group per request; the answers are kept until a
// broker contradicts. Many groups are spread over the brokers.
func (c *cluster) coordinate(ctx context.Context, groups []string) map[string]error {
	const share = 32 // groups that are worth another connection
	unknown := slices.DeleteFunc(slices.Clone(groups), func(g string) bool {
		_, ok := c.coordinators[g]
		return ok
	})
	out := map[string]error{}
	if len(unknown) == 0 {
		return out
	}
	asked := c.candidates()
	asked = asked[:min(len(asked), max(1, len(c.addresses)), (len(unknown)+share-1)/share)]
	var mu sync.Mutex
	var all sync.WaitGroup
	found := map[string]*sarama.Broker{}
	for i, addr := range asked {
		all.Go(func() {
			for k := i; k < len(unknown); k += len(asked) {
				b, err := c.coordinator(ctx, addr, unknown[k])
				mu.Lock()
				if out[unknown[k]] = err; err == nil {
					found[unknown[k]] = b
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for g, b := range found {
		c.coordinators[g], c.addresses[b.ID()] = b.ID(), b.Addr()
	}
	return out
}

// coordinator asks the broker at an address who keeps the offsets of a group.
func (c *cluster) coordinator(ctx context.Context, addr, group string) (*sarama.Broker, error) {
	request := func() *sarama.FindCoordinatorRequest {
		r := &sarama.FindCoordinatorRequest{CoordinatorKey: group, CoordinatorType: sarama.CoordinatorGroup}
		switch release := c.settings.release(); {
		case release.IsAtLeast(sarama.V2_4_0_0):
			r.Version = 3
		case release.IsAtLeast(sarama.V0_11_0_0):
			r.Version = 1
		}
		return r
	}
	answer, err := askAt(ctx, c, addr, func(l *link) (*sarama.FindCoordinatorResponse, error) {
		return call(ctx, l, func(b *sarama.Broker) (*sarama.FindCoordinatorResponse, error) { return b.FindCoordinator(request()) })
	})
	if err != nil {
		return nil, err
	}
	if err := coded(answer.Err); err != nil {
		return nil, err
	}
	if answer.Coordinator == nil {
		return nil, errNoBroker
	}
	return answer.Coordinator, nil
}
