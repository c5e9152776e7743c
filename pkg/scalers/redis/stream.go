package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// mode is what is counted of a stream.
type mode string

const (
	length  mode = "length"  // all entries
	pending mode = "pending" // entries that the group's consumers have not acknowledged
	lag     mode = "lag"     // entries that the group has not delivered yet
)

// stream is what to measure of a stream. The group is empty in mode length.
type stream struct {
	key   string
	group string
	mode  mode
}

func (q *stream) bind(p *param.Set) {
	p.String(&q.key, "stream", "Stream to measure.", param.Required)
	p.String(&q.group, "consumerGroup", "Consumer group to measure; without it all entries of the stream count.")
}

// bindThresholds declares a target per mode. Which are given decides the mode.
func (q *stream) bindThresholds(th *scalers.Thresholds, p *param.Set) {
	entries, unacknowledged, undelivered := 5.0, 5.0, 0.0
	scalers.WholeTarget(&entries, "streamLength", "How many entries of the stream one replica should carry, without a consumer group.", p)
	scalers.WholeTarget(&unacknowledged, "pendingEntriesCount",
		"How many delivered but unacknowledged entries one replica should carry, with a consumer group.", p)
	scalers.WholeTarget(&undelivered, "lagCount",
		"How many entries not yet delivered to the consumer group one replica should carry. "+
			"Other than 0 it replaces `pendingEntriesCount`. Needs Redis 7.", p)
	scalers.WholeTarget(&th.Activation, "activationLagCount",
		"How many entries are not yet work, in every mode: the workload wakes from zero above this.", p)
	p.Check(func() error {
		switch {
		case q.group == "":
			q.mode, th.Target = length, entries
		case undelivered != 0:
			q.mode, th.Target = lag, undelivered
		default:
			q.mode, th.Target = pending, unacknowledged
		}
		return nil
	})
}

// streams measures streams.
type streams struct {
	*upstream
	// capable is the number of connections made when the server was last seen to
	// know lag; any connection since then may lead to another server.
	capable int64
}

// Fetch implements scalers.Source.
func (s *streams) Fetch(ctx context.Context, queries []stream) ([]scalers.Reading, error) {
	out := make([]scalers.Reading, len(queries))
	if err := s.refuseLag(ctx, queries, out); err != nil {
		return nil, err
	}
	asked := make([]redis.Cmder, len(queries))
	var send []redis.Cmder
	for i, q := range queries {
		if out[i].Err == nil {
			asked[i] = q.command(ctx)
			send = append(send, asked[i])
		}
	}
	if err := ask(ctx, s.upstream, send); err != nil {
		return nil, err
	}
	var whole []redis.Cmder
	for i, q := range queries {
		if groups, ok := asked[i].(*redis.XInfoGroupsCmd); ok && s.fallsBack(q, groups) {
			asked[i] = stream{key: q.key, mode: length}.command(ctx)
			whole = append(whole, asked[i])
		}
	}
	if err := ask(ctx, s.upstream, whole); err != nil {
		return nil, err
	}
	for i, q := range queries {
		if out[i].Err == nil {
			out[i] = s.reading(q, asked[i])
		}
	}
	return out, nil
}

// command is the one that measures a query.
func (q stream) command(ctx context.Context) redis.Cmder {
	switch q.mode {
	case pending:
		return redis.NewXPendingCmd(ctx, "xpending", q.key, q.group)
	case lag:
		return redis.NewXInfoGroupsCmd(ctx, q.key)
	case length:
	}
	return integer(ctx, "xlen", q.key)
}

// fallsBack reports whether the length of the stream stands for the lag: when
// there is no such group, since a new group may begin at the first entry, and
// when the server refuses to tell. A stream that does not exist has no lag.
func (s *streams) fallsBack(q stream, c *redis.XInfoGroupsCmd) bool {
	if c.Err() == nil {
		_, found := find(q.group, c.Val())
		return !found
	}
	return !s.settings.lost(c.Err()) && !missing(c.Err())
}

