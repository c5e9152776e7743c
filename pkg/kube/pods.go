package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pods counts pods. The first count makes the cache watch pods; until then they
// cost nothing.
type Pods struct {
	// Cache holds pods with labels, node name and phase; see StripPod.
	Cache client.Reader
}

// CountPods returns how many pods of a namespace match a label selector and have
// neither succeeded nor failed, and on how many nodes they are.
func (p Pods) CountPods(ctx context.Context, namespace, selector string) (pods, nodes int, err error) {
	matching, err := labels.Parse(selector)
	if err != nil {
		return 0, 0, fmt.Errorf("parsing the label selector: %w", err)
	}
	var list corev1.PodList
	err = p.Cache.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: matching}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return 0, 0, fmt.Errorf("listing pods in namespace %q: %w", namespace, err)
	}
	on := map[string]bool{}
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		pods++
		if pod.Spec.NodeName != "" {
			on[pod.Spec.NodeName] = true
		}
	}
	return pods, len(on), nil
}

// StripPod drops of a pod what CountPods does not look at.
func StripPod(p *corev1.Pod) {
	labels := p.Labels
	StripMeta(&p.ObjectMeta)
	p.Labels = labels
	p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
	p.Status = corev1.PodStatus{Phase: p.Status.Phase}
}
