package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/weir-sh/weir/pkg/scalers"
)

// source is one cluster under one identity.
type source struct {
	*cluster
	// remembered is the state of queries with excludePersistentLag.
	remembered map[query]*recollection
}

// recollection is what one query saw last, and when.
type recollection struct {
	memory
	at time.Time
}

// open connects to one of the brokers and logs in.
func open(ctx context.Context, env scalers.Env, s settings) (*source, error) {
	a, err := newAccess(ctx, env, s)
	if err != nil {
		return nil, failure("connecting to "+s.where(), err)
	}
	src := &source{cluster: newCluster(a), remembered: map[query]*recollection{}}
	if _, err := askAny(ctx, src.cluster, func(*link) (struct{}, error) { return struct{}{}, nil }); err != nil {
		return nil, errors.Join(failure("connecting to "+s.where(), err), src.Close())
	}
	return src, nil
}

// Close implements scalers.Source.
func (s *source) Close() error {
	s.hangUp()
	return s.close()
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	s.begin()
	m, err := s.measure(ctx, distinct(queries))
	if err = cmp.Or(context.Cause(ctx), err); err != nil {
		return nil, failure("measuring at "+s.settings.where(), err)
	}
	readings := map[query]scalers.Reading{}
	for _, q := range distinct(queries) {
		readings[q] = m.reading(q)
	}
	if err := lost(readings); err != nil {
		return nil, err
	}
	now := time.Now()
	maps.DeleteFunc(s.remembered, func(_ query, r *recollection) bool { return now.Sub(r.at) > forget })
	out := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		out[i] = readings[q]
	}
	return out, nil
}

// distinct returns the queries, each once.
func distinct(queries []query) []query {
	seen := make(map[query]bool, len(queries))
	return slices.DeleteFunc(slices.Clone(queries), func(q query) bool {
		again := seen[q]
		seen[q] = true
		return again
	})
}

// lost returns an error when every query failed because brokers are not
// reachable, or refuse the login: then the source is of no use.
func lost(readings map[query]scalers.Reading) error {
	var first error
	for _, r := range readings {
		e, ok := errors.AsType[*scalers.Error](r.Err)
		if !ok || !whole(e) {
			return nil
		}
		first = cmp.Or(first, r.Err)
	}
	return first
}

// whole reports whether an error concerns connections or the login, rather than
// what a broker answered about a topic or group.
func whole(e *scalers.Error) bool {
	code, answered := errors.AsType[sarama.KError](e.Err)
	switch {
	case errors.Is(e.Err, errNoBroker) || errors.Is(e.Err, errNoAnswer):
		return false
	case answered:
		return code == sarama.ErrSASLAuthenticationFailed || code == sarama.ErrUnsupportedSASLMechanism || code == sarama.ErrIllegalSASLState
	}
	return e.Kind == scalers.Unreachable || e.Kind == scalers.Unauthorized || e.Kind == scalers.Throttled
}

// measurement is what one Fetch learned, shared by its queries.
type measurement struct {
	*source
	commits map[string]commits
	errs    map[string]error // of groups
	ends    map[place]end
	all     []string        // topics of the cluster; only when a query needs them
	active  map[string]bool // groups with members; only those that queries need
	members map[string]error
}

