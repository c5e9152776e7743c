//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"text/template"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

func scaledObjects() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "scaledobjects"}
}

// render fills a manifest.
func render(t *testing.T, manifest string, v any) string {
	t.Helper()
	var b strings.Builder
	if err := template.Must(template.New("").Option("missingkey=error").Parse(manifest)).Execute(&b, v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// readyObjects counts the ScaledObjects of a namespace that are ready.
func readyObjects(t *testing.T, namespace string) (n int) {
	t.Helper()
	list, err := objects.Resource(scaledObjects()).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list.Items {
		if strings.Contains(fmt.Sprint(u.Object["status"]), "reason:"+v1alpha1.ReasonScaledObjectReady) {
			n++
		}
	}
	return n
}

func TestCorrectedPasswordWorksWithoutRestart(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{Password: "right"})
	push(t, s, 20)
	v := values{"Name": "login", "Replicas": 0, "Address": s.Addr(), "Password": "wrong"}
	apply(t, ns, idle, v)
	apply(t, ns, redisSecretObject, v)
	condition(t, 15*time.Second, ns, "login", v1alpha1.ConditionReady, "False", "password")
	if want, _ := replicas(t, ns, "login"); want != 0 {
		t.Errorf("%d replicas while the password is wrong", want)
	}
	pid := weir.PID()
	patch(t, corev1.SchemeGroupVersion.WithResource("secrets"), ns, "login", map[string]any{"stringData": map[string]any{"password": "right"}})
	awaitReplicas(t, 10*time.Second, ns, "login", "wakes within 10 s of the correction", func(want, _ int32) bool { return want > 0 })
	condition(t, 10*time.Second, ns, "login", v1alpha1.ConditionReady, "True", "")
	if weir.PID() != pid {
		t.Error("weir was restarted")
	}
}

func TestKilledInMidBurst(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "crash", "Replicas": 0, "Address": s.Addr(), "Polling": 1, "Cooldown": 4}
	apply(t, ns, idle, v)
	apply(t, ns, redisObject, v)
	condition(t, 10*time.Second, ns, "crash", v1alpha1.ConditionReady, "True", "")
	push(t, s, 20)
	awaitReplicas(t, 30*time.Second, ns, "crash", "has work for 4", func(_, ready int32) bool { return ready == 4 })
	before := hpa(t, ns, "keda-hpa-crash")

	if err := weir.Kill(); err != nil {
		t.Fatal(err)
	}
	heldFor(t, 8*time.Second, ns, "crash", 4)
	if err := weir.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := serving(t.Context()); err != nil {
		t.Fatal(err)
	}
	heldFor(t, 8*time.Second, ns, "crash", 4)
	push(t, s, 20)
	awaitReplicas(t, 60*time.Second, ns, "crash", "grows on under the new process", func(_, ready int32) bool { return ready == 8 })
	if after := hpa(t, ns, "keda-hpa-crash"); after.UID != before.UID || after.Generation != before.Generation {
		t.Errorf("the HPA was made anew or written: UID %s and %s, generation %d and %d", before.UID, after.UID, before.Generation, after.Generation)
	}
	cli(t, s, "DEL", "jobs")
	awaitReplicas(t, time.Minute, ns, "crash", "rests", atZero)
}

