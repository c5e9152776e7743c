package scaledjob

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// evaluate decides on the newest readings and acts on the decision. It returns
// nil and no error when there is nothing to decide on.
func (r *Reconciler) evaluate(ctx context.Context, sj *v1alpha1.ScaledJob, st *object) (*jobs.Decision, error) {
	p := st.current.Load()
	if p == nil {
		return nil, nil
	}
	seen := r.observe(st, p)
	found, err := r.take(ctx, sj, st, p, &seen)
	d := jobs.Decide(seen.Input)
	if err == nil && (d.Action == jobs.Create && !st.listed || st.ledger.overdue(d.At)) {
		if _, err = r.live(ctx, sj, st, found.cached); err == nil {
			seen.LastRound = st.lastRound
			found, err = r.take(ctx, sj, st, p, &seen)
		}
		seen.Known = err == nil
		d = jobs.Decide(seen.Input)
	}
	switch {
	case err != nil:
		d.Ready.Message = scaled.Cause(err)
	case d.Action == jobs.Create:
		r.act(ctx, sj, st, p, seen.newest, &d)
	case d.Reason != jobs.BackingOff:
		st.refused, st.createAt = "", time.Time{}
	}
	r.settle(st, p, d, seen.signs, err)
	st.LastActive = d.LastActive
	st.Decisions.Add(told(d))
	r.OnDecision(sj.Namespace, sj.Name, told(d))
	r.tell.Failures(sj, &st.Memory, v1alpha1.EventScalerFailed, d.Triggers)
	r.watch(sj, st, p, d)
	if err != nil {
		return &d, err
	}
	return &d, r.tidy(ctx, sj, st, p, found.cached)
}

// observation is what a decision depends on, and what the caller needs besides.
type observation struct {
	jobs.Input

	signs  []scaled.Sign // of the triggers
	oldest time.Time     // when the first measurement that says there is work began; now when none does
	newest time.Time     // when the last of them ended; zero when none does
}

// observe gathers all but the Jobs.
func (r *Reconciler) observe(st *object, p *plan) observation {
	now, s := r.Now(), &p.spec.ScalingStrategy
	out := observation{Input: jobs.Input{
		Now: now, Min: p.spec.MinReplicas(), Max: p.spec.MaxReplicas(),
		Strategy: jobs.Strategy(s.EffectiveStrategy()), Calculation: jobs.Calculation(s.EffectiveCalculation()),
		Percentage: s.CustomScalingRunningJobPercentage,
		Interval:   p.interval, LastRound: st.lastRound, RetryAt: st.createAt, LastActive: st.LastActive,
	}, oldest: now}
	if s.CustomScalingQueueLengthDeduction != nil {
		out.Deduction = *s.CustomScalingQueueLengthDeduction
	}
	for _, t := range p.triggers {
		sample := r.Engine.Latest(t.Query)
		sign := scaled.SignOf(t, sample, p.maxAge(), now)
		out.signs = append(out.signs, sign)
		out.Triggers = append(out.Triggers, reading(t, sample, sign, now))
		st.countFailures(t.Query, sample.Failures)
		if sign.State != decide.Busy {
			continue
		}
		if began := sample.Measured.Add(-sample.Took); began.Before(out.oldest) {
			out.oldest = began
		}
		if sample.Measured.After(out.newest) {
			out.newest = sample.Measured
		}
	}
	return out
}

// reading is a trigger as the decision sees it. Its age counts from the beginning
// of the measurement. Of the metrics that an upstream names, the one that asks for
// most counts.
func reading(t triggers.Trigger, s engine.Sample, sign scaled.Sign, now time.Time) decide.Trigger {
	out := scaled.Reading(t, s, sign, now)
	if s.OK {
		out.Age += s.Took
	}
	if !t.Source.Definition().NamesMetrics || len(s.Metrics) == 0 {
		return out
	}
	most := slices.MaxFunc(s.Metrics, func(a, b scalers.Metric) int { return cmp.Compare(asksFor(a), asksFor(b)) })
	out.Name, out.Value, out.Target = namedMetric(t, most), most.Value, most.Target
	return out
}

