package scaledjob

import (
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Snapshot returns what is known of an object, with its decisions; ok is false for
// one that is not known.
func (r *Reconciler) Snapshot(namespace, name string) (out snapshot.Object, ok bool) {
	key := client.ObjectKey{Namespace: namespace, Name: name}
	st := r.objects.Find(key)
	if st == nil {
		return snapshot.Object{}, false
	}
	out = r.snapshot(key, st)
	out.Decisions = st.Decisions.All()
	return out, true
}

// Snapshots returns what is known of all objects, without decisions, by namespace
// and name.
func (r *Reconciler) Snapshots() []snapshot.Object {
	var out []snapshot.Object
	for _, key := range r.objects.Keys() {
		if st := r.objects.Find(key); st != nil {
			out = append(out, r.snapshot(key, st))
		}
	}
	return out
}

// snapshot reads what any goroutine may.
func (r *Reconciler) snapshot(key client.ObjectKey, st *object) snapshot.Object {
	out := snapshot.Object{Kind: v1alpha1.KindScaledJob, Namespace: key.Namespace, Name: key.Name}
	if p := st.current.Load(); p != nil {
		out.Interval, out.Min, out.Max = snapshot.Of(p.interval), p.spec.MinReplicas(), p.spec.MaxReplicas()
		for _, t := range p.triggers {
			s := r.Engine.Latest(t.Query)
			st.countFailures(t.Query, s.Failures)
			sign := scaled.SignOf(t, s, p.maxAge(), r.Now())
			seen := reading(t, s, sign, r.Now())
			out.Triggers = append(out.Triggers, snapshot.Trigger{
				Index: t.Index, Name: t.Name, Type: t.Type, Metric: seen.Name, MetricType: string(t.MetricType),
				Target: seen.Target, Activation: t.Activation, Known: s.OK, Value: seen.Value, Active: sign.State == decide.Busy,
				Measured: s.Measured, Took: snapshot.Of(s.Took), Err: seen.Err, Failures: s.Failures,
				Empty: s.Empty, EmptyFails: s.EmptyFails,
			})
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	out.Paused, out.Problem, out.Errors = st.shown.paused, st.shown.problem, st.shown.errors
	return out
}

// countFailures takes the failures of a query that were not counted yet. Failures
// counts from zero again when the query was not measured for a while.
func (o *object) countFailures(q scalers.Query, failures uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shown.failures == nil {
		o.shown.failures = map[scalers.Query]uint64{}
	}
	counted := o.shown.failures[q]
	if failures < counted {
		counted = 0
	}
	o.shown.errors += failures - counted
	o.shown.failures[q] = failures
}

// forgetFailures forgets what was counted of queries that are not measured any more.
func (o *object) forgetFailures(p *plan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.DeleteFunc(o.shown.failures, func(q scalers.Query, _ uint64) bool {
		return !slices.ContainsFunc(p.triggers, func(t triggers.Trigger) bool { return t.Query == q })
	})
}

// told is a decision as others see it.
func told(d jobs.Decision) snapshot.Decision {
	return snapshot.Decision{
		At: d.At, Action: string(d.Action), From: d.From, To: d.To, Reason: string(d.Reason), Message: d.Message,
		Triggers: scaled.Inputs(d.Triggers),
	}
}
