package kube

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pods counts pods. The first count makes the cache watch pods; until then they
// cost nothing.
type Pods struct {
	// Cache holds pods with labels, node name, phase and readiness; see StripPod.
	Cache client.Reader
}

// CountPods returns how many pods of a namespace match a label selector and have
// neither succeeded nor failed, and on how many nodes they are.
func (p Pods) CountPods(ctx context.Context, namespace, selector string) (pods, nodes int, err error) {
	on := map[string]bool{}
	err = p.each(ctx, namespace, selector, func(pod *corev1.Pod) {
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return
		}
		pods++
		if pod.Spec.NodeName != "" {
			on[pod.Spec.NodeName] = true
		}
	})
	return pods, len(on), err
}

// CountReady returns how many pods of a namespace match a label selector, are
// running and are ready: those that an HPA divides a metric of type Value among.
func (p Pods) CountReady(ctx context.Context, namespace, selector string) (ready int, err error) {
	err = p.each(ctx, namespace, selector, func(pod *corev1.Pod) {
		if pod.Status.Phase == corev1.PodRunning && slices.ContainsFunc(pod.Status.Conditions, isReady) {
			ready++
		}
	})
	return ready, err
}

func isReady(c corev1.PodCondition) bool {
	return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
}

// each calls do for the pods of a namespace that match a label selector.
func (p Pods) each(ctx context.Context, namespace, selector string, do func(*corev1.Pod)) error {
	matching, err := labels.Parse(selector)
	if err != nil {
		return fmt.Errorf("parsing the label selector: %w", err)
	}
	var list corev1.PodList
	err = p.Cache.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: matching}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing pods in namespace %q: %w", namespace, err)
	}
	for i := range list.Items {
		do(&list.Items[i])
	}
	return nil
}

// StripPod drops of a pod what Pods does not look at.
func StripPod(p *corev1.Pod) {
	labels := p.Labels
	StripMeta(&p.ObjectMeta)
	p.Labels = labels
	p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
	status := corev1.PodStatus{Phase: p.Status.Phase}
	for _, c := range p.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			status.Conditions = append(status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status})
		}
	}
	p.Status = status
}
