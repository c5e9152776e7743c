package webhook_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	fakesource "k8s.io/client-go/tools/cache/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
	"github.com/weir-sh/weir/pkg/triggers"
	"github.com/weir-sh/weir/pkg/webhook"
)

// kinds are those that admission looks up, and whether they are namespaced.
func kinds() map[schema.GroupVersionKind]meta.RESTScope {
	return map[schema.GroupVersionKind]meta.RESTScope{
		v1alpha1.GroupVersion.WithKind(v1alpha1.KindScaledObject):                 meta.RESTScopeNamespace,
		v1alpha1.GroupVersion.WithKind(v1alpha1.KindTriggerAuthentication):        meta.RESTScopeNamespace,
		v1alpha1.GroupVersion.WithKind(v1alpha1.KindClusterTriggerAuthentication): meta.RESTScopeRoot,
		autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"):      meta.RESTScopeNamespace,
		appsv1.SchemeGroupVersion.WithKind("Deployment"):                          meta.RESTScopeNamespace,
		appsv1.SchemeGroupVersion.WithKind("StatefulSet"):                         meta.RESTScopeNamespace,
		corev1.SchemeGroupVersion.WithKind("LimitRange"):                          meta.RESTScopeNamespace,
	}
}

// newCache is the cache of controller-runtime with its indexes, filled with
// objects instead of those of an API server.
func newCache(t testing.TB, objects ...client.Object) cache.Cache {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	sources := map[schema.GroupVersionKind]*fakesource.FakeControllerSource{}
	for kind, scope := range kinds() {
		mapper.Add(kind, scope)
		sources[kind] = fakesource.NewFakeControllerSource()
	}
	for _, o := range objects {
		kind, _, err := s.ObjectKinds(o)
		if err != nil {
			t.Fatal(err)
		}
		sources[kind[0]].Add(o)
	}
	c, err := cache.New(&rest.Config{}, cache.Options{
		Scheme: s, Mapper: mapper, HTTPClient: &http.Client{},
		NewInformer: func(_ toolscache.ListerWatcher, o runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
			kind, _, err := s.ObjectKinds(o)
			if err != nil {
				t.Error(err)
				return nil
			}
			return toolscache.NewSharedIndexInformer(sources[kind[0]], o, resync, indexers)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	index(t, c)
	ended := make(chan error, 1)
	go func() { ended <- c.Start(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, s := range sources {
			s.Shutdown()
		}
	})
	if !c.WaitForCacheSync(t.Context()) {
		t.Fatal("the cache is not filled")
	}
	return c
}

// index adds the indexes, as the controller does.
func index(t testing.TB, c cache.Cache) {
	t.Helper()
	keys := func(f func(client.Object) string) client.IndexerFunc {
		return func(o client.Object) []string { return []string{f(o)} }
	}
	object := func(o client.Object) *v1alpha1.ScaledObject { return o.(*v1alpha1.ScaledObject) }
	for _, err := range []error{
		c.IndexField(t.Context(), &v1alpha1.ScaledObject{}, webhook.IndexTarget, keys(func(o client.Object) string { return triggers.TargetKey(object(o)) })),
		c.IndexField(t.Context(), &v1alpha1.ScaledObject{}, webhook.IndexHPA, keys(func(o client.Object) string { return object(o).HPAName() })),
		c.IndexField(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{}, webhook.IndexTarget, keys(func(o client.Object) string {
			to := o.(*autoscalingv2.HorizontalPodAutoscaler).Spec.ScaleTargetRef
			return to.Kind + ".apps/" + to.Name
		})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// registry has all scalers.
func registry(t testing.TB) *scalers.Registry {
	t.Helper()
	r, err := scalers.NewRegistry(all.Scalers()...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// server judges beside objects.
func server(t testing.TB, c webhook.Cache, change ...func(*webhook.Config)) *webhook.Server {
	t.Helper()
	cfg := webhook.Config{
		Registry: registry(t), Cache: c, Log: slog.New(slog.DiscardHandler),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
