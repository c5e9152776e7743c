package kube_test

import (
	"errors"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	scalefake "k8s.io/client-go/scale/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/weir-sh/weir/pkg/kube"
)

// brokenMapper knows nothing because it cannot ask.
type brokenMapper struct{ meta.RESTMapper }

func (brokenMapper) RESTMapping(schema.GroupKind, ...string) (*meta.RESTMapping, error) {
	return nil, errors.New("connection refused")
}

func mapper() meta.RESTMapper {
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{apps})
	m.Add(apps.WithKind("Deployment"), meta.RESTScopeNamespace)
	return m
}

func TestFindingAKind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		mapper meta.RESTMapper
		kind   schema.GroupVersionKind
		want   string
		err    string
	}{
		{"known", mapper(), schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, `Deployment "shop/orders" deployments`, ""},
		{
			"unknown", mapper(),
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deplyment"},
			"",
			`the API server knows no kind "Deplyment" in "apps/v1"; correct scaleTargetRef.apiVersion and kind, or install its CRD`,
		},
		{
			"another version", mapper(),
			schema.GroupVersionKind{Group: "apps", Version: "v2", Kind: "Deployment"},
			"",
			`the API server knows no kind "Deployment" in "apps/v2"; correct scaleTargetRef.apiVersion and kind, or install its CRD`,
		},
		{
			"nobody to ask",
			brokenMapper{},
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			"",
			`looking up kind "Deployment" in "apps/v1": connection refused`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			target, err := kube.WithGetter(tc.mapper, &scalefake.FakeScaleClient{}).Find(tc.kind, "shop", "orders")
			if text(err) != tc.err {
				t.Errorf("error %v, want %s", err, tc.err)
			}
			if err == nil && target.String()+" "+target.Resource.Resource != tc.want {
				t.Errorf("got %v in %v", target, target.Resource)
			}
		})
	}
}

// scales answers with a scale of two replicas, or with an error.
func scales(t *testing.T, verb string, answer error) (*kube.Scales, kube.Target, *[]clienttesting.Action) {
	t.Helper()
	client, seen := &scalefake.FakeScaleClient{}, &[]clienttesting.Action{}
	client.AddReactor("*", "deployments", func(a clienttesting.Action) (bool, runtime.Object, error) {
		*seen = append(*seen, a)
		if a.GetVerb() == verb && answer != nil {
			return true, nil, answer
		}
		return true, &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 2}}, nil
	})
	s := kube.WithGetter(mapper(), client)
	target, err := s.Find(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, "shop", "orders")
	if err != nil {
		t.Fatal(err)
	}
	return s, target, seen
}

func TestScaling(t *testing.T) {
	t.Parallel()
	s, target, seen := scales(t, "", nil)
	was, err := s.Get(t.Context(), target)
	if err != nil || was.Spec.Replicas != 2 {
		t.Fatalf("%v, %v", was, err)
	}
	was.ResourceVersion = "7"
	if err := s.Set(t.Context(), target, was, 5); err != nil {
		t.Fatal(err)
	}
	if was.Spec.Replicas != 2 {
		t.Error("what Get returned has changed")
	}
	update, ok := (*seen)[1].(clienttesting.UpdateAction)
	if !ok || len(*seen) != 2 {
		t.Fatalf("requests %v", *seen)
	}
	got, ok := update.GetObject().(*autoscalingv1.Scale)
	if !ok || got.Spec.Replicas != 5 || got.ResourceVersion != "7" || update.GetSubresource() != "scale" || update.GetNamespace() != "shop" {
		t.Errorf("wrote %+v", update)
	}
}

func TestScalingThatFails(t *testing.T) {
	t.Parallel()
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	for _, tc := range []struct {
		name, verb string
		answer     error
		get, set   string
	}{
		{
			"no scale", "get", apierrors.NewNotFound(deployments, "orders"),
			`Deployment "shop/orders" does not exist or has no scale subresource; create it, or correct scaleTargetRef`, "",
		},
		{"no answer", "get", errors.New("connection refused"), `reading the scale of Deployment "shop/orders": connection refused`, ""},
		{"no answer to a write", "update", errors.New("connection refused"), "", `scaling Deployment "shop/orders" to 5: connection refused`},
		{
			"somebody was faster", "update", apierrors.NewConflict(deployments, "orders", errors.New("changed")), "",
			`scaling Deployment "shop/orders" to 5: Operation cannot be fulfilled on deployments.apps "orders": changed`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, target, _ := scales(t, tc.verb, tc.answer)
			_, err := s.Get(t.Context(), target)
			if text(err) != tc.get {
				t.Errorf("Get: %v", err)
			}
			none, isNone := errors.AsType[*kube.NoScaleError](err)
			if isNone != apierrors.IsNotFound(tc.answer) || isNone && none.Target != target {
				t.Errorf("%T", err)
			}
			err = s.Set(t.Context(), target, &autoscalingv1.Scale{}, 5)
			if text(err) != tc.set || apierrors.IsConflict(err) != apierrors.IsConflict(tc.answer) {
				t.Errorf("Set: %v", err)
			}
		})
	}
}
