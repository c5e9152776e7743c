package scaledobject

import (
	"time"

	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// settled is what the last pass over an object was based on, when it left
// nothing to do: as long as every trigger says the same, another pass would do
// nothing again. It is what keeps 10,000 objects at rest cheap. It is immutable.
type settled struct {
	plan   *plan
	marks  []mark
	size   size
	result decide.Trigger // of the formula, if there is one
	active bool           // each further reading moves the time of last activity
	until  time.Time      // when to look at the workload again although no trigger says so; zero means never
}

// settle remembers a pass that left nothing to do but to wait.
func (r *Reconciler) settle(st *object, p *plan, d decide.Decision, seen view) {
	last := &settled{plan: p, marks: seen.marks, size: seen.size, active: d.LastActive.Equal(d.At)}
	if p.modifiers != nil {
		last.result = seen.triggers[len(p.triggers)]
	}
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
	if last == nil || st.Dirty.Load() {
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
		if m, _ := last.plan.mark(i, r.Engine.Latest(t.Query), now); m != last.marks[i] {
			return false
		}
	}
	if last.plan.modifiers != nil && !last.sameResult(r.Engine.Latest, now) {
		return false
	}
	if last.active {
		st.activeAt.Store(now.UnixNano())
	}
	return true
}

// sameResult reports whether the formula says the same of the newest readings.
func (l *settled) sameResult(latest func(scalers.Query) engine.Sample, now time.Time) bool {
	list := l.plan.weigh(l.plan.samples(latest), l.marks, l.size, now)
	result := list[len(list)-1]
	return result.State == l.result.State && result.FallbackActive == l.result.FallbackActive && result.Err == l.result.Err
}

// OnReadings is for the engine's Config: it asks for those owners to be
// evaluated whose readings say something new.
func (r *Reconciler) OnReadings(owners []engine.Owner) {
	for key := range scaled.KeysOf(scaled.Object, owners) {
		if st := r.objects.Find(key); st == nil || !r.unchanged(st) {
			r.queue.Add(key)
		}
	}
}
