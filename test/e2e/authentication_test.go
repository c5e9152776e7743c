//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// authentications is an authentication object of each kind.
const authentications = `
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: {{.Name}}}
spec:
  env: [{parameter: password, name: NONE}]
---
apiVersion: keda.sh/v1alpha1
kind: ClusterTriggerAuthentication
metadata: {name: {{.Cluster}}}
spec:
  env: [{parameter: password, name: NONE}]`

// referring is a ScaledJob and a ScaledObject, whose list nobody fills, that refer
// to authentication objects.
const referring = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  triggers:
  - type: redis
    metadata: {address: "{{.Address}}", listName: a}
    authenticationRef: {name: {{.Auth}}}
  - type: redis
    metadata: {address: "{{.Address}}", listName: b}
    authenticationRef: {name: {{.Cluster}}, kind: ClusterTriggerAuthentication}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: {{.Name}}}
spec:
  jobTargetRef:
    template: {spec: {restartPolicy: Never, containers: [{name: main, image: none}]}}
  triggers:
  - type: redis
    metadata: {address: "{{.Address}}", listName: c}
    authenticationRef: {name: {{.Auth}}}`

func authResource(kind string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: strings.ToLower(kind) + "s"}
}

// referred waits until the status of an authentication object says who refers to
// it.
func referred(t *testing.T, kind, namespace, name, scaledObjects, scaledJobs string) {
	t.Helper()
	want := scaledObjects + " and " + scaledJobs
	cluster.WaitFor(t, 10*time.Second, name+" to be referred to by "+want, func() error {
		o, err := objects.Resource(authResource(kind)).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		status, _, err := unstructured.NestedStringMap(o.Object, "status")
		if err != nil {
			return err
		}
		if got := status["scaledobjects"] + " and " + status["scaledjobs"]; got != want {
			return fmt.Errorf("it is by %s", got)
		}
		return nil
	})
}

func TestAuthenticationObjectsSayWhoRefersToThem(t *testing.T) {
	here, there, s := cluster.NewNamespace(t), cluster.NewNamespace(t), startRedis(t, redis.Options{})
	const one, all = v1alpha1.KindTriggerAuthentication, v1alpha1.KindClusterTriggerAuthentication
	v := func(name string) values {
		return values{"Name": name, "Replicas": 0, "Address": s.Addr(), "Auth": "login", "Cluster": here}
	}
	t.Cleanup(func() {
		// It belongs to no namespace that goes with the test, whose context has ended.
		err := objects.Resource(authResource(all)).Delete(context.WithoutCancel(t.Context()), here, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("deleting the ClusterTriggerAuthentication: %v", err)
		}
	})
	begin := func(namespace string, names ...string) {
		for _, name := range names {
			apply(t, namespace, idle, v(name))
			apply(t, namespace, referring, v(name))
		}
		apply(t, namespace, authentications, v("login"))
	}
	begin(there, "secret")
	referred(t, one, there, "login", "secret", "secret") // from now on what is created is news, also after a fresh start
	begin(here, "second", "first")
	referred(t, one, here, "login", "first,second", "first,second")
	referred(t, all, "", here, "3 in 2 namespaces", "")
	told(t, here, "TriggerAuthenticationAdded")

	jobs := authResource("ScaledJob")
	if err := objects.Resource(jobs).Namespace(here).Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	patch(t, scaledObjects(), here, "second", map[string]any{"spec": map[string]any{"triggers": []any{map[string]any{
		"type": "redis", "metadata": map[string]any{"address": s.Addr(), "listName": "a"},
	}}}})
	patch(t, authResource(one), here, "login", map[string]any{"spec": map[string]any{"env": nil}})
	referred(t, one, here, "login", "first", "second")
	referred(t, all, "", here, "2 in 2 namespaces", "")
	if err := objects.Resource(authResource(one)).Namespace(here).Delete(t.Context(), "login", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	told(t, here, "TriggerAuthenticationAdded", "ClusterTriggerAuthenticationUpdated", "TriggerAuthenticationDeleted")
}

// told waits until the events about "login" have the reasons, each once.
func told(t *testing.T, namespace string, reasons ...string) {
	t.Helper()
	cluster.WaitFor(t, 10*time.Second, "events", func() error {
		list, err := cluster.Client().EventsV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		var got []string
		for _, e := range list.Items {
			if e.Regarding.Kind == v1alpha1.KindTriggerAuthentication && e.Regarding.Name == "login" {
				got = append(got, e.Reason)
			}
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(reasons))
		if !slices.Equal(got, want) {
			return fmt.Errorf("they are %q, want %q", got, want)
		}
		return nil
	})
}
