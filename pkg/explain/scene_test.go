package explain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/explain"
	"github.com/weir-sh/weir/pkg/snapshot"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when everything is looked at.
func now() time.Time { return time.Date(2026, time.November, 23, 10, 30, 0, 0, time.UTC) }

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now().Add(-d)) }

// scene is a cluster with one object, which situations change. What is nil is not
// there.
type scene struct {
	so        *v1alpha1.ScaledObject
	job       *v1alpha1.ScaledJob
	hpa       *autoscalingv2.HorizontalPodAutoscaler
	wanted    int32 // replicas
	created   int32
	noTarget  bool
	pods      []corev1.Pod
	jobs      []batchv1.Job
	events    []corev1.Event
	served    map[string]string // external metrics
	weir      *snapshot.Object
	forbidden []string // parts of paths
	broken    []string // parts of paths that answer 500

	mu    sync.Mutex
	asked []string
}

// newScene is a Deployment at 4 replicas that has just what it needs.
func newScene() *scene {
	s := &scene{
		so: &v1alpha1.ScaledObject{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders", UID: "1", CreationTimestamp: ago(48 * time.Hour), Annotations: map[string]string{}},
			Spec: v1alpha1.ScaledObjectSpec{
				ScaleTargetRef:  v1alpha1.ScaleTargetRef{Name: "orders"},
				MaxReplicaCount: new(int32(10)),
				Triggers:        []v1alpha1.Trigger{{Type: "redis", Metadata: map[string]string{"listName": "jobs"}}},
			},
			Status: v1alpha1.ScaledObjectStatus{
				ExternalMetricNames: []string{"s0-redis-jobs"},
				TriggersActivity:    map[string]v1alpha1.TriggerActivity{"s0-redis-jobs": {IsActive: true}},
				HPAName:             "keda-hpa-orders",
				LastActiveTime:      new(ago(48 * time.Second)),
			},
		},
		hpa: &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "keda-hpa-orders",
				OwnerReferences: []metav1.OwnerReference{{Kind: "ScaledObject", Name: "orders", UID: "1", Controller: new(true)}},
			},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				MinReplicas: new(int32(1)), MaxReplicas: 10,
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"},
				Metrics:        []autoscalingv2.MetricSpec{external("s0-redis-jobs", 5)},
				Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
					ScaleUp: &autoscalingv2.HPAScalingRules{
						StabilizationWindowSeconds: new(int32(0)), SelectPolicy: new(autoscalingv2.MaxChangePolicySelect),
						Policies: []autoscalingv2.HPAScalingPolicy{
							{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
							{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
						},
					},
					ScaleDown: &autoscalingv2.HPAScalingRules{
						SelectPolicy: new(autoscalingv2.MaxChangePolicySelect),
						Policies:     []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}},
					},
				},
			},
		},
		weir: &snapshot.Object{
			Kind: "ScaledObject", Namespace: "shop", Name: "orders", Interval: 30,
			Triggers: []snapshot.Trigger{{
				Type: "redis", Metric: "s0-redis-jobs", MetricType: "AverageValue", Target: 5, Measured: now().Add(-4 * time.Second), Known: true,
			}},
		},
	}
	s.condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonScaledObjectReady, "the object is ready for scaling", 2*time.Hour)
	s.replicas(4, 4)
	s.value(18, true)
	s.decided(3*time.Minute, "activate", 0, 1, "WorkWaiting", "1 of 1 trigger has work: s0-redis-jobs has 12 (above 0)")
	s.decided(2*time.Second, "hold", 4, 4, "WorkWaiting", "1 of 1 trigger has work: s0-redis-jobs has 18 (above 0)")
	return s
}

// external is a metric of an HPA that weir serves.
func external(name string, target int64) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: "External", External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: name, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelScaledObjectName: "orders"}}},
		Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(target, resource.DecimalSI)},
	}}
}

// condition sets a condition of the object.
func (s *scene) condition(t v1alpha1.ConditionType, status metav1.ConditionStatus, reason, message string, since time.Duration) {
	var list *[]v1alpha1.Condition
	if s.job != nil {
		list = &s.job.Status.Conditions
	} else {
		list = &s.so.Status.Conditions
	}
	*list = slices.DeleteFunc(*list, func(c v1alpha1.Condition) bool { return c.Type == t })
	*list = append(*list, v1alpha1.Condition{Type: t, Status: status, Reason: reason, Message: message, LastTransitionTime: new(ago(since))})
}

