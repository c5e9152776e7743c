package authentication_test

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/authentication"
)

func TestTheFinalizerGoesOnlyFromWhatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	refuse := errors.New("boom")
	for name, tc := range map[string]struct {
		object client.Object
		empty  func() client.Object
		delete bool
		fail   error
		gone   bool
		err    string
	}{
		"deleted": {
			&v1alpha1.TriggerAuthentication{ObjectMeta: named("ns", v1alpha1.Finalizer)},
			func() client.Object { return new(v1alpha1.TriggerAuthentication) }, true, nil, true, "",
		},
		"deleted, cluster-wide": {
			&v1alpha1.ClusterTriggerAuthentication{ObjectMeta: named("", v1alpha1.Finalizer)},
			func() client.Object { return new(v1alpha1.ClusterTriggerAuthentication) }, true, nil, true, "",
		},
		"deleted, and somebody else holds it": {
			&v1alpha1.TriggerAuthentication{ObjectMeta: named("ns", v1alpha1.Finalizer, "example.com/other")},
			func() client.Object { return new(v1alpha1.TriggerAuthentication) }, true, nil, false, "",
		},
		"in use": {
			&v1alpha1.TriggerAuthentication{ObjectMeta: named("ns", v1alpha1.Finalizer)},
			func() client.Object { return new(v1alpha1.TriggerAuthentication) }, false, refuse, false, "",
		},
		"the API server fails": {
			&v1alpha1.TriggerAuthentication{ObjectMeta: named("ns", v1alpha1.Finalizer)},
			func() client.Object { return new(v1alpha1.TriggerAuthentication) }, true, refuse, false, `removing the finalizer of TriggerAuthentication "ns/a": boom`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(tc.object).WithInterceptorFuncs(interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
					if tc.fail != nil {
						return tc.fail
					}
					return c.Patch(ctx, o, p, opts...)
				},
			}).Build()
			if tc.delete {
				if err := c.Delete(t.Context(), tc.object); err != nil {
					t.Fatal(err)
				}
			}
			key := client.ObjectKeyFromObject(tc.object)
			_, err := authentication.New(c, tc.empty).Reconcile(t.Context(), reconcile.Request{NamespacedName: key})
			if text := message(err); text != tc.err {
				t.Errorf("error %q, want %q", text, tc.err)
			}
			if gone := apierrors.IsNotFound(c.Get(t.Context(), key, tc.empty())); gone != tc.gone {
				t.Errorf("gone is %v, want %v", gone, tc.gone)
			}
		})
	}
}

func named(namespace string, finalizers ...string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: "a", Finalizers: finalizers}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
