package triggers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

// around is everything around an object; the rules choose what concerns it.
type around struct {
	objects []*v1alpha1.ScaledObject
	hpas    []*autoscalingv2.HorizontalPodAutoscaler
	pod     *corev1.PodSpec
	err     error
}

func (a around) Rivals(context.Context, *v1alpha1.ScaledObject) ([]*v1alpha1.ScaledObject, error) {
	return a.objects, nil
}

func (a around) HPAs(context.Context, *v1alpha1.ScaledObject) ([]*autoscalingv2.HorizontalPodAutoscaler, error) {
	return a.hpas, nil
}

func (a around) Pods(context.Context, *v1alpha1.ScaledObject) (*corev1.PodSpec, error) {
	return a.pod, a.err
}

func (around) LimitRanges(context.Context, string) ([]corev1.LimitRange, error) { return nil, nil }

// aged makes the age of an object, in minutes.
func aged(minutes int, change func(*v1alpha1.ScaledObject)) *v1alpha1.ScaledObject {
	o := scaledObject(change)
	o.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, -minutes, 0, 0, time.UTC))
	return o
}

func named(name string) func(*v1alpha1.ScaledObject) {
	return func(o *v1alpha1.ScaledObject) { o.Name = name }
}

// autoscaler is an HPA of that name, with an owner unless its kind is empty.
func autoscaler(name, apiVersion, kind string) *autoscalingv2.HorizontalPodAutoscaler {
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if kind != "" {
		h.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "owner", Controller: new(true)}}
	}
	return h
}

func TestCheckNeighbours(t *testing.T) {
	t.Parallel()
	const target = `spec.scaleTargetRef: is also the target of ScaledObject "other"; a workload can have one ScaledObject`
	const hpa = `spec.advanced.horizontalPodAutoscalerConfig.name: is also the HPA name of ScaledObject "other"; give one of them another`
	const foreign = `HorizontalPodAutoscaler "theirs" does not belong to this ScaledObject and scales the same workload or has the name of its HPA; delete it, ` +
		`or set annotation scaledobject.keda.sh/transfer-hpa-ownership to "true" and advanced.horizontalPodAutoscalerConfig.name to its name to take it over`
	other := func(minutes int, change ...func(*v1alpha1.ScaledObject)) around {
		return around{objects: []*v1alpha1.ScaledObject{aged(minutes, func(o *v1alpha1.ScaledObject) {
			o.Name = "other"
			for _, c := range change {
				c(o)
			}
		})}}
	}
	elsewhere := func(o *v1alpha1.ScaledObject) { o.Spec.ScaleTargetRef.Name = "elsewhere" }
	sameHPA := func(o *v1alpha1.ScaledObject) {
		elsewhere(o)
		o.Spec.Advanced = &v1alpha1.AdvancedConfig{HorizontalPodAutoscalerConfig: &v1alpha1.HorizontalPodAutoscalerConfig{Name: "keda-hpa-orders"}}
	}
	versioned := func(o *v1alpha1.ScaledObject) {
		o.Spec.ScaleTargetRef.APIVersion, o.Spec.ScaleTargetRef.Kind = "apps/v1beta1", "Deployment"
	}
	going := func(o *v1alpha1.ScaledObject) { o.DeletionTimestamp = new(metav1.Now()) }
	own := func(*v1alpha1.ScaledObject) {}
	transfer := func(o *v1alpha1.ScaledObject) { o.Annotations[v1alpha1.AnnotationTransferHPAOwnership] = "true" }
	exempt := autoscaler("theirs", "", "")
	exempt.Annotations = map[string]string{v1alpha1.AnnotationValidateHPAOwnership: "false"}
	for _, tc := range []struct {
		name           string
		change         func(*v1alpha1.ScaledObject)
		before         *v1alpha1.ScaledObject
		around         around
		want, warnings string
	}{
		{"alone", own, nil, around{}, "", ""},
		{"itself", own, nil, around{objects: []*v1alpha1.ScaledObject{aged(9, own)}}, "", ""},
		{"another target", own, nil, other(9, elsewhere), "", ""},
		{"the same target", own, nil, other(9), target, ""},
		{"the same target in another version", own, nil, other(9, versioned), target, ""},
		{"the same target of one that goes", own, nil, other(9, going), "", ""},
		{"the same HPA name", own, nil, other(9, sameHPA), hpa, ""},
		{"a new one is younger, whatever the clocks say", own, nil, other(-9), target, ""},
		{"one that was there before the other keeps what it has", own, aged(9, own), other(5), "", ""},
		{"and one that came after it does not", own, aged(5, own), other(9), target, ""},
		{"one that was there before cannot take another target", own, aged(9, elsewhere), other(5), target, ""},
		{"of one age the first by name keeps it", own, aged(5, own), other(5), "", ""},
		{"and the second does not", func(o *v1alpha1.ScaledObject) { o.Name = "second" }, aged(5, named("second")), other(5), target, ""},
		{"somebody's HPA", own, nil, around{hpas: []*autoscalingv2.HorizontalPodAutoscaler{autoscaler("theirs", "", "")}}, foreign, ""},
		{"an HPA that does not count", own, nil, around{hpas: []*autoscalingv2.HorizontalPodAutoscaler{exempt}}, "", ""},
		{"the HPA of a ScaledObject", own, nil, around{hpas: []*autoscalingv2.HorizontalPodAutoscaler{autoscaler("ours", "keda.sh/v1alpha1", "ScaledObject")}}, "", ""},
		{
			"the HPA of something else", transfer, nil,
			around{hpas: []*autoscalingv2.HorizontalPodAutoscaler{autoscaler("theirs", "example.com/v1", "ScaledObject")}},
			`HorizontalPodAutoscaler "theirs" belongs to ScaledObject "owner"; delete one of the two, or set another advanced.horizontalPodAutoscalerConfig.name`, "",
		},
		{"an HPA to take over", transfer, nil, around{hpas: []*autoscalingv2.HorizontalPodAutoscaler{autoscaler("keda-hpa-orders", "", "")}}, "", ""},
		{
			"an HPA to take over that is not named", transfer, nil,
			around{hpas: []*autoscalingv2.HorizontalPodAutoscaler{autoscaler("theirs", "", "")}},
			`HorizontalPodAutoscaler "theirs" is to be taken over, but advanced.horizontalPodAutoscalerConfig.name is not its name; set it`, "",
		},
		{
			"no workload yet", own, nil,
			around{err: &triggers.NoTargetError{Kind: "Deployment", Namespace: "ns", Name: "orders"}},
			"",
			`spec.scaleTargetRef: Deployment "ns/orders" does not exist; create it, or correct the reference`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			problems, warnings, err := triggers.CheckNeighbours(t.Context(), tc.around, scaledObject(tc.change), tc.before)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(problems); got != tc.want {
				t.Errorf("problems\n%s\nwant\n%s", got, tc.want)
			}
			if got := text(warnings); got != tc.warnings {
				t.Errorf("warnings\n%s\nwant\n%s", got, tc.warnings)
			}
		})
	}
}

