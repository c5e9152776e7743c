//go:build e2e

package hpacheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-sh/weir/internal/testcluster"
	"github.com/weir-sh/weir/pkg/hpa"
)

const group = "check.weir.sh"

// plane is the control plane, and what of it the cases use.
type plane struct {
	*testcluster.Cluster
	client    kubernetes.Interface
	objects   dynamic.Interface
	namespace string
}

// gauges are the targets: objects that can be scaled, and do nothing else.
func (p *plane) gauges() dynamic.ResourceInterface {
	return p.objects.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "gauges"}).Namespace(p.namespace)
}

// define makes the kind Gauge.
func (p *plane) define(t *testing.T) {
	t.Helper()
	anything := object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	p.create(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", object{
		"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "metadata": object{"name": "gauges." + group},
		"spec": object{
			"group": group, "scope": "Namespaced", "names": object{"plural": "gauges", "singular": "gauge", "kind": "Gauge", "listKind": "GaugeList"},
			"versions": []object{{
				"name": "v1", "served": true, "storage": true,
				"schema":       object{"openAPIV3Schema": object{"type": "object", "properties": object{"spec": anything, "status": anything}}},
				"subresources": object{"status": object{}, "scale": object{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
			}},
		},
	})
	p.WaitFor(t, 30*time.Second, "the API of gauges", func() error {
		_, err := p.gauges().List(t.Context(), metav1.ListOptions{})
		return err
	})
}

func (p *plane) create(t *testing.T, at string, o object) {
	t.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.client.Discovery().RESTClient().Post().AbsPath(at).SetHeader("Content-Type", "application/json").Body(body).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

// aggregate has the server serve the metrics APIs.
func (p *plane) aggregate(t *testing.T, server *httptest.Server) {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	p.create(t, "/api/v1/namespaces/"+p.namespace+"/services", object{
		"kind": "Service", "apiVersion": "v1", "metadata": object{"name": "metrics"}, "spec": object{"type": "ExternalName", "externalName": "localhost"},
	})
	for _, name := range []string{"external.metrics.k8s.io", "metrics.k8s.io"} {
		p.create(t, "/apis/apiregistration.k8s.io/v1/apiservices", object{
			"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": object{"name": "v1beta1." + name},
			"spec": object{
				"group": name, "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true,
				"service": object{"namespace": p.namespace, "name": "metrics", "port": number},
			},
		})
	}
	for _, api := range []string{externalAPI, resourceAPI} {
		p.WaitFor(t, 30*time.Second, api, func() error {
			return p.client.Discovery().RESTClient().Get().AbsPath(api).Do(t.Context()).Error()
		})
	}
}

// target makes what the case scales, with its pods.
func (p *plane) target(t *testing.T, c *check) {
	t.Helper()
	gauge := &unstructured.Unstructured{Object: object{
		"kind": "Gauge", "apiVersion": group + "/v1", "metadata": object{"name": c.name},
		"spec": object{"replicas": int64(c.in.Scale.Spec)},
	}}
	made, err := p.gauges().Create(t.Context(), gauge, metav1.CreateOptions{})
	if err != nil {
		t.Error(err)
		return
	}
	made.Object["status"] = object{"replicas": int64(c.in.Scale.Status), "selector": "app=" + c.name}
	if _, err := p.gauges().UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
	for i := range c.in.Scale.Pods {
		if err := p.pod(t, c, &c.in.Scale.Pods[i]); err != nil {
			t.Error(err)
		}
	}
}

// pod makes a pod, which no node runs, and says of it what the case does.
func (p *plane) pod(t *testing.T, c *check, pod *hpa.Pod) error {
	t.Helper()
	pods := p.client.CoreV1().Pods(p.namespace)
	o := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Labels: map[string]string{"app": c.name}}}
	o.Spec.SchedulerName = "nobody"
	for _, container := range pod.Containers {
		requests := corev1.ResourceList{}
		for name, v := range container.Requests {
			requests[corev1.ResourceName(name)] = *resource.NewMilliQuantity(v, resource.DecimalSI)
		}
		o.Spec.Containers = append(o.Spec.Containers, corev1.Container{Name: container.Name, Image: "none", Resources: corev1.ResourceRequirements{Requests: requests}})
	}
	made, err := pods.Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating pod %s: %w", pod.Name, err)
	}
	made.Status.Phase = corev1.PodPhase(pod.Phase)
	made.Status.StartTime = &metav1.Time{Time: pod.Started}
	made.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionStatus(pod.Ready), LastTransitionTime: metav1.NewTime(pod.ReadySince)}}
	if _, err := pods.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("setting the status of pod %s: %w", pod.Name, err)
	}
	return nil
}

// waitForPods waits until watches of the pods have been told of all.
func (p *plane) waitForPods(t *testing.T, all []*check) {
	t.Helper()
	want := 0
	for _, c := range all {
		want += len(c.in.Scale.Pods)
	}
	p.WaitFor(t, 30*time.Second, "the pods", func() error {
		list, err := p.client.CoreV1().Pods(p.namespace).List(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if list.Items[i].Status.StartTime == nil {
				return errors.New("a pod has no status yet")
			}
		}
		if len(list.Items) != want {
			return fmt.Errorf("there are %d pods, want %d", len(list.Items), want)
		}
		return nil
	})
}

// watch takes down the replicas of all gauges from now on. The function returned
// ends that, and returns them by the gauge's name, without repetitions.
func (p *plane) watch(t *testing.T) func() map[string][]int32 {
	t.Helper()
	list, err := p.gauges().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	series := map[string][]int32{}
	note := func(o *unstructured.Unstructured) {
		n, _, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
		if err != nil {
			t.Error(err)
		}
		s := series[o.GetName()]
		if len(s) == 0 || s[len(s)-1] != int32(n) {
			series[o.GetName()] = append(s, int32(n))
		}
	}
	for i := range list.Items {
		note(&list.Items[i])
	}
	w, err := p.gauges().Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	var wg sync.WaitGroup
	marked := make(chan struct{})
	wg.Go(func() {
		for e := range w.ResultChan() {
			o, ok := e.Object.(*unstructured.Unstructured)
			if !ok || e.Type == watch.Error {
				t.Errorf("watching gauges: %v", e.Object)
				return
			}
			if o.GetName() == "mark" {
				close(marked)
				return
			}
			note(o)
		}
	})
	return func() map[string][]int32 {
		// What comes before the mark was written before it.
		mark := &unstructured.Unstructured{Object: object{"kind": "Gauge", "apiVersion": group + "/v1", "metadata": object{"name": "mark"}}}
		if _, err := p.gauges().Create(t.Context(), mark, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-marked:
		case <-time.After(30 * time.Second):
			t.Error("the watch of the gauges lags by 30 s")
			w.Stop()
		}
		wg.Wait()
		return series
	}
}
