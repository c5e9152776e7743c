package scaledobject

import (
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Snapshot says what is known of one object, with its newest decisions; ok is false
// for an object that is not known. It reads from memory only.
func (r *Reconciler) Snapshot(namespace, name string) (out snapshot.Object, ok bool) {
	key := client.ObjectKey{Namespace: namespace, Name: name}
	st := r.objects.Find(key)
	if st == nil || st.shown.Load() == nil {
		return snapshot.Object{}, false
	}
	out = r.snapshot(key, st)
	out.Decisions = st.Decisions.All()
	return out, true
}

// Snapshots says what is known of all objects, without their decisions, sorted by
// namespace and name. It reads from memory only.
func (r *Reconciler) Snapshots() []snapshot.Object {
	keys := r.objects.Keys()
	out := make([]snapshot.Object, 0, len(keys))
	for _, key := range keys {
		if st := r.objects.Find(key); st != nil && st.shown.Load() != nil {
			out = append(out, r.snapshot(key, st))
		}
	}
	return out
}

// shown is what a snapshot needs of what only the reconciling goroutine may read. It
// is immutable.
type shown struct {
	paused   bool // altogether or in one direction
	problem  string
	interval time.Duration
	min, max int32
}

// tellSnapshots notes what snapshots are to say of an object after a pass.
func (o *object) tellSnapshots(so *v1alpha1.ScaledObject) {
	next := shown{
		paused:  so.PauseRequested() || so.ScaleInPaused() || so.ScaleOutPaused(),
		problem: o.complaint(), interval: so.Spec.PollingIntervalDuration(),
		min: so.Spec.MinReplicas(), max: so.Spec.MaxReplicas(),
	}
	if was := o.shown.Load(); was == nil || *was != next {
		o.shown.Store(&next)
	}
}

// snapshot says what is known of an object.
func (r *Reconciler) snapshot(key client.ObjectKey, st *object) snapshot.Object {
	shown := st.shown.Load()
	out := snapshot.Object{
		Kind: v1alpha1.KindScaledObject, Namespace: key.Namespace, Name: key.Name,
		Paused: shown.paused, Problem: shown.problem, Interval: snapshot.Of(shown.interval),
		Min: shown.min, Max: shown.max,
	}
	p, samples, errors := st.counted(r.Engine.Latest)
	out.Errors = errors
	if p == nil {
		return out
	}
	var w size
	if seen := st.seen.Load(); seen != nil {
		w = *seen
	}
	now := r.Now()
	marks, _ := p.marks(samples, now)
	list := p.weigh(samples, marks, w, now)
	for i, t := range p.triggers {
		s := snapshot.Trigger{
			Index: t.Index, Name: t.Name, Type: t.Type, Metric: t.MetricName, MetricType: string(t.MetricType),
			Target: t.Target, Activation: t.Activation, Known: samples[i].OK, Value: list[i].Value,
			Active: active(list[i], p, w), Fallback: list[i].FallbackActive && !list[i].Feeds, Measured: samples[i].Measured,
			Took: snapshot.Of(samples[i].Took), Err: list[i].Err, Failures: samples[i].Failures,
			Empty: samples[i].Empty, EmptyFails: samples[i].EmptyFails,
		}
		out.Triggers = append(out.Triggers, p.each(i, s, samples[i], w)...)
	}
	if m := p.modifiers; m != nil {
		result := list[len(list)-1]
		out.Triggers = append(out.Triggers, snapshot.Trigger{
			Index: -1, Metric: m.Name, MetricType: string(m.as), Target: m.Target, Activation: m.Activation,
			Known: result.State != decide.Unknown || result.FallbackActive, Value: result.Value, Active: active(result, p, w),
			Fallback: result.FallbackActive, Measured: oldest(samples, marks, now), Err: result.Err,
		})
	}
	return out
}

// active reports whether a trigger counts as work.
func active(t decide.Trigger, p *plan, w size) bool {
	if t.FallbackActive {
		n, err := p.fallbackReplicas(w)
		return err == nil && n > 0 && !t.Feeds
	}
	return t.Err == "" && t.State == decide.Busy
}

// each is one snapshot per metric of the trigger at a place of the plan, where s is
// what they have in common.
func (p *plan) each(i int, s snapshot.Trigger, sample engine.Sample, w size) []snapshot.Trigger {
	t := p.triggers[i]
	if t.Resource != nil {
		s.Resource, s.Target = true, resourceTarget(t.Resource.Target)
		s.MetricType = string(t.Resource.Target.Type)
		return []snapshot.Trigger{s}
	}
	if s.Fallback {
		_, err := p.standIn(w, t.MetricType, t.Target)
		s.Known = err == nil
	}
	if !t.Source.Definition().NamesMetrics || len(p.named[i]) == 0 {
		return []snapshot.Trigger{s}
	}
	var out []snapshot.Trigger
	for _, m := range p.named[i] {
		s.Metric, s.Target = namedMetric(t, m.Name), m.Target
		s.Value, s.Known = p.namedValue(m, s, sample, w, t)
		out = append(out, s)
	}
	return out
}

// namedValue is the value of a metric that its upstream names.
func (p *plan) namedValue(m scalers.Metric, s snapshot.Trigger, sample engine.Sample, w size, t triggers.Trigger) (float64, bool) {
	if s.Fallback {
		v, err := p.standIn(w, t.MetricType, m.Target)
		return v, err == nil
	}
	k := slices.IndexFunc(sample.Metrics, func(have scalers.Metric) bool { return have.Name == m.Name })
	if k < 0 {
		return 0, false
	}
	return sample.Metrics[k].Value, sample.OK
}

// resourceTarget is the target of a metric that the HPA reads itself.
func resourceTarget(t autoscalingv2.MetricTarget) float64 {
	switch {
	case t.AverageUtilization != nil:
		return float64(*t.AverageUtilization)
	case t.AverageValue != nil:
		return t.AverageValue.AsApproximateFloat64()
	}
	return 0
}

// replace puts a plan in the place of the one in force, which it returns; nil for
// none. Failures of queries that leave with that one stay counted.
func (o *object) replace(next *plan, latest func(scalers.Query) engine.Sample) (before *plan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before = o.current.Swap(next)
	if before == nil {
		return nil
	}
	for i, t := range before.triggers {
		stays := next != nil && slices.ContainsFunc(next.triggers, func(n triggers.Trigger) bool { return n.Query == t.Query })
		if !stays {
			o.errors += before.failedSince(i, latest(t.Query))
		}
	}
	return before
}

// counted returns the plan in force, its readings, and how often something failed.
func (o *object) counted(latest func(scalers.Query) engine.Sample) (p *plan, samples []engine.Sample, errors uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	errors = o.errors
	if p = o.current.Load(); p == nil {
		return nil, nil, errors
	}
	samples = p.samples(latest)
	for i, s := range samples {
		errors += p.failedSince(i, s)
	}
	return p, samples, errors
}

// failedSince counts the failed attempts since the plan has the query.
func (p *plan) failedSince(i int, s engine.Sample) uint64 {
	return s.Failures - min(p.past[i].attempts, s.Failures)
}

// told is a decision as others see it.
func told(d decide.Decision) snapshot.Decision {
	return snapshot.Decision{
		At: d.At, Action: string(d.Action), From: d.From, To: d.To, Reason: string(d.Reason), Message: d.Message,
		Triggers: scaled.Inputs(d.Triggers),
	}
}
