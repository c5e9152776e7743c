//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// kedaObject is a ScaledObject with what KEDA writes into its metadata.
const kedaObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{.Name}}
  labels: {scaledobject.keda.sh/name: {{.Name}}}
  annotations: {{.Annotations}}
  finalizers: [finalizer.keda.sh]
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 2
  cooldownPeriod: {{.Cooldown}}
  maxReplicaCount: 10
  advanced: {{.Advanced}}
  triggers:
  - type: redis
    metadata: {address: "{{.Address}}", listName: {{.List}}, listLength: "5"}`

// kedaAuthentication is a TriggerAuthentication as KEDA keeps it.
const kedaAuthentication = `
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: login, finalizers: [finalizer.keda.sh]}
spec:
  secretTargetRef: [{parameter: password, name: login, key: password}]`

// kedaJob is a Job as KEDA creates it.
const kedaJob = `
apiVersion: batch/v1
kind: Job
metadata:
  name: batch-x7k2p
  generateName: batch-
  labels:
    app.kubernetes.io/name: batch
    app.kubernetes.io/version: 2.20.2
    app.kubernetes.io/part-of: batch
    app.kubernetes.io/managed-by: keda-operator
    scaledjob.keda.sh/name: batch
  annotations: {scaledjob.keda.sh/generation: "{{.Generation}}"}
  ownerReferences:
  - {apiVersion: keda.sh/v1alpha1, kind: ScaledJob, name: batch, uid: {{.UID}}, controller: true, blockOwnerDeletion: true}
