//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	externalmetrics "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// fallingObject scales on the list "jobs" and has a fallback.
const fallingObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 1
  cooldownPeriod: 4
  maxReplicaCount: 8
  fallback: {failureThreshold: 2, replicas: {{.Fallback}}, behavior: {{.Behavior}}}
  triggers:
  - type: redis
    metricType: {{.MetricType}}
    metadata: {address: "{{.Address}}", listName: {{.List}}, listLength: "5"}`

// computingObject scales on a formula over the lists "orders" and "refunds", which
// divides by zero above 100 orders.
const computingObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 1
  cooldownPeriod: 4
  maxReplicaCount: 9
  advanced:
    scalingModifiers:
      formula: "orders > 100 ? orders / (refunds - refunds) : orders + 2 * refunds"
      target: "2.5"
      activationTarget: "3"
  triggers:
  - {type: redis, name: orders, metadata: {address: "{{.Address}}", listName: orders}}
  - {type: redis, name: refunds, metadata: {address: "{{.Address}}", listName: refunds}}`

// fallbackEvents waits until the events about a fallback are these, each once.
func fallbackEvents(t *testing.T, namespace, name string, want ...string) {
	t.Helper()
	cluster.WaitFor(t, 10*time.Second, name+" tells of its fallback", func() error {
		list, err := cluster.Client().EventsV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		have := map[string]int{}
		for _, e := range list.Items {
			if e.Regarding.Name == name && strings.Contains(e.Reason, "Fallback") {
				have[e.Reason+": "+e.Note]++
			}
		}
		for _, w := range want {
			if have[w] != 1 {
				return fmt.Errorf("want once %q of %v", w, have)
			}
		}
		if len(have) != len(want) {
			return fmt.Errorf("want %q only, there are %v", want, have)
		}
		return nil
	})
}

// TestAFallbackScalesWhileItsBrokerIsDown through the real HPA, and back.
func TestAFallbackScalesWhileItsBrokerIsDown(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	object := func(name, list, metricType, behavior string, fallback int) {
		v := values{
			"Name": name, "Replicas": 0, "Address": s.Addr(), "List": list, "MetricType": metricType, "Behavior": behavior, "Fallback": fallback,
		}
		apply(t, ns, idle, v)
		apply(t, ns, fallingObject, v)
		condition(t, 10*time.Second, ns, name, v1alpha1.ConditionReady, "True", "")
	}
	object("average", "jobs", "AverageValue", "static", 3)
	object("value", "jobs", "Value", "static", 3)
	object("keeps", "jobs", "AverageValue", "currentReplicasIfHigher", 3)
	object("wakes", "nothing", "AverageValue", "static", 2)
	object("rests", "nothing", "AverageValue", "static", 0)
	push(t, s, 30)
	awaitReplicas(t, 30*time.Second, ns, "average", "has work for 6", func(_, ready int32) bool { return ready == 6 })
	awaitReplicas(t, 30*time.Second, ns, "keeps", "has work for 6", func(_, ready int32) bool { return ready == 6 })
	awaitReplicas(t, 60*time.Second, ns, "value", "grows as metrics of type Value do", func(_, ready int32) bool { return ready == 8 })
	condition(t, 10*time.Second, ns, "average", v1alpha1.ConditionFallback, "False/NoFallbackFound", "")

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"average", "value", "keeps", "wakes", "rests"} {
		condition(t, 20*time.Second, ns, name, v1alpha1.ConditionFallback, "True/FallbackExists", "")
	}
	three := func(want, ready int32) bool { return want == 3 && ready == 3 }
	awaitReplicas(t, 40*time.Second, ns, "average", "is at its fallback", three)
	awaitReplicas(t, 40*time.Second, ns, "value", "is at its fallback", three)
	awaitReplicas(t, 40*time.Second, ns, "wakes", "is at its fallback", func(want, ready int32) bool { return want == 2 && ready == 2 })
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		for name, want := range map[string]int32{"average": 3, "value": 3, "wakes": 2, "keeps": 6, "rests": 0} {
			if have, _ := replicas(t, ns, name); have != want {
				t.Fatalf("%s has %d replicas while its broker is down, want %d", name, have, want)
			}
		}
	}
	condition(t, time.Second, ns, "average", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	condition(t, time.Second, ns, "rests", v1alpha1.ConditionActive, "False/ScalerNotActive", "")
	if h := scaledObject(t, ns, "average").Status.Health["s0-redis-jobs"]; h.NumberOfFailures == nil || *h.NumberOfFailures != 3 || h.Status != v1alpha1.HealthStatusFailing {
		t.Errorf("the health is %+v", h)
	}

	if err := s.Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	push(t, s, 20) // the server kept nothing
	condition(t, 30*time.Second, ns, "average", v1alpha1.ConditionFallback, "False/NoFallbackFound", "")
	awaitReplicas(t, 40*time.Second, ns, "average", "has work for 4", func(_, ready int32) bool { return ready == 4 })
	cli(t, s, "DEL", "jobs")
	awaitReplicas(t, time.Minute, ns, "average", "rests", atZero)
	awaitReplicas(t, time.Minute, ns, "wakes", "rests", atZero)
	list, err := cluster.Client().EventsV1().Events(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	began := ""
	for _, e := range list.Items {
		if e.Regarding.Name == "average" && e.Reason == v1alpha1.EventScaledObjectFallbackActivated {
			began = e.Note
		}
	}
	if !strings.HasPrefix(began, "more than 2 polls in a row failed: s0-redis-jobs cannot be read (") || !strings.HasSuffix(began, "; the fallback (static) asks for replicas: 3") {
		t.Errorf("the event says %q", began)
	}
	fallbackEvents(t, ns, "average", v1alpha1.EventScaledObjectFallbackActivated+": "+began,
		v1alpha1.EventScaledObjectFallbackDeactivated+": the fallback stands in for no trigger any more")
}

// compositeMetric reads the result of a formula as the HPA does.
func compositeMetric(t *testing.T, namespace, metric, object string) (string, error) {
	t.Helper()
	raw, err := cluster.Client().Discovery().RESTClient().Get().
		AbsPath("/apis/external.metrics.k8s.io/v1beta1/namespaces/"+namespace+"/"+metric).
		Param("labelSelector", "scaledobject.keda.sh/name="+object).DoRaw(t.Context())
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, raw)
	}
	var list externalmetrics.ExternalMetricValueList
	if err := json.Unmarshal(raw, &list); err != nil {
		return "", fmt.Errorf("reading %s: %w", raw, err)
	}
	if len(list.Items) != 1 {
		return "", fmt.Errorf("there is not one value in %s", raw)
	}
	return list.Items[0].MetricName + " " + list.Items[0].Value.String(), nil
}