func (s *streams) reading(q stream, c redis.Cmder) scalers.Reading {
	if err := c.Err(); err != nil {
		if q.mode == lag && missing(err) {
			return scalers.Reading{}
		}
		return scalers.Reading{Err: s.settings.failure(q.op(), err)}
	}
	switch c := c.(type) {
	case *redis.IntCmd:
		return scalers.Reading{Value: float64(c.Val())}
	case *redis.XPendingCmd:
		return scalers.Reading{Value: float64(c.Val().Count)}
	case *redis.XInfoGroupsCmd:
		// The server answers null, here -1, when it cannot tell the lag: entries
		// were deleted from the middle, or the group began at an ID of its own.
		g, _ := find(q.group, c.Val())
		return scalers.Reading{Value: float64(max(g.Lag, 0)), FalseZero: g.Lag < 0}
	}
	return scalers.Reading{Err: s.settings.failure(q.op(), protocolError("no number"))}
}

func (q stream) op() string {
	if q.mode == length {
		return fmt.Sprintf("measuring stream %q", q.key)
	}
	return fmt.Sprintf("measuring %s of group %q of stream %q", q.mode, q.group, q.key)
}

// refuseLag gives all lag queries an error when the server is older than
// Redis 7, which would answer without a lag. A good answer holds until a new
// connection is made; a bad one is not kept, as servers are upgraded.
func (s *streams) refuseLag(ctx context.Context, queries []stream, out []scalers.Reading) error {
	var first *stream
	for i, q := range queries {
		if q.mode == lag {
			first = &queries[i]
			break
		}
	}
	if first == nil || s.capable > 0 && s.capable == s.dialer.count.Load() {
		return nil
	}
	info := redis.NewStringCmd(ctx, "info", "server")
	if err := ask(ctx, s.upstream, []redis.Cmder{info}); err != nil {
		return err
	}
	problem := s.tooOld(info)
	if problem == nil {
		s.capable = s.dialer.count.Load()
		return nil
	}
	for i, q := range queries {
		if q.mode == lag {
			e := *problem
			e.Op = q.op()
			out[i].Err = &e
		}
	}
	return nil
}

// tooOld says why the server cannot tell a lag; nil means that it can.
func (s *streams) tooOld(info *redis.StringCmd) *scalers.Error {
	if err := info.Err(); err != nil {
		return s.settings.failure("", err)
	}
	found := regexp.MustCompile(`(?m)^redis_version:(\d+)\.`).FindStringSubmatch(info.Val())
	if found == nil {
		return &scalers.Error{
			Kind: scalers.BadAnswer, Err: errors.New("the server does not tell its version"),
			Hint: "use pendingEntriesCount instead of lagCount",
		}
	}
	if major, err := strconv.Atoi(found[1]); err != nil || major < 7 {
		return &scalers.Error{
			Kind: scalers.BadAnswer, Err: fmt.Errorf("the server is Redis %s, which knows no lag", found[1]),
			Hint: "upgrade to Redis 7, or use pendingEntriesCount instead of lagCount",
		}
	}
	return nil
}

func find(group string, in []redis.XInfoGroup) (redis.XInfoGroup, bool) {
	for _, g := range in {
		if g.Name == group {
			return g, true
		}
	}
	return redis.XInfoGroup{}, false
}

// missing reports whether the server says that the stream does not exist.
func missing(err error) bool {
	reply, _ := replyOf(err)
	return reply == "ERR no such key"
}

// Watch implements scalers.Watcher. Only new entries wake: reading and
// acknowledging change a group but not the stream.
func (s *streams) Watch(ctx context.Context, queries []stream, ready func(), wake func(stream)) error {
	return watch(ctx, s.upstream, queries, func(q stream) string { return q.key }, "XLEN", ready, wake)
}
