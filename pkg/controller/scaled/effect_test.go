package scaled_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaled"
)

// referring is a ScaledObject whose triggers refer to authentication objects, given
// as kind and name in turn.
func referring(namespace, name string, refs ...string) *v1alpha1.ScaledObject {
	so := &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name)}}
	so.Spec.Triggers = []v1alpha1.Trigger{{Type: "fake"}}
	for i := 0; i < len(refs); i += 2 {
		so.Spec.Triggers = append(so.Spec.Triggers, v1alpha1.Trigger{Type: "fake", AuthenticationRef: &v1alpha1.AuthenticationRef{Kind: refs[i], Name: refs[i+1]}})
	}
	return so
}

const (
	namespaced = v1alpha1.KindTriggerAuthentication
	cluster    = v1alpha1.KindClusterTriggerAuthentication
)

func TestObjectsAreFoundByWhatTheyReferTo(t *testing.T) {
	t.Parallel()
	so := referring("ns", "a", "", "creds", cluster, "shared")
	sj := &v1alpha1.ScaledJob{Spec: v1alpha1.ScaledJobSpec{Triggers: so.Spec.Triggers}}
	const want = "[TriggerAuthentication/creds ClusterTriggerAuthentication/shared]"
	equal(t, "of a ScaledObject", fmt.Sprint(scaled.AuthKeys(so)), want)
	equal(t, "of a ScaledJob", fmt.Sprint(scaled.AuthKeys(sj)), want)
	equal(t, "of anything else", len(scaled.AuthKeys(&v1alpha1.TriggerAuthentication{})), 0)
}

// authentication is TriggerAuthentication "creds" of a generation.
func authentication(generation int64) *v1alpha1.TriggerAuthentication {
	return &v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds", UID: "uid-creds", Generation: generation}}
}

func TestAChangeConcernsThoseThatReferToTheObject(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind   string
		happen func(context.Context, handler.EventHandler)
		fail   error
		want   string
	}{
		"created":                   {kind: namespaced, happen: creation(authentication(1)), want: "[replan a replan b]"},
		"created for all":           {kind: cluster, happen: creation(&v1alpha1.ClusterTriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Name: "creds"}}), want: "[replan a replan d]"},
		"deleted":                   {kind: namespaced, happen: deletion(authentication(1)), want: "[replan a replan b]"},
		"changed":                   {kind: namespaced, happen: update(authentication(1), authentication(2)), want: "[replan a replan b]"},
		"changed in its status":     {kind: namespaced, happen: update(authentication(1), authentication(1)), want: "[]"},
		"while the cache says none": {kind: namespaced, happen: creation(authentication(1)), fail: errors.New("boom"), want: "[log level=ERROR msg=\"looking up objects failed\" index=weir.auth error=boom]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := scaledtest.Cluster(t, indexes(),
				referring("ns", "a", "", "creds", cluster, "creds"), referring("ns", "b", namespaced, "creds", "", "creds"),
				referring("ns", "c", "", "other"), referring("elsewhere", "d", namespaced, "creds", cluster, "creds"),
			).WithInterceptorFuncs(interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
					if tc.fail != nil {
						return tc.fail
					}
					return c.List(ctx, l, opts...)
				},
			}).Build()
			got := []string{}
			f, logs := finder(t, api, &got)
			tc.happen(t.Context(), f.FromAuthentication(tc.kind))
			slices.Sort(got)
			equal(t, "asked for", fmt.Sprint(append(got, logs()...)), tc.want)
		})
	}
}

// TestAChangeDoesNotConcernTheObjectItself, which has news of its own, and those that
// are found by what was before and by what is are asked for once.
func TestAChangeDoesNotConcernTheObjectItself(t *testing.T) {
	t.Parallel()
	a, b := referring("ns", "a", "", "creds"), referring("ns", "b", "", "creds")
	got := []string{}
	f, logs := finder(t, scaledtest.Cluster(t, indexes(), a, b).Build(), &got)
	same := func(client.Object) []scaled.Query {
		return []scaled.Query{{Namespace: "ns", Index: scaled.IndexAuth, Key: "TriggerAuthentication/creds"}}
	}
	update(a, a)(t.Context(), f.Affects(func(client.Object, client.Object) scaled.Effect { return scaled.Look }, same))
	equal(t, "asked for", fmt.Sprint(append(got, logs()...)), "[look b]")
}

func indexes() []scaled.Index {
	return []scaled.Index{{Object: &v1alpha1.ScaledObject{}, Name: scaled.IndexAuth, Keys: scaled.AuthKeys}}
}

// finder finds ScaledObjects, adds to got what is asked for, and returns the log.
func finder(t *testing.T, cache client.Reader, got *[]string) (f scaled.Finder, logs func() []string) {
	t.Helper()
	w := newTold(t)
	f = scaled.Finder{
		Cache: cache, Log: w.Log, List: func() client.ObjectList { return new(v1alpha1.ScaledObjectList) },
		Ask: func(k client.ObjectKey, what scaled.Effect) {
			*got = append(*got, map[scaled.Effect]string{scaled.Look: "look ", scaled.Replan: "replan "}[what]+k.Name)
		},
	}
	return f, func() []string {
		if w.log.Len() == 0 {
			return nil
		}
		return []string{"log " + strings.TrimSpace(w.log.String())}
	}
}

func creation(o client.Object) func(context.Context, handler.EventHandler) {
	return func(ctx context.Context, h handler.EventHandler) { h.Create(ctx, event.CreateEvent{Object: o}, nil) }
}

func deletion(o client.Object) func(context.Context, handler.EventHandler) {
	return func(ctx context.Context, h handler.EventHandler) { h.Delete(ctx, event.DeleteEvent{Object: o}, nil) }
}

func update(was, is client.Object) func(context.Context, handler.EventHandler) {
	return func(ctx context.Context, h handler.EventHandler) {
		h.Update(ctx, event.UpdateEvent{ObjectOld: was, ObjectNew: is}, nil)
	}
}