func hpa(t *testing.T, namespace, name string) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	h, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestBadInputSaysWhatIsWrongAndHurtsNobodyElse(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	exempt(t, ns)
	good := values{"Name": "good", "Replicas": 0, "Address": s.Addr(), "Polling": 1, "Cooldown": 60}
	apply(t, ns, idle, good)
	apply(t, ns, redisObject, good)
	cases := map[string]struct{ old, new, message string }{
		"unknown-type": {"type: redis", "type: reddis", `did you mean "redis"?`},
		"no-list":      {"listName: jobs, ", "", "spec.triggers[0].metadata.listName: is required"},
		"bad-number":   {`listLength: "5"`, `listLength: "five"`, "spec.triggers[0].metadata.listLength: must be a whole number"},
		"no-target":    {"scaleTargetRef: {name: no-target}", "scaleTargetRef: {name: nothing}", `Deployment "` + ns + `/nothing" does not exist`},
		"unknown-kind": {"scaleTargetRef: {name: unknown-kind}", "scaleTargetRef: {name: x, kind: Rocket}", `knows no kind "Rocket"`},
		"not-scalable": {"scaleTargetRef: {name: not-scalable}", "scaleTargetRef: {name: x, apiVersion: v1, kind: ConfigMap}", "scale"},
		"min-over-max": {"maxReplicaCount: 10", "maxReplicaCount: 10, idleReplicaCount: 3, minReplicaCount: 2", "spec.idleReplicaCount"},
		"missing-auth": {`listLength: "5"}`, `listLength: "5"}` + "\n    authenticationRef: {name: gone}", `TriggerAuthentication "gone"`},
		"unreachable":  {s.Addr(), "127.0.0.1:1", "connection refused"},
	}
	for name, c := range cases {
		v := values{"Name": name, "Replicas": 3, "Address": s.Addr(), "Polling": 1, "Cooldown": 1}
		apply(t, ns, idle, v)
		manifest := strings.Replace(render(t, redisObject, v), c.old, c.new, 1)
		if name == "min-over-max" {
			manifest = strings.Replace(render(t, redisObject, v), "maxReplicaCount: 10", "maxReplicaCount: 10\n  idleReplicaCount: 3\n  minReplicaCount: 2", 1)
		}
		apply(t, ns, manifest, nil)
	}
	condition(t, 10*time.Second, ns, "good", v1alpha1.ConditionReady, "True", "")
	push(t, s, 5)
	awaitReplicas(t, 10*time.Second, ns, "good", "wakes beside the others", func(want, _ int32) bool { return want > 0 })
	for name, c := range cases {
		condition(t, 20*time.Second, ns, name, v1alpha1.ConditionReady, "False", c.message)
		if want, _ := replicas(t, ns, name); want != 3 {
			t.Errorf("%s: %d replicas; bad input must leave the 3 there were", name, want)
		}
	}
}

func TestExternalMetricsThroughTheAPIServer(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "read", "Replicas": 0, "Address": s.Addr(), "Polling": 30, "Cooldown": 60}
	apply(t, ns, idle, v)
	apply(t, ns, redisObject, v)
	condition(t, 10*time.Second, ns, "read", v1alpha1.ConditionReady, "True", "")
	push(t, s, 7)
	get := func(metric, object string) (string, error) {
		raw, err := cluster.Client().Discovery().RESTClient().Get().AbsPath("/apis/external.metrics.k8s.io/v1beta1/namespaces/"+ns+"/"+metric).
			Param("labelSelector", "scaledobject.keda.sh/name="+object).DoRaw(t.Context())
		return string(raw), err
	}
	cluster.WaitFor(t, 10*time.Second, "the metric to be what redis-cli says", func() error {
		body, err := get("s0-redis-jobs", "read")
		if err != nil {
			return err
		}
		if llen := cli(t, s, "LLEN", "jobs"); !strings.Contains(body, `"value":"`+llen+`"`) {
			return fmt.Errorf("LLEN is %s, the metric %s", llen, body)
		}
		return nil
	})
	for _, c := range []struct{ metric, object string }{{"s0-redis-other", "read"}, {"s0-redis-jobs", "nobody"}} {
		if _, err := get(c.metric, c.object); !apierrors.IsNotFound(err) {
			t.Errorf("metric %s of %s: %v; want 404", c.metric, c.object, err)
		}
	}
}

func TestForeignHPAAndSecondObjectAreRefused(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	exempt(t, ns)
	v := values{"Name": "mine", "Replicas": 1, "Address": s.Addr(), "Polling": 1, "Cooldown": 60}
	apply(t, ns, idle, v)
	apply(t, ns, `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: theirs}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: mine}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]`, v)
	apply(t, ns, redisObject, v)
	condition(t, 20*time.Second, ns, "mine", v1alpha1.ConditionReady, "False", `HorizontalPodAutoscaler "theirs" does not belong to this ScaledObject`)
	if err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(ns).Delete(t.Context(), "theirs", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	condition(t, 20*time.Second, ns, "mine", v1alpha1.ConditionReady, "True", "")
	second := strings.Replace(render(t, redisObject, v), "metadata: {name: mine}", "metadata: {name: second}", 1)
	apply(t, ns, second, nil)
	condition(t, 20*time.Second, ns, "second", v1alpha1.ConditionReady, "False", `ScaledObject "mine", which is older, already scales`)
	condition(t, 5*time.Second, ns, "mine", v1alpha1.ConditionReady, "True", "")
}
