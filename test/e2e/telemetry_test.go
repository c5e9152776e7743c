//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/telemetry"
)

// scrape reads weir's metrics as Prometheus does.
func scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, weir.Debug+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return families
}

// series returns the values of a metric in a namespace, by the other labels.
func series(families map[string]*dto.MetricFamily, name, namespace string) map[string]float64 {
	out := map[string]float64{}
	for _, m := range families[name].GetMetric() {
		var labels []string
		ours := false
		for _, l := range m.GetLabel() {
			if l.GetName() == "namespace" {
				ours = l.GetValue() == namespace
				continue
			}
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		if ours {
			out[strings.Join(labels, " ")] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// reads waits until a series has a value that ok takes.
func reads(t *testing.T, name, namespace, labels, what string, ok func(float64) bool) {
	t.Helper()
	cluster.WaitFor(t, 20*time.Second, fmt.Sprintf("%s{%s} is %s", name, labels, what), func() error {
		all := series(scrape(t), name, namespace)
		if v, there := all[labels]; !there || !ok(v) {
			return fmt.Errorf("there is %v", all)
		}
		return nil
	})
}

func is(want float64) func(float64) bool { return func(v float64) bool { return v == want } }

func above(least float64) func(float64) bool { return func(v float64) bool { return v > least } }

func TestMetricsFollowAnObjectFromItsFirstMessageToItsEnd(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "told", "Kind": "redis", "Queue": "", "Address": s.Addr(), "Polling": 2, "Cooldown": 3, "Replicas": 0}
	apply(t, ns, idle, v)
	apply(t, ns, redisObject, v)
	condition(t, 10*time.Second, ns, "told", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	const trigger = "metric=s0-redis-jobs scaledObject=told scaler=redisScaler triggerIndex=0 type=scaledobject"
	reads(t, "keda_scaler_metrics_value", ns, trigger, "0", is(0))
	reads(t, "keda_scaler_active", ns, trigger, "0", is(0))
	wakes := count(scrape(t)["weir_wake_seconds"])

	push(t, s, 12)
	awaitReplicas(t, 10*time.Second, ns, "told", "wakes", func(want, _ int32) bool { return want > 0 })
	reads(t, "keda_scaler_metrics_value", ns, trigger, "12", is(12))
	reads(t, "keda_scaler_active", ns, trigger, "1", is(1))
	reads(t, "keda_scaler_metrics_latency_seconds", ns, trigger, "above 0", above(0))
	reads(t, "keda_scaler_detail_errors_total", ns, trigger, "0", is(0))
	reads(t, "keda_scaled_object_errors_total", ns, "scaledObject=told", "0", is(0))
	reads(t, "keda_resource_registered_total", ns, "type=scaled_object", "1", is(1))
	reads(t, "keda_internal_scale_loop_latency_seconds", ns, "resource=told type=scaledobject", "less than 30", func(v float64) bool { return v < 30 })
	reads(t, "weir_desired_replicas", ns, "kind=ScaledObject name=told stage=asked", "3", is(3))
	reads(t, "weir_desired_replicas", ns, "kind=ScaledObject name=told stage=limited", "3", is(3))
	reads(t, "weir_desired_replicas", ns, "kind=ScaledObject name=told stage=decided", "at least 1", above(0))
	cluster.WaitFor(t, 10*time.Second, "the wake is counted", func() error {
		if n := count(scrape(t)["weir_wake_seconds"]); n <= wakes {
			return fmt.Errorf("%d wakes, as before", n)
		}
		return nil
	})

	scaledObjects := schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "scaledobjects"}
	reads(t, "keda_scaled_object_paused", ns, "scaledObject=told", "0", is(0))
	patch(t, scaledObjects, ns, "told", map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationPaused: "true"}}})
	reads(t, "keda_scaled_object_paused", ns, "scaledObject=told", "1", is(1))
	patch(t, scaledObjects, ns, "told", map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationPaused: nil}}})
	reads(t, "keda_scaled_object_paused", ns, "scaledObject=told", "0", is(0))

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	reads(t, "keda_scaler_detail_errors_total", ns, trigger, "above 0", above(0))
	reads(t, "keda_scaled_object_errors_total", ns, "scaledObject=told", "above 0", above(0))
	reads(t, "keda_scaler_metrics_value", ns, trigger, "12, which it keeps", is(12))

	if err := objects.Resource(scaledObjects).Namespace(ns).Delete(t.Context(), "told", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	cluster.WaitFor(t, 20*time.Second, "its series are gone", func() error {
		for name, family := range scrape(t) {
			for _, m := range family.GetMetric() {
				if slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "namespace" && l.GetValue() == ns }) &&
					!strings.HasPrefix(name, "keda_webhook_") && !strings.HasPrefix(name, "controller_runtime_") {
					return fmt.Errorf("there is %s %v", name, m)
				}
			}
		}
		return nil
	})
}

