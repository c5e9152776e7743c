//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
)

// remote is an external scaler whose queue a test fills.
type remote struct {
	externalscaler.UnimplementedExternalScalerServer

	mu     sync.Mutex
	depth  int64
	target int64
	filled chan struct{} // closed when the depth rises from zero
}

// set fills or empties the queue.
func (r *remote) set(depth, target int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.depth == 0 && depth > 0 {
		close(r.filled)
		r.filled = make(chan struct{})
	}
	r.depth, r.target = depth, target
}

func (r *remote) now() (depth, target int64, filled <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.depth, r.target, r.filled
}

func (r *remote) IsActive(context.Context, *externalscaler.ScaledObjectRef) (*externalscaler.IsActiveResponse, error) {
	depth, _, _ := r.now()
	return &externalscaler.IsActiveResponse{Result: depth > 0}, nil
}

func (r *remote) StreamIsActive(_ *externalscaler.ScaledObjectRef, s grpc.ServerStreamingServer[externalscaler.IsActiveResponse]) error {
	for {
		_, _, filled := r.now()
		select {
		case <-s.Context().Done():
			return nil
		case <-filled:
			if err := s.Send(&externalscaler.IsActiveResponse{Result: true}); err != nil {
				return err
			}
		}
	}
}

func (r *remote) GetMetricSpec(context.Context, *externalscaler.ScaledObjectRef) (*externalscaler.GetMetricSpecResponse, error) {
	_, target, _ := r.now()
	return &externalscaler.GetMetricSpecResponse{MetricSpecs: []*externalscaler.MetricSpec{
		{MetricName: "depth", TargetSize: target}, {MetricName: "idle", TargetSize: 100},
	}}, nil
}

func (r *remote) GetMetrics(_ context.Context, req *externalscaler.GetMetricsRequest) (*externalscaler.GetMetricsResponse, error) {
	depth, _, _ := r.now()
	if req.GetMetricName() != "depth" {
		depth = 0
	}
	return &externalscaler.GetMetricsResponse{MetricValues: []*externalscaler.MetricValue{{MetricName: req.GetMetricName(), MetricValue: depth}}}, nil
}

// startRemote serves r and returns its address.
func startRemote(t *testing.T, r *remote) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	externalscaler.RegisterExternalScalerServer(server, r)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

const remoteObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 30
  cooldownPeriod: 3
  maxReplicaCount: 10
  triggers:
  - type: external-push
    metadata: {scalerAddress: "{{.Address}}", queue: jobs}
  - type: cpu
    metricType: Utilization
    metadata: {value: "80"}`

func TestAnExternalScalerWakesAndNamesItsMetrics(t *testing.T) {
	ns := cluster.NewNamespace(t)
	r := &remote{target: 5, filled: make(chan struct{})}
	v := values{"Name": "remote", "Replicas": 0, "Address": startRemote(t, r)}
	apply(t, ns, strings.Replace(idle, "infinity]", "infinity], resources: {requests: {cpu: 1m}}", 1), v)
	apply(t, ns, remoteObject, v)
	condition(t, 10*time.Second, ns, "remote", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	condition(t, 10*time.Second, ns, "remote", v1alpha1.ConditionActive, "False/ScalerNotActive", "")
	awaitMetrics(t, ns, "remote", "s0-depth 5,s0-idle 100,cpu 80%")

	start := time.Now()
	r.set(18, 5)
	awaitReplicas(t, 5*time.Second, ns, "remote", "wakes although it is polled every 30 s only", func(want, _ int32) bool { return want > 0 })
	t.Logf("signal to replicas: %s", time.Since(start))
	awaitReplicas(t, 30*time.Second, ns, "remote", "grows to 4 for 18 at 5 each", func(_, ready int32) bool { return ready == 4 })

	r.set(0, 9)
	awaitReplicas(t, 2*time.Minute, ns, "remote", "rests", atZero)
	awaitMetrics(t, ns, "remote", "s0-depth 9,s0-idle 100,cpu 80%")
}

// awaitMetrics waits until the HPA scales by these metrics and targets.
func awaitMetrics(t *testing.T, namespace, name, want string) {
	t.Helper()
	cluster.WaitFor(t, time.Minute, "the HPA to scale by "+want, func() error {
		h, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(t.Context(), "keda-hpa-"+name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var have []string
		for _, m := range h.Spec.Metrics {
			if m.External != nil {
				have = append(have, m.External.Metric.Name+" "+m.External.Target.AverageValue.String())
			} else {
				have = append(have, fmt.Sprintf("%s %d%%", m.Resource.Name, *m.Resource.Target.AverageUtilization))
			}
		}
		if got := strings.Join(have, ","); got != want {
			return fmt.Errorf("it scales by %s", got)
		}
		return nil
	})
}

const workloadObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 1
  cooldownPeriod: 2
  maxReplicaCount: 10
  triggers:
  - type: kubernetes-workload
    metadata: {podSelector: "app={{.Of}}", value: "2"}`

func TestAWorkloadFollowsThePodsOfAnother(t *testing.T) {
	ns := cluster.NewNamespace(t)
	apply(t, ns, idle, values{"Name": "leader", "Replicas": 0})
	apply(t, ns, idle, values{"Name": "follower", "Replicas": 0})
	apply(t, ns, workloadObject, values{"Name": "follower", "Of": "leader"})
	condition(t, 10*time.Second, ns, "follower", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	condition(t, 10*time.Second, ns, "follower", v1alpha1.ConditionActive, "False/ScalerNotActive", "")

	scale(t, ns, "leader", 5)
	awaitReplicas(t, 30*time.Second, ns, "follower", "has one for each two pods", func(_, ready int32) bool { return ready == 3 })
	scale(t, ns, "leader", 0)
	awaitReplicas(t, time.Minute, ns, "follower", "rests", atZero)
}

// scale sets the replicas of a Deployment, as kubectl does.
func scale(t *testing.T, namespace, name string, n int32) {
	t.Helper()
	resource := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	patch(t, resource, namespace, name, map[string]any{"spec": map[string]any{"replicas": n}})
}
