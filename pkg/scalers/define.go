package scalers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Spec describes a scaler type. S and Q hold only values: Define refuses types
// with pointers, interfaces or channels, whose == compares addresses.
type Spec[S, Q comparable] struct {
	Type    string // as users write it: lower case, dashes
	Summary string // one sentence, starting with "Scales on"
	Unit    string // what Value counts: "messages", "seconds"

	// Settings binds where to connect and as whom; nil binds nothing.
	Settings func(*S, *param.Set)
	// Query binds what to measure; nil binds nothing.
	Query func(*Q, *param.Set)
	// Target names the target and activation parameters. Scalers whose target
	// depends on a mode leave it zero and set Thresholds.
	Target Target
	// Thresholds binds target and activation where Target does not suffice. It
	// may complete the query with them, at the cost of sharing: equal queries
	// with other thresholds are then measured apart. It is called after Query.
	Thresholds func(*Q, *Thresholds, *param.Set)
	// MetricName is the part of the HPA's metric name after "s<index>-", before
	// normalisation. Users' dashboards depend on it.
	MetricName func(S, Q) string

	// Open connects. It returns soon after ctx ends; the source lives on after
	// that. It is nil if, and only if, Q is Resource.
	Open func(context.Context, Env, S) (Source[Q], error)
	// MaxBatch is the most queries one Fetch takes; zero means no limit.
	MaxBatch int
	// PerQuery says that the upstream has no batch call: every query costs it a
	// request, or money. Reads of the HPA then refresh only what they ask for.
	PerQuery bool
	// Watches says that the source implements Watcher.
	Watches bool
	// NamesMetrics says that the upstream names its metrics and their targets:
	// readings then have Metrics, and MetricName only names the trigger.
	NamesMetrics bool

	Page     Page
	Examples []Example
}

// Definition is a Spec with its types erased, so that a registry can hold many.
// It is immutable.
type Definition struct {
	Type, Summary, Unit string

	Params       []param.Info // in the order they are bound
	MaxBatch     int          // the most queries one Fetch takes; zero means no limit
	PerQuery     bool         // every query costs the upstream a request
	Watches      bool         // sources can signal changes
	NamesMetrics bool         // readings have Metrics
	ReadByHPA    bool         // the query is a Resource, and nothing is measured
	Page         Page
	Examples     []Example

	parse func(param.Values) (parsed, []param.Warning, error)
	bound func(param.Values) []param.Info
	open  func(context.Context, Env, any) (Conn, error)
}

// parsed is what Definition.parse gives: settings and query with their types
// erased.
type parsed struct {
	settings, query any
	thresholds      Thresholds
	metricName      string
}

// Define checks and erases s. It panics on a malformed Spec: that is a bug in
// the scaler, and every build's tests define every scaler.
func Define[S, Q comparable](s Spec[S, Q]) *Definition {
	s.check()
	bind := func(st *S, q *Q, th *Thresholds) func(*param.Set) {
		return func(p *param.Set) { s.bind(st, q, th, p) }
	}
	_, resource := any(*new(Q)).(Resource)
	return &Definition{
		ReadByHPA: resource,
		Type:      s.Type, Summary: s.Summary, Unit: s.Unit, Page: s.Page, Examples: s.Examples,
		MaxBatch: s.MaxBatch, PerQuery: s.PerQuery, Watches: s.Watches, NamesMetrics: s.NamesMetrics,
		Params: param.Describe(bind(new(S), new(Q), new(Thresholds))),
		parse: func(v param.Values) (parsed, []param.Warning, error) {
			st, q, th := new(S), new(Q), new(Thresholds)
			warnings, err := param.Parse(v, bind(st, q, th))
			if err != nil {
				return parsed{}, warnings, err
			}
			return parsed{*st, *q, *th, s.MetricName(*st, *q)}, warnings, nil
		},
		bound: func(v param.Values) []param.Info { return param.Bound(v, bind(new(S), new(Q), new(Thresholds))) },
		open: func(ctx context.Context, env Env, st any) (Conn, error) {
			settings, ok := st.(S)
			if !ok {
				return nil, fmt.Errorf("opening %s: settings of type %T", s.Type, st)
			}
			return s.open(ctx, env, settings)
		},
	}
}