// apiObject scales on a number of an HTTP API, under a name of its own.
const apiObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 1
  maxReplicaCount: 10
  triggers:
  - type: metrics-api
    name: waiting
    metadata: {url: "{{.Address}}", valueLocation: waiting, targetValue: "5"}`

func TestAnAnswerWithoutResultIsCountedAndChangesNothing(t *testing.T) {
	var answer atomic.Value
	answer.Store(`{}`)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, answer.Load().(string)); err != nil {
			t.Error(err)
		}
	}))
	defer api.Close()
	ns := cluster.NewNamespace(t)
	v := values{"Name": "empty", "Address": api.URL, "Replicas": 2}
	apply(t, ns, idle, v)
	apply(t, ns, apiObject, v)
	const empty = "ignoreNullValues=false metricName=s0-metric-api-waiting resourceType=ScaledObject scaledResource=empty triggerName=waiting"
	reads(t, "keda_scaler_empty_upstream_responses_total", ns, empty, "above 1", above(1))
	reads(t, "keda_scaler_detail_errors_total", ns,
		"metric=s0-metric-api-waiting scaledObject=empty scaler=waiting triggerIndex=0 type=scaledobject", "above 1", above(1))
	awaitReplicas(t, time.Second, ns, "empty", "is left alone", func(want, _ int32) bool { return want == 2 })

	answer.Store(`{"waiting": 23}`)
	awaitReplicas(t, 40*time.Second, ns, "empty", "follows the number", func(want, _ int32) bool { return want == 5 })
	counted := series(scrape(t), "keda_scaler_empty_upstream_responses_total", ns)[empty]
	heldFor(t, 3*time.Second, ns, "empty", 5)
	if now := series(scrape(t), "keda_scaler_empty_upstream_responses_total", ns)[empty]; now != counted {
		t.Errorf("%v answers are counted as empty, of which %v were", now, counted)
	}
}

// count is how many observations a histogram has, over all labels.
func count(f *dto.MetricFamily) uint64 {
	n := uint64(0)
	for _, m := range f.GetMetric() {
		n += m.GetHistogram().GetSampleCount()
	}
	return n
}

func TestServedMetricsAreInTheCatalogueAndCleanForPromlint(t *testing.T) {
	catalogue := telemetry.Metrics(false)
	families := scrape(t)
	if _, ok := families["keda_build_info"]; !ok {
		t.Error("there is no keda_build_info")
	}
	for name, family := range families {
		if !strings.HasPrefix(name, "weir_") && !strings.HasPrefix(name, "keda_") {
			continue
		}
		if !slices.ContainsFunc(catalogue, func(m telemetry.Metric) bool { return m.Name == name }) {
			t.Errorf("%s is not in the catalogue", name)
		}
		if strings.HasPrefix(name, "keda_") {
			continue
		}
		problems, err := promlint.NewWithMetricFamilies([]*dto.MetricFamily{family}).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
