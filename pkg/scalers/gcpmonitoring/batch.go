package gcpmonitoring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-sh/weir/pkg/scalers"
)

// What one call asks for at most. How many names a filter may hold is not
// documented; 2,048 characters is what the API's filters are limited to where a
// limit is.
const (
	mostNames  = 100
	mostFilter = 2048
)

// period is what an aggregation covers.
const period = 3 * time.Minute

// group is what queries must have in common to be measured by one call.
type group struct {
	kind, project, metric string
	aligned               bool
	span                  time.Duration
}

// call is one ListTimeSeries request and the queries that it measures.
type call struct {
	group   group
	ids     []string
	members map[string][]int // indices of the queries, by id
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	out := make([]scalers.Reading, len(queries))
	calls := s.plan(ctx, queries, out)
	if ctx.Err() != nil {
		return nil, &scalers.Error{Kind: scalers.Unreachable, Op: "reading Pub/Sub metrics", Err: context.Cause(ctx)}
	}
	// Each reading is written by the one call that its query belongs to.
	workers := scalers.Each(atOnce, func(ctx context.Context, i int) scalers.Reading {
		return scalers.Reading{Err: s.run(ctx, calls[i], queries, out)}
	}, nil)
	results, err := workers.Fetch(ctx, numbers(len(calls)))
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if r.Err == nil {
			continue
		}
		for _, members := range calls[i].members {
			for _, q := range members {
				out[q].Err = r.Err
			}
		}
	}
	return out, nil
}

// numbers counts from zero to n.
func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// plan puts queries together in as few calls as can be. What cannot be measured
// gets its reading here.
func (s *source) plan(ctx context.Context, queries []query, out []scalers.Reading) []*call {
	own := sync.OnceValues(func() (string, error) { return s.project(ctx) })
	open := map[group]*call{}
	var calls []*call
	for i, q := range queries {
		if q.fault != "" {
			out[i] = q.invalid()
			continue
		}
		project, err := q.resource.project, error(nil)
		if project == "" {
			if project, err = own(); err != nil {
				out[i].Err = err
				continue
			}
		}
		g := group{q.resource.kind, project, q.metric, q.aggregation != "", q.span}
		c := open[g]
		if c == nil || !c.takes(q.resource.id) {
			c = &call{group: g, members: map[string][]int{}}
			open[g] = c
			calls = append(calls, c)
		}
		c.add(q.resource.id, i)
	}
	return calls
}

// project is that of the credentials.
func (s *source) project(ctx context.Context) (string, error) {
	id, err := s.api.credentials.Project(ctx)
	if err == nil && !validProject(id) {
		return "", &scalers.Error{
			Kind: scalers.Invalid, Op: "finding the project of the credentials", Err: errors.New("what they name is no project's id"),
			Hint: "write the subscription as projects/PROJECT/subscriptions/ID",
		}
	}
	return id, err
}

// takes reports whether the call has room for a name.
func (c *call) takes(id string) bool {
	if c.members[id] != nil {
		return true
	}
	return len(c.ids) < mostNames && len(c.filter())+len(id)+len(`,""`) <= mostFilter
}

func (c *call) add(id string, i int) {
	if c.members[id] == nil {
		c.ids = append(c.ids, id)
	}
	c.members[id] = append(c.members[id], i)
}

func (c *call) filter() string {
	g := c.group
	return fmt.Sprintf(`metric.type="%s" AND resource.type="pubsub_%s" AND resource.labels.project_id="%s" AND resource.labels.%s_id=%s`,
		g.metric, g.kind, g.project, g.kind, quoted(c.ids))
}

// run makes one call and fills in the readings of its queries.
func (s *source) run(ctx context.Context, c *call, queries []query, out []scalers.Reading) error {
	g := c.group
	r := request{op: "reading Pub/Sub metrics", project: g.project, filter: c.filter(), span: g.span}
	if len(c.ids) == 1 {
		r.op = queries[c.members[c.ids[0]][0]].op()
	}
	if g.aligned {
		r.aggregation = &monitoringpb.Aggregation{
			AlignmentPeriod: durationpb.New(period), PerSeriesAligner: monitoringpb.Aggregation_ALIGN_DELTA,
		}
	}
	found := map[string]*samples{}
	err := s.api.list(ctx, r, 0, func(series *monitoringpb.TimeSeries) bool {
		id := series.GetResource().GetLabels()[g.kind+"_id"]
		if found[id] == nil {
			found[id] = &samples{seen: map[string]bool{}}
		}
		found[id].add(series)
		return true
	})
	if err != nil {
		return err
	}
	for id, members := range c.members {
		for _, i := range members {
			out[i] = queries[i].read(found[id])
		}
	}
	return nil
}

// samples are the time series of one subscription or topic.
type samples struct {
	first *monitoringpb.TimeSeries
	seen  map[string]bool // series, by their labels
	// newest are the values of all series at the newest instant of any.
	newest []*monitoringpb.Point
}

// add takes a series. The rest of a long one comes again on the next page, with
// older points only.
func (s *samples) add(series *monitoringpb.TimeSeries) {
	if s.first == nil {
		s.first = series
	}
	key := labels(series)
	if s.seen[key] || len(series.GetPoints()) == 0 {
		return
	}
	s.seen[key] = true
	p := series.GetPoints()[0]
	if len(s.newest) > 0 {
		switch s.newest[0].GetInterval().GetEndTime().AsTime().Compare(p.GetInterval().GetEndTime().AsTime()) {
		case 1:
			return // a series that has ended
		case -1:
			s.newest = nil
		}
	}
	s.newest = append(s.newest, p)
}

// labels identify a series among those of one metric and resource.
func labels(series *monitoringpb.TimeSeries) string {
	var parts []string
	for k, v := range series.GetMetric().GetLabels() {
		parts = append(parts, k+"\x00"+v)
	}
	slices.Sort(parts)
	return strings.Join(parts, "\x00\x00")
}

// read is the reading of a query; s is nil when there is no series.
func (q query) read(s *samples) scalers.Reading {
	switch {
	case s == nil:
		return q.ifNull.absent(q.op())
	case q.aggregation == "" || len(s.newest) == 0:
		return reading(q.op(), s.first)
	}
	v, err := q.aggregate(s.newest)
	if err != nil {
		return scalers.Reading{Err: &scalers.Error{Kind: scalers.BadAnswer, Op: q.op(), Err: err}}
	}
	r := measured(q.op(), v)
	r.At = s.newest[0].GetInterval().GetEndTime().AsTime()
	return r
}
