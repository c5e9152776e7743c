package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-sh/weir/pkg/scalers"
)

// vhost is one virtual host as seen through an api. One goroutine at a time uses
// it.
type vhost struct {
	api    *api
	name   string
	since  time.Time
	queues int  // how many there are; -1 until learned
	noList bool // lists are of no use here: they lack totals or fail
}

// A list of all queues costs the broker about as much as asking for one queue in
// 10 one by one, or for one in 5 when statistics are needed (RabbitMQ 3.10 with
// 10,000 classic queues). Not worth knowing how many there are is it for a few.
const (
	queuesPerRead      = 10
	queuesPerRatesRead = 5
	few                = 4
	learnedFor         = 10 * time.Minute
)

func (v *vhost) escaped() string { return url.PathEscape(v.name) }

// fetch fills in the readings at which. Totals are exact and need no statistics,
// which lag by seconds, so that they are asked for apart from rates.
func (v *vhost) fetch(ctx context.Context, queries []query, which []int, out []scalers.Reading) error {
	for _, rates := range []bool{false, true} {
		part := slices.DeleteFunc(slices.Clone(which), func(i int) bool { return queries[i].rates() != rates })
		if len(part) == 0 {
			continue
		}
		b := &batch{vhost: v, rates: rates, queries: queries, which: part, out: out}
		if err := b.fetch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// batch is the queries of one virtual host that one list could answer.
type batch struct {
	*vhost
	rates   bool
	queries []query
	which   []int
	out     []scalers.Reading
}

// fetch answers from one list where that is cheaper, and asks one by one for the
// rest: what the list did not have is not known yet to be missing, since servers
// leave out queues that answer late.
func (b *batch) fetch(ctx context.Context) error {
	patterns := b.patterns()
	names := b.names()
	var listed map[string]queue
	useList, err := b.worthList(ctx, len(names), len(patterns) > 0)
	if err == nil && useList {
		listed, err = b.list(ctx)
	}
	switch {
	case wholesale(err):
		return err
	case err != nil:
		for _, i := range b.which {
			b.out[i] = scalers.Reading{Err: err}
		}
		return nil
	}
	return b.answerAll(ctx, names, patterns, listed)
}

// answerAll answers what it can from listed, which may be nil, and asks for the
// rest.
func (b *batch) answerAll(ctx context.Context, names map[string][]int, patterns map[int]*regexp.Regexp, listed map[string]queue) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(parallel)
	for name, same := range names {
		if found, ok := listed[name]; ok {
			b.answer(same, found)
			continue
		}
		work.Go(func() error { return b.askOne(ctx, same) })
	}
	if listed == nil || !onlyPlain(listed) {
		patterns = nil
	}
	for _, i := range b.which {
		switch re := patterns[i]; {
		case re != nil:
			b.out[i] = b.match(i, re, listed)
		case b.queries[i].regex:
			work.Go(func() error { return b.askMatching(ctx, i) })
		}
	}
	return work.Wait()
}

// patterns compiles the expressions that a list can answer.
func (b *batch) patterns() map[int]*regexp.Regexp {
	out := map[int]*regexp.Regexp{}
	for _, i := range b.which {
		if q := b.queries[i]; q.regex {
			if re := portable(q.name); re != nil {
				out[i] = re
			}
		}
	}
	return out
}

// names returns the queues asked for by name, with the queries for each.
func (b *batch) names() map[string][]int {
	out := map[string][]int{}
	for _, i := range b.which {
		if q := b.queries[i]; !q.regex {
			out[q.name] = append(out[q.name], i)
		}
	}
	return out
}

// worthList decides by estimated cost. A regular expression makes the server
// look at all queues anyway.
func (b *batch) worthList(ctx context.Context, names int, patterns bool) (bool, error) {
	if b.noList || patterns {
		return !b.noList, nil
	}
	if b.queues < 0 {
		if names <= few {
			return false, nil
		}
		if err := b.count(ctx); err != nil {
			return false, err
		}
	}
	per := queuesPerRead
	if b.rates {
		per = queuesPerRatesRead
	}
	return names*per > b.queues, nil
}

// count learns how many queues there are, by the smallest answer that tells.
func (v *vhost) count(ctx context.Context) error {
	var found struct {
		Total int `json:"total_count"`
	}
	err := v.api.get(ctx, fmt.Sprintf("counting queues of virtual host %q", v.name), "queues/"+v.escaped(), []string{
		"page", "1", "page_size", "1", "pagination", "true", "disable_stats", "true", "columns", "name",
	}, &found)
	if err != nil {
		return v.unlisted(ctx, err)
	}
	v.queues = found.Total
	return nil
}

// list reads all queues. It is nil when lists are of no use here.
func (b *batch) list(ctx context.Context) (map[string]queue, error) {
	params := []string{"disable_stats", "true", "enable_queue_totals", "true", "columns", "name,messages,messages_ready"}
	if b.rates {
		params = []string{"columns", "name,messages,messages_ready,message_stats.publish_details.rate,message_stats.deliver_get_details.rate"}
	}
	var found []queue
	if err := b.api.get(ctx, fmt.Sprintf("listing queues of virtual host %q", b.name), "queues/"+b.escaped(), params, &found); err != nil {
		return nil, b.unlisted(ctx, err)
	}
	b.queues = len(found)
	counted := func(q queue) bool { return q.Messages != nil }
	if len(found) > 0 && !b.rates && !slices.ContainsFunc(found, counted) {
		b.unusable("the server lists queues without totals")
		return nil, nil
	}
	out := make(map[string]queue, len(found))
	for _, q := range found {
		out[q.Name] = q
	}
	return out, nil
}

// unlisted passes on why a list failed, or turns to single requests where they
// may still work: a list of very many queues can take longer than a request may.
func (v *vhost) unlisted(ctx context.Context, err error) error {
	kind := scalers.KindOf(err)
	slow := ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)
	if slow || kind == scalers.BadAnswer {
		v.unusable("listing queues failed: " + err.Error())
		return nil
	}
	if kind == scalers.NotFound {
		return &scalers.Error{Kind: scalers.NotFound, Op: fmt.Sprintf("listing queues of virtual host %q", v.name), Err: errMissing, Hint: noVhost}
	}
	return err
}

