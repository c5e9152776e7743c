package scaledobject_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// story is what happens to an object in a test, step by step; after each step the
// object is reconciled until there is no error.
type story []struct {
	name string
	step func(*world)
}

func lifeOfAnObject() story {
	return story{
		{"it is created and woken", func(w *world) { w.reads(map[string]float64{"jobs": 1}) }},
		{"it gets another trigger and another name of its HPA", func(w *world) {
			w.edits("a", triggers("jobs", "more"))
			w.edits("a", hpaConfigNamed("renamed"))
			w.edits("a", restoring)
			w.reads(map[string]float64{"more": 0})
		}},
		{"it drains", func(w *world) {
			w.now = w.now.Add(time.Hour)
			w.reads(map[string]float64{"jobs": 0, "more": 0})
		}},
		{"it is paused", func(w *world) { w.edits("a", annotated(v1alpha1.AnnotationPausedReplicas, "3")) }},
		{"it is unpaused with work", func(w *world) {
			w.reads(map[string]float64{"jobs": 1, "more": 1})
			w.edits("a", annotated())
		}},
		{"it is deleted", func(w *world) {
			if err := w.api.Delete(w.T.Context(), w.object("a")); err != nil {
				w.T.Fatal(err)
			}
		}},
	}
}

// play runs a story to its end, where the n-th call fails, counted from zero. It
// returns how many calls there were and what the cluster is like after each step.
func play(t *testing.T, n int, failure error) (calls []string, after []string) {
	t.Helper()
	w := newWorld(t, deployment("web", 0), scaledObject("a", withAuth), authentication(), secret("other", ""))
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Triggers[0].AuthenticationRef = nil })
	w.Fail = func(call string) error {
		calls = append(calls, call)
		if len(calls)-1 == n {
			return failure
		}
		return nil
	}
	for _, s := range lifeOfAnObject() {
		s.step(w)
		failures := 0
		for {
			_, err := w.r.Reconcile(t.Context(), request("a"))
			if err == nil {
				if _, err = w.r.Reconcile(t.Context(), request("a")); err == nil {
					break // twice, as a conflict is tried again without an error
				}
			}
			if failures++; failures > 3 {
				t.Fatalf("%s: it never succeeds: %v", s.name, err)
			}
		}
		after = append(after, w.snapshot(s.name))
	}
	return calls, after
}

// snapshot describes the cluster and what is measured, without versions.
func (w *world) snapshot(name string) string {
	w.T.Helper()
	so := new(v1alpha1.ScaledObject)
	if err := w.api.Get(w.T.Context(), client.ObjectKey{Namespace: "ns", Name: "a"}, so); client.IgnoreNotFound(err) != nil {
		w.T.Fatal(err)
	}
	replicas, _, err := w.workload(w.T.Context(), "Deployment", "web")
	if err != nil {
		w.T.Fatal(err)
	}
	var measured []string
	for _, u := range w.engine.Uses["scaledobject/ns/a"] {
		measured = append(measured, fmt.Sprint(u.Query, u.Watch))
	}
	slices.SortFunc(so.Status.Conditions, func(a, b v1alpha1.Condition) int { return strings.Compare(string(a.Type), string(b.Type)) })
	for i := range so.Status.Conditions {
		so.Status.Conditions[i].LastTransitionTime = nil // a failure makes Ready False for a while
	}
	status, err := yaml.Marshal(so.Status)
	if err != nil {
		w.T.Fatal(err)
	}
	return fmt.Sprintf("%s\nreplicas %d\nHPAs %q\nfinalizers %q labels %v\nmeasured %q\n%s", name, replicas, w.hpas(), so.Finalizers, so.Labels, measured, status)
}

func TestAnyCallMayFailOnceAndNothingIsLost(t *testing.T) {
	t.Parallel()
	calls, want := play(t, -1, nil)
	if len(calls) < 40 {
		t.Fatalf("the story asks for %d things only: %q", len(calls), calls)
	}
	for what, failure := range map[string]error{"an error": errors.New("boom"), "a conflict": conflict()} {
		for n, call := range calls {
			if what == "a conflict" && (strings.HasPrefix(call, "get") || strings.HasPrefix(call, "list")) {
				continue // only writes conflict
			}
			t.Run(fmt.Sprintf("%s at %d %s", what, n, call), func(t *testing.T) {
				t.Parallel()
				_, got := play(t, n, failure)
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("got\n%s\nwant\n%s", got[i], want[i])
					}
				}
			})
		}
	}
}

func TestAFailureOfTheAPIServerIsReturnedAndToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.Fail = func(call string) error {
		if strings.HasPrefix(call, "apply HorizontalPodAutoscaler") {
			return errors.New("boom")
		}
		return nil
	}
	const want = `applying HorizontalPodAutoscaler "keda-hpa-a": boom`
	for range 3 {
		equal(t, "error", w.failing("a"), want)
	}
	w.Does("patch ScaledObject a", wrote)
	w.Tells("Warning ScaledObjectCheckFailed: " + want)
	w.says("a", "Ready", checkFailed+want)
	w.Fail = nil
	w.pass("a")
	w.says("a", "Ready", ready)
}

func TestAnObjectThatIsDeletedInBetweenIsNoError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	w.reads(map[string]float64{"jobs": 0})
	w.Fail = func(call string) error {
		if call == "get HorizontalPodAutoscaler keda-hpa-a" {
			so := w.object("a")
			so.Finalizers = nil
			return errors.Join(w.api.Update(t.Context(), so), w.api.Delete(t.Context(), so))
		}
		return nil
	}
	w.pass("a")
	w.Tells()
	w.Fail = nil
	w.pass("a")
	equal(t, "known", w.r.Known(client.ObjectKey{Namespace: "ns", Name: "a"}), false)
	if i := slices.IndexFunc(w.Writes, func(s string) bool { return s != wrote }); i >= 0 {
		t.Errorf("writes %q", w.Writes)
	}
}
