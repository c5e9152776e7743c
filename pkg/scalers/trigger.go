package scalers

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Trigger is what a user asked for, validated: what to measure, and what the
// number means for one workload. It is immutable and comparable.
type Trigger struct {
	Query
	Thresholds
	metricName string
}

// MetricName is the name of the trigger's metric in the HPA; index is the
// trigger's place in its object, counted from zero.
func (t Trigger) MetricName(index int) string {
	return "s" + strconv.Itoa(index) + "-" + t.metricName
}

// Query is what to measure. It is immutable and comparable: use it as a map
// key. The zero Query measures nothing.
type Query struct {
	Source SourceKey
	what   any
}

// SourceKey identifies a connection: a scaler type and settings.
type SourceKey struct {
	def      *Definition
	settings any
}

// Definition returns the scaler the source belongs to; nil for the zero key.
func (k SourceKey) Definition() *Definition { return k.def }

// Type returns the scaler's type, or "" for the zero key.
func (k SourceKey) Type() string {
	if k.def == nil {
		return ""
	}
	return k.def.Type
}

// String describes the source for people: what is set, without secrets. Sources
// that differ only in their secrets look the same; use == to tell them apart.
func (k SourceKey) String() string { return k.Type() + show(k.settings) }

// Resource returns what the HPA is to read itself; ok is false when the query is
// to be measured.
func (q Query) Resource() (r Resource, ok bool) {
	r, ok = q.what.(Resource)
	return r, ok
}

// String describes the query for people, like SourceKey.String.
func (q Query) String() string { return q.Source.String() + show(q.what) }

// Parse validates v without touching the network. Every problem is in the
// error, as *param.Error values joined. Warnings come with or without an error.
func (d *Definition) Parse(v param.Values) (Trigger, []param.Warning, error) {
	p, warnings, err := d.parse(v)
	if err != nil {
		return Trigger{}, warnings, err
	}
	return Trigger{
		Query:      Query{SourceKey{d, p.settings}, p.query},
		Thresholds: p.thresholds,
		metricName: normalise(p.metricName),
	}, warnings, nil
}

// Bound returns the parameters that Parse reads when given v. In a correct
// scaler they are Params, whatever v holds; the conformance suite compares them.
func (d *Definition) Bound(v param.Values) []param.Info { return d.bound(v) }

// Open connects. Opening the zero key is an error.
func (k SourceKey) Open(ctx context.Context, env Env) (Conn, error) {
	if k.def == nil || k.def.open == nil {
		return nil, errors.New("opening a source that has no scaler")
	}
	return k.def.open(ctx, env, k.settings)
}

// Conn is a Source as the engine sees it.
type Conn interface {
	// Fetch is Source.Fetch. All queries must be of this source.
	Fetch(ctx context.Context, queries []Query) ([]Reading, error)
	// Watch is Watcher.Watch; the error is errors.ErrUnsupported when the source
	// is no Watcher.
	Watch(ctx context.Context, queries []Query, ready func(), wake func(Query)) error
	// Close is Source.Close.
	Close() error
}

// erased makes a Conn of a Source.
type erased[Q comparable] struct {
	src  Source[Q]
	hide secrets // of the source's settings
}

// Fetch implements Conn.
func (e erased[Q]) Fetch(ctx context.Context, queries []Query) ([]Reading, error) {
	narrow, err := narrowed[Q](queries)
	if err != nil {
		return nil, err
	}
	readings, err := e.src.Fetch(ctx, narrow)
	if err != nil {
		return nil, e.hide.redact(err)
	}
	if len(readings) != len(queries) {
		return nil, fmt.Errorf("the source returned %d readings for %d queries", len(readings), len(queries))
	}
	for i := range readings {
		readings[i].Err = e.hide.redact(readings[i].Err)
	}
	return readings, nil
}

// Watch implements Conn.
func (e erased[Q]) Watch(ctx context.Context, queries []Query, ready func(), wake func(Query)) error {
	w, ok := e.src.(Watcher[Q])
	if !ok {
		return errors.ErrUnsupported
	}
	narrow, err := narrowed[Q](queries)
	if err != nil {
		return err
	}
	wide := make(map[Q]Query, len(queries))
	for i, q := range narrow {
		wide[q] = queries[i]
	}
	return e.hide.redact(w.Watch(ctx, narrow, ready, func(q Q) {
		if back, ok := wide[q]; ok {
			wake(back)
		}
	}))
}

// Close implements Conn.
func (e erased[Q]) Close() error { return e.hide.redact(e.src.Close()) }

// narrowed gives the queries their type back.
func narrowed[Q comparable](in []Query) ([]Q, error) {
	out := make([]Q, len(in))
	for i, q := range in {
		what, ok := q.what.(Q)
		if !ok {
			return nil, fmt.Errorf("a query of type %T was given to a source for %T", q.what, out[i])
		}
		out[i] = what
	}
	return out, nil
}
