//go:build e2e

package hpacheck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/hpa"
)

const (
	externalAPI = "/apis/external.metrics.k8s.io/v1beta1"
	resourceAPI = "/apis/metrics.k8s.io/v1beta1"
)

type object = map[string]any

// adapter serves both metrics APIs. What the controller asks for first of an HPA's
// metrics begins a sync; what it answers after the last sync of a case is an error,
// so that nothing is scaled any more.
type adapter struct {
	t     *testing.T
	mu    sync.Mutex
	cases []*check
}

// done says why the syncs are not done; an answer was asked for after the last.
func (a *adapter) done() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	missing := 0
	for _, c := range a.cases {
		if c.synced <= syncs {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d HPAs have not been synced %d times", missing, len(a.cases), syncs)
	}
	return nil
}

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer object
	switch {
	case r.URL.Path == externalAPI:
		answer = discovery("external.metrics.k8s.io/v1beta1", "externalmetrics", "ExternalMetricValueList")
	case r.URL.Path == resourceAPI:
		answer = discovery("metrics.k8s.io/v1beta1", "pods", "PodMetrics")
	case strings.HasPrefix(r.URL.Path, externalAPI+"/namespaces/"):
		answer = a.external(path.Base(r.URL.Path))
	case strings.HasPrefix(r.URL.Path, resourceAPI+"/namespaces/"):
		answer = a.resource(strings.TrimPrefix(r.URL.Query().Get("labelSelector"), "app="))
	}
	w.Header().Set("Content-Type", "application/json")
	if answer == nil {
		w.WriteHeader(http.StatusNotFound)
		answer = object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.t.Logf("answering %s: %v", r.URL, err) // a client that went away
	}
}

func discovery(version, name, kind string) object {
	return object{
		"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
		"resources": []object{{"name": name, "namespaced": true, "kind": kind, "verbs": []string{"get", "list"}}},
	}
}

// find returns the case of a name.
func (a *adapter) find(name string) *check {
	number, err := strconv.Atoi(strings.TrimPrefix(name, "case-"))
	if err != nil || number >= len(a.cases) {
		a.t.Errorf("the controller asked for the metrics of %q", name)
		return a.cases[0]
	}
	return a.cases[number]
}

// external answers for a metric, called CASE-NUMBER; nil is that there is none.
func (a *adapter) external(name string) object {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := strings.LastIndex(name, "-")
	c := a.find(name[:max(last, 0)])
	r, ok := c.answer(func(m hpa.Metric) bool { return m.Name == name })
	if !ok {
		return nil
	}
	items := []object{}
	for _, v := range r.Values {
		items = append(items, object{"metricName": name, "metricLabels": object{}, "timestamp": metav1.Now(), "value": strconv.FormatInt(v, 10) + "m"})
	}
	return object{"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": object{}, "items": items}
}

// resource answers for the pods of a case. No case has two metrics of pods.
func (a *adapter) resource(name string) object {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.find(name)
	var metric hpa.Metric
	r, ok := c.answer(func(m hpa.Metric) bool {
		metric = m
		return m.Kind != hpa.External
	})
	if !ok {
		return nil
	}
	items := []object{}
	for pod, s := range r.Pods {
		use := object{metric.Name: strconv.FormatInt(s.Value, 10) + "m"}
		items = append(items, object{
			"metadata": object{"name": pod}, "timestamp": metav1.NewTime(s.At), "window": s.Window.String(),
			"containers": []object{{"name": "work", "usage": use}},
		})
	}
	return object{"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": object{}, "items": items}
}

// answer returns the reading of the metric that is meant. The first one's begins a
// sync.
func (c *check) answer(is func(hpa.Metric) bool) (hpa.Reading, bool) {
	for i, m := range c.in.Spec.Metrics {
		if !is(m) {
			continue
		}
		if i == 0 && c.synced < syncs {
			c.sync(time.Now())
		} else if i == 0 {
			c.synced++
		}
		r := c.in.Readings[i]
		return r, r.Err == "" && c.synced <= syncs
	}
	return hpa.Reading{}, false
}
