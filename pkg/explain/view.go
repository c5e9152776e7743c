package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// view is the facts and the report in the form in which situations are told apart.
type view struct {
	*facts

	r       *Report
	failing []Trigger // cannot be measured
	busy    []Trigger // have work
	quiet   []Trigger // have none
	lead    *Trigger  // asks for the most; nil when nothing is known
}

func newView(f *facts, r *Report) *view {
	v := &view{facts: f, r: r}
	for i := range r.Triggers {
		t := &r.Triggers[i]
		v.sort(t)
		stale := t.Error != "" && !t.Fallback
		if t.Replicas != nil && !stale && (v.lead == nil || *t.Replicas > *v.lead.Replicas) {
			v.lead = t
		}
	}
	if v.lead != nil {
		r.Asked = new(*v.lead.Replicas)
	}
	return v
}

// sort puts a trigger to those that say the same. Of a formula only the result
// counts as work, and only what feeds it tells why it fails.
func (v *view) sort(t *Trigger) {
	switch {
	case t.Error != "":
		if t.Metric != v1alpha1.CompositeMetricName || len(v.failing) == 0 {
			v.failing = append(v.failing, *t)
		}
	case t.Active == nil || v.partOfFormula(t):
	case *t.Active:
		v.busy = append(v.busy, *t)
	default:
		v.quiet = append(v.quiet, *t)
	}
}

// judge finds the situation and says what limits and what would change it.
func (v *view) judge() {
	list := objectSituations()
	if v.job != nil {
		list = jobSituations()
	}
	s := list[slices.IndexFunc(list, func(s situation) bool { return s.when(v) })]
	v.r.State = s.state
	v.r.Answer = sentence(plain(v.r.Namespace + "/" + v.r.Name + " " + s.say(v)))
	v.r.Attention = s.state.attention() || v.is(v1alpha1.ConditionReady) != metav1.ConditionTrue && s.state != Paused && s.state != Deleting
	if v.so != nil {
		v.limits()
	} else {
		v.jobLimits()
	}
	s.next(v)
}

// limit adds something that holds the size where it is.
func (v *view) limit(format string, args ...any) {
	v.r.Limits = append(v.r.Limits, fmt.Sprintf(format, args...))
}

// expect adds something that would change it.
func (v *view) expect(format string, args ...any) {
	v.r.Outlook = append(v.r.Outlook, fmt.Sprintf(format, args...))
}

func (v *view) condition(t v1alpha1.ConditionType) *v1alpha1.Condition {
	return v1alpha1.FindCondition(v.conditions(), t)
}

func (v *view) is(t v1alpha1.ConditionType) metav1.ConditionStatus {
	return v1alpha1.ConditionStatus(v.conditions(), t)
}

func (v *view) active() bool   { return v.is(v1alpha1.ConditionActive) == metav1.ConditionTrue }
func (v *view) inactive() bool { return v.is(v1alpha1.ConditionActive) == metav1.ConditionFalse }

// reason is the reason of a condition, or "".
func (v *view) reason(t v1alpha1.ConditionType) string {
	if c := v.condition(t); c != nil {
		return c.Reason
	}
	return ""
}

// message is the message of a condition, or "".
func (v *view) message(t v1alpha1.ConditionType) string {
	if c := v.condition(t); c != nil {
		return c.Message
	}
	return ""
}

// deleting reports whether the object is going.
func (v *view) deleting() bool { return !v.meta().DeletionTimestamp.IsZero() }

func (v *view) notSeen() bool { return v.condition(v1alpha1.ConditionReady) == nil }

// notReady reports whether what is wrong is the object, not its triggers.
func (v *view) notReady() bool {
	switch v.reason(v1alpha1.ConditionReady) {
	case v1alpha1.ReasonScaledObjectCheckFailed, v1alpha1.ReasonScaledJobCheckFailed:
		return v.is(v1alpha1.ConditionReady) != metav1.ConditionTrue
	}
	return v.problem() != ""
}

// problem is why the newest spec is not in force, as weir says itself.
func (v *view) problem() string {
	if v.weir == nil {
		return ""
	}
	return v.weir.Problem
}

// wrong is what to put right.
func (v *view) wrong() string {
	if v.problem() != "" {
		return v.problem()
	}
	return v.message(v1alpha1.ConditionReady)
}

// held reports whether triggers that cannot be measured keep things as they are.
func (v *view) held() bool {
	return v.reason(v1alpha1.ConditionReady) == v1alpha1.ReasonTriggerError || len(v.failing) > 0 && !v.active() && !v.inactive()
}

