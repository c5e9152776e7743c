//go:build e2e

// Package e2e tests weir as users run it: the program, installed from deploy/
// with the rights of its service account, on a real control plane with the real
// HPA controller, with real brokers, and with workers that are processes.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"github.com/weir-sh/weir/internal/brokers/rabbitmq"
	"github.com/weir-sh/weir/internal/stack"
	"github.com/weir-sh/weir/internal/testcluster"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// The one cluster and the one weir of this run. Tests have namespaces and
// brokers of their own; those that kill weir do not run beside others.
var (
	cluster *testcluster.Cluster
	weir    *stack.Weir
	objects dynamic.Interface

	// rabbit starts the one RabbitMQ server when the first test asks for it: it
	// takes seconds and 140 MB.
	rabbit = sync.OnceValues(func() (*rabbitmq.Server, error) {
		return rabbitmq.Start(context.Background(), rabbitmq.Options{Dir: filepath.Join(cluster.Dir, "rabbitmq")})
	})
	rabbitStarted bool
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	say := func(line string) { fmt.Println("e2e:", line) }
	say("building weir")
	bin, err := stack.Build(ctx)
	if err != nil {
		return 1, err
	}
	if err := os.Setenv("PATH", filepath.Dir(bin)+":"+os.Getenv("PATH")); err != nil {
		return 1, err
	}
	cluster, err = testcluster.Start(ctx, testcluster.Options{HPASyncPeriod: 2 * time.Second, HPADownscaleStabilization: 5 * time.Second, Progress: say})
	if err != nil {
		return 1, err
	}
	defer func() {
		if e := cluster.Stop(); e != nil && err == nil {
			err = e
		}
	}()
	defer func() {
		if !rabbitStarted {
			return
		}
		if s, e := rabbit(); e == nil {
			err = s.Stop()
		}
	}()
	objects, err = dynamic.NewForConfig(cluster.RESTConfig())
	if err != nil {
		return 1, err
	}
	log := filepath.Join(cluster.Dir, "weir.log")
	weir, err = stack.Start(ctx, cluster, stack.Options{Binary: bin, Log: log})
	if err != nil {
		return 1, err
	}
	defer func() {
		if e := weir.Stop(); e != nil && err == nil {
			err = e
		}
	}()
	if err := serving(ctx); err != nil {
		return 1, err
	}
	if code = m.Run(); code != 0 {
		if text, e := os.ReadFile(log); e == nil {
			fmt.Printf("weir's log ends with:\n%s\n", text[max(0, len(text)-8000):])
		}
	}
	return code, nil
}

// serving waits until external metrics are served.
func serving(ctx context.Context) error {
	return weir.Await(ctx, time.Minute, "external metrics", func(ctx context.Context) error { return weir.Ready(ctx, cluster) })
}

// broker returns the RabbitMQ server.
func broker(t *testing.T) *rabbitmq.Server {
	t.Helper()
	rabbitStarted = true
	s, err := rabbit()
	if err != nil {
		t.Fatalf("starting RabbitMQ: %v", err)
	}
	return s
}

// apply applies a manifest, which is a template of values, in the namespace.
func apply(t *testing.T, namespace, manifest string, values any) {
	t.Helper()
	var text bytes.Buffer
	if err := template.Must(template.New("").Option("missingkey=error").Parse(manifest)).Execute(&text, values); err != nil {
		t.Fatal(err)
	}
	var list []*unstructured.Unstructured
	for doc := range strings.SplitSeq(text.String(), "\n---\n") {
		u := new(unstructured.Unstructured)
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		u.SetNamespace(namespace)
		list = append(list, u)
	}
	if err := stack.Apply(t.Context(), cluster, list...); err != nil {
		t.Fatal(err)
	}
}

// scaledObject reads a ScaledObject.
func scaledObject(t *testing.T, namespace, name string) *v1alpha1.ScaledObject {
	t.Helper()
	u, err := objects.Resource(schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "scaledobjects"}).
		Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	so := new(v1alpha1.ScaledObject)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, so); err != nil {
		t.Fatal(err)
	}
	return so
}

// condition waits until a condition is as wanted; status may be followed by "/"
// and a reason, and message is a part of the message.
func condition(t *testing.T, within time.Duration, namespace, name string, typ v1alpha1.ConditionType, want, message string) {
	t.Helper()
	cluster.WaitFor(t, within, fmt.Sprintf("%s %s=%s %q", name, typ, want, message), func() error {
		c := v1alpha1.FindCondition(scaledObject(t, namespace, name).Status.Conditions, typ)
		if c == nil {
			return fmt.Errorf("no such condition")
		}
		have := string(c.Status)
		if strings.Contains(want, "/") {
			have += "/" + c.Reason
		}
		if have != want || !strings.Contains(c.Message, message) {
			return fmt.Errorf("it is %s/%s: %s", c.Status, c.Reason, c.Message)
		}
		return nil
	})
}

// replicas returns spec.replicas and the ready replicas of a Deployment.
func replicas(t *testing.T, namespace, name string) (want, ready int32) {
	t.Helper()
	d, err := cluster.Client().AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return *d.Spec.Replicas, d.Status.ReadyReplicas
}

// awaitReplicas waits until ok holds for the replicas of a Deployment.
func awaitReplicas(t *testing.T, within time.Duration, namespace, name, what string, ok func(want, ready int32) bool) {
	t.Helper()
	cluster.WaitFor(t, within, name+" "+what, func() error {
		want, ready := replicas(t, namespace, name)
		if !ok(want, ready) {
			return fmt.Errorf("%d replicas, %d ready", want, ready)
		}
		return nil
	})
}

// heldFor checks for a while that a Deployment has never fewer replicas than
// least.
func heldFor(t *testing.T, span time.Duration, namespace, name string, least int32) {
	t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if want, _ := replicas(t, namespace, name); want < least {
			t.Fatalf("%s went down to %d replicas; it must stay at %d or more", name, want, least)
		}
	}
}

// patch merges a change into an object.
func patch(t *testing.T, resource schema.GroupVersionResource, namespace, name string, change map[string]any) {
	t.Helper()
	body, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Resource(resource).Namespace(namespace).Patch(t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func atZero(want, ready int32) bool { return want == 0 && ready == 0 }
