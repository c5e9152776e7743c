package scaledobject

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
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
// moment for a newer one when the source is quick. The error is an *UnknownError
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
	t, inner, ok := p.served(metric)
	if !ok {
		return Measured{}, &UnknownError{fmt.Sprintf("metric %q of ScaledObject %q in namespace %q", metric, name, namespace)}
	}
	age := freshEnough
	if t.Cached {
		age = p.interval
	}
	s := r.Engine.Fresh(ctx, t.Query, age)
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
