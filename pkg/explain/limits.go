package explain

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/hpa"
)

// limits says what keeps the replicas from being what the values ask for.
func (v *view) limits() {
	if v.r.State == Deleting {
		return
	}
	v.limitsOfPauses()
	v.limitsOfTriggers()
	v.limitsOfBounds()
	v.limitsOfPace()
	v.limitsOfPods()
}

func (v *view) limitsOfPauses() {
	if by := v.annotations(v1alpha1.AnnotationPaused, v1alpha1.AnnotationPausedReplicas); by != "" {
		v.limit("annotation %s: no scaling, and no HPA", by)
		return
	}
	if v.so.ScaleOutPaused() {
		v.limit("annotation %s: no replicas are added", v1alpha1.AnnotationPausedScaleOut)
	}
	if v.so.ScaleInPaused() {
		v.limit("annotation %s: none are taken away", v1alpha1.AnnotationPausedScaleIn)
	}
	if v.so.ActivationForced() && len(v.busy) == 0 {
		v.limit("annotation %s: it does not go to zero", v1alpha1.AnnotationForceActivation)
	}
}

func (v *view) limitsOfTriggers() {
	if v.r.State == Paused || len(v.failing) == 0 && v.r.State != Held {
		return
	}
	switch f := v.so.Spec.Fallback; {
	case v.inFallback() && f != nil:
		v.limit("spec.fallback: %s, %s, after %s", count(f.Replicas, "replica"), f.EffectiveBehavior(), count(f.FailureThreshold, "failure")+" in a row")
	case v.active() && v.r.State != Held:
		v.limit("%s cannot be measured: replicas may be added for the other triggers, none are taken away", v.unmeasured())
	default:
		v.limit("%s cannot be measured: no replicas are taken away", v.unmeasured())
	}
}

func (v *view) limitsOfBounds() {
	if !slices.Contains([]State{AtMax, AtMin, Growing, Steady}, v.r.State) {
		return
	}
	asked := *v.lead.Replicas
	switch {
	case asked > v.high():
		v.limit("maxReplicaCount %d: the work asks for %d (%s: %s)", v.high(), asked, v.lead.Metric, v.lead.Arithmetic)
	case asked < v.low() && v.r.Min > 0:
		v.limit("minReplicaCount %d: the work asks for %d", v.r.Min, asked)
	case v.lead.Tolerated && math.Ceil(*v.lead.Value / *v.lead.Target) != float64(v.replicas()):
		v.limit("tolerance of the HPA: %s is close enough to its target", v.lead.Metric)
	}
}

// limitsOfPace says how fast the HPA may go.
func (v *view) limitsOfPace() {
	n, ok := v.asks()
	if !ok || v.r.HPA == nil || n == v.replicas() || v.r.State != Growing && v.r.State != Shrinking && v.r.State != AtMax {
		return
	}
	s := spec(v.hpa)
	// What the controller remembers is not known here: this is the most it may do.
	next := (&hpa.State{}).Limit(&s, hpa.DefaultFlags(), v.now, v.replicas(), n)
	v.r.HPA.Next = &next.Replicas
	switch {
	case n < v.replicas() && v.r.HPA.Stabilised != "":
		v.limit("stabilisation of the HPA: %s", v.r.HPA.Stabilised)
	case next.Text != "":
		v.limit("pace of the HPA: %s", next.Text)
	case n > v.replicas() && v.upWindow() > 0:
		v.limit("pace of the HPA: it adds replicas that were asked for during its whole window of %ds", v.upWindow())
	}
}

// upWindow is the stabilisation window for scaling up, in seconds.
func (v *view) upWindow() int32 {
	b := v.hpa.Spec.Behavior
	if b == nil || b.ScaleUp == nil || b.ScaleUp.StabilizationWindowSeconds == nil {
		return 0
	}
	return *b.ScaleUp.StabilizationWindowSeconds
}

// limitsOfPods says which of the pods that are to be there do no work yet.
func (v *view) limitsOfPods() {
	if v.r.Pods == nil || !v.sized() {
		return
	}
	if lacking := v.replicas() - v.r.Pods.Total; lacking > 0 {
		v.limit("%s of %d %s not created yet; see the events of the %s (quota, admission)",
			count(lacking, "pod"), v.replicas(), verb(lacking, "is", "are"), cmp.Or(v.r.Target.Kind, "target"))
	}
	if waiting := v.r.Pods.Total - v.r.Pods.Ready; waiting > 0 {
		v.limit("%s of %d %s not ready: %s", count(waiting, "pod"), v.r.Pods.Total, verb(waiting, "is", "are"), waitingText(v.r.Pods.Waiting))
	}
}

// waitingText counts pods by why they are not ready: "2 Unschedulable, 1 Pending".
func waitingText(by map[string]int32) string {
	var out []string
	for _, why := range slices.Sorted(maps.Keys(by)) {
		out = append(out, fmt.Sprintf("%d %s", by[why], why))
	}
	return list(out, "and")
}
