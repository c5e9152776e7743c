package scaled

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Memory is what is remembered of an object of either kind between two passes over
// it. Without further mention fields belong to the goroutine that reconciles the
// object. The zero value is that of an object not seen yet; see Begin.
type Memory struct {
	Dirty     atomic.Bool // something the plan depends on changed; set by anybody
	Decisions Decisions   // the newest; safe for concurrent use

	UID        types.UID // of the object this is about; empty before Begin
	Problem    string    // why the newest spec is not in force; empty when it is
	StaleAt    time.Time // when to resolve credentials anew although nothing changed; zero: never
	Warned     string    // the warnings last told; see Teller.Warnings
	Paused     bool      // by annotation: nothing is measured
	LastActive time.Time // what the next decision gets; zero: never
	Watching   bool      // the engine was told to watch for work

	seed       maphash.Seed // of all sums
	generation int64        // of the spec that was planned last
	notes      uint64       // sum of what else was planned then
	retryAt    time.Time    // when to look at the Problem again
	failing    []string     // the triggers that were last told to fail
	rewordedAt time.Time    // when the text of a failure alone was last rewritten
	rewordAt   time.Time    // when that may be done again; zero: there is nothing to rewrite
}

// Begin takes over what the status of o says when o is seen first, also after a
// restart. An object that was active then counts as active until now: its cooldown
// can only begin later than it would have, never earlier.
func (m *Memory) Begin(o client.Object, conditions []v1alpha1.Condition, lastActive *metav1.Time, now time.Time) {
	m.UID, m.seed = o.GetUID(), maphash.MakeSeed()
	m.Dirty.Store(true)
	if lastActive != nil {
		m.LastActive = lastActive.Time
	}
	if v1alpha1.ConditionStatus(conditions, v1alpha1.ConditionActive) == metav1.ConditionTrue {
		m.LastActive = now
	}
}

// PlanDue reports whether o must be planned: because it was never, something it
// depends on changed, its spec or notes did, a problem is to be looked at again, or
// credentials are. Notes are the labels and annotations that have a part in the plan.
func (m *Memory) PlanDue(o client.Object, now time.Time, notes ...map[string]string) bool {
	retry := m.Problem != "" && !now.Before(m.retryAt)
	stale := !m.StaleAt.IsZero() && !now.Before(m.StaleAt)
	return m.Dirty.Swap(false) || retry || stale || m.generation != o.GetGeneration() || m.notes != m.Sum(notes...)
}

// Planned remembers which spec and notes of o were planned, and how that went: with
// a ProblemError, which is a state to report, or with any other error, which is
// returned and makes the plan due again.
func (m *Memory) Planned(o client.Object, now time.Time, err error, notes ...map[string]string) error {
	m.generation, m.notes, m.Problem = o.GetGeneration(), m.Sum(notes...), ""
	switch wrong := AsProblem(err); {
	case wrong != nil:
		m.Problem, m.retryAt = wrong.Message, now.Add(RetryProblem)
	case err != nil:
		m.Dirty.Store(true)
		return err
	}
	return nil
}

// Sum is a number that differs when one of the maps does. It differs from one
// Memory to the next; it is never zero but by chance.
func (m *Memory) Sum(maps ...map[string]string) uint64 {
	type entry struct {
		in         int
		key, value string
	}
	sum := uint64(1)
	for i, list := range maps {
		for k, v := range list {
			sum += maphash.Comparable(m.seed, entry{i, k, v})
		}
	}
	return sum
}

// Recheck is when to look at the object again if nothing happens to it: after a span
// or at one of the instants, of which the zero ones do not count, or when something
// remembered is due. Zero means not before something happens.
func (m *Memory) Recheck(now time.Time, after time.Duration, at ...time.Time) time.Duration {
	at = append(at, m.StaleAt, m.rewordAt)
	if m.Problem != "" {
		at = append(at, m.retryAt)
	}
	for _, t := range at {
		if !t.IsZero() {
			after = Sooner(after, max(t.Sub(now), time.Millisecond))
		}
	}
	return after
}

// Conditions are those of the next status of o; see Written.
func (m *Memory) Conditions(o client.Object, list *[]v1alpha1.Condition, now time.Time) Conditions {
	return Conditions{List: list, now: now, generation: o.GetGeneration(), mayReword: now.Sub(m.rewordedAt) >= RewriteAfter}
}

// Written remembers what became of the texts of failures, once the status that c
// belongs to is written.
func (m *Memory) Written(c Conditions) {
	if c.reworded {
		m.rewordedAt = c.now
	}
	m.rewordAt = time.Time{}
	if c.stale {
		m.rewordAt = m.rewordedAt.Add(RewriteAfter)
	}
}
