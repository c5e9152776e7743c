package awscloudwatch

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// maxQueries is how many queries GetMetricData takes.
	maxQueries = 500
	// maxHunt bounds the requests of one Fetch that look for a malformed query.
	// Finding one among 500 takes 18; the next Fetch goes on.
	maxHunt = 40
	// refusalHolds is how long a malformed query is not asked for again.
	refusalHolds = 5 * time.Minute
	// permission is what the identity needs.
	permission = "cloudwatch:GetMetricData"
)

// source measures metrics of one region as one identity.
type source struct {
	cfg      aws.Config
	client   *cloudwatch.Client
	closeAll func() error
	prefix   string // of the ids of queries; cannot be guessed

	mu      sync.Mutex         // guards all below; never held during a request
	refused map[metric]refusal // malformed queries
	hunted  int                // requests of this Fetch that looked for one
}

// refusal is what CloudWatch said to a malformed query.
type refusal struct {
	err error
	at  time.Time
}

// Close implements scalers.Source.
func (s *source) Close() error { return s.closeAll() }

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []metric) ([]scalers.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := awsauth.Ready(ctx, s.cfg); err != nil {
		return nil, err
	}
	out := make([]scalers.Reading, len(queries))
	requests := make(chan request)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for r := range requests {
				s.ask(ctx, r)
			}
		})
	}
	for _, r := range plan(s.askable(queries, out), time.Now()) {
		requests <- r // each ends with ctx
	}
	close(requests)
	workers.Wait()
	return out, nil
}

// item is a query with the place of its reading.
type item struct {
	metric
	out *scalers.Reading
}

// request is what one call of GetMetricData asks for.
type request struct {
	window
	items    []item
	insights bool // one of items is a Metrics Insights query
}

// askable returns the queries that are worth asking for. The others get the
// error they got before.
func (s *source) askable(queries []metric, out []scalers.Reading) []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hunted = 0
	for q, r := range s.refused {
		if time.Since(r.at) > refusalHolds {
			delete(s.refused, q)
		}
	}
	items := make([]item, 0, len(queries))
	for i, q := range queries {
		if r, ok := s.refused[q]; ok {
			out[i].Err = r.err
			continue
		}
		items = append(items, item{q, &out[i]})
	}
	return items
}

// plan distributes items over as few requests as their windows allow.
func plan(items []item, now time.Time) []request {
	var out []request
	open := map[window][]int{} // requests of a window that have room, by place in out
	for _, it := range items {
		w := it.window(now)
		place := -1
		for _, i := range open[w] {
			if len(out[i].items) < maxQueries && (!it.isInsights() || !out[i].insights) {
				place = i
				break
			}
		}
		if place < 0 {
			place = len(out)
			out = append(out, request{window: w})
			open[w] = append(open[w], place)
		}
		r := &out[place]
		r.items = append(r.items, it)
		r.insights = r.insights || it.isInsights()
	}
	return out
}

// ask measures the items of a request. When CloudWatch refuses it for what one of
// them says, halves of it are asked for, until that one is alone.
func (s *source) ask(ctx context.Context, r request) {
	results, err := s.get(ctx, r)
	if err == nil {
		for i, it := range r.items {
			*it.out = results[i].reading(it.metric)
		}
		return
	}
	malformed := awsauth.Failed("", err, "").Kind == scalers.Invalid && awsauth.Code(err) != ""
	if half := len(r.items) / 2; malformed && half > 0 && s.mayHunt() {
		s.ask(ctx, request{window: r.window, items: r.items[:half]})
		s.ask(ctx, request{window: r.window, items: r.items[half:]})
		return
	}
	for _, it := range r.items {
		e := awsauth.Failed(it.op(), err, permission)
		switch {
		case malformed && len(r.items) > 1:
			e.Kind, e.Err = scalers.BadAnswer, errors.New("CloudWatch refuses one of the queries that were asked for together")
		case malformed:
			e.Hint = "check the metric or the expression with \"aws cloudwatch get-metric-data\""
			s.note(it.metric, e)
		}
		it.out.Err = e
	}
}

// mayHunt counts a search for a malformed query, which is two requests.
func (s *source) mayHunt() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hunted += 2
	return s.hunted <= maxHunt
}

// note keeps what is wrong with a query.
func (s *source) note(q metric, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[q] = refusal{err, time.Now()}
}

// get makes the call and follows its pages. There is one result per item.
func (s *source) get(ctx context.Context, r request) ([]result, error) {
	in := &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(r.start), EndTime: aws.Time(r.end), ScanBy: types.ScanByTimestampDescending,
		MetricDataQueries: make([]types.MetricDataQuery, len(r.items)),
	}
	out := make([]result, len(r.items))
	byID := make(map[string]*result, len(r.items))
	for i, it := range r.items {
		id := s.prefix + strconv.Itoa(i)
		in.MetricDataQueries[i], byID[id] = it.query(id), &out[i]
	}
	for n, missing := 1, len(out); missing > 0; n++ {
		page, err := s.client.GetMetricData(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, m := range page.MetricDataResults {
			if r := byID[aws.ToString(m.Id)]; r != nil && r.take(m, n) {
				missing--
			}
		}
		if aws.ToString(page.NextToken) == "" {
			break
		}
		in.NextToken = page.NextToken
	}
	return out, nil
}
