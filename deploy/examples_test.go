package deploy_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
	"github.com/weir-sh/weir/pkg/triggers"
)

// folder reads credentials from the objects of one example.
type folder []client.Object

// find returns the object of type T of that name.
func find[T client.Object](f folder, name string) (T, error) {
	for _, o := range f {
		if typed, ok := o.(T); ok && o.GetName() == name {
			return typed, nil
		}
	}
	var none T
	return none, apierrors.NewNotFound(schema.GroupResource{}, name)
}

func (f folder) Secret(_ context.Context, _, name string) (map[string][]byte, error) {
	s, err := find[*corev1.Secret](f, name)
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for k, v := range s.StringData {
		data[k] = []byte(v)
	}
	return data, nil
}

func (f folder) ConfigMap(_ context.Context, _, name string) (map[string]string, error) {
	m, err := find[*corev1.ConfigMap](f, name)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

func (f folder) ServiceAccount(_ context.Context, _, name string) (*corev1.ServiceAccount, error) {
	return find[*corev1.ServiceAccount](f, name)
}

func (f folder) TriggerAuthentication(_ context.Context, _, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	a, err := find[*v1alpha1.TriggerAuthentication](f, name)
	if err != nil {
		return nil, err
	}
	return &a.Spec, nil
}

func (f folder) ClusterTriggerAuthentication(_ context.Context, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	a, err := find[*v1alpha1.ClusterTriggerAuthentication](f, name)
	if err != nil {
		return nil, err
	}
	return &a.Spec, nil
}

// examples returns the objects of each folder of examples.
func examples(t *testing.T) map[string]folder {
	t.Helper()
	const root = "../examples"
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]folder{}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, e.Name(), "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = load(t, files...)
	}
	if len(out) < 4 {
		t.Fatalf("%d examples, want at least 4", len(out))
	}
	return out
}

// TestEveryExampleWorksAsItIs: nothing is missing, misspelt or worth a warning.
func TestEveryExampleWorksAsItIs(t *testing.T) {
	registry, err := scalers.NewRegistry(all.Scalers()...)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range examples(t) {
		t.Run(name, func(t *testing.T) {
			so := one[*v1alpha1.ScaledObject](t, f, "")
			problems, warnings := triggers.CheckScaledObject(so)
			credentials := kube.Credentials{Objects: f}
			var inputs []triggers.Input
			for _, spec := range so.Spec.Triggers {
				found, err := credentials.Resolve(t.Context(), spec, kube.Workload{Namespace: "default"})
				inputs = append(inputs, triggers.Input{Spec: spec, Values: found.Values, Err: err})
			}
			result := triggers.Parse(registry, inputs)
			for _, p := range append(append(problems, warnings...), append(result.Problems, result.Warnings...)...) {
				t.Error(p)
			}
			if len(result.Triggers) != len(so.Spec.Triggers) {
				t.Errorf("%d of %d triggers are right", len(result.Triggers), len(so.Spec.Triggers))
			}
		})
	}
}

// TestEveryTypeHasAnExampleThatTheIndexLists, so that nobody starts from nothing.
func TestEveryTypeHasAnExampleThatTheIndexLists(t *testing.T) {
	index, err := os.ReadFile("../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for name, f := range examples(t) {
		if !strings.Contains(string(index), "| ["+name+"]("+name+") |") {
			t.Errorf("examples/README.md does not list %s", name)
		}
		for _, trigger := range one[*v1alpha1.ScaledObject](t, f, "").Spec.Triggers {
			shown[trigger.Type] = true
		}
	}
	for _, d := range all.Scalers() {
		if !shown[d.Type] {
			t.Errorf("there is no example with a trigger of type %s", d.Type)
		}
	}
}

// TestTheWorkersOfTheDemoReadTheSecretOfTheTrigger, so that there is one place to
// change an address.
func TestTheWorkersOfTheDemoReadTheSecretOfTheTrigger(t *testing.T) {
	folders := examples(t)
	for example, variable := range map[string]string{"redis-list": "REDIS_ADDRESS", "rabbitmq-queue": "RABBITMQ_URL"} {
		so := one[*v1alpha1.ScaledObject](t, folders[example], example)
		d := one[*appsv1.Deployment](t, folders[example], so.Spec.ScaleTargetRef.Name)
		auth := one[*v1alpha1.TriggerAuthentication](t, folders[example], so.Spec.Triggers[0].AuthenticationRef.Name)
		c := d.Spec.Template.Spec.Containers[0]
		if len(c.Command) == 0 || c.Command[0] != "weir-demo-worker" {
			t.Errorf("%s: the command is %q", example, c.Command)
		}
		if len(c.Env) != 1 || c.Env[0].Name != variable || c.Env[0].ValueFrom == nil || c.Env[0].ValueFrom.SecretKeyRef == nil {
			t.Fatalf("%s: the environment is %v, want %s from a Secret", example, c.Env, variable)
		}
		from, to := c.Env[0].ValueFrom.SecretKeyRef, auth.Spec.SecretTargetRef[0]
		if from.Name != to.Name || from.Key != to.Key {
			t.Errorf("%s: the worker reads %s/%s, the trigger %s/%s", example, from.Name, from.Key, to.Name, to.Key)
		}
		if d.Spec.Replicas != nil {
			t.Errorf("%s: the Deployment sets its replicas, which are weir's to set", example)
		}
	}
}
