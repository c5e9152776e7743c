package scaledjob_test

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaledjob"
)

// cluster is a cluster with a reconciler in it.
type cluster struct {
	t      *testing.T
	api    client.WithWatch
	r      *scaledjob.Reconciler
	writes int
	fail   func() error // called before a write
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, fail: func() error { return nil }}
	c.api = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.ScaledJob{}).Build()
	c.r = scaledjob.New(interceptor.NewClient(c.api, interceptor.Funcs{
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			c.writes++
			return errors.Join(c.fail(), w.Patch(ctx, o, p, opts...))
		},
		SubResourcePatch: func(ctx context.Context, w client.Client, _ string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			c.writes++
			if err := c.fail(); err != nil {
				return err
			}
			return w.Status().Patch(ctx, o, p, opts...)
		},
	}))
	return c
}

// pass reconciles the ScaledJob once and returns what comes of it: the error's
// text, or that it is to be tried again.
func (c *cluster) pass() string {
	c.t.Helper()
	result, err := c.r.Reconcile(c.t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "ns", Name: "a"}})
	switch {
	case err != nil:
		return err.Error()
	case result.RequeueAfter > 0:
		return "again after " + result.RequeueAfter.String()
	}
	return ""
}

// does checks the writes since the last check.
func (c *cluster) does(want int) {
	c.t.Helper()
	if c.writes != want {
		c.t.Errorf("%d writes, want %d", c.writes, want)
	}
	c.writes = 0
}

func (c *cluster) object() *v1alpha1.ScaledJob {
	c.t.Helper()
	sj := new(v1alpha1.ScaledJob)
	if err := c.api.Get(c.t.Context(), client.ObjectKey{Namespace: "ns", Name: "a"}, sj); err != nil {
		c.t.Fatal(err)
	}
	return sj
}

func job() *v1alpha1.ScaledJob {
	return &v1alpha1.ScaledJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", UID: "u", Generation: 1},
		Spec: v1alpha1.ScaledJobSpec{Triggers: []v1alpha1.Trigger{
			{Type: "redis", AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "creds"}}, {Type: "cron"},
		}},
	}
}

func TestAScaledJobSaysOnceThatItIsNotActedOn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, job())
	for range 3 {
		if err := c.pass(); err != "" {
			t.Fatal(err)
		}
	}
	c.does(1)
	sj := c.object()
	if sj.Status.Conditions[0].LastTransitionTime.IsZero() {
		t.Error("the condition has no time")
	}
	sj.Status.Conditions[0].LastTransitionTime = nil
	got, err := yaml.Marshal(sj.Status)
	if err != nil {
		t.Fatal(err)
	}
	const want = `authenticationsTypes: creds
conditions:
- message: 'ScaledJobs are not acted on by this version: no Jobs are created for them'
  observedGeneration: 1
  reason: ScaledJobCheckFailed
  status: "False"
  type: Ready
observedGeneration: 1
triggersTypes: redis,cron
`
	if string(got) != want {
		t.Errorf("status\n%s\nwant\n%s", got, want)
	}
	sj = c.object()
	sj.Generation = 2
	if err := c.api.Update(t.Context(), sj); err != nil {
		t.Fatal(err)
	}
	c.pass()
	c.does(1)
	if got := c.object().Status.ObservedGeneration; got != 2 {
		t.Errorf("observedGeneration %d, want 2", got)
	}
}

func TestAScaledJobThatIsGone(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	if err := c.pass(); err != "" {
		t.Error(err)
	}
	c = newCluster(t, job())
	c.fail = func() error { return c.api.Delete(t.Context(), job()) }
	if err := c.pass(); err != "" {
		t.Errorf("deleted in between: %v", err)
	}
}

func TestAFailureIsReturned(t *testing.T) {
	t.Parallel()
	c := newCluster(t, job())
	c.fail = func() error { return errors.New("boom") }
	if got, want := c.pass(), `writing the status of ScaledJob "a": boom`; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	c.fail = func() error { return nil }
	c.pass()
	c.does(2)
}

func TestAScaledJobThatIsDeletedIsLetGo(t *testing.T) {
	t.Parallel()
	for name, finalizers := range map[string][]string{
		"held by the finalizer": {v1alpha1.Finalizer, "other/one"},
		"held by somebody else": {"other/one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sj := job()
			sj.Finalizers = finalizers
			c := newCluster(t, sj)
			if err := c.api.Delete(t.Context(), sj); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := c.pass(); err != "" {
					t.Fatal(err)
				}
			}
			c.does(len(finalizers) - 1)
			if got := c.object().Finalizers; len(got) != 1 || got[0] != "other/one" {
				t.Errorf("finalizers %q", got)
			}
		})
	}
}
