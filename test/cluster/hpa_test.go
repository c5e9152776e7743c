package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hpaScales sees the real HPA controller fail without a metrics API, and
// scale as soon as a local process serves one through the aggregator.
func hpaScales(s *space) {
	t := s.t
	s.createIdleWithHPA()
	eventually(t, 20*time.Second, func() error {
		events, err := s.CoreV1().Events(s.name).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=FailedGetExternalMetric"})
		if err == nil && len(events.Items) == 0 {
			err = errors.New("no event FailedGetExternalMetric")
		}
		return err
	})
	s.aggregate(httptest.NewTLSServer(http.HandlerFunc(serveMetrics)))
	eventually(t, 30*time.Second, func() error {
		d, err := s.AppsV1().Deployments(s.name).Get(t.Context(), "idle", metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != 3 {
			err = fmt.Errorf("%d replicas are ready, want 3", d.Status.ReadyReplicas)
		}
		return err
	})
}

func (s *space) createIdleWithHPA() {
	t := s.t
	t.Helper()
	labels := map[string]string{"app": "idle"}
	_, err := s.AppsV1().Deployments(s.name).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "idle"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec(v1.RestartPolicyAlways, "sleep 1000")},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	target := resource.MustParse("5")
	_, err = s.AutoscalingV2().HorizontalPodAutoscalers(s.name).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "idle"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "idle"},
			MaxReplicas:    9,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
				Metric: autoscalingv2.MetricIdentifier{Name: "backlog"},
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &target},
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

const metricsAPI = "/apis/external.metrics.k8s.io/v1beta1"

// serveMetrics is the smallest external metrics API: each metric is 14.
func serveMetrics(w http.ResponseWriter, r *http.Request) {
	type object = map[string]any
	answer := object{
		"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1",
		"resources": []object{{"name": "externalmetrics", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": []string{"get"}}},
	}
	if strings.HasPrefix(r.URL.Path, metricsAPI+"/namespaces/") {
		answer = object{
			"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": object{},
			"items": []object{{"metricName": "backlog", "metricLabels": object{}, "timestamp": metav1.Now(), "value": "14"}},
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err) // the server logs it
	}
}

// aggregate registers the server as the external metrics API.
func (s *space) aggregate(server *httptest.Server) {
	t := s.t
	t.Helper()
	t.Cleanup(server.Close)
	_, text, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.CoreV1().Services(s.name).Create(t.Context(), &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "metrics"},
		Spec:       v1.ServiceSpec{Type: v1.ServiceTypeExternalName, ExternalName: "localhost"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const name = "v1beta1.external.metrics.k8s.io"
	body := fmt.Sprintf(`{"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": {"name": %q}, "spec": {
		"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
		"insecureSkipTLSVerify": true, "service": {"namespace": %q, "name": "metrics", "port": %d}}}`, name, s.name, port)
	err = s.Discovery().RESTClient().Post().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").
		SetHeader("Content-Type", "application/json").Body([]byte(body)).Do(t.Context()).Error()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, 20*time.Second, func() error {
		return s.Discovery().RESTClient().Get().AbsPath(metricsAPI).Do(t.Context()).Error()
	})
	t.Logf("the API was available after %s", time.Since(began))
}
