package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/IBM/sarama"
)

const (
	// groupsPerRequest and partitionsPerRequest bound the work that one request
	// is for a broker.
	groupsPerRequest     = 1000
	partitionsPerRequest = 10000
	// rounds is how often what failed for being out of date is asked for.
	rounds = 2
)

// commits are the offsets that one group has committed.
type commits struct {
	offsets map[place]int64 // uncommitted where the broker says so
	errs    map[place]error
}

// none reports whether there is no offset at all.
func (c commits) none() bool { return len(c.offsets) == 0 && len(c.errs) == 0 }

// wanted is what to ask for of a group: partitions by topic, or nil for
// everything that it has committed.
type wanted map[string]map[string][]int32

// committed asks for the offsets of groups: one request to each coordinator.
// Groups that are in neither answer nor errors have committed nothing.
func (c *cluster) committed(ctx context.Context, groups wanted) (map[string]commits, map[string]error) {
	var mu sync.Mutex
	out := map[string]commits{}
	errs := c.byCoordinator(ctx, slices.Sorted(maps.Keys(groups)), func(broker int32, part []string) map[string]error {
		answers, failed := c.fetchOffsets(ctx, broker, part, groups)
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(out, answers)
		return failed
	})
	return out, errs
}

// byCoordinator runs f for each coordinator of groups, in parallel. F returns
// the errors of groups that failed. Those that may have moved, or whose broker
// is gone, are tried once more.
func (c *cluster) byCoordinator(ctx context.Context, groups []string, f func(broker int32, part []string) map[string]error) map[string]error {
	errs := map[string]error{}
	for range rounds {
		maps.Copy(errs, c.coordinate(ctx, groups))
		parts := map[int32][]string{}
		for _, g := range groups {
			if broker, ok := c.coordinators[g]; ok {
				parts[broker] = append(parts[broker], g)
				delete(errs, g)
			}
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		for broker, part := range parts {
			all.Go(func() {
				for chunk := range slices.Chunk(part, groupsPerRequest) {
					failed := f(broker, chunk)
					mu.Lock()
					maps.Copy(errs, failed)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return !retryable(errs[g]) })
		if len(groups) == 0 || ctx.Err() != nil {
			break
		}
		for _, g := range groups {
			delete(c.coordinators, g)
		}
	}
	maps.DeleteFunc(errs, func(_ string, err error) bool { return err == nil })
	return errs
}

// fetchOffsets asks one coordinator for the offsets of groups.
func (c *cluster) fetchOffsets(ctx context.Context, broker int32, groups []string, want wanted) (map[string]commits, map[string]error) {
	out, errs := map[string]commits{}, map[string]error{}
	size := len(groups)
	if !c.settings.release().IsAtLeast(sarama.V3_0_0_0) {
		size = 1
	}
	for len(groups) > 0 {
		part := groups[:min(size, len(groups))]
		answer, err := ask(ctx, c, broker, func(l *link) (*sarama.OffsetFetchResponse, error) {
			return call(ctx, l, func(b *sarama.Broker) (*sarama.OffsetFetchResponse, error) {
				return b.FetchOffset(c.offsetRequest(part, want))
			})
		})
		if err != nil && own(err) && size > 1 {
			size = 1 // a broker older than 3.0
			continue
		}
		groups = groups[len(part):]
		if err != nil {
			for _, g := range part {
				errs[g] = err
			}
			continue
		}
		read(answer, part, out, errs)
	}
	return out, errs
}

func (c *cluster) offsetRequest(groups []string, want wanted) *sarama.OffsetFetchRequest {
	if len(groups) == 1 {
		return sarama.NewOffsetFetchRequest(c.settings.release(), groups[0], want[groups[0]])
	}
	r := &sarama.OffsetFetchRequest{Version: 8}
	for _, g := range groups {
		r.Groups = append(r.Groups, sarama.OffsetFetchRequestGroup{GroupId: g, Partitions: want[g]})
	}
	return r
}

// read takes an answer about groups apart.
func read(answer *sarama.OffsetFetchResponse, groups []string, out map[string]commits, errs map[string]error) {
	answers := answer.Groups
	if answer.Version < 8 {
		answers = []sarama.OffsetFetchResponseGroup{{GroupId: groups[0], Blocks: answer.Blocks, Err: answer.Err}}
	}
	for _, g := range groups {
		errs[g] = errNoAnswer
	}
	for _, a := range answers {
		if !slices.Contains(groups, a.GroupId) {
			continue
		}
		delete(errs, a.GroupId)
		switch a.Err {
		case sarama.ErrNoError:
			out[a.GroupId] = commitsOf(a)
		case sarama.ErrGroupIDNotFound: // a group that never committed, to some brokers
		default:
			errs[a.GroupId] = a.Err
		}
	}
}

// errNoAnswer says that a broker left out something it was asked for.
var errNoAnswer = errors.New("the broker's answer leaves it out")

func commitsOf(a sarama.OffsetFetchResponseGroup) commits {
	c := commits{offsets: map[place]int64{}, errs: map[place]error{}}
	for topic, blocks := range a.Blocks {
		for partition, block := range blocks {
			at := place{topic, partition}
			if err := coded(block.Err); err != nil {
				c.errs[at] = err
			} else {
				c.offsets[at] = max(block.Offset, uncommitted)
			}
		}
	}
	return c
}

// activeMembers returns which of groups have active members: one request to each
// coordinator.
func (c *cluster) activeMembers(ctx context.Context, groups []string) (map[string]bool, map[string]error) {
	var mu sync.Mutex
	out := map[string]bool{}
	errs := c.byCoordinator(ctx, groups, func(broker int32, part []string) map[string]error {
		failed := map[string]error{}
		answer, err := ask(ctx, c, broker, func(l *link) (*sarama.DescribeGroupsResponse, error) {
			return call(ctx, l, func(b *sarama.Broker) (*sarama.DescribeGroupsResponse, error) {
				return b.DescribeGroups(&sarama.DescribeGroupsRequest{Groups: part})
			})
		})
		for _, g := range part {
			if failed[g] = errNoAnswer; err != nil {
				failed[g] = err
			}
		}
		if err != nil {
			return failed
		}
		mu.Lock()
		defer mu.Unlock()
		for _, g := range answer.Groups {
			if failed[g.GroupId] = coded(g.Err); g.Err == sarama.ErrGroupIDNotFound {
				failed[g.GroupId] = nil
			}
			out[g.GroupId] = len(g.Members) > 0
		}
		return failed
	})
	return out, errs
}

// end is what a leader says of a partition's end.
type end struct {
	offset int64
	err    error
}

// findEnds asks for the offsets of the next messages to be written: one request to
// each leader. Places whose leader may have moved, or is gone, are tried once
// more.
func (c *cluster) findEnds(ctx context.Context, places []place) (map[place]end, error) {
	out := make(map[place]end, len(places))
	for range rounds {
		parts, missing := c.byLeader(places)
		for p, err := range missing {
			out[p] = end{err: err}
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		for broker, part := range parts {
			all.Go(func() {
				for chunk := range slices.Chunk(part, partitionsPerRequest) {
					answers := c.listOffsets(ctx, broker, chunk)
					mu.Lock()
					maps.Copy(out, answers)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		places = slices.DeleteFunc(slices.Clone(places), func(p place) bool { return !retryable(out[p].err) })
		if len(places) == 0 {
			break
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var doubtful []string
		for _, p := range places {
			doubtful = append(doubtful, p.topic)
		}
		doubtful = sorted(doubtful)
		c.doubt(doubtful)
		if err := c.describe(ctx, doubtful); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// byLeader sorts places by their leader, and says which have none.
func (c *cluster) byLeader(places []place) (map[int32][]place, map[place]error) {
	parts, missing := map[int32][]place{}, map[place]error{}
	for _, p := range places {
		t := c.topics[p.topic]
		leader := t.leader(p.partition)
		switch {
		case t.err != nil:
			missing[p] = t.err
		case c.addresses[leader] == "":
			missing[p] = sarama.ErrLeaderNotAvailable
		default:
			parts[leader] = append(parts[leader], p)
		}
	}
	return parts, missing
}

// leader returns the number of the broker that leads a partition; negative when
// there is none.
func (t topic) leader(partition int32) int32 {
	if l, ok := t.leaders[partition]; ok {
		return l
	}
	return -1
}

// listOffsets asks one leader for the ends of partitions.
func (c *cluster) listOffsets(ctx context.Context, broker int32, places []place) map[place]end {
	request := sarama.NewOffsetRequest(c.settings.release())
	for _, p := range places {
		request.AddBlock(p.topic, p.partition, sarama.OffsetNewest, 1)
	}
	answer, err := ask(ctx, c, broker, func(l *link) (*sarama.OffsetResponse, error) {
		return call(ctx, l, func(b *sarama.Broker) (*sarama.OffsetResponse, error) { return b.GetAvailableOffsets(request) })
	})
	out := make(map[place]end, len(places))
	for _, p := range places {
		out[p] = end{err: err}
		if err != nil {
			continue
		}
		switch block := answer.GetBlock(p.topic, p.partition); {
		case block == nil:
			out[p] = end{err: errNoAnswer}
		case block.Err != sarama.ErrNoError:
			out[p] = end{err: block.Err}
		case answer.Version == 0 && len(block.Offsets) > 0:
			out[p] = end{offset: block.Offsets[0]}
		default:
			out[p] = end{offset: max(0, block.Offset)}
		}
	}
	return out
}
