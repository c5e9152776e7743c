package scaled_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/engine"
)

func key(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

func TestTheShorterOfTwoSpansCountsButNotNone(t *testing.T) {
	t.Parallel()
	for _, tc := range [][3]time.Duration{{0, 0, 0}, {1, 0, 1}, {0, 2, 2}, {1, 2, 1}, {2, 1, 1}} {
		equal(t, fmt.Sprint(tc), scaled.Sooner(tc[0], tc[1]), tc[2])
	}
}

func TestOwnersAreOfOneKind(t *testing.T) {
	t.Parallel()
	equal(t, "owner", scaled.Job.Owner(key("ns", "a")), "scaledjob/ns/a")
	owners := []engine.Owner{scaled.Object.Owner(key("ns", "a")), scaled.Job.Owner(key("ns", "b")), "scaledobject/c", scaled.Object.Owner(key("", "d"))}
	equal(t, "objects", fmt.Sprint(slices.Collect(scaled.KeysOf(scaled.Object, owners))), "[ns/a /d]")
	equal(t, "jobs", fmt.Sprint(slices.Collect(scaled.KeysOf(scaled.Job, owners))), "[ns/b]")
	for first := range scaled.KeysOf(scaled.Object, owners) {
		equal(t, "first", first, key("ns", "a"))
		break
	}
}

func TestWhatIsKnownIsOneThingPerName(t *testing.T) {
	t.Parallel()
	var known scaled.Known[sync.Mutex]
	equal(t, "before", known.Find(key("ns", "a")), nil)
	var wait sync.WaitGroup
	got := make([]*sync.Mutex, 8)
	for i := range got {
		wait.Go(func() { got[i] = known.Get(key("ns", "a")) })
	}
	wait.Wait()
	for _, g := range got {
		equal(t, "known", g, known.Find(key("ns", "a")))
	}
	known.Get(key("other", "0"))
	known.Get(key("ns", "0"))
	equal(t, "all", fmt.Sprint(known.Keys()), "[ns/0 ns/a other/0]")
	known.Remove(key("ns", "a"))
	equal(t, "forgotten", known.Find(key("ns", "a")), nil)
}

func TestAQueueTakesNothingBeforeTheControllerRuns(t *testing.T) {
	t.Parallel()
	var q scaled.Queue
	var to scaledtest.Queue
	q.Add(key("ns", "early"))
	if err := q.Start(t.Context(), &to); err != nil {
		t.Fatal(err)
	}
	q.Add(key("ns", "late"))
	equal(t, "asked for", fmt.Sprint(to.Taken()), "[late]")
}

func TestReconcilingReadsAndForgets(t *testing.T) {
	t.Parallel()
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "scaledobjects"}, "a", errors.New("it has changed"))
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		object string // that is asked for
		fails  error  // the read
		passes error  // of the pass
		want   string // what was done, when to come again, and the error
	}{
		"an object":                 {"a", nil, nil, "passed a 1m0s <nil>"},
		"one that is gone":          {"b", nil, nil, "forgot b 0s <nil>"},
		"one that cannot be read":   {"a", boom, nil, `0s reading the object "ns/a": boom`},
		"a pass that fails":         {"a", nil, boom, "passed a 0s boom"},
		"a pass that came too late": {"a", nil, fmt.Errorf("writing: %w", conflict), "passed a 100ms <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := scaledtest.Cluster(t, nil, object(1)).Build()
			did := ""
			result, err := scaled.Reconcile(t.Context(), reader{api, tc.fails}, reconcile.Request{NamespacedName: key("ns", tc.object)}, new(v1alpha1.ScaledObject),
				func(k client.ObjectKey) { did += "forgot " + k.Name + " " },
				func(_ context.Context, so *v1alpha1.ScaledObject) (reconcile.Result, error) {
					did += "passed " + so.Name + " "
					if tc.passes != nil {
						return reconcile.Result{}, tc.passes
					}
					return reconcile.Result{RequeueAfter: time.Minute}, nil
				})
			equal(t, "done", fmt.Sprint(did, result.RequeueAfter, " ", err), tc.want)
		})
	}
}

// reader is a client whose reads of single objects fail.
type reader struct {
	client.Reader

	err error
}

func (r reader) Get(ctx context.Context, k types.NamespacedName, o client.Object, opts ...client.GetOption) error {
	if r.err != nil {
		return r.err
	}
	return r.Reader.Get(ctx, k, o, opts...)
}
