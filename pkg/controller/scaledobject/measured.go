package scaledobject

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
)

// Measured is the value of a metric.
type Measured struct {
	Value float64   // in the scaler's unit; finite, >= 0
	At    time.Time // when it was true
}

// UnknownError says that an object or a metric of it is not known.
type UnknownError struct{ What string }

// Error implements error.
func (e *UnknownError) Error() string { return e.What + " is not known" }

// freshEnough is the age up to which a reading answers an HPA at once: well
// below the 15 s between its reads, so that no read repeats the one before.
const freshEnough = 5 * time.Second

// Metric returns the value of a metric for the HPA, from memory; it waits a
// moment for a newer one when the source is quick. Where a formula is used, it is
// the result for every metric of the object. The error is an *UnknownError
// when there is no such object or metric. Any other error says why there is no
// value that is new enough; the HPA then holds.
func (r *Reconciler) Metric(ctx context.Context, namespace, name, metric string) (Measured, error) {
	st := r.objects.Find(client.ObjectKey{Namespace: namespace, Name: name})
	if st == nil {
		return Measured{}, &UnknownError{fmt.Sprintf("ScaledObject %q in namespace %q", name, namespace)}
	}
	p := st.current.Load()
	if p == nil {
		return Measured{}, &UnknownError{fmt.Sprintf("metric %q of ScaledObject %q in namespace %q, which is not in force (see its Ready and Paused conditions),", metric, name, namespace)}
	}
	i, inner, ok := p.served(metric)
	switch {
	case !ok:
		return Measured{}, &UnknownError{fmt.Sprintf("metric %q of ScaledObject %q in namespace %q", metric, name, namespace)}
	case p.modifiers != nil:
		return r.result(ctx, p)
	}
	return r.measured(ctx, p, i, inner)
}

// measured is the value of the metric of a trigger; inner is the name that the
// upstream has for it, if it does.
func (r *Reconciler) measured(ctx context.Context, p *plan, i int, inner string) (Measured, error) {
	t, s := p.triggers[i], r.fresh(ctx, p, i)
	if m, _ := p.mark(i, s, r.Now()); m.fallback {
		v, err := p.standIn(r.size(ctx, p), t.MetricType, p.targetOf(i, inner))
		why := failedBefore
		if s.Err != nil {
			why = scaled.Cause(s.Err)
		}
		if err != nil {
			return Measured{}, fmt.Errorf("%s cannot be measured (%s), and nothing stands in for it: %w", t.MetricName, why, err)
		}
		return Measured{v, r.Now()}, nil
	}
	if carried, ok := p.carried[t.MetricName]; ok && !s.OK {
		carried.Err = s.Err
		s = carried
	}
	switch {
	case s.OK && r.Now().Sub(s.Measured) <= p.maxAge():
		return measured(s, t, inner)
	case s.Err != nil:
		return Measured{}, fmt.Errorf("no value of %s that is newer than %s: %w", t.MetricName, p.maxAge(), s.Err)
	case s.OK:
		return Measured{}, fmt.Errorf("%s has not been measured for longer than %s; see the log of weir for its source", t.MetricName, p.maxAge())
	}
	return Measured{}, fmt.Errorf("%s has not been measured yet", t.MetricName)
}

// fresh is a reading of a trigger for the HPA: a new one if it can be had soon.
func (r *Reconciler) fresh(ctx context.Context, p *plan, i int) engine.Sample {
	age := freshEnough
	if p.triggers[i].Cached {
		age = p.interval
	}
	return r.Engine.Fresh(ctx, p.triggers[i].Query, age)
}

// size reads what the fallback depends on.
func (r *Reconciler) size(ctx context.Context, p *plan) size {
	replicas, err := r.replicas(ctx, p.target)
	return r.look(ctx, p, size{replicas: replicas, err: err})
}

// result is the result of the formula on readings that are waited for side by side,
// so that it takes no longer than one.
func (r *Reconciler) result(ctx context.Context, p *plan) (Measured, error) {
	samples := make([]engine.Sample, len(p.triggers))
	var wait sync.WaitGroup
	for i, t := range p.triggers {
		if t.Resource == nil {
			wait.Go(func() { samples[i] = r.fresh(ctx, p, i) })
		}
	}
	wait.Wait()
	now := r.Now()
	marks, _ := p.marks(samples, now)
	for i, t := range p.triggers {
		// Until there is a reading with the new settings, the last with those before.
		if carried, ok := p.carried[t.MetricName]; ok && !samples[i].OK && samples[i].Err == nil {
			samples[i], marks[i].Sign = carried, scaled.SignOf(t, carried, p.maxAge(), now)
		}
	}
	var w size
	if standsIn(marks) {
		w = r.size(ctx, p)
	}
	list := p.weigh(samples, marks, w, now)
	result := list[len(list)-1]
	switch {
	case result.FallbackActive:
		v, err := p.standIn(w, p.modifiers.as, result.Target)
		if err != nil {
			return Measured{}, fmt.Errorf("%s has no result (%s), and nothing stands in for it: %w", result.Name, result.Err, err)
		}
		return Measured{v, now}, nil
	case result.Err != "":
		return Measured{}, fmt.Errorf("%s has no result: %s", result.Name, result.Err)
	case result.State == decide.Unknown:
		return Measured{}, fmt.Errorf("%s has no result: %s", result.Name, missing(list))
	}
	return Measured{result.Value, oldest(samples, marks, now)}, nil
}

// missing says what keeps a formula from having a result.
func missing(list []decide.Trigger) string {
	for _, t := range list {
		if t.Err != "" && !t.FallbackActive {
			return fmt.Sprintf("%s cannot be read (%s)", t.Name, t.Err)
		}
	}
	for _, t := range list {
		if t.State == decide.Unknown && !t.Resource && !t.FallbackActive {
			return t.Name + " has not been measured yet"
		}
	}
	return "a trigger that feeds it has no value"
}

// oldest is when the oldest of the readings was true that a formula used.
func oldest(samples []engine.Sample, marks []mark, now time.Time) time.Time {
	at := now
	for i, s := range samples {
		if s.OK && !marks[i].fallback && s.At.Before(at) {
			at = s.At
		}
	}
	return at
}
