package kube_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// objects is what exists. A name beginning with "forbidden" or "broken" cannot
// be read.
type objects struct {
	secrets      map[string]map[string][]byte // by namespace/name
	configMaps   map[string]map[string]string
	auths        map[string]*v1alpha1.TriggerAuthenticationSpec
	clusterAuths map[string]*v1alpha1.TriggerAuthenticationSpec
	accounts     map[string]*corev1.ServiceAccount
	read         []string // what was asked for
}

func look[V any](o *objects, in map[string]V, kind, key string) (V, error) {
	o.read = append(o.read, kind+" "+key)
	v, ok := in[key]
	_, name, _ := strings.Cut("/"+key, "/")
	resource := schema.GroupResource{Resource: kind}
	switch {
	case strings.Contains(name, "forbidden"):
		return v, apierrors.NewForbidden(resource, key, errors.New("no role"))
	case strings.Contains(name, "broken"):
		return v, errors.New("connection refused")
	case !ok:
		return v, apierrors.NewNotFound(resource, key)
	}
	return v, nil
}

func (o *objects) Secret(_ context.Context, namespace, name string) (map[string][]byte, error) {
	return look(o, o.secrets, "Secret", namespace+"/"+name)
}

func (o *objects) ConfigMap(_ context.Context, namespace, name string) (map[string]string, error) {
	return look(o, o.configMaps, "ConfigMap", namespace+"/"+name)
}

func (o *objects) TriggerAuthentication(_ context.Context, namespace, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	return look(o, o.auths, "TriggerAuthentication", namespace+"/"+name)
}

func (o *objects) ClusterTriggerAuthentication(_ context.Context, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	return look(o, o.clusterAuths, "ClusterTriggerAuthentication", name)
}

func (o *objects) ServiceAccount(_ context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return look(o, o.accounts, "ServiceAccount", namespace+"/"+name)
}

// reads are the Secrets and ConfigMaps that were read, each once, sorted.
func (o *objects) reads() string {
	read := slices.DeleteFunc(slices.Clone(o.read), func(s string) bool { return strings.Contains(s, "Authentication") })
	slices.Sort(read)
	return strings.Join(slices.Compact(read), ", ")
}

// short writes references like objects.reads does.
func short(refs []kube.Ref) string {
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = strings.ReplaceAll(fmt.Sprintf("%s %s/%s", r.Kind, r.Namespace, r.Name), " /", " ")
	}
	return strings.Join(out, ", ")
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRefsAreDescribed(t *testing.T) {
	t.Parallel()
	for ref, want := range map[kube.Ref]string{
		{Kind: kube.KindSecret, Namespace: "shop", Name: "broker"}:          `Secret "broker" in namespace "shop"`,
		{Kind: v1alpha1.KindClusterTriggerAuthentication, Name: "everyone"}: `ClusterTriggerAuthentication "everyone"`,
	} {
		if got := ref.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