// replicas sets how many there are to be, and how many pods of them are ready.
func (s *scene) replicas(wanted, ready int32) {
	s.wanted, s.created, s.pods = wanted, wanted, nil
	s.hpa.Status.CurrentReplicas, s.hpa.Status.DesiredReplicas = wanted, wanted
	for i := range wanted {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders-" + string(rune('a'+i))}}
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		if i >= ready {
			p.Status.Phase = corev1.PodPending
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}
		}
		s.pods = append(s.pods, p)
	}
}

// value sets what the first trigger has.
func (s *scene) value(v float64, active bool) {
	t := &s.weir.Triggers[0]
	t.Value, t.Active = v, active
	if s.job != nil {
		s.job.Status.TriggersActivity = map[string]v1alpha1.TriggerActivity{t.Metric: {IsActive: active}}
	} else {
		s.so.Status.TriggersActivity[t.Metric] = v1alpha1.TriggerActivity{IsActive: active}
	}
	if active {
		s.condition(v1alpha1.ConditionActive, "True", v1alpha1.ReasonScalerActive, "at least one trigger has work", 3*time.Minute)
	} else {
		s.condition(v1alpha1.ConditionActive, "False", v1alpha1.ReasonScalerNotActive, "no trigger has work", 3*time.Minute)
	}
}

// fails makes the first trigger unreadable.
func (s *scene) fails(why string) {
	t := &s.weir.Triggers[0]
	t.Err, t.Failures, t.Active, t.Measured = why, 7, false, now().Add(-4*time.Minute)
}

func (s *scene) decided(before time.Duration, action string, from, to int32, reason, message string) {
	s.weir.Decisions = slices.DeleteFunc(s.weir.Decisions, func(d snapshot.Decision) bool { return d.Action == "hold" })
	s.weir.Decisions = append(s.weir.Decisions, snapshot.Decision{
		At: now().Add(-before), Action: action, From: from, To: to, Reason: reason, Message: message,
	})
}

// hpaSays sets a condition of the HPA.
func (s *scene) hpaSays(t autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, reason, message string) {
	s.hpa.Status.Conditions = append(s.hpa.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{
		Type: t, Status: status, Reason: reason, Message: message,
	})
}

// objects is what the API server has, by path.
func (s *scene) objects() map[string]any {
	const ns = "/namespaces/shop/"
	out := map[string]any{}
	list := func(path string, items ...any) { out[path] = map[string]any{"items": items} }
	list("/apis/keda.sh/v1alpha1/scaledobjects")
	list("/apis/keda.sh/v1alpha1" + ns + "scaledobjects")
	list("/apis/keda.sh/v1alpha1" + ns + "scaledjobs")
	if s.so != nil {
		out["/apis/keda.sh/v1alpha1"+ns+"scaledobjects/orders"] = s.so
		list("/apis/keda.sh/v1alpha1/scaledobjects", s.so)
		list("/apis/keda.sh/v1alpha1"+ns+"scaledobjects", s.so)
	}
	if s.job != nil {
		out["/apis/keda.sh/v1alpha1"+ns+"scaledjobs/orders"] = s.job
		list("/apis/keda.sh/v1alpha1"+ns+"scaledjobs", s.job)
	}
	if s.hpa != nil {
		out["/apis/autoscaling/v2"+ns+"horizontalpodautoscalers/"+s.hpa.Name] = s.hpa
		list("/apis/autoscaling/v2"+ns+"horizontalpodautoscalers", s.hpa)
		list("/apis/autoscaling/v2/horizontalpodautoscalers", s.hpa)
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders"}}
	d.Spec.Replicas, d.Status.Replicas = &s.wanted, s.created
	out["/apis/argoproj.io/v1alpha1"] = metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: "rollouts/scale", Kind: "Scale"}, {Name: "rollouts", Kind: "Rollout"}}}
	list("/apis/apps/v1" + ns + "deployments")
	if !s.noTarget {
		list("/apis/apps/v1"+ns+"deployments", d)
		list("/apis/apps/v1/deployments", d)
		for _, path := range []string{"/apis/apps/v1" + ns + "deployments", "/apis/argoproj.io/v1alpha1" + ns + "rollouts"} {
			out[path+"/orders/scale"] = autoscalingv1.Scale{
				Spec: autoscalingv1.ScaleSpec{Replicas: s.wanted}, Status: autoscalingv1.ScaleStatus{Replicas: s.created, Selector: "app=orders"},
			}
		}
	}
	out["/api/v1"+ns+"pods"] = corev1.PodList{Items: s.pods}
	out["/api/v1"+ns+"events"] = corev1.EventList{Items: s.events}
	out["/apis/batch/v1"+ns+"jobs"] = batchv1.JobList{Items: s.jobs}
	for name, v := range s.served {
		list("/apis/external.metrics.k8s.io/v1beta1"+ns+name, map[string]string{"value": v})
	}
	if s.weir != nil && s.weir.Name == "orders" {
		out["/api/v1/namespaces/weir-system/services/http:weir:metrics/proxy/debug/weir/objects/shop/orders"] = s.weir
		out["/debug/weir/objects/shop/orders"] = s.weir
	}
	return out
}

