package authentication_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Shorter names of the kinds.
const (
	namespaced = v1alpha1.KindTriggerAuthentication
	cluster    = v1alpha1.KindClusterTriggerAuthentication
)

func cutCluster(ref string) (name string, ok bool) { return strings.CutPrefix(ref, "cluster/") }

func TestTheStatusSaysWhoRefersToTheObject(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind, namespace string
		others          []client.Object
		objects, jobs   string
	}{
		"nobody": {
			namespaced, "ns",
			[]client.Object{object("ns", "o", "b"), job("ns", "j")},
			"", "",
		},
		"in the order of their names": {
			namespaced, "ns",
			[]client.Object{object("ns", "z", "a"), object("ns", "y", "b", "a"), job("ns", "x", "a"), job("ns", "w", "a")},
			"y,z", "w,x",
		},
		"by several triggers": {
			namespaced, "ns",
			[]client.Object{object("ns", "o", "a", "a", "cluster/a")},
			"o", "",
		},
		"one of another namespace that has the same name": {
			namespaced, "ns",
			[]client.Object{object("other", "secret", "a"), job("other", "secret", "a")},
			"", "",
		},
		"one that means the other kind": {
			namespaced, "ns",
			[]client.Object{object("ns", "o", "cluster/a")},
			"", "",
		},
		"cluster-wide, nobody": {
			cluster, "",
			[]client.Object{object("ns", "o", "a")},
			"", "",
		},
		"cluster-wide, from one namespace": {
			cluster, "",
			[]client.Object{object("ns", "o", "cluster/a", "cluster/a"), object("ns", "p", "cluster/a")},
			"2 in 1 namespace", "",
		},
		"cluster-wide, without names": {
			cluster, "",
			[]client.Object{object("ns", "o", "cluster/a"), object("other", "o", "cluster/a"), object("other", "p", "cluster/a"), job("ns", "j", "cluster/a")},
			"3 in 2 namespaces", "1 in 1 namespace",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, append(tc.others, auth(tc.namespace, "a"))...)
			for range 2 {
				if err := w.reconcile(tc.kind, tc.namespace, "a"); err != nil {
					t.Fatal(err)
				}
			}
			want := v1alpha1.TriggerAuthenticationStatus{ScaledObjectNames: tc.objects, ScaledJobNames: tc.jobs}
			if got := w.status(tc.namespace, "a"); got != want {
				t.Errorf("status %+v, want %+v", got, want)
			}
			if most := min(1, len(tc.objects+tc.jobs)); w.writes != most {
				t.Errorf("%d writes, want %d", w.writes, most)
			}
		})
	}
}

func TestTheStatusShrinksAndForgetsWhatKEDAWrote(t *testing.T) {
	t.Parallel()
	left := object("ns", "left", "a")
	was := auth("ns", "a").(*v1alpha1.TriggerAuthentication)
	was.Status = v1alpha1.TriggerAuthenticationStatus{ScaledObjectNames: "left,gone,gone", ScaledJobNames: "gone"}
	all := auth("", "a").(*v1alpha1.ClusterTriggerAuthentication)
	all.Status = v1alpha1.TriggerAuthenticationStatus{ScaledObjectNames: "of-another-tenant"}
	w := newWorld(t, left, was, all)
	check := func(kind, namespace, want string) {
		t.Helper()
		if err := w.reconcile(kind, namespace, "a"); err != nil {
			t.Fatal(err)
		}
		if got := w.status(namespace, "a"); got != (v1alpha1.TriggerAuthenticationStatus{ScaledObjectNames: want}) {
			t.Errorf("status of the %s: %+v, want %q", kind, got, want)
		}
	}
	check(namespaced, "ns", "left")
	check(cluster, "", "")
	left.Spec.Triggers = triggers("b")
	if err := w.Update(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	check(namespaced, "ns", "")
}

func TestTheStatusIsBounded(t *testing.T) {
	t.Parallel()
	const referrers = 1024
	objects := []client.Object{auth("ns", "a")}
	for i := range referrers {
		objects = append(objects, object("ns", fmt.Sprintf("o%04d", i), "a"))
	}
	w := newWorld(t, objects...)
	if err := w.reconcile(namespaced, "ns", "a"); err != nil {
		t.Fatal(err)
	}
	got := w.status("ns", "a").ScaledObjectNames
	if n := strings.Count(got, ","); n != 1000 || !strings.HasPrefix(got, "o0000,o0001,") || !strings.HasSuffix(got, ",o0999, and 24 more") {
		t.Errorf("%d commas in %q...%q", n, got[:20], got[len(got)-30:])
	}
}

func TestFailuresOfTheAPIServer(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	resource := schema.GroupResource{Group: v1alpha1.Group, Resource: "triggerauthentications"}
	for name, tc := range map[string]struct {
		verb string
		fail error
		err  string
	}{
		"reading":             {"get", boom, `reading TriggerAuthentication "ns/a": boom`},
		"reading what is not": {"get", apierrors.NewNotFound(resource, "a"), ""},
		"looking up":          {"list", boom, "looking up what refers to TriggerAuthentication \"ns/a\": boom\nlooking up what refers to TriggerAuthentication \"ns/a\": boom"},
		"writing":             {"status", boom, `writing the status of TriggerAuthentication "a": boom`},
		"writing, deleted":    {"status", apierrors.NewNotFound(resource, "a"), ""},
		"writing, made anew":  {"status", apierrors.NewConflict(resource, "a", boom), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, auth("ns", "a"), object("ns", "o", "a"))
			w.fail[tc.verb] = tc.fail
			if text := message(w.reconcile(namespaced, "ns", "a")); text != tc.err {
				t.Errorf("error %q, want %q", text, tc.err)
			}
		})
	}
}

func TestTheFinalizerGoesOnlyFromWhatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind, namespace string
		finalizers      []string
		delete          bool
		fail            error
		gone            bool
		err             string
	}{
		"deleted":                             {namespaced, "ns", []string{v1alpha1.Finalizer}, true, nil, true, ""},
		"deleted, cluster-wide":               {cluster, "", []string{v1alpha1.Finalizer}, true, nil, true, ""},
		"deleted, and somebody else holds it": {namespaced, "ns", []string{v1alpha1.Finalizer, "example.com/other"}, true, nil, false, ""},
		"in use":                              {namespaced, "ns", []string{v1alpha1.Finalizer}, false, errors.New("boom"), false, ""},
		"the API server fails": {
			namespaced, "ns",
			[]string{v1alpha1.Finalizer},
			true, errors.New("boom"), false,
			`removing the finalizer of TriggerAuthentication "ns/a": boom`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := auth(tc.namespace, "a")
			o.SetFinalizers(tc.finalizers)
			w := newWorld(t, o, object("ns", "o", "a", "cluster/a"))
			w.fail["patch"] = tc.fail
			if tc.delete {
				if err := w.Delete(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			if text := message(w.reconcile(tc.kind, tc.namespace, "a")); text != tc.err {
				t.Errorf("error %q, want %q", text, tc.err)
			}
			err := w.Get(t.Context(), client.ObjectKeyFromObject(o), o)
			if gone := apierrors.IsNotFound(err); gone != tc.gone {
				t.Errorf("gone is %v, want %v", gone, tc.gone)
			}
			if tc.delete && w.writes != 0 {
				t.Error("the status was written of what is being deleted")
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// deleting marks o as being deleted.
func deleting(o client.Object) client.Object {
	now := metav1.Now()
	o.SetDeletionTimestamp(&now)
	o.SetGeneration(o.GetGeneration() + 1)
	return o
}