// measure asks the brokers for what queries need. The error means that none of
// them answers.
func (s *source) measure(ctx context.Context, queries []query) (*measurement, error) {
	m := &measurement{source: s}
	var named, memberless []string
	for _, q := range queries {
		named = append(named, q.names()...)
		if q.all() && q.flavour == apache {
			memberless = append(memberless, q.group)
		}
	}
	if err := s.describe(ctx, sorted(named)); err != nil {
		return nil, err
	}
	m.active, m.members = s.activeMembers(ctx, sorted(memberless))
	if len(memberless) > 0 {
		if err := m.everything(ctx); err != nil {
			return nil, err
		}
	}
	m.commits, m.errs = s.committed(ctx, m.wants(queries))
	if err := m.discover(ctx, queries); err != nil {
		return nil, err
	}
	places := map[place]bool{}
	for _, q := range queries {
		at, err := m.places(q)
		if err != nil {
			continue // its reading says so
		}
		for _, p := range at {
			places[p] = true
		}
	}
	var err error
	m.ends, err = s.findEnds(ctx, slices.Collect(maps.Keys(places)))
	return m, err
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// names are the topics that a query names.
func (q query) names() []string {
	return slices.DeleteFunc(q.topics.Items(), func(name string) bool { return name == "" })
}

// everything learns all topics of the cluster.
func (m *measurement) everything(ctx context.Context) error {
	var err error
	m.all, err = m.list(ctx)
	if err == nil {
		err = m.describe(ctx, m.all)
	}
	return err
}

// wants is what to ask for of each group.
func (m *measurement) wants(queries []query) wanted {
	out := wanted{}
	for _, q := range queries {
		if q.all() {
			out[q.group] = nil
			continue
		}
		for _, name := range q.names() {
			for _, p := range m.numbers(name, q.limit) {
				out.add(q.group, name, p)
			}
		}
	}
	return out
}

// add wants a partition, unless everything of the group is wanted already.
func (w wanted) add(group, name string, partition int32) {
	have, ok := w[group]
	switch {
	case ok && have == nil:
		return
	case !ok:
		have = map[string][]int32{}
		w[group] = have
	}
	if !slices.Contains(have[name], partition) {
		have[name] = append(have[name], partition)
	}
}

// numbers are the partitions of a topic that a limitation allows, sorted.
func (c *cluster) numbers(name string, limit partitions) []int32 {
	t := c.topics[name]
	if t.err != nil {
		return nil
	}
	all := slices.Sorted(maps.Keys(t.leaders))
	if limit.isZero() {
		return all
	}
	ranges := limit.ranges()
	return slices.DeleteFunc(all, func(n int32) bool {
		return !slices.ContainsFunc(ranges, func(s span) bool { return s.from <= n && n <= s.to })
	})
}

// discover describes the topics that groups have committed offsets for, where
// queries name none; all topics where a group has committed nothing.
func (m *measurement) discover(ctx context.Context, queries []query) error {
	var found []string
	bare := false
	for _, q := range queries {
		if !q.all() || q.flavour == apache || m.errs[q.group] != nil {
			continue
		}
		found = append(found, m.topicsOf(q.group)...)
		bare = bare || m.commits[q.group].none()
	}
	if bare {
		if err := m.everything(ctx); err != nil {
			return err
		}
	}
	return m.describe(ctx, sorted(found))
}

// topicsOf are the topics that a group has committed offsets for.
func (m *measurement) topicsOf(group string) []string {
	var out []string
	for p := range m.commits[group].offsets {
		out = append(out, p.topic)
	}
	for p := range m.commits[group].errs {
		out = append(out, p.topic)
	}
	return sorted(out)
}

// places are the partitions to measure for a query, and the error that keeps it
// from being measured.
func (m *measurement) places(q query) ([]place, error) {
	names, err := m.counted(q)
	if err != nil {
		return nil, err
	}
	var out []place
	for _, name := range names {
		numbers := m.numbers(name, q.limit)
		err := m.topics[name].err
		switch {
		case q.flavour == apache && errors.Is(err, sarama.ErrUnknownTopicOrPartition):
			continue
		case err != nil:
			return nil, err
		case q.flavour == classic && len(numbers) == 0:
			return nil, &scalers.Error{Kind: scalers.NotFound, Err: fmt.Errorf("no partition of topic %q is left to measure", name), Hint: "correct partitionLimitation"}
		}
		for _, n := range numbers {
			out = append(out, place{name, n})
		}
	}
	return out, nil
}

// counted are the topics that count for a query, or why none can.
func (m *measurement) counted(q query) ([]string, error) {
	if err := cmp.Or(m.errs[q.group], m.members[q.group]); err != nil {
		return nil, err
	}
	switch {
	case !q.all():
		return q.names(), nil
	case q.flavour == classic:
		if names := m.topicsOf(q.group); len(names) > 0 {
			return names, nil
		}
	case !m.active[q.group]:
		return nil, &scalers.Error{Kind: scalers.NotFound, Err: errors.New("the group has no active member"), Hint: "name the topic, which needs no member"}
	}
	return m.all, nil
}

// reading is that of one query.
func (m *measurement) reading(q query) scalers.Reading {
	places, err := m.places(q)
	if err != nil {
		return scalers.Reading{Err: failure(q.op(), err)}
	}
	found := make([]progress, 0, len(places))
	for _, p := range places {
		at, err := m.progress(q, p)
		if err != nil {
			return scalers.Reading{Err: failure(fmt.Sprintf("%s, partition %d of topic %q", q.op(), p.partition, p.topic), err)}
		}
		found = append(found, at)
	}
	r := q.reading(q.sum(found, m.recall(q)))
	// A topic that is not there has no lag to this type; it may be coming.
	r.FalseZero = len(places) == 0 && r.Value == 0
	return r
}

// progress is that of a query's group in one partition.
func (m *measurement) progress(q query, p place) (progress, error) {
	group, last := m.commits[q.group], m.ends[p]
	if err := cmp.Or(group.errs[p], last.err); err != nil {
		return progress{}, err
	}
	committed, ok := group.offsets[p]
	if !ok { // the group was asked for what it has committed, or is not known
		committed = uncommitted
	}
	return progress{p, committed, last.offset}, nil
}

// recall returns the memory of a query; nil when it needs none.
func (m *measurement) recall(q query) memory {
	if !q.excludePersistent {
		return nil
	}
	r := m.remembered[q]
	if r == nil {
		r = &recollection{memory: memory{}}
		m.remembered[q] = r
	}
	r.at = time.Now()
	return r.memory
}
