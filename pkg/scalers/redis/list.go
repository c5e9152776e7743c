package redis

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// list is a key whose items are counted. Despite the name it may hold a list, a
// set, a sorted set or a hash.
type list struct{ key string }

func (q *list) bind(p *param.Set) {
	p.String(&q.key, "listName", "Key to measure: a list, set, sorted set or hash.", param.Required)
}

// lists measures keys.
type lists struct {
	*upstream
	// lengths are the commands for keys that are known not to be lists.
	lengths map[string]string
}

// Fetch implements scalers.Source. A key is taken for a list, which is what it
// nearly always is, until the server says otherwise: then its type is asked for
// and remembered. A key that does not exist has length 0 in any command.
func (l *lists) Fetch(ctx context.Context, queries []list) ([]scalers.Reading, error) {
	counts := make([]*redis.IntCmd, len(queries))
	for i, q := range queries {
		counts[i] = l.count(ctx, q.key)
	}
	if err := ask(ctx, l.upstream, counts); err != nil {
		return nil, err
	}
	out := make([]scalers.Reading, len(queries))
	if err := l.recount(ctx, queries, counts, out); err != nil {
		return nil, err
	}
	for i, c := range counts {
		switch {
		case out[i].Err != nil:
		case c.Err() != nil:
			out[i].Err = l.settings.failure(queries[i].op(), c.Err())
		default:
			out[i].Value = float64(c.Val())
		}
		if out[i].Err != nil || out[i].Value == 0 {
			delete(l.lengths, queries[i].key) // gone, or not to be counted: ask anew next time
		}
	}
	return out, nil
}

// recount measures the keys again that were of another type than thought.
func (l *lists) recount(ctx context.Context, queries []list, counts []*redis.IntCmd, out []scalers.Reading) error {
	var wrong []int
	var types []*redis.StatusCmd
	for i, c := range counts {
		if reply, _ := replyOf(c.Err()); strings.HasPrefix(reply, "WRONGTYPE") {
			wrong = append(wrong, i)
			types = append(types, redis.NewStatusCmd(ctx, "type", queries[i].key))
		}
	}
	if err := ask(ctx, l.upstream, types); err != nil {
		return err
	}
	var again []*redis.IntCmd
	for k, i := range wrong {
		key, kind := queries[i].key, types[k].Val()
		command := map[string]string{"none": "llen", "list": "llen", "zset": "zcard", "set": "scard", "hash": "hlen"}[kind]
		switch {
		case types[k].Err() != nil:
			out[i].Err = l.settings.failure(queries[i].op(), types[k].Err())
			continue
		case command == "":
			out[i].Err = &scalers.Error{
				Kind: scalers.NotFound, Op: queries[i].op(), Err: fmt.Errorf("the key holds a %s", scalers.Excerpt(kind)),
				Hint: "name a list, set, sorted set or hash, or use a redis-streams trigger for a stream",
			}
			continue
		}
		l.lengths[key] = command
		counts[i] = l.count(ctx, key)
		again = append(again, counts[i])
	}
	return ask(ctx, l.upstream, again)
}

// count is the command that measures a key.
func (l *lists) count(ctx context.Context, key string) *redis.IntCmd {
	return integer(ctx, cmp.Or(l.lengths[key], "llen"), key)
}

func (q list) op() string { return fmt.Sprintf("measuring key %q", q.key) }

// Watch implements scalers.Watcher.
func (l *lists) Watch(ctx context.Context, queries []list, ready func(), wake func(list)) error {
	return watch(ctx, l.upstream, queries, func(q list) string { return q.key }, "LLEN", ready, wake)
}