// check panics when the Spec is malformed.
func (s *Spec[S, Q]) check() {
	_, resource := any(*new(Q)).(Resource)
	if s.Type == "" || s.Summary == "" || s.Unit == "" || s.MetricName == nil || resource != (s.Open == nil) {
		panic(fmt.Sprintf("scalers: incomplete Spec %q", s.Type))
	}
	if t := s.Target; t.Param != "" && (t.Activation == "" || t.Default <= 0) {
		panic(fmt.Sprintf("scalers: %s: incomplete Target %q", s.Type, t.Param))
	}
	for _, t := range []reflect.Type{reflect.TypeFor[S](), reflect.TypeFor[Q]()} {
		if !plain(t) {
			panic(fmt.Sprintf("scalers: %s: %v holds a pointer; == would compare addresses", s.Type, t))
		}
	}
}

// open connects and checks that the source is what the Spec says.
func (s *Spec[S, Q]) open(ctx context.Context, env Env, settings S) (Conn, error) {
	if s.Open == nil {
		return nil, fmt.Errorf("opening %s: the HPA reads this metric itself", s.Type)
	}
	hide := secretsOf(settings)
	src, err := s.Open(ctx, env.complete(), settings)
	if err != nil {
		return nil, hide.redact(err)
	}
	if _, ok := src.(Watcher[Q]); s.Watches && !ok {
		return nil, errors.Join(fmt.Errorf("opening %s: its Spec says Watches, but %T has no Watch", s.Type, src), src.Close())
	}
	return erased[Q]{src, hide}, nil
}

// bind runs all of the Spec's bindings.
func (s *Spec[S, Q]) bind(st *S, q *Q, th *Thresholds, p *param.Set) {
	if s.Settings != nil {
		s.Settings(st, p)
	}
	if s.Query != nil {
		s.Query(q, p)
	}
	if s.Target.Param != "" {
		s.Target.bind(th, s.Unit, p)
	}
	if s.Thresholds != nil {
		s.Thresholds(q, th, p)
	}
}

// bind declares the two parameters of a simple trigger.
func (t Target) bind(th *Thresholds, unit string, p *param.Set) {
	doc := t.Doc
	if doc == "" {
		doc = "How many " + unit + " one replica should carry."
	}
	activationDoc := "How many " + unit + " are not yet work: the workload wakes from zero above this."
	th.Target = t.Default
	if !t.Whole {
		p.Float(&th.Target, t.Param, doc, param.Alias(t.Aliases...))
		p.Float(&th.Activation, t.Activation, activationDoc)
		p.Check(func() error {
			th.Target = max(0, th.Target) // as it always was; whole numbers are kept
			return nil
		}, t.Param)
		return
	}
	WholeTarget(&th.Target, t.Param, doc, p, param.Alias(t.Aliases...))
	WholeTarget(&th.Activation, t.Activation, activationDoc, p)
}

// WholeTarget binds a target or activation that must be a whole number. Zero
// and negative numbers are accepted, as users' manifests hold them.
func WholeTarget(dst *float64, name, doc string, p *param.Set, opts ...param.Option) {
	n := int64(*dst)
	p.Int(&n, math.MinInt64, math.MaxInt64, name, doc, opts...)
	p.Check(func() error {
		*dst = float64(n)
		return nil
	}, name)
}

// plain reports whether == on t compares by value alone.
func plain(t reflect.Type) bool {
	if t == reflect.TypeFor[param.Secret]() {
		return true
	}
	switch t.Kind() {
	case reflect.Struct:
		for f := range t.Fields() {
			if !plain(f.Type) {
				return false
			}
		}
	case reflect.Array:
		return plain(t.Elem())
	case reflect.Pointer, reflect.Interface, reflect.Chan, reflect.UnsafePointer:
		return false
	}
	return true
}

// normalise replaces the characters that the metric name of an HPA has never
// had: one dash each. Nothing else is touched, since names are users' keys.
func normalise(name string) string {
	return strings.NewReplacer("/", "-", ".", "-", ":", "-", "%", "-", "(", "-", ")", "-").Replace(name)
}
