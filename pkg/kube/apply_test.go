package kube_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

func builder(t *testing.T) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithReturnManagedFields()
}

func hpa(labels map[string]string, annotations map[string]string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "h", Namespace: "shop", Labels: labels, Annotations: annotations},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "orders"}, MaxReplicas: 7,
		},
	}
}

func TestApplyOwnsWhatItWritesAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), builder(t).Build()
	kind := autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler")
	first := hpa(map[string]string{"a": "1", "b": "1"}, nil)
	first.Status.CurrentReplicas = 3
	if err := kube.Apply(ctx, c, kind, first); err != nil {
		t.Fatal(err)
	}
	if first.Status.CurrentReplicas != 3 || first.Kind != "" || first.ResourceVersion != "" {
		t.Errorf("the object given has changed: %+v", first)
	}
	var got autoscalingv2.HorizontalPodAutoscaler
	read := func() {
		t.Helper()
		if err := c.Get(ctx, client.ObjectKeyFromObject(first), &got); err != nil {
			t.Fatal(err)
		}
	}
	if read(); got.Status.CurrentReplicas != 0 || got.Spec.MaxReplicas != 7 {
		t.Errorf("written %+v", got)
	}
	got.Annotations = map[string]string{"somebody": "else"}
	if err := c.Update(ctx, &got, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	if err := kube.Apply(ctx, c, kind, hpa(map[string]string{"b": "2"}, nil)); err != nil {
		t.Fatal(err)
	}
	if read(); len(got.Labels) != 1 || got.Labels["b"] != "2" || got.Annotations["somebody"] != "else" {
		t.Errorf("labels %v, annotations %v", got.Labels, got.Annotations)
	}
	if err := c.Update(ctx, func() client.Object { got.Labels["b"] = "3"; return &got }(), client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	if err := kube.Apply(ctx, c, kind, hpa(map[string]string{"b": "2"}, nil)); err != nil {
		t.Fatalf("what is weir's stays weir's: %v", err)
	}
	if read(); got.Labels["b"] != "2" {
		t.Errorf("labels %v", got.Labels)
	}
}

func TestPatchStatusWritesTheWholeStatus(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	so := &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Name: "o", Namespace: "shop", UID: "1", Labels: map[string]string{"l": "1"}}}
	c := builder(t).WithObjects(so).WithStatusSubresource(so).Build()
	only := func(uid types.UID, status v1alpha1.ScaledObjectStatus) *v1alpha1.ScaledObject {
		return &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Name: "o", Namespace: "shop", UID: uid}, Status: status}
	}
	var was v1alpha1.ScaledObjectStatus
	write := func(status v1alpha1.ScaledObjectStatus) v1alpha1.ScaledObject {
		t.Helper()
		if err := kube.PatchStatus(ctx, c, only("", was), only("1", status)); err != nil {
			t.Fatal(err)
		}
		was = status
		var got v1alpha1.ScaledObject
		if err := c.Get(ctx, client.ObjectKeyFromObject(so), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := write(v1alpha1.ScaledObjectStatus{HPAName: "h", ExternalMetricNames: []string{"a", "b"}})
	if got.Status.HPAName != "h" || len(got.Status.ExternalMetricNames) != 2 || got.Labels["l"] != "1" {
		t.Errorf("got %+v", got)
	}
	if got = write(v1alpha1.ScaledObjectStatus{ExternalMetricNames: []string{"c"}}); got.Status.HPAName != "" || len(got.Status.ExternalMetricNames) != 1 {
		t.Errorf("got %+v", got.Status)
	}
}

func TestApplyingThatFails(t *testing.T) {
	t.Parallel()
	refuse := errors.New("connection refused")
	c := builder(t).WithInterceptorFuncs(interceptor.Funcs{
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			return refuse
		},
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return refuse
		},
	}).Build()
	kind := v1alpha1.GroupVersion.WithKind(v1alpha1.KindScaledObject)
	so := &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Name: "o"}}
	if err := kube.Apply(t.Context(), c, kind, so); text(err) != `applying ScaledObject "o": connection refused` || !errors.Is(err, refuse) {
		t.Errorf("got %v", err)
	}
	if err := kube.PatchStatus(t.Context(), c, so, so.DeepCopy()); text(err) != `writing the status of ScaledObject "o": connection refused` || !errors.Is(err, refuse) {
		t.Errorf("got %v", err)
	}
}

