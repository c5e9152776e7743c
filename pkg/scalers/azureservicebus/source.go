package azureservicebus

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// relearn is how long it is remembered how many entities there are: a list that
// was too long to be read may have become shorter.
const relearn = 10 * time.Minute

// source is one namespace.
type source struct {
	client *client

	mu    sync.Mutex      // guards sizes; never held while asking
	sizes map[string]size // by topic; "" is the queues
}

// size is how many pages a list is thought to have.
type size struct {
	pages   int
	learned time.Time
}

// group is what the queries ask of one list.
type group struct {
	topic string // "" is the queues
	names int    // how many ask for one entity
	regex bool   // some have an expression
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lists := s.lists(ctx, queries)
	out := make([]scalers.Reading, len(queries))
	var rest []query
	var at []int
	for i, q := range queries {
		r, ok := lists[q.topic].reading(q)
		if !ok {
			rest, at = append(rest, q), append(at, i)
			continue
		}
		out[i] = r
	}
	if len(rest) == 0 {
		return out, nil
	}
	single, err := scalers.Each(parallel, s.reader(), nil).Fetch(ctx, rest)
	if err != nil && len(rest) == len(queries) {
		return nil, err
	}
	for i, r := range single {
		if err != nil {
			r.Err = failed(rest[i].op(), err)
		}
		out[at[i]] = r
	}
	return out, nil
}

// reader measures entities one by one. Once the namespace asks for less it is not
// asked for the rest.
func (s *source) reader() func(context.Context, query) scalers.Reading {
	var throttled atomic.Pointer[scalers.Error]
	return func(ctx context.Context, q query) scalers.Reading {
		if e := throttled.Load(); e != nil {
			return scalers.Reading{Err: &scalers.Error{Kind: e.Kind, Op: q.op(), Err: e.Err, Hint: e.Hint, RetryAfter: e.RetryAfter}}
		}
		count, err := s.client.read(ctx, q)
		if e, ok := errors.AsType[*scalers.Error](err); ok && e.Kind == scalers.Throttled {
			throttled.Store(e)
		}
		return scalers.Reading{Value: float64(count), Err: err}
	}
}

// Close implements scalers.Source.
func (s *source) Close() error { return s.client.carry.Close() }

// lists reads the lists that are worth it, several at a time.
func (s *source) lists(ctx context.Context, queries []query) map[string]*listing {
	groups := map[string]group{}
	for _, q := range queries {
		g := groups[q.topic]
		g.topic = q.topic
		if q.regex {
			g.regex = true
		} else {
			g.names++
		}
		groups[q.topic] = g
	}
	var worth []group
	out := map[string]*listing{}
	for topic, g := range groups {
		if s.worth(g) {
			worth = append(worth, g)
			out[topic] = &listing{counts: map[string]int32{}}
		}
	}
	_, err := scalers.Each(parallel, func(ctx context.Context, g group) scalers.Reading {
		s.list(ctx, g, out[g.topic])
		return scalers.Reading{}
	}, nil).Fetch(ctx, worth)
	for _, l := range out {
		if l.err == nil && !l.read {
			l.err = failed("listing", errors.Join(err, ctx.Err())) // its turn did not come
		}
	}
	return out
}

// worth reports whether reading a list costs less than reading its entities one by
// one. A list is charged by the page.
func (s *source) worth(g group) bool {
	return g.regex || g.names > s.pages(g.topic)
}

// pages returns how many pages a list is thought to have; at least one.
func (s *source) pages(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.sizes[topic]
	if time.Since(known.learned) > relearn {
		return 1
	}
	return known.pages
}

// learn notes how many pages a list has.
func (s *source) learn(topic string, pages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[topic] = size{pages, time.Now()}
}

// listing is what a list said.
type listing struct {
	read   bool             // the list was asked for
	counts map[string]int32 // active messages by name
	folded map[string]int32 // the same by name in lower case: names have no case
	err    error
}

// list reads a list into l. Without an expression it gives up where single reads
// would have been cheaper, and what it has got by then still counts.
func (s *source) list(ctx context.Context, g group, l *listing) {
	l.read = true
	limit := math.MaxInt
	if !g.regex {
		limit = max(s.pages(g.topic)+1, g.names/2+1)
	}
	read, gaveUp := 0, false
	l.err = s.client.pages(ctx, g.topic, func(page []entity) bool {
		for _, e := range page {
			l.counts[e.name] = e.active
		}
		read++
		gaveUp = read == limit && len(page) == pageSize
		return !gaveUp
	})
	l.folded = make(map[string]int32, len(l.counts))
	for name, count := range l.counts {
		l.folded[strings.ToLower(name)] = count
	}
	switch {
	case l.err == nil && gaveUp:
		s.learn(g.topic, max(read+1, g.names))
	case l.err == nil:
		s.learn(g.topic, len(l.counts)/pageSize+1)
		l.confirm(ctx, s.client, g)
	case !ofNamespace(l.err):
		s.learn(g.topic, math.MaxInt) // such as a key for one entity only
	}
}

// confirm asks for the topic itself when its list is empty: that is also how the
// service says that there is no such topic.
func (l *listing) confirm(ctx context.Context, c *client, g group) {
	if !g.regex || g.topic == "" || len(l.counts) > 0 {
		return
	}
	exists, err := c.topic(ctx, g.topic)
	switch {
	case err != nil:
		l.err = err
	case !exists:
		l.err = &scalers.Error{Kind: scalers.NotFound, Op: query{topic: g.topic, regex: true}.op(), Err: errors.New("the topic does not exist in this namespace")}
	}
}

// ofNamespace reports whether an error would meet single reads as well.
func ofNamespace(err error) bool {
	kind := scalers.KindOf(err)
	return kind == scalers.Unreachable || kind == scalers.Throttled
}

// reading answers a query from the list. It is not ok when the entity has to be
// asked for by itself: there is no list, or the list lacks it. Lists are paged by
// position, so that an entity may be skipped when another is deleted meanwhile.
func (l *listing) reading(q query) (r scalers.Reading, ok bool) {
	switch {
	case l == nil:
		return r, false
	case l.err != nil:
		return scalers.Reading{Err: l.err}, q.regex || ofNamespace(l.err)
	case q.regex:
		var counts []int32
		matches := q.matcher()
		for name, count := range l.counts {
			if matches(name) {
				counts = append(counts, count)
			}
		}
		value := q.combine(counts)
		return scalers.Reading{Value: value, FalseZero: value == 0}, true
	}
	count, ok := l.folded[strings.ToLower(q.name)]
	return scalers.Reading{Value: float64(count)}, ok
}