// unmeasured names what cannot be measured.
func (v *view) unmeasured() string {
	if len(v.failing) == 0 {
		return "a trigger"
	}
	return list(names(v.failing), "and")
}

func names(ts []Trigger) []string {
	var out []string
	for _, t := range ts {
		out = append(out, t.Metric)
	}
	return out
}

// reading says what a trigger has, such as "s0-redis-jobs has 7 (not above 10)".
func reading(t Trigger) string {
	if t.Value == nil {
		return t.Metric
	}
	text := t.Metric + " has " + number(*t.Value)
	if t.Activation == nil || t.Active == nil {
		return text
	}
	above := *t.Value > *t.Activation
	switch {
	case *t.Active && !above:
		return text + " and says there is work"
	case !*t.Active && above:
		return text + " and says there is no work"
	case above:
		return text + " (above " + number(*t.Activation) + ")"
	}
	return text + " (not above " + number(*t.Activation) + ")"
}

func readings(ts []Trigger) string {
	var out []string
	for _, t := range ts {
		out = append(out, reading(t))
	}
	return list(out, "and")
}

// noWork says that there is none, with the values where they are known.
func (v *view) noWork() string {
	if len(v.quiet) == 0 || !slices.ContainsFunc(v.quiet, func(t Trigger) bool { return t.Value != nil }) {
		return "no trigger has work"
	}
	return "no trigger has work: " + readings(v.quiet)
}

// size is how many replicas there are to be, in words.
func (v *view) size() string {
	if !v.sized() {
		return "its replicas"
	}
	return count(v.replicas(), "replica")
}

// sized reports whether the replicas are known.
func (v *view) sized() bool { return v.scale != nil || v.hpa != nil }

// resting is where the workload goes without work.
func (v *view) resting() (int32, bool) {
	if v.r.Idle == nil {
		return 0, false
	}
	return *v.r.Idle, true
}

// asleep says that only weir, not the HPA, can give the workload its replicas.
func (v *view) asleep() bool {
	return v.sized() && (v.replicas() == 0 || v.so.Spec.IdleReplicaCount != nil && v.replicas() < v.r.Min)
}

// atRest says that the workload is where it goes without work.
func (v *view) atRest() bool {
	rest, ok := v.resting()
	return ok && v.sized() && v.replicas() <= rest && !v.active()
}

// awakeForNothing says that the workload is on its way to rest.
func (v *view) awakeForNothing() bool {
	rest, ok := v.resting()
	return ok && v.sized() && v.replicas() > rest && v.inactive()
}

// cooldown is the rest of the cooldown.
func (v *view) cooldown() (left, whole time.Duration) {
	s := &v.so.Spec
	if at := v.so.Status.LastActiveTime; at != nil {
		return max(0, s.CooldownDuration()-v.now.Sub(at.Time)), s.CooldownDuration()
	}
	whole = s.InitialCooldownDuration()
	return max(0, whole-v.now.Sub(v.so.CreationTimestamp.Time)), whole
}

// low and high are the bounds of the HPA.
func (v *view) low() int32  { return max(1, v.r.Min) }
func (v *view) high() int32 { return v.r.Max }

// asks are the replicas that the values ask for, within the bounds; false when that
// is not known.
func (v *view) asks() (int32, bool) {
	if v.lead == nil || !v.sized() {
		return 0, false
	}
	return min(max(*v.lead.Replicas, v.low()), v.high()), true
}

func (v *view) atMax() bool {
	_, ok := v.asks()
	return ok && *v.lead.Replicas > v.high() && v.replicas() >= v.high()
}

func (v *view) wantsMore() bool {
	n, ok := v.asks()
	return ok && n > v.replicas()
}

func (v *view) wantsLess() bool {
	n, ok := v.asks()
	return ok && n < v.replicas()
}

func (v *view) atMin() bool {
	_, ok := v.asks()
	return ok && *v.lead.Replicas < v.low() && v.replicas() <= v.low()
}

func (v *view) steady() bool {
	_, ok := v.asks()
	return ok
}

// hpaFails reports whether the HPA says that it cannot scale.
func (v *view) hpaFails() bool {
	return v.r.HPA != nil && v.r.HPA.Reason != "" && v.r.HPA.Reason != v1alpha1.ReasonScalingDisabled
}

// annotations are those that pause, in the order in which to remove them.
func (v *view) annotations(keys ...string) string {
	var set []string
	for _, key := range keys {
		if value, ok := v.meta().Annotations[key]; ok && (key == v1alpha1.AnnotationPausedReplicas || v1alpha1.LenientBool(value)) {
			set = append(set, key)
		}
	}
	return strings.Join(set, " and ")
}
