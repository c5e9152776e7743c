// Package scaledtest is what the tests of the controllers of ScaledObjects and of
// ScaledJobs have in common: a record of what is asked of the cluster, an engine that
// reads what a test says, and scalers for it.
package scaledtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
)

// Start is when every test begins.
func Start() time.Time { return time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC) }

// Cluster begins a fake cluster that knows the kinds of Kubernetes and of weir, with
// indexes as a cache has them. It takes copies of the objects: tests that run at the
// same time may share them.
func Cluster(t testing.TB, indexes []scaled.Index, objects ...client.Object) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme)
	for _, i := range indexes {
		b = b.WithIndex(i.Object, i.Name, i.Keys)
	}
	for _, o := range objects {
		b = b.WithObjects(o.DeepCopyObject().(client.Object))
	}
	return b
}

// Queue remembers the names of what was asked for, each once. Its zero value is ready
// for use.
type Queue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]

	asked map[string]bool
}

// Add notes a name.
func (q *Queue) Add(r reconcile.Request) {
	if q.asked == nil {
		q.asked = map[string]bool{}
	}
	q.asked[r.Name] = true
}

// Taken returns the names that were asked for since it was last called, sorted.
func (q *Queue) Taken() []string {
	out := slices.Sorted(maps.Keys(q.asked))
	clear(q.asked)
	return out
}

// Said is the condition of a type as text: "True ScaledObjectReady: message"; empty
// when there is none.
func Said(list []v1alpha1.Condition, of v1alpha1.ConditionType) string {
	c := v1alpha1.FindCondition(list, of)
	if c == nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSpace(fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)), " :")
}

// YAML is a value as text.
func YAML(t testing.TB, v any) string {
	t.Helper()
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