// unusable gives up lists for a while.
func (v *vhost) unusable(why string) {
	v.noList, v.queues = true, max(v.queues, 0)
	v.api.log.Info("reading queues one by one", slog.String("vhost", v.name), slog.String("reason", why))
}

// onlyPlain reports whether all names mean the same to Go's and to the server's
// regular expressions.
func onlyPlain(listed map[string]queue) bool {
	for name := range listed {
		if !plain(name) {
			return false
		}
	}
	return true
}

// answer reads one queue for the queries that ask for it.
func (b *batch) answer(same []int, found queue) {
	for _, i := range same {
		b.out[i] = b.queries[i].read([]queue{found})
	}
}

func (b *batch) askOne(ctx context.Context, same []int) error {
	found, err := b.one(ctx, b.queries[same[0]])
	if wholesale(err) {
		return err
	}
	if err == nil {
		found.Name = b.queries[same[0]].name
		b.answer(same, found)
		return nil
	}
	for _, i := range same {
		b.out[i] = scalers.Reading{Err: err}
	}
	return nil
}

// match combines the queues of the list that match.
func (b *batch) match(i int, re *regexp.Regexp, listed map[string]queue) scalers.Reading {
	var found []queue
	for name, q := range listed {
		if re.MatchString(name) {
			found = append(found, q)
		}
	}
	r := b.queries[i].read(found)
	// A list may lack the queues of a node that answers late.
	r.FalseZero = r.Value == 0
	return r
}

func (b *batch) askMatching(ctx context.Context, i int) error {
	found, err := b.matching(ctx, b.queries[i])
	if wholesale(err) {
		return err
	}
	b.out[i] = scalers.Reading{Err: err}
	if err == nil {
		b.out[i] = b.queries[i].read(found)
	}
	return nil
}