// ServeHTTP is the API server, and weir. Anything but reading fails the test.
func (s *scene) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	answer := func(code int, reason metav1.StatusReason) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		status := metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: reason, Code: int32(code),
			Message: "the server says " + string(reason),
		}
		if err := json.NewEncoder(w).Encode(status); err != nil {
			panic(err)
		}
	}
	has := func(parts []string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(r.URL.Path, p) })
	}
	object, ok := s.objects()[r.URL.Path]
	if list, isList := object.(corev1.EventList); isList {
		list.Items = slices.DeleteFunc(slices.Clone(list.Items), func(e corev1.Event) bool {
			return r.URL.Query().Get("fieldSelector") != "involvedObject.kind="+e.InvolvedObject.Kind+",involvedObject.name="+e.InvolvedObject.Name
		})
		object = list
	}
	switch {
	case has(s.forbidden):
		answer(http.StatusForbidden, metav1.StatusReasonForbidden)
	case has(s.broken):
		answer(http.StatusInternalServerError, metav1.StatusReasonInternalError)
	case !ok && strings.Contains(r.URL.Path, "/services/") && (s.weir == nil || !strings.Contains(r.URL.Path, "/http:weir:metrics/")):
		answer(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	case !ok:
		answer(http.StatusNotFound, metav1.StatusReasonNotFound)
	default:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(object); err != nil {
			panic(err)
		}
	}
}

// result is what a command did.
type result struct {
	status   int
	out, err string
}

// run executes a command line against the scene. SERVER in it is the address of
// the scene.
func (s *scene) run(t *testing.T, args ...string) result {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	for i := range args {
		args[i] = strings.Replace(args[i], "SERVER", server.URL, 1)
	}
	got := execute(t, append(args, "--kubeconfig="+kubeconfig(t, server.URL))...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.asked {
		if !strings.HasPrefix(line, "GET ") {
			t.Errorf("it did not only read: %s", line)
		}
	}
	return got
}

// execute executes a command line as the program does.
func execute(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRoot(&out, &errs)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	status := explain.StatusFine
	if err != nil {
		status = explain.StatusFailed
		if ended, ok := errors.AsType[*explain.ExitError](err); ok {
			status = ended.ExitCode()
		} else {
			errs.WriteString(err.Error() + "\n")
		}
	}
	return result{status, out.String(), errs.String()}
}

func newRoot(out, errs *bytes.Buffer) *cobra.Command {
	root := &cobra.Command{Use: "weir", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(explain.Commands(explain.Config{Version: "1.2.3", Now: now})...)
	root.SetOut(out)
	root.SetErr(errs)
	return root
}

// kubeconfig is a file of a user of the API server, in the namespace shop.
func kubeconfig(t *testing.T, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":"` + url + `"}}],"users":[{"name":"u","user":{"token":"t"}}],
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u","namespace":"shop"}},{"name":"other","context":{"cluster":"c","user":"u","namespace":"other"}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run go test -update and read the diff\n%s", file, got)
	}
}

func quantity(s string) *resource.Quantity {
	q := resource.MustParse(s)
	return &q
}
