package scaledjob

import (
	"cmp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// plan is what an object asks for, resolved. It is immutable.
type plan struct {
	spec       *v1alpha1.ScaledJobSpec
	generation int64              // of spec
	triggers   []triggers.Trigger // those that are measured
	interval   time.Duration
}

// maxAge is the age from which a reading counts as none.
func (p *plan) maxAge() time.Duration { return scaled.MaxAge(p.interval) }

// uses is what the engine is asked to measure; idle says that there is no work, so
// that a signal of some should be told at once.
func (p *plan) uses(idle bool) []engine.Use {
	out := make([]engine.Use, len(p.triggers))
	for i, t := range p.triggers {
		out[i] = engine.Use{Query: t.Query, Interval: p.interval, Watch: idle}
	}
	return out
}

// namesOf returns the names of the metrics of a trigger; ok is false while the
// upstream, which names them, has not been asked.
func namesOf(t triggers.Trigger, s engine.Sample) (names []string, ok bool) {
	if !t.Source.Definition().NamesMetrics {
		return []string{t.MetricName}, true
	}
	for _, m := range s.Metrics {
		names = append(names, namedMetric(t, m))
	}
	return names, s.OK
}

// namedMetric is the name that users see of a metric which the upstream names.
func namedMetric(t triggers.Trigger, m scalers.Metric) string {
	return "s" + strconv.Itoa(t.Index) + "-" + m.Name
}

// object is what is remembered of one ScaledJob. Without further mention fields
// belong to the goroutine that reconciles the object.
type object struct {
	scaled.Memory

	current atomic.Pointer[plan]    // the last good plan; nil before the first and while nothing is measured; read by anybody
	settled atomic.Pointer[settled] // nil while there may be something to do; read by anybody
	ledger  ledger                  // safe for concurrent use

	rolled    int64                     // the generation whose rollout is done
	rolling   int64                     // the generation whose rollout was told to have begun
	listed    bool                      // the Jobs have been listed from the API server once
	lastRound time.Time                 // when Jobs were last created for work; zero: never
	refused   string                    // why the last creation made no Job; empty when it made some
	failedBy  string                    // why creation was last told to fail; empty when it did not
	createAt  time.Time                 // when creation may be tried again after it failed; zero: it did not
	deleted   map[types.UID]bool        // finished Jobs that were deleted and are still in the cache
	written   *v1alpha1.ScaledJobStatus // the status last written or seen

	mu    sync.Mutex // guards shown
	shown shown
}

// shown is what others see of an object besides its readings and decisions.
type shown struct {
	paused   bool
	problem  string
	errors   uint64                   // in all
	failures map[scalers.Query]uint64 // the part of errors that each query has counted
}

// begin takes over what the status says when an object is seen first, also
// after a restart. A spec that was rolled out is not rolled out anew: what runs then
// was created by it, or was left running on purpose. Which that is, Active says: it
// answers the spec in force, where the rest of the status answers the newest one,
// be it paused, wrong or only half rolled out.
func (o *object) begin(sj *v1alpha1.ScaledJob, now time.Time) {
	o.Begin(sj, sj.Status.Conditions, sj.Status.LastActiveTime, now)
	o.written = sj.Status.DeepCopy()
	o.rolled = cmp.Or(sj.Status.ObservedGeneration, sj.Generation) // another controller's does not say
	if c := v1alpha1.FindCondition(sj.Status.Conditions, v1alpha1.ConditionActive); c != nil && c.ObservedGeneration > 0 {
		o.rolled = c.ObservedGeneration
	}
}

// planned remembers which spec was planned, and how that went. A spec that is wrong
// counts as an error.
func (o *object) planned(sj *v1alpha1.ScaledJob, now time.Time, err error) error {
	failure := o.Planned(sj, now, err, sj.Annotations)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shown.paused, o.shown.problem = o.Paused, o.Problem
	if o.Problem != "" {
		o.shown.errors++
	}
	return failure
}

// settled is what the last pass over an object was based on, when it left nothing
// to do: as long as every trigger says the same, another pass would do nothing
// again. An object with work never settles. It is immutable.
type settled struct {
	plan  *plan
	signs []scaled.Sign
}

// unchanged reports whether the newest readings of an object say what they said
// in a pass that left nothing to do.
func (r *Reconciler) unchanged(o *object) bool {
	last := o.settled.Load()
	if last == nil || o.Dirty.Load() {
		return false
	}
	now := r.Now()
	for i, t := range last.plan.triggers {
		if scaled.SignOf(t, r.Engine.Latest(t.Query), last.plan.maxAge(), now) != last.signs[i] {
			return false
		}
	}
	return true
}
