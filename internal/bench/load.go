package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	maxSize = 50_000
	// perNamespace is low because the HPA controller's work grows with the
	// square of what is in a namespace.
	perNamespace = 100
	creators     = 16
	// pollingInterval is the default of the API, and what the incumbent was
	// measured with.
	pollingInterval = 30 * time.Second
	// listLength is the target of each trigger.
	listLength = "5"
)

// load is a set of workloads, each with a ScaledObject on a list of its own.
type load struct {
	prefix string // of names, namespaces and lists
	n      int
	addr   string // of Redis, or of a proxy before it
}

func (l load) name(i int) string      { return fmt.Sprintf("%s-%05d", l.prefix, i) }
func (l load) namespace(i int) string { return fmt.Sprintf("%s-%03d", l.prefix, i/perNamespace) }

// metricPath is where an HPA reads the metric of object i.
func (l load) metricPath(i int) string {
	return fmt.Sprintf("/apis/external.metrics.k8s.io/v1beta1/namespaces/%s/s0-redis-%s?labelSelector=scaledobject.keda.sh%%2Fname%%3D%s",
		l.namespace(i), l.name(i), l.name(i))
}

// create makes all objects, several at a time, and tells how far it is.
func (b *bed) create(ctx context.Context, l load) error {
	for i := 0; i < l.n; i += perNamespace {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.namespace(i)}}
		_, err := b.cluster.Client().CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating namespace %q: %w", ns.Name, err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next, made atomic.Int64
	var workers sync.WaitGroup
	errs := make([]error, creators)
	for w := range creators {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= l.n {
					return
				}
				if errs[w] = b.createOne(ctx, l, i); errs[w] != nil {
					cancel() // the others stop
					return
				}
				made.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); workers.Wait() }()
	for tick := time.NewTicker(5 * time.Second); ; {
		select {
		case <-tick.C:
			b.log.say("%d: %d created", b.n, made.Load())
		case <-done:
			tick.Stop()
			return errors.Join(append(errs, ctx.Err())...)
		}
	}
}

func (b *bed) createOne(ctx context.Context, l load, i int) error {
	_, err := b.cluster.Client().AppsV1().Deployments(l.namespace(i)).Create(ctx, l.deployment(i), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a Deployment: %w", err)
	}
	_, err = b.objects.Resource(scaledObjects()).Namespace(l.namespace(i)).Create(ctx, l.scaledObject(i), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a ScaledObject: %w", err)
	}
	return nil
}

func scaledObjects() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
}

// deployment is a workload at zero. It is paused: its replicas are a number that
// weir and the HPA controller read and write as ever, but no pod is made. Weir
// does not look at pods, and 10,000 of them would take the machine from it.
func (l load) deployment(i int) *appsv1.Deployment {
	labels := map[string]string{"app": l.name(i)}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: l.name(i)},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Paused: true,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
			},
		},
	}
}

func (l load) scaledObject(i int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
		"metadata": map[string]any{"name": l.name(i)},
		"spec": map[string]any{
			"scaleTargetRef":  map[string]any{"name": l.name(i)},
			"minReplicaCount": int64(0), "maxReplicaCount": int64(20),
			"pollingInterval": int64(pollingInterval / time.Second),
			"triggers": []any{map[string]any{
				"type":     "redis",
				"metadata": map[string]any{"address": l.addr, "listName": l.name(i), "listLength": listLength},
			}},
		},
	}}
}

// inForce returns nil when every object has its HPA and is being measured.
func (b *bed) inForce(ctx context.Context, n int) error {
	list, err := b.cluster.Client().AutoscalingV2().HorizontalPodAutoscalers("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("counting HPAs: %w", err)
	}
	have := int64(len(list.Items))
	if list.RemainingItemCount != nil {
		have += *list.RemainingItemCount
	}
	if have < int64(n) {
		return fmt.Errorf("%d of %d HPAs exist", have, n)
	}
	return nil
}

// fill puts an item into each list.
func (b *bed) fill(ctx context.Context, l load) error {
	pipe := b.redis.Pipeline()
	for i := range l.n {
		pipe.RPush(ctx, l.name(i), "item")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("filling the lists: %w", err)
	}
	return nil
}
