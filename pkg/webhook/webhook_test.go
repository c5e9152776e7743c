package webhook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/webhook"
)

// scaledObject is one that is fine, changed.
func scaledObject(name string, change ...func(*v1alpha1.ScaledObject)) *v1alpha1.ScaledObject {
	o := &v1alpha1.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Annotations: map[string]string{}},
		Spec: v1alpha1.ScaledObjectSpec{
			ScaleTargetRef: v1alpha1.ScaleTargetRef{Name: name},
			Triggers:       []v1alpha1.Trigger{{Type: "redis", Metadata: map[string]string{"address": "redis:6379", "listName": "jobs"}}},
		},
	}
	for _, f := range change {
		f(o)
	}
	return o
}

func deployment(name string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main"}}
	return d
}

// review asks a server at a path about an object; before is what it was, or nil.
func review(t testing.TB, s *webhook.Server, path string, o, before client.Object, change ...func(*admissionv1.AdmissionRequest)) *admissionv1.AdmissionResponse {
	t.Helper()
	req := &admissionv1.AdmissionRequest{
		UID: "uid", Kind: metav1.GroupVersionKind{Group: v1alpha1.Group, Version: v1alpha1.Version, Kind: kindOf(o)},
		Namespace: o.GetNamespace(), Name: o.GetName(), Operation: admissionv1.Create, Object: raw(t, o),
	}
	if before != nil {
		req.Operation, req.OldObject = admissionv1.Update, raw(t, before)
	}
	for _, f := range change {
		f(req)
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: req})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Response == nil || answer.Response.UID != "uid" {
		t.Fatalf("the answer %d %s is no review: %v", w.Code, w.Body, err)
	}
	return answer.Response
}

func kindOf(o client.Object) string {
	name := fmt.Sprintf("%T", o)
	return name[strings.LastIndex(name, ".")+1:]
}

func raw(t testing.TB, o client.Object) runtime.RawExtension {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: text}
}

// said is an answer for comparing: the refusal, then the warnings.
func said(r *admissionv1.AdmissionResponse) string {
	var out []string
	if !r.Allowed {
		out = append(out, fmt.Sprintf("%d %s: %s", r.Result.Code, r.Result.Reason, r.Result.Message))
	}
	for _, w := range r.Warnings {
		out = append(out, "Warning: "+w)
	}
	return strings.Join(out, "\n")
}

