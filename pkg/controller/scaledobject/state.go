package scaledobject

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// plan is what an object asks for, resolved. It is immutable.
type plan struct {
	target   kube.Target
	triggers []triggers.Trigger
	interval time.Duration
	hpaName  string
	// fallback and modifiers are nil when there is none. Fallback is read only.
	fallback  *v1alpha1.Fallback
	modifiers *modifiers
	// past holds, by the trigger's place in triggers, what was before.
	past []past
	// carried holds, by metric name, the last readings with the settings before
	// (a password that has changed), for the HPA until there are new ones.
	carried map[string]engine.Sample
	// named holds, by the trigger's place in triggers, the metrics that its
	// upstream names; an entry is missing until they are known.
	named map[int][]scalers.Metric
}

// carry takes over the readings of the plan before for triggers that are
// measured in another way now.
func (p *plan) carry(before *plan, latest func(scalers.Query) engine.Sample) {
	if before == nil {
		return
	}
	p.carried = map[string]engine.Sample{}
	for _, t := range p.triggers {
		was, ok := before.metric(t.MetricName)
		if !ok || was.Query == t.Query {
			continue
		}
		s := latest(was.Query)
		if !s.OK {
			s = before.carried[t.MetricName]
		}
		if s.OK {
			p.carried[t.MetricName] = s
		}
	}
}

// metric returns the trigger of this metric name; case does not count.
func (p *plan) metric(name string) (triggers.Trigger, bool) {
	i := slices.IndexFunc(p.triggers, func(t triggers.Trigger) bool { return strings.EqualFold(t.MetricName, name) })
	if i < 0 {
		return triggers.Trigger{}, false
	}
	return p.triggers[i], true
}

// maxAge is the age from which a reading counts as none.
func (p *plan) maxAge() time.Duration { return scaled.MaxAge(p.interval) }

// object is what is remembered of one ScaledObject. Without further mention
// fields belong to the goroutine that reconciles the object.
type object struct {
	dirty   atomic.Bool          // something the plan depends on changed; set by anybody
	current atomic.Pointer[plan] // the last good plan; nil before the first and while nothing is measured; read by anybody

	settled  atomic.Pointer[settled] // nil while there may be something to do; read by anybody
	activeAt atomic.Int64            // when a settled object last had work, in Unix nanoseconds; written by anybody

	seen atomic.Pointer[size] // as last decided on; nil before that; read by anybody

	uid        types.UID                    // of the object this is about
	generation int64                        // of the spec the plan was last tried for
	seed       maphash.Seed                 // of all sums
	notes      uint64                       // sum of the annotations and labels that were then in force
	applied    uint64                       // sum of the labels and annotations the HPA was last given; zero: not known
	problem    string                       // why the newest spec is not in force; empty when it is
	retryAt    time.Time                    // when to look at a problem again
	staleAt    time.Time                    // when to resolve credentials anew although nothing changed; zero: never
	began      time.Time                    // when the object was first seen by this process
	hpaGrace   time.Time                    // when to look again at an HPA that has not recovered; zero: it need not
	gone       string                       // what is missing of the workload of the plan in force; empty when nothing is
	warned     string                       // the warnings last told
	paused     bool                         // by annotation: nothing is measured and the HPA is gone
	yielded    bool                         // to an older object: the same
	lastActive time.Time                    // what the next decision gets
	watching   bool                         // the engine was told that the workload is idle
	failing    []string                     // the triggers that were last told to fail
	marks      []mark                       // of the plan's triggers, as last decided on
	countAt    time.Time                    // when to count another failure; zero: not before the next reading
	written    *v1alpha1.ScaledObjectStatus // the status last written or seen; nil before begin
	original   *int32                       // the replicas that the workload of the plan had when it was found; nil before that
	messageAt  time.Time                    // when the text of a failure alone was last rewritten
	rewordAt   time.Time                    // when that may be done again; zero: there is nothing to rewrite

	told atomic.Pointer[told] // nil before the first pass; read by anybody

	mu     sync.Mutex // guards what follows, and changes of current
	ring   []decide.Decision
	errors uint64 // what failed without the queries of the plan in force
}

// keptDecisions is how many decisions are remembered per object. A decision
// that says the same as the one before replaces it.
const keptDecisions = 100

// begin takes over what the status says when an object is seen first, also
// after a restart. An object that was active then counts as active until now:
// its cooldown can only begin later than it would have, never earlier.
func (o *object) begin(so *v1alpha1.ScaledObject, now time.Time) {
	o.uid, o.seed, o.written, o.began = so.UID, maphash.MakeSeed(), so.Status.DeepCopy(), now
	o.original = o.written.OriginalReplicaCount
	o.dirty.Store(true)
	if so.Status.LastActiveTime != nil {
		o.lastActive = so.Status.LastActiveTime.Time
	}
	if v1alpha1.ConditionStatus(so.Status.Conditions, v1alpha1.ConditionActive) == metav1.ConditionTrue {
		o.lastActive = now
	}
}

// planDue reports whether the plan must be made anew.
func (o *object) planDue(so *v1alpha1.ScaledObject, now time.Time) bool {
	retry := o.problem != "" && !now.Before(o.retryAt)
	stale := !o.staleAt.IsZero() && !now.Before(o.staleAt)
	return o.dirty.Swap(false) || retry || stale || o.generation != so.Generation || o.notes != o.sum(so.Labels, so.Annotations)
}

// complaint is what a user must put right, or "".
func (o *object) complaint() string {
	if o.problem == "" || o.gone == "" || strings.Contains(o.problem, o.gone) {
		return cmp.Or(o.problem, o.gone)
	}
	return o.problem + "; " + o.gone
}

// planned remembers which spec the plan was tried for, and how that went. A
// problem is a state to report; any other error is returned and the plan is
// tried again.
func (o *object) planned(so *v1alpha1.ScaledObject, now time.Time, err error) error {
	o.generation, o.notes, o.problem = so.Generation, o.sum(so.Labels, so.Annotations), ""
	wrong := scaled.AsProblem(err)
	switch {
	case err == nil:
	case wrong != nil:
		o.problem, o.retryAt = wrong.Message, now.Add(scaled.RetryProblem)
		o.fails()
	default:
		o.dirty.Store(true)
		return err
	}
	return nil
}

// fails counts a spec that could not be put in force.
func (o *object) fails() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.errors++
}

// sum is a number that differs when labels or annotations do.
func (o *object) sum(labels, annotations map[string]string) uint64 {
	sum := uint64(1)
	for k, v := range labels {
		sum += maphash.Comparable(o.seed, [3]string{"label", k, v})
	}
	for k, v := range annotations {
		sum += maphash.Comparable(o.seed, [3]string{"annotation", k, v})
	}
	return sum
}

// record remembers a decision.
func (o *object) record(d decide.Decision) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.ring); n > 0 && o.ring[n-1].Action == decide.Hold && o.ring[n-1].Reason == d.Reason && d.Action == decide.Hold {
		o.ring[n-1] = d
		return
	}
	if len(o.ring) == keptDecisions {
		o.ring = slices.Delete(o.ring, 0, 1)
	}
	o.ring = append(o.ring, d)
}

func (o *object) decisions() []decide.Decision {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.ring)
}

// uses is what the engine is asked to measure; idle says that the workload is at
// rest, so that a signal of work should wake it at once.
func (p *plan) uses(idle bool) []engine.Use {
	out := make([]engine.Use, 0, len(p.triggers))
	for _, t := range p.triggers {
		if t.Resource == nil {
			out = append(out, engine.Use{Query: t.Query, Interval: p.interval, Watch: idle})
		}
	}
	return out
}
