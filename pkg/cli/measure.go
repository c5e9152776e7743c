package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// measurement is what one trigger measured.
type measurement struct {
	reading scalers.Reading // Err is set when there is no value
	latency time.Duration   // from opening the source to its answer
}

// most is how many sources are asked at a time.
const most = 32

// measure asks the source of each trigger once for all it is to measure, many
// sources at a time, and stores what they answer in the triggers' outcomes.
// Triggers whose credentials are not complete are left out.
func measure(ctx context.Context, env scalers.Env, timeout time.Duration, subjects []*subject) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.HTTP == nil {
		env.HTTP = &http.Client{Timeout: timeout}
	}
	wanted := map[scalers.SourceKey][]*outcome{}
	var keys []scalers.SourceKey
	for _, s := range subjects {
		for i := range s.triggers {
			o := &s.triggers[i]
			if o.parsed == nil || !o.complete || o.readByHPA() {
				continue
			}
			if wanted[o.parsed.Source] == nil {
				keys = append(keys, o.parsed.Source)
			}
			wanted[o.parsed.Source] = append(wanted[o.parsed.Source], o)
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, most)
	for _, key := range keys {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ask(ctx, env, timeout, key, wanted[key])
		})
	}
	wg.Wait()
}

// ask measures the triggers of one source. Equal queries are asked once.
func ask(ctx context.Context, env scalers.Env, timeout time.Duration, key scalers.SourceKey, outcomes []*outcome) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var queries []scalers.Query
	place := map[scalers.Query]int{}
	for _, o := range outcomes {
		if _, known := place[o.parsed.Query]; !known {
			place[o.parsed.Query] = len(queries)
			queries = append(queries, o.parsed.Query)
		}
	}
	began := time.Now()
	readings, err := fetch(ctx, env, key, queries)
	latency := time.Since(began)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && slices.Contains([]scalers.Kind{scalers.Unknown, scalers.BadAnswer}, scalers.KindOf(err)) {
		err = &scalers.Error{
			Kind: scalers.Unreachable, Op: "asking the source", Err: fmt.Errorf("no answer within %v", timeout),
			Hint: "check that the address is right and can be reached from here, or raise --timeout",
		}
	}
	for _, o := range outcomes {
		r := scalers.Reading{Err: err}
		if err == nil {
			r = readings[place[o.parsed.Query]]
		}
		if v := r.Value; r.Err == nil && (math.IsNaN(v) || math.IsInf(v, 0) || v < 0) {
			r.Err = &scalers.Error{Kind: scalers.BadAnswer, Op: "asking the source", Err: errors.New("the value is not a finite number of zero or more")}
		}
		o.reading = &measurement{r, latency}
	}
}

// fetch opens a source, asks it for all queries and closes it. A panic of the
// scaler becomes an error.
func fetch(ctx context.Context, env scalers.Env, key scalers.SourceKey, queries []scalers.Query) (readings []scalers.Reading, err error) {
	defer contain(&err)
	conn, err := key.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := conn.Close(); closing != nil {
			env.Log.Debug("a connection was closed with an error", slog.Any("error", closing))
		}
	}()
	batch := len(queries)
	if limit := key.Definition().MaxBatch; limit > 0 {
		batch = limit
	}
	for some := range slices.Chunk(queries, batch) {
		got, err := conn.Fetch(ctx, some)
		if err != nil {
			return nil, err
		}
		readings = append(readings, got...)
	}
	return readings, nil
}

// contain makes an error of a panic. Its value is shown only when it is the
// runtime's own: others may hold anything.
func contain(err *error) {
	switch r := recover().(type) {
	case nil:
	case runtime.Error:
		*err = panicked(": " + scalers.Excerpt(r.Error()))
	default:
		*err = panicked("")
	}
}

func panicked(detail string) error {
	return &scalers.Error{
		Kind: scalers.BadAnswer, Op: "asking the source", Err: errors.New("the scaler panicked" + detail),
		Hint: "report it as a bug of the scaler",
	}
}

// active reports whether a reading means that there is work.
func active(t *triggers.Trigger, r scalers.Reading) bool {
	switch r.Activity {
	case scalers.Busy:
		return true
	case scalers.Idle:
		return false
	case scalers.ByThreshold:
	}
	return max(r.Value, r.Work) > t.Activation
}

// limits are the replicas that a subject may have.
type limits struct {
	lowest, highest int32
	idle            *int32
}

func (s *subject) limits() limits {
	if j := s.scaledJob; j != nil {
		return limits{lowest: j.Spec.MinReplicas(), highest: j.Spec.MaxReplicas()}
	}
	o := s.scaledObject.Spec
	return limits{lowest: o.MinReplicas(), highest: o.MaxReplicas(), idle: o.IdleReplicaCount}
}

// replicas is what a reading asks for, were the trigger the only one of its
// object. It is nil where that depends on how many replicas there are, because
// the metric type is not AverageValue.
func (l limits) replicas(t *triggers.Trigger, r scalers.Reading) *int32 {
	switch {
	case !active(t, r) && l.idle != nil:
		return l.idle
	case !active(t, r) && l.lowest == 0:
		return new(int32(0))
	case t.MetricType != autoscalingv2.AverageValueMetricType:
		return nil
	}
	most := float64(l.highest)
	want := wanted(r.Value, t.Target, most)
	for i, m := range r.Metrics {
		if i == 0 {
			want = 0
		}
		want = max(want, wanted(m.Value, m.Target, most))
	}
	return new(max(1, l.lowest, int32(min(want, most))))
}

// wanted is how many replicas a value asks for; without a usable target, most.
func wanted(value, target, most float64) float64 {
	per := triggers.Quantity(target)
	switch milli := per.MilliValue(); {
	case value == 0:
		return 0
	case milli > 0:
		return math.Ceil(math.Round(value*1000) / float64(milli))
	}
	return most
}
