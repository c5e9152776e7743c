package health_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/health"
	"github.com/weir-sh/weir/pkg/decide"
)

// now is when everything is judged.
func now() time.Time { return time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC) }

// generation is that of every object.
const generation = 3

// conditions are what a decision says. An empty one leaves Ready as it was when
// the spec was taken.
func conditions(d decide.Decision) []v1alpha1.Condition {
	var out []v1alpha1.Condition
	ready := d.Ready
	if ready.Status == "" {
		ready = decide.Condition{Status: decide.StatusTrue, Reason: decide.ScaledObjectReady, Message: "the object is ready"}
	}
	for _, c := range []struct {
		v1alpha1.ConditionType
		decide.Condition
	}{
		{v1alpha1.ConditionActive, d.Active}, {v1alpha1.ConditionPaused, d.Paused}, {v1alpha1.ConditionReady, ready}, {v1alpha1.ConditionFallback, d.Fallback},
	} {
		if c.Status != "" {
			out = append(out, condition(c.ConditionType, metav1.ConditionStatus(c.Status), string(c.Reason), c.Message))
		}
	}
	return out
}

func condition(t v1alpha1.ConditionType, s metav1.ConditionStatus, reason, message string) v1alpha1.Condition {
	at := metav1.NewTime(now())
	return v1alpha1.Condition{Type: t, Status: s, Reason: reason, Message: message, LastTransitionTime: &at, ObservedGeneration: generation}
}

// input is an object with three replicas and triggers.
func input(change func(*decide.Input), list ...decide.Trigger) decide.Input {
	in := decide.Input{
		Now: now(), Created: now().Add(-time.Hour), Replicas: 3, ReplicasKnown: true, Max: 100,
		Cooldown: 5 * time.Minute, Triggers: list,
	}
	if change != nil {
		change(&in)
	}
	return in
}

func TestToolsFindScaledObjectsAsHealthyAsTheyAre(t *testing.T) {
	t.Parallel()
	busy := decide.Trigger{Name: "s0-a", State: decide.Busy, Value: 12}
	idle := decide.Trigger{Name: "s0-a", State: decide.Idle}
	broken := decide.Trigger{Name: "s1-b", Err: "cannot reach it"}
	for name, tc := range map[string]struct {
		in              decide.Input
		kstatus, argoCD string
	}{
		"has work":                        {input(nil, busy), "Current", "Healthy"},
		"has no work":                     {input(nil, idle), "Current", "Healthy"},
		"rests":                           {input(func(in *decide.Input) { in.Replicas = 0 }, idle), "Current", "Healthy"},
		"cools down":                      {input(func(in *decide.Input) { in.LastActive = now() }, idle), "Current", "Healthy"},
		"is forced to work":               {input(func(in *decide.Input) { in.ForceActivation = true }, idle), "Current", "Healthy"},
		"cannot be measured":              {input(nil, broken), "InProgress", "Degraded"},
		"has work and cannot be measured": {input(nil, busy, broken), "InProgress", "Progressing"},
		"cannot be read":                  {input(func(in *decide.Input) { in.ReplicasKnown = false }, idle), "InProgress", "Degraded"},
		"is paused":                       {input(func(in *decide.Input) { in.Paused = true }, busy), "Current", "Suspended"},
		"is paused at a number":           {input(func(in *decide.Input) { in.PausedReplicas = new(int32(2)) }, busy), "Current", "Suspended"},
		"may not shrink":                  {input(func(in *decide.Input) { in.PausedScaleIn = true }, busy), "Current", "Suspended"},
		"may not grow":                    {input(func(in *decide.Input) { in.PausedScaleOut = true }, busy), "Current", "Suspended"},
		"may not shrink, and cannot be measured": {
			input(func(in *decide.Input) { in.PausedScaleIn = true }, broken), "InProgress", "Degraded",
		},
		"has a fallback that it needs": {
			input(func(in *decide.Input) { in.Fallback, in.FallbackReplicas = true, 4 }, decide.Trigger{Name: "s1-b", Err: "cannot reach it", FallbackActive: true}),
			"Current", "Degraded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := v1alpha1.ScaledObjectStatus{ObservedGeneration: generation, Conditions: conditions(decide.Decide(tc.in))}
			judge(t, object("ScaledObject", status), tc.kstatus, tc.argoCD)
		})
	}
}

