package hostnode

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// objects is a store with one Secret and one ConfigMap, both named "known".
type objects map[string]string

func (o objects) Secret(_ context.Context, _, name string) (map[string]string, error) {
	return o.find("secrets", name)
}

func (o objects) ConfigMap(_ context.Context, _, name string) (map[string]string, error) {
	return o.find("configmaps", name)
}

func (o objects) find(kind, name string) (map[string]string, error) {
	if name != "known" {
		return nil, apierrors.NewNotFound(v1.Resource(kind), name)
	}
	data := map[string]string{}
	for k, v := range o {
		if rest, ok := strings.CutPrefix(k, kind+"/"); ok {
			data[rest] = v
		}
	}
	return data, nil
}

func secretKey(name, key string, optional bool) *v1.EnvVarSource {
	return &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{
		LocalObjectReference: v1.LocalObjectReference{Name: name}, Key: key, Optional: &optional,
	}}
}

func configMapKey(name, key string) *v1.EnvVarSource {
	return &v1.EnvVarSource{ConfigMapKeyRef: &v1.ConfigMapKeySelector{
		LocalObjectReference: v1.LocalObjectReference{Name: name}, Key: key,
	}}
}

func fieldRef(path string) *v1.EnvVarSource {
	return &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: path}}
}

func fromSecret(name, prefix string, optional bool) v1.EnvFromSource {
	return v1.EnvFromSource{Prefix: prefix, SecretRef: &v1.SecretEnvSource{
		LocalObjectReference: v1.LocalObjectReference{Name: name}, Optional: &optional,
	}}
}

func fromConfigMap(name string) v1.EnvFromSource {
	return v1.EnvFromSource{ConfigMapRef: &v1.ConfigMapEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: name}}}
}

func TestEnvironmentFollowsKubernetes(t *testing.T) {
	t.Parallel()
	known := objects{"secrets/user": "weir", "secrets/password": "s3cret", "configmaps/host": "localhost", "configmaps/user": "config"}
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", Labels: map[string]string{"app": "worker"}},
		Spec:       v1.PodSpec{NodeName: "host-0"},
	}
	for _, test := range []struct {
		name    string
		from    []v1.EnvFromSource
		env     []v1.EnvVar
		want    string
		wantErr string
	}{
		{name: "the base alone", want: "BASE=b"},
		{name: "a literal replaces the base", env: []v1.EnvVar{{Name: "BASE", Value: "x"}}, want: "BASE=x"},
		{
			name: "a reference sees what comes before it only",
			env:  []v1.EnvVar{{Name: "A", Value: "$(BASE)-$(B)-$$(BASE)"}, {Name: "B", Value: "$(A)"}},
			want: "A=b-$(B)-$(BASE) B=b-$(B)-$(BASE) BASE=b",
		},
		{name: "a key of a Secret", env: []v1.EnvVar{{Name: "P", ValueFrom: secretKey("known", "password", false)}}, want: "BASE=b P=s3cret"},
		{name: "a key of a ConfigMap", env: []v1.EnvVar{{Name: "H", ValueFrom: configMapKey("known", "host")}}, want: "BASE=b H=localhost"},
		{
			name: "fields of the pod",
			env: []v1.EnvVar{
				{Name: "N", ValueFrom: fieldRef("metadata.name")},
				{Name: "NS", ValueFrom: fieldRef("metadata.namespace")},
				{Name: "L", ValueFrom: fieldRef("metadata.labels['app']")},
				{Name: "IP", ValueFrom: fieldRef("status.podIP")},
				{Name: "NODE", ValueFrom: fieldRef("spec.nodeName")},
			},
			want: "BASE=b IP=127.0.0.1 L=worker N=p NODE=host-0 NS=ns",
		},
		{
			name: "all of a Secret with a prefix, and a ConfigMap before it that loses",
			from: []v1.EnvFromSource{fromConfigMap("known"), fromSecret("known", "", false), fromSecret("known", "R_", false)},
			want: "BASE=b R_password=s3cret R_user=weir host=localhost password=s3cret user=weir",
		},
		{name: "env wins over envFrom", from: []v1.EnvFromSource{fromConfigMap("known")}, env: []v1.EnvVar{{Name: "user", Value: "me"}}, want: "BASE=b host=localhost user=me"},
		{
			name: "what is optional may be missing", from: []v1.EnvFromSource{fromSecret("gone", "", true)},
			env:  []v1.EnvVar{{Name: "P", ValueFrom: secretKey("gone", "k", true)}, {Name: "Q", ValueFrom: secretKey("known", "k", true)}},
			want: "BASE=b",
		},
		{name: "a missing Secret", env: []v1.EnvVar{{Name: "P", ValueFrom: secretKey("gone", "k", false)}}, wantErr: `resolving env P: secrets "gone" not found`},
		{name: "a missing key", env: []v1.EnvVar{{Name: "P", ValueFrom: secretKey("known", "k", false)}}, wantErr: `resolving env P: Secret "known" has no key "k"`},
		{name: "a missing ConfigMap in envFrom", from: []v1.EnvFromSource{fromConfigMap("gone")}, wantErr: `resolving envFrom: configmaps "gone" not found`},
		{name: "a source that is not supported", env: []v1.EnvVar{{Name: "F", ValueFrom: &v1.EnvVarSource{}}}, wantErr: "resolving env F: this kind of valueFrom is not supported by host nodes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			base := map[string]string{"BASE": "b"}
			got, err := environment(t.Context(), known, pod, &v1.Container{EnvFrom: test.from, Env: test.env}, base)
			if text := errorText(err); text != test.wantErr {
				t.Fatalf("error %q, want %q", text, test.wantErr)
			}
			if text := strings.Join(list(got), " "); text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
			if !maps.Equal(base, map[string]string{"BASE": "b"}) {
				t.Error("the base was changed")
			}
		})
	}
}

func TestCommandAndArgsAreExpanded(t *testing.T) {
	t.Parallel()
	c := &v1.Container{Command: []string{"$(BIN)", "$(UNKNOWN)"}, Args: []string{"a b", "$$(BIN)"}}
	got := commandLine(c, map[string]string{"BIN": "/bin/worker"})
	if want := []string{"/bin/worker", "$(UNKNOWN)", "a b", "$(BIN)"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if c.Command[0] != "$(BIN)" {
		t.Error("the container was changed")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