func TestProblemsAreToldInTheOrderOfTheRules(t *testing.T) {
	t.Parallel()
	o := scaledObject(func(o *v1alpha1.ScaledObject) {
		o.Spec.MaxReplicaCount = new(int32(0))
		o.Spec.Triggers = append(o.Spec.Triggers, v1alpha1.Trigger{Type: "cron", UseCachedMetrics: true})
		o.Spec.Advanced = &v1alpha1.AdvancedConfig{ScalingModifiers: v1alpha1.ScalingModifiers{Formula: "1", Target: "0"}}
	})
	problems, _, err := triggers.CheckNeighbours(t.Context(), around{
		objects: []*v1alpha1.ScaledObject{aged(1, named("other"))}, hpas: []*autoscalingv2.HorizontalPodAutoscaler{autoscaler("theirs", "", "")},
	}, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	own, _ := triggers.CheckScaledObject(o)
	problems = append(problems, own...)
	problems = append(problems, triggers.Problem{Message: "of no rule"})
	triggers.Sort(problems)
	want := []triggers.Reason{
		triggers.ReasonReplicas, triggers.ReasonModifiers, triggers.ReasonTriggers, triggers.ReasonOtherObject, triggers.ReasonOtherHPA, "",
	}
	for i, p := range problems {
		if i >= len(want) || p.Reason != want[i] {
			t.Errorf("problem %d is of %q: %v", i, p.Reason, p)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %d", len(problems), len(want))
	}
}

func TestAnObjectThatCannotBeComparedIsNotJudged(t *testing.T) {
	t.Parallel()
	_, _, err := triggers.CheckNeighbours(t.Context(), around{err: errors.New("no cache")}, scaledObject(named("a")), nil)
	if err == nil || err.Error() != "looking for the workload: no cache" {
		t.Errorf("error %v", err)
	}
}