spec:
  backoffLimit: 0
  template:
    metadata: {labels: {scaledjob.keda.sh/name: batch}}
    spec:
      nodeSelector: {weir.sh/node: host}
      restartPolicy: Never
      containers: [{name: main, image: none, command: [sleep, "15"]}]`

var (
	authenticationKind = schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "triggerauthentications"}
	apiServiceKind     = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
)

// inherited is one ScaledObject that KEDA looked after.
type inherited struct {
	name        string
	replicas    int32
	list        string
	annotations string
	advanced    string
	hpa         string // "" when KEDA has deleted it
	cooldown    int
	active      time.Time // status.lastActiveTime
	status      map[string]any
}

// leave creates the object, its Deployment and its HPA as KEDA leaves them.
func (in inherited) leave(t *testing.T, ns, address string) {
	t.Helper()
	apply(t, ns, idle, values{"Name": in.name, "Replicas": in.replicas})
	apply(t, ns, kedaObject, values{
		"Name": in.name, "Annotations": in.annotations, "Advanced": in.advanced, "Address": address, "List": in.list, "Cooldown": in.cooldown,
	})
	so := scaledObject(t, ns, in.name)
	status := map[string]any{
		"scaleTargetKind":      "apps/v1.Deployment",
		"scaleTargetGVKR":      map[string]any{"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"},
		"originalReplicaCount": 1, "externalMetricNames": []any{"s0-redis-" + in.list}, "triggersTypes": "redis",
		"lastActiveTime": in.active.UTC().Format(time.RFC3339),
		"conditions": []any{
			map[string]any{"type": "Ready", "status": "True", "reason": "ScaledObjectReady", "message": "ScaledObject is defined correctly and is ready for scaling"},
			map[string]any{"type": "Active", "status": "Unknown"},
			map[string]any{"type": "Fallback", "status": "False", "reason": "NoFallbackFound"},
			map[string]any{"type": "Paused", "status": "False"},
		},
	}
	maps.Copy(status, in.status)
	if in.hpa != "" {
		status["hpaName"] = in.hpa
		createKEDAHPA(t, ns, in, so)
	}
	leaveStatus(t, scaledObjects(), ns, in.name, status)
}

// leaveStatus writes a status as KEDA does.
func leaveStatus(t *testing.T, resource schema.GroupVersionResource, ns, name string, status map[string]any) {
	t.Helper()
	u, err := objects.Resource(resource).Namespace(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	u.Object["status"] = status
	u.SetManagedFields(nil)
	if _, err := objects.Resource(resource).Namespace(ns).UpdateStatus(t.Context(), u, metav1.UpdateOptions{FieldManager: "keda"}); err != nil {
		t.Fatal(err)
	}
}

// createKEDAHPA creates the HPA of a ScaledObject, without a behavior.
func createKEDAHPA(t *testing.T, ns string, in inherited, so *v1alpha1.ScaledObject) {
	t.Helper()
	apply(t, ns, `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{.HPA}}
  labels:
    app.kubernetes.io/name: {{.HPA}}
    app.kubernetes.io/version: 2.20.2
    app.kubernetes.io/part-of: {{.Name}}
    app.kubernetes.io/managed-by: keda-operator
    scaledobject.keda.sh/name: {{.Name}}
  ownerReferences:
  - {apiVersion: keda.sh/v1alpha1, kind: ScaledObject, name: {{.Name}}, uid: {{.UID}}, controller: true, blockOwnerDeletion: true}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{.Name}}}
  minReplicas: 1
  maxReplicas: 10
  metrics:
  - type: External
    external:
      metric: {name: s0-redis-{{.List}}, selector: {matchLabels: {scaledobject.keda.sh/name: {{.Name}}}}}
      target: {type: AverageValue, averageValue: "5"}`,
		values{"HPA": in.hpa, "Name": in.name, "List": in.list, "UID": so.UID})
}

// hpaWrites counts the changes of each HPA of a namespace outside its status.
type hpaWrites struct {
	sync.Mutex
	count map[string]int
}

// countHPAWrites counts from now on until the test ends.
func countHPAWrites(t *testing.T, ns string) *hpaWrites {
	t.Helper()
	list, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]*autoscalingv2.HorizontalPodAutoscaler{}
	for i := range list.Items {
		last[list.Items[i].Name] = &list.Items[i]
	}
	w, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(ns).Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	writes := &hpaWrites{count: map[string]int{}}
	go func() {
		for e := range w.ResultChan() {
			now, ok := e.Object.(*autoscalingv2.HorizontalPodAutoscaler)
			if !ok {
				continue
			}
			old := last[now.Name]
			last[now.Name] = now
			if old == nil || old.UID != now.UID || !equality.Semantic.DeepEqual(old.Spec, now.Spec) ||
				!maps.Equal(old.Labels, now.Labels) || !maps.Equal(old.Annotations, now.Annotations) {
				writes.Lock()
				writes.count[now.Name]++
				writes.Unlock()
			}
		}
	}()
	return writes
}

// hpaUIDs returns the UIDs of the HPAs of a namespace by name, after checking that
// each is owned by the ScaledObject its label names.
func hpaUIDs(t *testing.T, ns string) map[string]types.UID {
	t.Helper()
	list, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	uids := map[string]types.UID{}
	for _, h := range list.Items {
		uids[h.Name] = h.UID
		owner, so := metav1.GetControllerOf(&h), h.Labels[v1alpha1.LabelScaledObjectName]
		if owner == nil || owner.UID != scaledObject(t, ns, so).UID || len(h.OwnerReferences) != 1 {
			t.Errorf("HPA %s of ScaledObject %q has owners %v", h.Name, so, h.OwnerReferences)
		}
	}
	return uids
}

// metricServed checks that a metric answers under KEDA's name and selector.
func metricServed(t *testing.T, ns, metric, object string) {
	t.Helper()
	cluster.WaitFor(t, 20*time.Second, metric+" of "+object, func() error {
		body, err := cluster.Client().Discovery().RESTClient().Get().
			AbsPath("/apis/external.metrics.k8s.io/v1beta1/namespaces/"+ns+"/"+metric).
			Param("labelSelector", v1alpha1.LabelScaledObjectName+"="+object).DoRaw(t.Context())
		if err == nil && !strings.Contains(string(body), `"metricName":"`+metric+`"`) {
			err = fmt.Errorf("the answer is %s", body)
		}
		return err
	})
}

// unchanged checks that nothing has written the specs of Deployments.
func unchanged(t *testing.T, ns string, all []inherited, but string) {
	t.Helper()
	for _, in := range all {
		d, err := cluster.Client().AppsV1().Deployments(ns).Get(t.Context(), in.name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if in.name != but && (d.Generation != 1 || *d.Spec.Replicas != in.replicas) {
			t.Errorf("Deployment %s has %d replicas at generation %d; KEDA left %d at generation 1", in.name, *d.Spec.Replicas, d.Generation, in.replicas)
		}
	}
}

func TestWeirTakesOverWhatKEDALeftAndGivesItBack(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	push(t, s, 12) // 3 replicas at 5 each
	stopWeir(t)
	now := time.Now()
	const cooldown, spent = 30, 12 * time.Second
	all := []inherited{
		{name: "busy", replicas: 3, list: "jobs", advanced: "{restoreToOriginalReplicaCount: true}", hpa: "keda-hpa-busy", cooldown: 300, active: now, status: map[string]any{"originalReplicaCount": 5}},
		{name: "zero", replicas: 0, list: "none", hpa: "keda-hpa-zero", cooldown: 300, active: now.Add(-time.Hour)},
		{name: "held", replicas: 2, list: "jobs", annotations: `{autoscaling.keda.sh/paused-replicas: "2"}`, cooldown: 300, active: now, status: map[string]any{"pausedReplicaCount": 2}},
		{name: "named", replicas: 3, list: "jobs", advanced: "{horizontalPodAutoscalerConfig: {name: mine}}", hpa: "mine", cooldown: 300, active: now},
		{name: "cooling", replicas: 1, list: "none", hpa: "keda-hpa-cooling", cooldown: cooldown, active: now.Add(-spent)},
	}
	for _, in := range all {
		if in.annotations == "" {
			in.annotations = "{}"
		}
		if in.advanced == "" {
			in.advanced = "{}"
		}
		in.leave(t, ns, s.Addr())
	}
	apply(t, ns, kedaAuthentication, nil)
	apply(t, ns, strings.ReplaceAll(jobObject, "listName: jobs", "listName: none"), values{"Name": "batch", "Max": 5, "Keep": 5, "Command": "[sleep, infinity]", "Address": s.Addr()})
	patch(t, scaledJobs, ns, "batch", map[string]any{"metadata": map[string]any{"finalizers": []any{v1alpha1.Finalizer}}})
	sj := scaledJob(t, ns, "batch")
	apply(t, ns, kedaJob, values{"UID": sj.UID, "Generation": sj.Generation})
	ran, _, _, _ := jobs(t, ns)
	uids, writes := hpaUIDs(t, ns), countHPAWrites(t, ns)

	restartWeir(t)
	for _, in := range all {
		cluster.WaitFor(t, 30*time.Second, in.name+" to be ready and dated", func() error {
			c := v1alpha1.FindCondition(scaledObject(t, ns, in.name).Status.Conditions, v1alpha1.ConditionReady)
			if c == nil || string(c.Status) != "True" || c.LastTransitionTime == nil {
				return fmt.Errorf("it is %+v", c)
			}
			return nil
		})
		if in.hpa != "" {
			metricServed(t, ns, "s0-redis-"+in.list, in.name)
		}
	}
	condition(t, 10*time.Second, ns, "held", v1alpha1.ConditionPaused, "True/ScaledObjectPaused", "")
	awaitReplicas(t, 40*time.Second, ns, "cooling", "at zero", func(want, _ int32) bool { return want == 0 })
	if after := time.Since(now); after < cooldown*time.Second-spent-time.Second || after > cooldown*time.Second-2*time.Second {
		t.Errorf("cooling went to zero %s after KEDA stopped; %s of %d s were over then", after, spent, cooldown)
	}
	awaitJobs(t, 30*time.Second, ns, "the one of KEDA to complete", func(running, complete, _ int) bool { return running == 0 && complete == 1 })
	if list, _, _, _ := jobs(t, ns); len(list) != 1 || list[0].UID != ran[0].UID {
		t.Errorf("%d Jobs; want only the one KEDA created", len(list))
	}
	unchanged(t, ns, all, "cooling")
	if got := hpaUIDs(t, ns); !maps.Equal(got, uids) {
		t.Errorf("HPAs are %v, KEDA left %v", got, uids)
	}
	writes.Lock()
	for name, n := range writes.count {
		if n > 1 {
			t.Errorf("HPA %s was written %d times, at most once is right", name, n)
		}
	}
	writes.Unlock()

	stopWeir(t)
	leftForKEDA(t, ns, all, uids)
	restartWeir(t)
	deleteAll(t, ns)
	if want, _ := replicas(t, ns, "busy"); want != 5 {
		t.Errorf("busy has %d replicas after its ScaledObject; 5 is the original count KEDA kept", want)
	}
}

func stopWeir(t *testing.T) {
	t.Helper()
	if err := weir.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if weir.Ended() != nil {
			if err := weir.Restart(); err != nil {
				t.Error(err)
			}
		}
	})
}

func restartWeir(t *testing.T) {
	t.Helper()
	if err := weir.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := serving(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// leftForKEDA checks the objects, and that the documented patch leads the
// APIService to KEDA; it leads it back to weir.
func leftForKEDA(t *testing.T, ns string, all []inherited, uids map[string]types.UID) {
	t.Helper()
	for _, in := range all {
		so := scaledObject(t, ns, in.name)
		if len(so.Finalizers) != 1 || so.Finalizers[0] != v1alpha1.Finalizer || so.Labels[v1alpha1.LabelScaledObjectName] != in.name || so.Status.HPAName != in.hpa {
			t.Errorf("%s has finalizers %v, labels %v and HPA %q", in.name, so.Finalizers, so.Labels, so.Status.HPAName)
		}
	}
	if got := hpaUIDs(t, ns); !maps.Equal(got, uids) {
		t.Errorf("HPAs are %v, KEDA left %v", got, uids)
	}
	const name = "v1beta1.external.metrics.k8s.io"
	was, err := objects.Resource(apiServiceKind).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	service, _, err := unstructured.NestedMap(was.Object, "spec", "service")
	if err != nil {
		t.Fatal(err)
	}
	patch(t, apiServiceKind, "", name, map[string]any{"spec": map[string]any{"service": map[string]any{"namespace": "keda", "name": "keda-metrics-apiserver", "port": 443}}})
	patch(t, apiServiceKind, "", name, map[string]any{"spec": map[string]any{"service": service}})
}

// deleteAll deletes an object of each kind and waits until no finalizer holds one.
func deleteAll(t *testing.T, ns string) {
	t.Helper()
	for _, kind := range []schema.GroupVersionResource{scaledObjects(), scaledJobs, authenticationKind} {
		in := objects.Resource(kind).Namespace(ns)
		if err := in.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		cluster.WaitFor(t, 20*time.Second, kind.Resource+" to go", func() error {
			list, err := in.List(t.Context(), metav1.ListOptions{})
			if err == nil && len(list.Items) > 0 {
				err = fmt.Errorf("%d are left", len(list.Items))
			}
			return err
		})
	}
}
