package scaledobject_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// reported tells the reconciler of new readings and checks whether it asks for
// the object.
func (w *world) reported(what string, want bool) {
	w.T.Helper()
	w.r.OnReadings([]engine.Owner{"scaledobject/ns/a", "somebody/else"})
	equal(w.T, "asked for after "+what, fmt.Sprint(w.queue.Taken()), map[bool]string{true: "[a]", false: "[]"}[want])
}

func TestReadingsThatSayNothingNewAskForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", triggers("jobs", "more")))
	w.reported("a reading of an object not seen yet", true)
	w.pass("a")
	w.reported("nothing", false)
	w.reads(map[string]float64{"jobs": 1})
	w.reported("the first reading", true)
	w.pass("a")
	w.reads(map[string]float64{"jobs": 500})
	w.reported("another value", false)
	w.reads(map[string]float64{"more": 0})
	w.reported("the first reading of another trigger", true)
	w.pass("a")
	down := &scalers.Error{Kind: scalers.Unreachable, Op: "measuring"}
	w.breaks("more", down)
	w.reported("an error", true)
	w.pass("a")
	w.breaks("more", &scalers.Error{Kind: scalers.Unreachable, Op: "measuring again"})
	w.reported("an error of the same kind", false)
	w.breaks("more", &scalers.Error{Kind: scalers.Unauthorized})
	w.reported("an error of another kind", true)
	w.pass("a")
	w.breaks("more", errors.New("strange"))
	w.reported("an error of no kind", true)
	w.pass("a")
	w.reads(map[string]float64{"more": 0})
	w.reported("recovery", true)
	w.pass("a")
	w.reads(map[string]float64{"jobs": 0})
	w.reported("the end of work", true)
	w.pass("a")
	w.reported("nothing", false)
	w.now = w.now.Add(2 * time.Minute)
	w.reported("silence", true)
	w.pass("a")
	w.r.OnReference([]string{"scaledobject/ns/a"})
	equal(t, "asked for", fmt.Sprint(w.queue.Taken()), "[a]")
	w.reported("a change that waits to be planned", true)
}

func TestReadingsThatAskForNothingCountAsActivity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	for range 20 {
		w.now = w.now.Add(30 * time.Second)
		w.reads(map[string]float64{"jobs": 2})
		w.reported("more work", false)
	}
	w.now = w.now.Add(30 * time.Second)
	w.reads(map[string]float64{"jobs": 0})
	w.reported("the end of work", true)
	equal(t, "rest of the cooldown", w.pass("a"), 270*time.Second)
	w.reported("nothing", false)
	w.now = w.now.Add(10 * time.Second)
	w.reported("nothing", false)
	equal(t, "rest of the cooldown", w.pass("a"), 260*time.Second)
}

func TestAWorkloadThatNobodyWatchesIsLookedAtOncePerInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledObject("a", func(so *v1alpha1.ScaledObject) {
		so.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "roll"}
	}))
	w.replicas["roll"] = 1
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	w.replicas["roll"] = 0 // by somebody else
	w.now = w.now.Add(29 * time.Second)
	w.reads(map[string]float64{"jobs": 1})
	w.reported("a reading before the interval is over", false)
	w.now = w.now.Add(time.Second)
	w.reads(map[string]float64{"jobs": 1})
	w.reported("a reading after the interval", true)
	w.pass("a")
	equal(t, "replicas", w.replicas["roll"], 1)
}