func TestAllViolationsComeInOneAnswerWithTheWarnings(t *testing.T) {
	t.Parallel()
	theirs := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Namespace: "shop"}}
	theirs.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	var seen []webhook.Outcome
	s := server(t, newCache(t, deployment("web"), theirs, scaledObject("other", func(o *v1alpha1.ScaledObject) { o.Spec.ScaleTargetRef.Name = "web" })),
		func(c *webhook.Config) { c.Observe = func(o webhook.Outcome) { seen = append(seen, o) } })
	o := scaledObject("web", func(o *v1alpha1.ScaledObject) {
		o.Annotations[v1alpha1.AnnotationPaused], o.Annotations[v1alpha1.AnnotationPausedReplicas] = "off", "many"
		o.Spec.IdleReplicaCount, o.Spec.MinReplicaCount, o.Spec.CooldownPeriod = new(int32(3)), new(int32(2)), new(int32(60))
		o.Spec.Fallback = &v1alpha1.Fallback{Behavior: v1alpha1.FallbackScalingModifiers}
		o.Spec.Triggers = []v1alpha1.Trigger{
			{Type: "reddis"},
			{Type: "redis", Metadata: map[string]string{"address": "redis:6379", "listNmae": "jobs"}, AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "later"}},
			{Type: "cpu", MetricType: "Utilization", Metadata: map[string]string{"value": "60"}, UseCachedMetrics: true},
		}
	})
	const want = `403 Forbidden: 9 problems:
- spec.idleReplicaCount: must be less than minReplicaCount, which counts as 2 here
- metadata.annotations: annotation autoscaling.keda.sh/paused-replicas is no replica count; set a whole number from 0 to 2147483647, or remove the annotation
- spec.fallback.behavior: scalingModifiers needs advanced.scalingModifiers.formula; add one, or choose another behavior
- spec.triggers[2].useCachedMetrics: cannot be used with cpu triggers; remove it
- spec.triggers[0].type: trigger type "reddis" is not known; did you mean "redis"?
- spec.triggers[1].metadata.listName: is required; set it in the trigger's metadata
- spec.triggers[2]: needs a request of cpu in each container that counts, and there is none in "main"; set resources.requests.cpu there, or use metricType AverageValue
- spec.scaleTargetRef: is also the target of ScaledObject "other"; a workload can have one ScaledObject
- HorizontalPodAutoscaler "theirs" does not belong to this ScaledObject and scales the same workload or has the name of its HPA; delete it, or set annotation scaledobject.keda.sh/transfer-hpa-ownership to "true" and advanced.horizontalPodAutoscalerConfig.name to its name to take it over
Warning: metadata.annotations[autoscaling.keda.sh/paused]: is neither "true" nor "false" and counts as true, as any other value does, also an empty one; write "true", or remove the annotation
Warning: spec.triggers[1].authenticationRef: TriggerAuthentication "later" in namespace "shop" does not exist; create it or correct the reference
Warning: spec.triggers[1].metadata.listNmae: is not known; did you mean "listName"?`
	for range 20 { // the order never varies
		if got := said(review(t, s, webhook.PathScaledObjects, o, nil)); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
	reasons := []string{
		"incorrect-replicas", "incorrect-annotations", "scaling-modifiers-fallback", "incorrect-triggers",
		"missing-requests", "other-scaled-object", "other-hpa",
	}
	if out := seen[0]; len(seen) != 20 || out.Kind != "ScaledObject" || out.Namespace != "shop" || out.Name != "web" || out.Action != "create" ||
		!slices.Equal(out.Reasons, reasons) || out.Took <= 0 || out.Took > time.Minute {
		t.Errorf("%d outcomes, of which one is %+v", len(seen), out)
	}
}