func TestRemovingTheFinalizer(t *testing.T) {
	t.Parallel()
	so := &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Name: "o", Namespace: "shop", Finalizers: []string{"other/one", v1alpha1.Finalizer}}}
	patches := 0
	c := builder(t).WithObjects(so).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			patches++
			return c.Patch(ctx, o, p, options...)
		},
	}).Build()
	read := func() *v1alpha1.ScaledObject {
		t.Helper()
		got := new(v1alpha1.ScaledObject)
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(so), got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	old := read()
	for range 2 { // the second time there is nothing to do
		got := read()
		if err := kube.RemoveFinalizer(t.Context(), c, got); err != nil || fmt.Sprint(got.Finalizers, read().Finalizers) != "[other/one] [other/one]" {
			t.Errorf("%v, %v", got.Finalizers, err)
		}
	}
	if patches != 1 {
		t.Errorf("%d patches", patches)
	}
	if err := kube.RemoveFinalizer(t.Context(), c, old); !apierrors.IsConflict(err) || !strings.HasPrefix(text(err), `removing the finalizer of ScaledObject "shop/o": `) {
		t.Errorf("got %v", err)
	}
	gone := &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Name: "gone", Namespace: "shop", ResourceVersion: "1", Finalizers: []string{v1alpha1.Finalizer}}}
	if err := kube.RemoveFinalizer(t.Context(), c, gone); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

func TestReaderReadsAuthenticationObjectsFromTheCache(t *testing.T) {
	t.Parallel()
	spec := v1alpha1.TriggerAuthenticationSpec{FilePath: "x"}
	r := kube.Reader{Cache: builder(t).WithObjects(
		&v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "shop"}, Spec: spec},
		&v1alpha1.ClusterTriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: spec},
	).Build()}
	if got, err := r.TriggerAuthentication(t.Context(), "shop", "a"); err != nil || got.FilePath != "x" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := r.ClusterTriggerAuthentication(t.Context(), "b"); err != nil || got.FilePath != "x" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := r.TriggerAuthentication(t.Context(), "other", "a"); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
	if _, err := r.ClusterTriggerAuthentication(t.Context(), "a"); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

func TestRetryWaitsLongerEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, times := time.Now(), []time.Duration{}
		err := kube.Retry(t.Context(), func(context.Context) error {
			if times = append(times, time.Since(began)); len(times) < 9 {
				return errors.New("no")
			}
			return nil
		})
		if want := "[0s 1s 3s 7s 15s 31s 1m1s 1m31s 2m1s]"; err != nil || fmt.Sprint(times) != want {
			t.Errorf("tried after %v, %v; want %s", times, err, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began = time.Now()
		if err := kube.Retry(ctx, func(context.Context) error { return errors.New("no") }); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestStrippingKeepsWhatTriggersNeed(t *testing.T) {
	t.Parallel()
	c := corev1.Container{Name: "c", Image: "i", Env: []corev1.EnvVar{plain("A", "a")}, EnvFrom: []corev1.EnvFromSource{allOfMap("m", "")}}
	out := kube.StripTemplate(&corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
		Spec:       corev1.PodSpec{ServiceAccountName: "sa", Containers: []corev1.Container{c}, Volumes: make([]corev1.Volume, 3), InitContainers: []corev1.Container{c}},
	})
	got := out.Spec.Containers
	if out.Spec.ServiceAccountName != "sa" || len(got) != 1 || got[0].Name != "c" || got[0].Image != "" || len(got[0].Env) != 1 || len(got[0].EnvFrom) != 1 ||
		out.Labels != nil || out.Spec.Volumes != nil || out.Spec.InitContainers != nil {
		t.Errorf("got %+v", out)
	}
	m := metav1.ObjectMeta{Name: "n", UID: "u", Labels: map[string]string{}, Annotations: map[string]string{}, ManagedFields: []metav1.ManagedFieldsEntry{{}}}
	if kube.StripMeta(&m); m.Name != "n" || m.UID != "u" || m.Labels != nil || m.Annotations != nil || m.ManagedFields != nil {
		t.Errorf("got %+v", m)
	}
}
