package scaledobject

import (
	"time"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// settled is what the last pass over an object was based on, when it left
// nothing to do: as long as every trigger says the same, another pass would do
// nothing again. It is what keeps 10,000 objects at rest cheap. It is immutable.
type settled struct {
	plan   *plan
	signs  []sign
	active bool      // each further reading moves the time of last activity
	until  time.Time // when to look at the workload again although no trigger says so; zero means never
}

// sign is what a reading means for its trigger.
type sign struct {
	state decide.State
	kind  scalers.Kind // of the error, if it is one
}

// stale stands in for the kind of error when a source has gone silent.
const stale scalers.Kind = "stale"

// sign says what a reading means.
func (p *plan) sign(t triggers.Trigger, s engine.Sample, now time.Time) sign {
	switch {
	case s.Err != nil:
		return sign{kind: scalers.KindOf(s.Err)}
	case !s.OK:
		return sign{}
	case now.Sub(s.Measured) > p.maxAge():
		return sign{kind: stale}
	case s.Activity == scalers.Busy, s.Activity == scalers.ByThreshold && max(s.Value, s.Work) > t.Activation:
		return sign{state: decide.Busy}
	}
	return sign{state: decide.Idle}
}

// settle remembers a pass that left nothing to do but to wait.
func (r *Reconciler) settle(st *object, p *plan, d decide.Decision, seen []sign) {
	last := &settled{plan: p, signs: seen, active: d.LastActive.Equal(d.At)}
	if !isDeployment(p.target) && !isStatefulSet(p.target) {
		// Nobody tells when somebody else scales such a workload.
		last.until = d.At.Add(p.interval)
	}
	st.settled.Store(last)
}

// unchanged reports whether the newest readings of an object say what they said
// in a pass that left nothing to do. If there is work, it counts as work until
// now.
func (r *Reconciler) unchanged(st *object) bool {
	last := st.settled.Load()
	if last == nil || st.dirty.Load() {
		return false
	}
	now := r.Now()
	if !last.until.IsZero() && !now.Before(last.until) {
		return false
	}
	if last.plan.renamed(r.Engine.Latest) {
		return false
	}
	for i, t := range last.plan.triggers {
		if last.plan.sign(t, r.Engine.Latest(t.Query), now) != last.signs[i] {
			return false
		}
	}
	if last.active {
		st.activeAt.Store(now.UnixNano())
	}
	return true
}

// OnReadings is for the engine's Config: it asks for those owners to be
// evaluated whose readings say something new.
func (r *Reconciler) OnReadings(owners []engine.Owner) {
	for _, o := range owners {
		k, ours := key(o)
		if !ours {
			continue
		}
		if st := r.objects.find(k); st == nil || !r.unchanged(st) {
			r.queue.add(k)
		}
	}
}
