package scaledobject

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
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

// object is what is remembered of one ScaledObject. Without further mention fields
// belong to the goroutine that reconciles the object.
type object struct {
	scaled.Memory

	current  atomic.Pointer[plan]    // the last good plan; nil before the first and while nothing is measured; read by anybody
	settled  atomic.Pointer[settled] // nil while there may be something to do; read by anybody
	activeAt atomic.Int64            // when a settled object last had work, in Unix nanoseconds; written by anybody
	seen     atomic.Pointer[size]    // as last decided on; nil before that; read by anybody
	shown    atomic.Pointer[shown]   // nil before the first pass; read by anybody

	applied  uint64                       // sum of the labels and annotations the HPA was last given; zero: not known
	began    time.Time                    // when the object was first seen by this process
	hpaGrace time.Time                    // when to look again at an HPA that has not recovered; zero: it need not
	gone     string                       // what is missing of the workload of the plan in force; empty when nothing is
	yielded  bool                         // to an older object: nothing is measured and the HPA is gone, as when it is paused
	marks    []mark                       // of the plan's triggers, as last decided on
	countAt  time.Time                    // when to count another failure; zero: not before the next reading
	written  *v1alpha1.ScaledObjectStatus // the status last written or seen
	original *int32                       // the replicas that the workload of the plan had when it was found; nil before that

	mu     sync.Mutex // guards what follows, and changes of current
	errors uint64     // what failed without the queries of the plan in force
}

// begin takes over what the status says when an object is seen first, also
// after a restart.
func (o *object) begin(so *v1alpha1.ScaledObject, now time.Time) {
	o.Begin(so, so.Status.Conditions, so.Status.LastActiveTime, now)
	o.written, o.began = so.Status.DeepCopy(), now
	o.original = o.written.OriginalReplicaCount
}

// complaint is what a user must put right, or "".
func (o *object) complaint() string {
	if o.Problem == "" || o.gone == "" || strings.Contains(o.Problem, o.gone) {
		return cmp.Or(o.Problem, o.gone)
	}
	return o.Problem + "; " + o.gone
}

// planned remembers which spec was planned, and how that went. A spec that is wrong
// counts as an error.
func (o *object) planned(so *v1alpha1.ScaledObject, now time.Time, err error) error {
	if scaled.AsProblem(err) != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.errors++
	}
	return o.Planned(so, now, err, so.Labels, so.Annotations)
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