func TestAFormulaOfTwoListsDrivesTheHPA(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "sum", "Replicas": 0, "Address": s.Addr()}
	apply(t, ns, idle, v)
	apply(t, ns, computingObject, v)
	condition(t, 10*time.Second, ns, "sum", v1alpha1.ConditionReady, "True", "")
	fill := func(list string, n int) {
		args := []string{"RPUSH", list}
		for range n {
			args = append(args, "x")
		}
		cli(t, s, args...)
	}
	reads := func(want string) {
		t.Helper()
		cluster.WaitFor(t, 15*time.Second, "composite-metric to be "+want, func() error {
			have, err := compositeMetric(t, ns, "composite-metric", "sum")
			if err == nil && !strings.HasSuffix(have, " "+want) {
				err = fmt.Errorf("it is %s", have)
			}
			return err
		})
	}
	fill("orders", 3)
	reads("3")
	if want, _ := replicas(t, ns, "sum"); want != 0 {
		t.Errorf("%d replicas although the result is not above the activation", want)
	}
	fill("orders", 1)
	fill("refunds", 3)
	awaitReplicas(t, 30*time.Second, ns, "sum", "has work for 4: 10 at 2.5 each", func(want, ready int32) bool { return want == 4 && ready == 4 })
	reads("10")
	h := hpa(t, ns, "keda-hpa-sum")
	if len(h.Spec.Metrics) != 1 || h.Spec.Metrics[0].External == nil || h.Spec.Metrics[0].External.Metric.Name != "composite-metric" ||
		h.Spec.Metrics[0].External.Target.AverageValue.String() != "2500m" {
		t.Errorf("the metrics of the HPA are %+v", h.Spec.Metrics)
	}
	status := scaledObject(t, ns, "sum").Status
	if status.CompositeScalerName != "composite-metric" || !status.TriggersActivity["s0-redis-orders"].IsActive || !status.TriggersActivity["composite-metric"].IsActive {
		t.Errorf("the status is %+v", status)
	}

	fill("orders", 100)
	condition(t, 10*time.Second, ns, "sum", v1alpha1.ConditionReady, "False/TriggerError", "the result is +Inf")
	heldFor(t, 15*time.Second, ns, "sum", 4)
	if want, _ := replicas(t, ns, "sum"); want != 4 {
		t.Errorf("%d replicas without a result, want the 4 that there were", want)
	}
	if answer, err := compositeMetric(t, ns, "composite-metric", "sum"); err == nil || !strings.Contains(err.Error(), "the result is +Inf") {
		t.Errorf("the HPA gets %s, %v", answer, err)
	}
	cli(t, s, "DEL", "orders", "refunds")
	condition(t, 10*time.Second, ns, "sum", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	awaitReplicas(t, time.Minute, ns, "sum", "rests", atZero)
}