func TestChangesOfObjectsReachWhomTheyConcern(t *testing.T) {
	t.Parallel()
	changed := func(o client.Object, change func(client.Object)) client.Object {
		out, ok := o.DeepCopyObject().(client.Object)
		if !ok {
			t.Fatal("no object")
		}
		out.SetGeneration(out.GetGeneration() + 1)
		change(out)
		return out
	}
	web := deployment("web", 1)
	ourHPA := ownedBy(hpa("keda-hpa-a", "web"), scaledObject("a"))
	cluster := &v1alpha1.ClusterTriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Name: "auth"}}
	for name, tc := range map[string]struct {
		kind          string
		before, after client.Object // nil: created, deleted
		want          string
		plans         bool
	}{
		"a Deployment came":       {"Deployment", nil, web, "[a]", true},
		"a Deployment went":       {"Deployment", web, nil, "[a]", true},
		"a Deployment was scaled": {"Deployment", web, changed(web, func(o client.Object) { o.(*appsv1.Deployment).Spec.Replicas = new(int32(3)) }), "[a]", false},
		"the environment changed": {"Deployment", web, changed(web, func(o client.Object) {
			o.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "x"}}
		}), "[a]", true},
		"a pod became ready":              {"Deployment", web, web, "[]", false},
		"another Deployment came":         {"Deployment", nil, deployment("x", 1), "[]", false},
		"a StatefulSet of our name":       {"StatefulSet", nil, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}}, "[]", false},
		"our HPA went":                    {"HorizontalPodAutoscaler", ourHPA, nil, "[a]", true},
		"our HPA was edited":              {"HorizontalPodAutoscaler", ourHPA, changed(ourHPA, func(o client.Object) { o.(*autoscalingv2.HorizontalPodAutoscaler).Spec.MaxReplicas = 9 }), "[a]", true},
		"an HPA of our name was sent off": {"HorizontalPodAutoscaler", hpa("keda-hpa-a", "x"), nil, "[a]", true},
		"an HPA turned to our workload":   {"HorizontalPodAutoscaler", hpa("x", "x"), hpa("x", "web"), "[a]", true},
		"our HPA ticked":                  {"HorizontalPodAutoscaler", ourHPA, changed(ourHPA, func(o client.Object) { o.(*autoscalingv2.HorizontalPodAutoscaler).Status.DesiredReplicas = 9 }), "[]", false},
		"our HPA scales": {"HorizontalPodAutoscaler", ourHPA, changed(ourHPA, func(o client.Object) {
			o.(*autoscalingv2.HorizontalPodAutoscaler).Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: "ScalingActive", Status: "True"}}
		}), "[a]", false},
		"its TriggerAuthentication changed":  {"TriggerAuthentication", authentication(), changed(authentication(), func(client.Object) {}), "[b]", true},
		"its status changed":                 {"TriggerAuthentication", authentication(), authentication(), "[]", false},
		"a cluster-wide one of that name":    {"ClusterTriggerAuthentication", nil, cluster, "[c]", true},
		"it changed itself":                  {"ScaledObject", scaledObject("a"), changed(scaledObject("a"), func(client.Object) {}), "[]", false},
		"a rival came":                       {"ScaledObject", nil, scaledObject("new"), "[a]", true},
		"a rival turned to another workload": {"ScaledObject", scaledObject("new"), changed(scaledObject("new"), func(o client.Object) { o.(*v1alpha1.ScaledObject).Spec.ScaleTargetRef.Name = "x" }), "[a]", true},
		"a rival got another status":         {"ScaledObject", scaledObject("new"), scaledObject("new"), "[]", false},
		"a rival for the name of the HPA":    {"ScaledObject", nil, scaledObject("new", func(so *v1alpha1.ScaledObject) { so.Spec.ScaleTargetRef.Name = "x" }, hpaConfigNamed("keda-hpa-a")), "[a]", true},
		"a rival in another namespace":       {"ScaledObject", nil, scaledObject("new", func(so *v1alpha1.ScaledObject) { so.Namespace = "elsewhere" }), "[]", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			elsewhere := func(so *v1alpha1.ScaledObject) { so.Spec.ScaleTargetRef.Name = "other"; withAuth(so) }
			w := newWorld(t, web.DeepCopy(), deployment("other", 1), scaledObject("a"), scaledObject("b", elsewhere),
				scaledObject("c", elsewhere, func(so *v1alpha1.ScaledObject) {
					so.Namespace, so.Spec.Triggers[0].AuthenticationRef.Kind = "far", "ClusterTriggerAuthentication"
				}))
			w.settles("a")
			h := w.r.Handlers()[tc.kind]
			switch {
			case tc.before == nil:
				h.Create(t.Context(), event.CreateEvent{Object: tc.after}, nil)
			case tc.after == nil:
				h.Delete(t.Context(), event.DeleteEvent{Object: tc.before}, nil)
			default:
				h.Update(t.Context(), event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}, nil)
			}
			equal(t, "asked for", fmt.Sprint(w.queue.Taken()), tc.want)
			w.Forgets()
			w.pass("a")
			listed := false
			for _, c := range w.Calls {
				listed = listed || c == "list ScaledObject"
			}
			equal(t, "planned anew", listed, tc.plans && tc.want == "[a]")
		})
	}
}

func hpaConfigNamed(name string) func(*v1alpha1.ScaledObject) {
	return hpaConfig(v1alpha1.HorizontalPodAutoscalerConfig{Name: name})
}

func TestReadingsAndReadsMayComeWhileAnObjectIsReconciled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", computing("a + b"), falling(0, 6, "currentReplicas")))
	w.reads(map[string]float64{"jobs": 1})
	w.breaks("more", errors.New("down"))
	w.r.Attach(quietQueue{})
	w.settles("a")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				w.r.OnReadings([]engine.Owner{"scaledobject/ns/a"})
				w.r.OnReference([]string{"scaledobject/ns/a"})
				if list := w.r.Snapshots(); len(list) != 1 {
					t.Errorf("%d snapshots", len(list))
					return
				}
				w.r.Snapshot("ns", "a")
				if _, err := w.r.Metric(t.Context(), "ns", "a", "s0-fake-jobs"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		w.pass("a")
	}
	close(stop)
	wg.Wait()
}
