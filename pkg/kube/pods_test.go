package kube_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/weir-sh/weir/pkg/kube"
)

func pod(namespace, name, app, node string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main"}}},
		Status:     corev1.PodStatus{Phase: phase, Message: "long"},
	}
}

func TestPodsThatHaveNotEndedAreCounted(t *testing.T) {
	t.Parallel()
	cache := fake.NewClientBuilder().WithObjects(
		pod("a", "one", "web", "n1", corev1.PodRunning), pod("a", "two", "web", "n1", corev1.PodRunning),
		pod("a", "three", "web", "n2", corev1.PodUnknown), pod("a", "four", "web", "", corev1.PodPending),
		pod("a", "five", "web", "n3", corev1.PodSucceeded), pod("a", "six", "web", "n3", corev1.PodFailed),
		pod("a", "seven", "db", "n4", corev1.PodRunning), pod("b", "one", "web", "n5", corev1.PodRunning),
	).Build()
	for selector, want := range map[string][2]int{
		"app=web": {4, 2}, "app in (web, db)": {5, 3}, "app!=web": {1, 1}, "app=none": {0, 0},
	} {
		pods, nodes, err := kube.Pods{Cache: cache}.CountPods(t.Context(), "a", selector)
		if err != nil || pods != want[0] || nodes != want[1] {
			t.Errorf("%s: %d pods on %d nodes, %v; want %v", selector, pods, nodes, err, want)
		}
	}
	if _, _, err := (kube.Pods{Cache: cache}).CountPods(t.Context(), "a", "app in web"); err == nil || !strings.HasPrefix(err.Error(), "parsing the label selector") {
		t.Errorf("a selector that is none: %v", err)
	}
}

func TestPodsThatCannotBeListedAreNotZero(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	cache := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return down },
	})
	if _, err := (kube.Pods{Cache: cache}).CountReady(t.Context(), "a", "app=web"); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	if _, _, err := (kube.Pods{Cache: cache}).CountPods(t.Context(), "a", "app=web"); !errors.Is(err, down) || err.Error() != `listing pods in namespace "a": down` {
		t.Errorf("got %v", err)
	}
}

// ready gives a pod a Ready condition, after one that does not count.
func ready(p *corev1.Pod, status corev1.ConditionStatus) *corev1.Pod {
	p.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.ContainersReady, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: status, Message: "long"},
	}
	return p
}

func TestPodsThatRunAndAreReadyAreCounted(t *testing.T) {
	t.Parallel()
	all := []*corev1.Pod{
		ready(pod("a", "one", "web", "n1", corev1.PodRunning), corev1.ConditionTrue), ready(pod("a", "two", "web", "n1", corev1.PodRunning), corev1.ConditionFalse),
		ready(pod("a", "three", "web", "n1", corev1.PodPending), corev1.ConditionTrue), ready(pod("a", "four", "web", "n1", corev1.PodSucceeded), corev1.ConditionTrue),
		pod("a", "five", "web", "n1", corev1.PodRunning), ready(pod("a", "six", "db", "n1", corev1.PodRunning), corev1.ConditionTrue),
		ready(pod("b", "one", "web", "n1", corev1.PodRunning), corev1.ConditionTrue),
	}
	for _, stripped := range []bool{false, true} {
		builder := fake.NewClientBuilder()
		for _, p := range all {
			p = p.DeepCopy()
			if stripped {
				kube.StripPod(p)
			}
			builder.WithObjects(p)
		}
		cache := builder.Build()
		for selector, want := range map[string]int{"app=web": 1, "app in (web, db)": 2, "app=none": 0} {
			got, err := kube.Pods{Cache: cache}.CountReady(t.Context(), "a", selector)
			if err != nil || got != want {
				t.Errorf("%s, stripped %t: %d ready pods, %v; want %d", selector, stripped, got, err, want)
			}
		}
	}
}

func TestStrippedPodsAreCountedAlike(t *testing.T) {
	t.Parallel()
	p := ready(pod("a", "one", "web", "n1", corev1.PodRunning), corev1.ConditionTrue)
	kube.StripPod(p)
	if len(p.Spec.Containers) > 0 || p.Status.Message != "" || len(p.Status.Conditions) != 2 || p.Status.Conditions[1].Message != "" {
		t.Error("the rest is kept")
	}
	pods, nodes, err := kube.Pods{Cache: fake.NewClientBuilder().WithObjects(p).Build()}.CountPods(t.Context(), "a", "app=web")
	if err != nil || pods != 1 || nodes != 1 {
		t.Errorf("%d pods on %d nodes, %v", pods, nodes, err)
	}
}
