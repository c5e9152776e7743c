//go:build e2e

// Package hpacheck compares pkg/hpa with the HPA controller of a running control
// plane: hundreds of HPAs at once, whose metrics come from here, so it is known what
// the controller saw at each of its syncs. Only the time between its steps is not.
// So a window or period here is either shorter than that between two syncs, or
// longer than the test. Times are compared under the clock of the records in
// test/cluster/internal/hpacheck, together with all that makes no difference here.
package hpacheck

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-sh/weir/internal/testcluster"
)

const (
	cases = 320
	syncs = 5
	// period is between two syncs of an HPA. The controller of a slow machine may
	// take longer: syncs are counted, not timed.
	period = 4 * time.Second
	// downscale is the controller's window for scaling down, longer than the test.
	downscale = 30 * time.Minute
	// writers bounds the requests at a time while the cases are made.
	writers = 16
)

func TestReplicasAreThoseOfTheControlPlane(t *testing.T) {
	cluster, err := testcluster.Start(t.Context(), testcluster.Options{
		HPASyncPeriod: period, HPADownscaleStabilization: downscale, HostNodes: -1,
		Args:     []string{"--controller-manager-arg=--concurrent-horizontal-pod-autoscaler-syncs=20"},
		Progress: func(line string) { t.Log(line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	config := cluster.RESTConfig()
	config.QPS, config.Burst = 1000, 1000
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{Cluster: cluster, client: client, objects: objects, namespace: cluster.NewNamespace(t)}
	all := generate(1)
	a := &adapter{t: t, cases: all}
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	p.define(t)
	p.aggregate(t, server)

	began := time.Now()
	concurrently(all, func(c *check) { p.target(t, c) })
	series := p.watch(t)
	p.waitForPods(t, all)
	t.Logf("the targets were made in %s", time.Since(began))
	began = time.Now()
	concurrently(all, func(c *check) {
		hpas := p.client.AutoscalingV2().HorizontalPodAutoscalers(p.namespace)
		if _, err := hpas.Create(t.Context(), c.hpa(), metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})
	cluster.WaitFor(t, 4*time.Minute, fmt.Sprintf("%d syncs of each HPA", syncs), a.done)
	t.Logf("the syncs were done after %s", time.Since(began))
	compare(t, all, series())
}

// concurrently calls f for all cases, some at a time.
func concurrently(all []*check, f func(*check)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, writers)
	for _, c := range all {
		slots <- struct{}{}
		wg.Go(func() {
			f(c)
			<-slots
		})
	}
	wg.Wait()
}

// compare compares the series of replicas, without repetitions: those that pkg/hpa
// says, and those that the targets had.
func compare(t *testing.T, all []*check, got map[string][]int32) {
	t.Helper()
	changes := 0
	for _, c := range all {
		want := slices.Compact(slices.Clone(c.series))
		changes += len(want) - 1
		if !slices.Equal(got[c.name], want) {
			t.Errorf("%s: the controller made it %d, pkg/hpa %d\nspec: %+v\nlines: %q", c.name, got[c.name], want, c.in.Spec, c.lines)
		}
	}
	t.Logf("%d cases, %d syncs, %d changes of replicas", len(all), len(all)*syncs, changes)
	if changes < cases/2 {
		t.Errorf("there are %d changes of replicas in %d cases: they say too little", changes, cases)
	}
}

// hpa is the object of the case.
func (c *check) hpa() *autoscalingv2.HorizontalPodAutoscaler {
	out := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: c.name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: group + "/v1", Kind: "Gauge", Name: c.name},
			MinReplicas:    &c.in.Spec.Min,
			MaxReplicas:    c.in.Spec.Max,
		},
	}
	for _, m := range c.in.Spec.Metrics {
		out.Spec.Metrics = append(out.Spec.Metrics, metricSpec(m))
	}
	if b := c.in.Spec.Behavior; b != nil {
		out.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: scalingRules(b.ScaleUp), ScaleDown: scalingRules(b.ScaleDown)}
	}
	return out
}