func asksFor(m scalers.Metric) float64 {
	if m.Target <= 0 {
		return -1
	}
	return m.Value / m.Target
}

// longestFetch is longer than any measurement takes.
const longestFetch = 30 * time.Second

// take adds what is known of the Jobs.
func (r *Reconciler) take(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, p *plan, to *observation) (census, error) {
	c, err := r.count(ctx, sj, st)
	if err == nil && (to.Strategy == jobs.Accurate || to.Strategy == jobs.Eager) {
		var pending int
		pending, err = r.pending(ctx, sj, c, p.spec.ScalingStrategy.PendingPodConditions)
		to.Pending = int32(pending)
	}
	// No reading that is still to come, or is under way, shows what ended so long ago.
	horizon := to.Now.Add(-p.maxAge() - longestFetch)
	to.Known = err == nil
	to.Unfinished, to.Recent = int32(c.unfinished), int32(st.ledger.recent(to.oldest, horizon))
	return c, err
}

// act creates the Jobs that d asks for, and writes into d how many there are.
// Newest is when the newest reading with work was taken.
func (r *Reconciler) act(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, p *plan, newest time.Time, d *jobs.Decision) {
	wanted := d.Create
	started := r.Now()
	made, err := r.create(ctx, sj, st, p, int(wanted))
	d.Create, d.To = int32(made), d.From+int32(made)
	r.OnCreated(Created{Namespace: sj.Namespace, Name: sj.Name, Decision: *d, Measured: newest, Started: started, Done: r.Now(), Err: err})
	st.refused, st.createAt = "", time.Time{}
	if made > 0 {
		if d.Reason == jobs.WorkWaiting {
			st.lastRound = r.Now()
		}
		r.Log.Info("created Jobs", scaled.Named(sj), slog.Int("jobs", made), slog.Int("from", int(d.From)), slog.Int("to", int(d.To)),
			slog.String("reason", string(d.Reason)), slog.String("message", d.Message))
		r.tell.Normal(sj, v1alpha1.EventJobsCreated, "creating", fmt.Sprintf("created %s: %s", many(made), d.Message))
	}
	if err == nil {
		st.failedBy = ""
		return
	}
	text, cause := failedToCreate(made, int(wanted), err), scaled.Cause(err)
	if made > 0 || cause != st.failedBy {
		r.Log.Error("creating Jobs failed", scaled.Named(sj), slog.Int("jobs", made), slog.Int("wanted", int(wanted)), slog.Any("error", err))
		r.tell.Warning(sj, v1alpha1.EventJobCreateFailed, "creating", text)
	}
	st.failedBy = cause
	if d.Message += "; " + text; made == 0 {
		d.Action, st.refused = jobs.Hold, cause
	}
	// The next poll may come a little early.
	st.createAt = r.Now().Add(p.interval - p.interval/10)
	d.Recheck = scaled.Sooner(d.Recheck, st.createAt.Sub(r.Now()))
}

// settle remembers a pass that left nothing to do but to wait.
func (r *Reconciler) settle(st *object, p *plan, d jobs.Decision, signs []scaled.Sign, err error) {
	busy := slices.ContainsFunc(signs, func(s scaled.Sign) bool { return s.State == decide.Busy })
	if err == nil && d.Action == jobs.Hold && d.Reason != jobs.BackingOff && !busy {
		st.settled.Store(&settled{plan: p, signs: signs})
	}
}

// watch tells the engine when work came or went, so that it watches for work only
// where there is none.
func (r *Reconciler) watch(sj *v1alpha1.ScaledJob, st *object, p *plan, d jobs.Decision) {
	idle := !slices.ContainsFunc(d.Triggers, func(t decide.Trigger) bool { return t.State == decide.Busy })
	if idle == st.Watching {
		return
	}
	st.Watching = idle
	r.Engine.Set(scaled.Job.Owner(client.ObjectKeyFromObject(sj)), p.uses(idle))
}
