package scaledjob

import (
	"hash/maphash"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide/jobs"
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
	dirty   atomic.Bool             // something the plan depends on changed; set by anybody
	current atomic.Pointer[plan]    // the last good plan; nil before the first and while nothing is measured; read by anybody
	settled atomic.Pointer[settled] // nil while there may be something to do; read by anybody
	ledger  ledger                  // safe for concurrent use

	uid        types.UID                 // of the object this is about
	generation int64                     // of the spec the plan was last tried for
	seed       maphash.Seed              // of all sums
	notes      uint64                    // sum of the annotations that were then in force
	rolled     int64                     // the generation whose rollout is done
	rolling    int64                     // the generation whose rollout was told to have begun
	problem    string                    // why the newest spec is not in force; empty when it is
	retryAt    time.Time                 // when to look at a problem again
	staleAt    time.Time                 // when to resolve credentials anew although nothing changed; zero: never
	warned     string                    // the warnings last told
	paused     bool                      // by annotation: nothing is measured
	listed     bool                      // the Jobs have been listed from the API server once
	lastRound  time.Time                 // when Jobs were last created for work; zero: never
	refused    string                    // why the last creation made no Job; empty when it made some
	failedBy   string                    // why creation was last told to fail; empty when it did not
	createAt   time.Time                 // when creation may be tried again after it failed; zero: it did not
	deleted    map[types.UID]bool        // finished Jobs that were deleted and are still in the cache
	lastActive time.Time                 // what the next decision gets
	watching   bool                      // the engine was told that there is no work
	failing    []string                  // the triggers that were last told to fail
	written    *v1alpha1.ScaledJobStatus // the status last written or seen; nil before begin
	messageAt  time.Time                 // when the text of a failure alone was last rewritten
	rewordAt   time.Time                 // when that may be done again; zero: there is nothing to rewrite

	mu    sync.Mutex // guards the fields below
	ring  []jobs.Decision
	shown shown
}

// shown is what others see of an object besides its readings.
type shown struct {
	paused   bool
	problem  string
	errors   uint64                   // in all
	failures map[scalers.Query]uint64 // the part of errors that each query has counted
}

// keptDecisions is how many decisions are remembered per object. A decision
// that says the same as the one before replaces it.
const keptDecisions = 100

// begin takes over what the status says when an object is seen first, also
// after a restart. The spec that the status answers is not rolled out anew: what
// runs then was created by it, or was left running on purpose.
func (o *object) begin(sj *v1alpha1.ScaledJob, now time.Time) {
	o.uid, o.seed, o.written = sj.UID, maphash.MakeSeed(), sj.Status.DeepCopy()
	o.rolled = sj.Status.ObservedGeneration
	if o.rolled == 0 {
		o.rolled = sj.Generation // another controller's, which does not say
	}
	o.dirty.Store(true)
	if sj.Status.LastActiveTime != nil {
		o.lastActive = sj.Status.LastActiveTime.Time
	}
	if v1alpha1.ConditionStatus(sj.Status.Conditions, v1alpha1.ConditionActive) == metav1.ConditionTrue {
		o.lastActive = now
	}
}

// planDue reports whether the plan must be made anew.
func (o *object) planDue(sj *v1alpha1.ScaledJob, now time.Time) bool {
	retry := o.problem != "" && !now.Before(o.retryAt)
	stale := !o.staleAt.IsZero() && !now.Before(o.staleAt)
	return o.dirty.Swap(false) || retry || stale || o.generation != sj.Generation || o.notes != o.sum(sj.Annotations)
}

// planned remembers which spec the plan was tried for, and how that went. A
// problem is a state to report; any other error is returned and the plan is
// tried again.
func (o *object) planned(sj *v1alpha1.ScaledJob, now time.Time, err error) error {
	o.generation, o.notes, o.problem = sj.Generation, o.sum(sj.Annotations), ""
	wrong := scaled.AsProblem(err)
	switch {
	case wrong != nil:
		o.problem, o.retryAt = wrong.Message, now.Add(scaled.RetryProblem)
	case err != nil:
		o.dirty.Store(true)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shown.paused, o.shown.problem = o.paused, o.problem
	if wrong != nil {
		o.shown.errors++
		return nil
	}
	return err
}

// sum is a number that differs when annotations do.
func (o *object) sum(annotations map[string]string) uint64 {
	sum := uint64(1)
	for k, v := range annotations {
		sum += maphash.Comparable(o.seed, [2]string{k, v})
	}
	return sum
}

// record remembers a decision.
func (o *object) record(d jobs.Decision) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.ring); n > 0 && o.ring[n-1].Action == jobs.Hold && o.ring[n-1].Reason == d.Reason && d.Action == jobs.Hold {
		o.ring[n-1] = d
		return
	}
	if len(o.ring) == keptDecisions {
		o.ring = slices.Delete(o.ring, 0, 1)
	}
	o.ring = append(o.ring, d)
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
	if last == nil || o.dirty.Load() {
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
