//go:build unix

package webhook_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/webhook"
)

// many are so many ScaledObjects in one namespace, with their workloads and HPAs.
func many(n int) []client.Object {
	out := make([]client.Object, 0, 3*n)
	for i := range n {
		name := fmt.Sprintf("web-%d", i)
		h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "keda-hpa-" + name, Namespace: "shop"}}
		h.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindScaledObject, Name: name, Controller: new(true)}}
		h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}
		out = append(out, scaledObject(name), deployment(name), h)
	}
	return out
}

// questions are objects to judge: some fine, some with a rival.
func questions(n int) []*v1alpha1.ScaledObject {
	out := make([]*v1alpha1.ScaledObject, n)
	for i := range out {
		out[i] = scaledObject(fmt.Sprintf("new-%d", i), func(o *v1alpha1.ScaledObject) {
			o.Spec.ScaleTargetRef.Name = fmt.Sprintf("web-%d", i*7)
			o.Spec.Triggers = append(o.Spec.Triggers, v1alpha1.Trigger{
				Type: "rabbitmq", Metadata: map[string]string{"queueName": "jobs"}, AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "auth"},
			})
		})
	}
	return out
}

// cpu is the processor time this process has used: other than the time of day it
// does not depend on what else runs on the machine.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAdmissionIsFastBesideTenThousandObjects: the budget is 20 ms for 99 of 100
// answers, and nothing may grow with the objects that are there.
func TestAdmissionIsFastBesideTenThousandObjects(t *testing.T) {
	const present, asked, budget = 10_000, 1000, 20 * time.Millisecond
	s := server(t, newCache(t, append(many(present), authentication("", "host"))...))
	var took, busy []time.Duration
	for i, o := range questions(asked) {
		start, used := time.Now(), cpu(t)
		r := review(t, s, webhook.PathScaledObjects, o, nil)
		busy, took = append(busy, cpu(t)-used), append(took, time.Since(start))
		if known := i*7 < present; r.Allowed == known {
			t.Fatalf("object %d: %s", i, said(r))
		}
	}
	slices.Sort(took)
	slices.Sort(busy)
	t.Logf("of %d answers beside %d objects, half took up to %v, 99 of 100 up to %v, and of processor time %v and %v",
		asked, present, took[asked/2], took[asked*99/100], busy[asked/2], busy[asked*99/100])
	if p99 := busy[asked*99/100]; p99 > budget {
		t.Errorf("99 of 100 answers took up to %v of processor time, want %v", p99, budget)
	}
}

func BenchmarkAdmission(b *testing.B) {
	for _, present := range []int{10, 10_000} {
		b.Run(fmt.Sprint(present), func(b *testing.B) {
			s := server(b, newCache(b, many(present)...))
			o := questions(1)[0]
			for b.Loop() {
				review(b, s, webhook.PathScaledObjects, o, nil)
			}
		})
	}
}