func TestOneViolationIsOneSentence(t *testing.T) {
	t.Parallel()
	s := server(t, newCache(t, deployment("web")))
	o := scaledObject("web", func(o *v1alpha1.ScaledObject) { o.Spec.MinReplicaCount = new(int32(101)) })
	const want = "403 Forbidden: spec.minReplicaCount: is more than maxReplicaCount, which is 100; lower it or raise maxReplicaCount"
	if got := said(review(t, s, webhook.PathScaledObjects, o, nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEveryKindIsJudged(t *testing.T) {
	t.Parallel()
	s := server(t, newCache(t))
	for _, tc := range []struct {
		path string
		o    client.Object
		want string
	}{
		{webhook.PathScaledObjects, scaledObject("web"), `Warning: spec.scaleTargetRef: Deployment "shop/web" does not exist; create it, or correct the reference`},
		{webhook.PathScaledObjects, scaledObject("web", func(o *v1alpha1.ScaledObject) { o.Spec.ScaleTargetRef.Kind = "Rollout" }), ""},
		{
			webhook.PathScaledJobs, &v1alpha1.ScaledJob{Spec: v1alpha1.ScaledJobSpec{Triggers: []v1alpha1.Trigger{{Type: "redis"}}}},
			"403 Forbidden: 3 problems:\n- spec.jobTargetRef: is required\n" +
				"- spec.triggers[0].metadata.address: is required, or \"host\" and \"port\"; the first address must not be empty\n" +
				"- spec.triggers[0].metadata.listName: is required; set it in the trigger's metadata",
		},
		{
			webhook.PathTriggerAuthentications, &v1alpha1.TriggerAuthentication{Spec: v1alpha1.TriggerAuthenticationSpec{FilePath: "a"}},
			"403 Forbidden: spec.filePath: is for ClusterTriggerAuthentications only; use secretTargetRef",
		},
		{webhook.PathClusterTriggerAuthentications, &v1alpha1.ClusterTriggerAuthentication{Spec: v1alpha1.TriggerAuthenticationSpec{FilePath: "a"}}, ""},
		{
			webhook.PathClusterTriggerAuthentications, &v1alpha1.ClusterTriggerAuthentication{Spec: v1alpha1.TriggerAuthenticationSpec{OAuth2: &v1alpha1.OAuth2{ClientID: "c", TokenURL: "x"}}},
			"403 Forbidden: spec.oauth2.tokenUrl: must be an absolute URL that begins with http:// or https://",
		},
	} {
		if got := said(review(t, s, tc.path, tc.o, nil)); got != tc.want {
			t.Errorf("%s %T: got\n%s\nwant\n%s", tc.path, tc.o, got, tc.want)
		}
	}
}

func TestWhatIsThereMayStay(t *testing.T) {
	t.Parallel()
	bad := func(change ...func(*v1alpha1.ScaledObject)) *v1alpha1.ScaledObject {
		return scaledObject("web", append([]func(*v1alpha1.ScaledObject){func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].Type = "reddis" }}, change...)...)
	}
	annotated := func(value string) func(*v1alpha1.ScaledObject) {
		return func(o *v1alpha1.ScaledObject) { o.Annotations[v1alpha1.AnnotationPausedReplicas] = value }
	}
	const wrong = "403 Forbidden: metadata.annotations: annotation autoscaling.keda.sh/paused-replicas is no replica count; set a whole number from 0 to 2147483647, or remove the annotation"
	const unknown = `403 Forbidden: spec.triggers[0].type: trigger type "reddis" is not known; did you mean "redis"?`
	s := server(t, newCache(t, deployment("web")), func(c *webhook.Config) { c.Namespaces = []string{"shop"} })
	for _, tc := range []struct {
		name      string
		o, before client.Object
		change    func(*admissionv1.AdmissionRequest)
		want      string
	}{
		{"new", bad(), nil, nil, unknown},
		{"a change of labels", bad(func(o *v1alpha1.ScaledObject) { o.Labels = map[string]string{"a": "b"} }), bad(), nil, ""},
		{"a change of the spec", bad(func(o *v1alpha1.ScaledObject) { o.Spec.MinReplicaCount = new(int32(1)) }), bad(), nil, unknown},
		{"one finalizer less", bad(), bad(func(o *v1alpha1.ScaledObject) { o.Finalizers = []string{v1alpha1.Finalizer} }), nil, ""},
		{"a pause", bad(annotated("0")), bad(), nil, ""},
		{"a pause that is wrong", bad(annotated("many")), bad(), nil, wrong},
		{"a pause that was wrong", bad(annotated("many")), bad(annotated("many")), nil, ""},
		{"while it is deleted", bad(func(o *v1alpha1.ScaledObject) { o.DeletionTimestamp = new(metav1.Now()) }), nil, nil, ""},
		{"deletion", bad(), nil, func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Delete }, ""},
		{"its status", bad(), nil, func(r *admissionv1.AdmissionRequest) { r.SubResource = "status" }, ""},
		{"a namespace that is not served", bad(), nil, func(r *admissionv1.AdmissionRequest) { r.Namespace = "elsewhere" }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var change []func(*admissionv1.AdmissionRequest)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			if got := said(review(t, s, webhook.PathScaledObjects, tc.o, tc.before, change...)); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
	job := &v1alpha1.ScaledJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}}
	auth := &v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: v1alpha1.TriggerAuthenticationSpec{FilePath: "a"}}
	for path, o := range map[string]client.Object{webhook.PathScaledJobs: job, webhook.PathTriggerAuthentications: auth} {
		if r := review(t, s, path, o, o); !r.Allowed {
			t.Errorf("%T that did not change: %s", o, said(r))
		}
		if r := review(t, s, path, o, nil); r.Allowed {
			t.Errorf("%T that is new is let through", o)
		}
	}
}