func TestToolsFindObjectsThatAreNotInForceUnhealthy(t *testing.T) {
	t.Parallel()
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	conds := func(list ...v1alpha1.Condition) v1alpha1.ScaledObjectStatus {
		return v1alpha1.ScaledObjectStatus{ObservedGeneration: generation, Conditions: list}
	}
	wrong := condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonScaledObjectCheckFailed, "spec.triggers[0].type: unknown")
	paused := condition(v1alpha1.ConditionPaused, yes, v1alpha1.ReasonScaledObjectPaused, "scaling is paused by annotation")
	outdated := conds(condition(v1alpha1.ConditionReady, yes, v1alpha1.ReasonScaledObjectReady, "ready"))
	outdated.ObservedGeneration = generation - 1
	for name, tc := range map[string]struct {
		kind            string
		status          any
		deleted         bool
		kstatus, argoCD string
	}{
		// kstatus takes an object without conditions for a finished one.
		"nobody has looked at it":           {"ScaledObject", nil, false, "Current", "Progressing"},
		"the new spec is not looked at yet": {"ScaledObject", outdated, false, "InProgress", "Healthy"},
		"its spec is wrong":                 {"ScaledObject", conds(wrong), false, "InProgress", "Degraded"},
		"its spec is wrong, and it is paused": {
			"ScaledObject", conds(paused, wrong), false, "InProgress", "Degraded",
		},
		"it is being deleted": {"ScaledObject", conds(wrong), true, "Terminating", "Progressing"},
		"job: ready": {
			"ScaledJob", conds(condition(v1alpha1.ConditionReady, yes, v1alpha1.ReasonScaledJobReady, "ready")), false, "Current", "Healthy",
		},
		"job: paused": {
			"ScaledJob", conds(condition(v1alpha1.ConditionPaused, yes, v1alpha1.ReasonScaledJobPaused, "paused"),
				condition(v1alpha1.ConditionReady, yes, v1alpha1.ReasonScaledJobReady, "ready")), false, "Current", "Suspended",
		},
		"job: its spec is wrong": {
			"ScaledJob", conds(condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonScaledJobCheckFailed, "wrong")), false, "InProgress", "Degraded",
		},
		"job: cannot be measured": {
			"ScaledJob", conds(condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonTriggerError, "cannot reach it")), false, "InProgress", "Degraded",
		},
		"job: has work, and cannot be measured": {
			"ScaledJob", conds(condition(v1alpha1.ConditionReady, unknown, v1alpha1.ReasonPartialTriggerError, "cannot reach it")), false, "InProgress", "Degraded",
		},
		"job: it is being deleted": {"ScaledJob", nil, true, "Terminating", "Progressing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := object(tc.kind, tc.status)
			if tc.deleted {
				at := metav1.NewTime(now())
				o.SetDeletionTimestamp(&at)
			}
			judge(t, o, tc.kstatus, tc.argoCD)
		})
	}
}

func TestArgoCDShowsTheMessageOfTheLastThatHasASay(t *testing.T) {
	t.Parallel()
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	ready := condition(v1alpha1.ConditionReady, yes, v1alpha1.ReasonScaledObjectReady, "ready")
	wrong := condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonTriggerError, "cannot reach it")
	active := condition(v1alpha1.ConditionActive, yes, v1alpha1.ReasonScalerActive, "works")
	paused := condition(v1alpha1.ConditionPaused, yes, v1alpha1.ReasonScaledObjectPaused, "paused")
	fallback := condition(v1alpha1.ConditionFallback, yes, v1alpha1.ReasonFallbackExists, "the fallback stands in")
	for name, tc := range map[string]struct {
		conditions []v1alpha1.Condition
		want       string
	}{
		"nothing":                {nil, "Progressing: "},
		"no say":                 {[]v1alpha1.Condition{active}, "Progressing: "},
		"paused alone":           {[]v1alpha1.Condition{paused}, "Progressing: "},
		"ready":                  {[]v1alpha1.Condition{ready, active}, "Healthy: ready"},
		"paused, then ready":     {[]v1alpha1.Condition{paused, ready}, "Suspended: ready"},
		"paused, then wrong":     {[]v1alpha1.Condition{paused, wrong}, "Degraded: cannot reach it"},
		"wrong, then paused":     {[]v1alpha1.Condition{wrong, paused}, "Degraded: paused"},
		"ready, then a fallback": {[]v1alpha1.Condition{ready, fallback}, "Degraded: the fallback stands in"},
		"a fallback, then ready": {[]v1alpha1.Condition{fallback, ready}, "Degraded: ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			word, message, err := health.ArgoCD(object("ScaledObject", v1alpha1.ScaledObjectStatus{Conditions: tc.conditions}))
			if got := word + ": " + message; err != nil || got != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// object is an object of a kind with a status; nil means none.
func object(kind string, status any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetAPIVersion(v1alpha1.Group + "/" + v1alpha1.Version)
	o.SetKind(kind)
	o.SetName("o")
	o.SetGeneration(generation)
	if s, ok := status.(v1alpha1.ScaledObjectStatus); ok {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&s)
		if err != nil {
			panic(err)
		}
		o.Object["status"] = fields
	}
	return o
}

// judge holds an object against what tools should think of it.
func judge(t *testing.T, o *unstructured.Unstructured, kstatus, argoCD string) {
	t.Helper()
	got, err := health.Kstatus(o)
	if err != nil || got != kstatus {
		t.Errorf("kstatus: %s, %v; want %s", got, err, kstatus)
	}
	got, message, err := health.ArgoCD(o)
	if err != nil || got != argoCD {
		t.Errorf("Argo CD: %s (%s), %v; want %s", got, message, err, argoCD)
	}
}
