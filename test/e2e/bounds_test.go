//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

func TestIdleCountsCooldownsAndOriginalReplicas(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	listed(t, ns, s, "idling", 1, "minReplicaCount: 2\n  idleReplicaCount: 0", "")
	listed(t, ns, s, "fresh", 3, "initialCooldownPeriod: 10", "")
	listed(t, ns, s, "restored", 3, "advanced: {restoreToOriginalReplicaCount: true}", "")

	awaitReplicas(t, 20*time.Second, ns, "idling", "rests at its idle count", exactly(0))
	awaitReplicas(t, 20*time.Second, ns, "restored", "rests", exactly(0))
	condition(t, 10*time.Second, ns, "fresh", v1alpha1.ConditionActive, "False/ScalerCooldown", "")
	fill(t, s, "idling", 1)
	awaitReplicas(t, 5*time.Second, ns, "idling", "wakes to its minimum", exactly(2))
	cli(t, s, "DEL", "idling")
	awaitReplicas(t, 20*time.Second, ns, "idling", "goes past its minimum to its idle count", exactly(0))

	if err := objects.Resource(scaledObjects()).Namespace(ns).Delete(t.Context(), "restored", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitReplicas(t, 10*time.Second, ns, "restored", "gets back what it had", exactly(3))

	awaitReplicas(t, 20*time.Second, ns, "fresh", "rests after its initial cooldown", exactly(0))
	created := scaledObject(t, ns, "fresh").CreationTimestamp.Time
	if rested := time.Since(created); rested < 10*time.Second {
		t.Errorf("it rests %s after it was created; want 10 s at least", rested)
	}
}

const theirHPA = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: theirs}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: adopting}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]`

// behaved is a behavior that says everything, so that it can be compared.
const behaved = `advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown:
          stabilizationWindowSeconds: 7
          selectPolicy: Min
          policies: [{type: Pods, value: 2, periodSeconds: 11}, {type: Percent, value: 50, periodSeconds: 13}]
        scaleUp:
          stabilizationWindowSeconds: 3
          selectPolicy: Max
          policies: [{type: Pods, value: 5, periodSeconds: 17}]`

func TestHPAsAreAdoptedRenamedAndShapedAsAsked(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	apply(t, ns, theirHPA, nil)
	adopted := hpa(t, ns, "theirs").UID
	second := `- type: redis
    metadata: {address: "` + s.Addr() + `", listName: second, listLength: "7"}
  - type: cpu
    metricType: Utilization
    metadata: {value: "80"}`
	v := values{"Name": "adopting", "Replicas": 1, "Address": s.Addr(), "More": "advanced: {horizontalPodAutoscalerConfig: {name: theirs}}", "MoreTriggers": ""}
	apply(t, ns, idle, v)
	apply(t, ns, strings.Replace(listObject, "{name: {{.Name}}}", `{name: {{.Name}}, annotations: {`+v1alpha1.AnnotationTransferHPAOwnership+`: "true"}}`, 1), v)
	listed(t, ns, s, "renamed", 1, "minReplicaCount: 1", "")
	v = values{"Name": "shaped", "Replicas": 0, "Address": s.Addr(), "More": behaved, "MoreTriggers": second}
	apply(t, ns, strings.Replace(idle, "infinity]", "infinity], resources: {requests: {cpu: 1m}}", 1), v)
	apply(t, ns, listObject, v)

	condition(t, 20*time.Second, ns, "adopting", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	h := hpa(t, ns, "theirs")
	if h.UID != adopted || len(h.OwnerReferences) != 1 || h.OwnerReferences[0].Name != "adopting" || len(h.Spec.Metrics) != 1 || h.Spec.Metrics[0].External == nil {
		t.Errorf("the HPA that was to be taken over: %s of %v with %v; it was %s", h.UID, h.OwnerReferences, h.Spec.Metrics, adopted)
	}

	condition(t, 20*time.Second, ns, "shaped", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	awaitMetrics(t, ns, "shaped", "s0-redis-shaped 5,s1-redis-second 7,cpu 80%")
	shaped(t, hpa(t, ns, "keda-hpa-shaped").Spec.Behavior)
	fill(t, s, "second", 14)
	awaitReplicas(t, 20*time.Second, ns, "shaped", "has two for its second list", exactly(2))
	cli(t, s, "DEL", "second")
	awaitReplicas(t, 30*time.Second, ns, "shaped", "rests, whatever its cpu is", exactly(0))

	renamedWithoutGap(t, ns)
}

// shaped checks that a behavior is that of behaved.
func shaped(t *testing.T, b *autoscalingv2.HorizontalPodAutoscalerBehavior) {
	t.Helper()
	text := func(r *autoscalingv2.HPAScalingRules) string {
		out := fmt.Sprint(*r.StabilizationWindowSeconds, " ", *r.SelectPolicy)
		for _, p := range r.Policies {
			out += fmt.Sprintf(", %s %d in %d s", p.Type, p.Value, p.PeriodSeconds)
		}
		return out
	}
	if down, want := text(b.ScaleDown), "7 Min, Pods 2 in 11 s, Percent 50 in 13 s"; down != want {
		t.Errorf("behavior down: %s; want %s", down, want)
	}
	if up, want := text(b.ScaleUp), "3 Max, Pods 5 in 17 s"; up != want {
		t.Errorf("behavior up: %s; want %s", up, want)
	}
}

// renamedWithoutGap gives the HPA of "renamed" another name and sees that there is
// one at any moment.
func renamedWithoutGap(t *testing.T, namespace string) {
	t.Helper()
	hpas := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(namespace)
	condition(t, 20*time.Second, namespace, "renamed", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	old := hpa(t, namespace, "keda-hpa-renamed")
	w, err := hpas.Watch(t.Context(), metav1.ListOptions{
		LabelSelector: v1alpha1.LabelScaledObjectName + "=renamed", ResourceVersion: old.ResourceVersion,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	patch(t, scaledObjects(), namespace, "renamed", map[string]any{"spec": map[string]any{
		"advanced": map[string]any{"horizontalPodAutoscalerConfig": map[string]any{"name": "new-name"}},
	}})
	limit := time.After(20 * time.Second)
	for there := map[string]bool{old.Name: true}; !there["new-name"] || there[old.Name]; {
		select {
		case e := <-w.ResultChan():
			h, ok := e.Object.(*autoscalingv2.HorizontalPodAutoscaler)
			if !ok {
				t.Fatalf("watching HPAs: %v", e.Object)
			}
			there[h.Name] = e.Type != watch.Deleted
			if !there[old.Name] && !there["new-name"] {
				t.Fatal("there is a moment without an HPA")
			}
		case <-limit:
			t.Fatalf("the HPA is not renamed: %v", there)
		}
	}
	cluster.WaitFor(t, 5*time.Second, "the new name in the status", func() error {
		if name := scaledObject(t, namespace, "renamed").Status.HPAName; name != "new-name" {
			return fmt.Errorf("status.hpaName is %q", name)
		}
		return nil
	})
	condition(t, 5*time.Second, namespace, "renamed", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
}
