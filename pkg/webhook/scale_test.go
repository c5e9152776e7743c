package webhook_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
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

// second is a ScaledObject for a workload that has one, with two triggers and
// credentials.
func second() *v1alpha1.ScaledObject {
	return scaledObject("new", func(o *v1alpha1.ScaledObject) {
		o.Spec.ScaleTargetRef.Name = "web-7"
		o.Spec.Triggers = append(o.Spec.Triggers, v1alpha1.Trigger{
			Type: "rabbitmq", Metadata: map[string]string{"queueName": "jobs"}, AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "auth"},
		})
	})
}

// counted is a cache that counts what is asked of it and how many objects it hands out.
type counted struct {
	webhook.Cache
	asked, given int
}

func (c *counted) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	c.asked++
	c.given++
	return c.Cache.Get(ctx, key, into, opts...)
}

func (c *counted) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	c.asked++
	err := c.Cache.List(ctx, into, opts...)
	c.given += meta.LenList(into)
	return err
}

// TestAnAnswerTakesNoLongerBesideTenThousandObjects compares the work of answers
// beside few and beside many objects. How long an answer takes says what else the
// machine does, so only the fastest ones are compared: looking at every object
// would make even those some ten times slower. The budget, 20 ms for 99 of 100, is
// measured by make bench.
func TestAnAnswerTakesNoLongerBesideTenThousandObjects(t *testing.T) {
	const few, all, rounds = 10, 10_000, 100
	type side struct {
		cache   *counted
		server  *webhook.Server
		fastest time.Duration
	}
	var sides []*side
	for _, present := range []int{few, all} {
		c := &counted{Cache: newCache(t, append(many(present), authentication("", "host"))...)}
		sides = append(sides, &side{cache: c, server: server(t, c), fastest: time.Hour})
	}
	rival, fine := second(), scaledObject("new")
	for range rounds {
		for _, s := range sides {
			start := time.Now()
			refused, allowed := review(t, s.server, webhook.PathScaledObjects, rival, nil), review(t, s.server, webhook.PathScaledObjects, fine, nil)
			s.fastest = min(s.fastest, time.Since(start))
			if refused.Allowed || !allowed.Allowed {
				t.Fatalf("the rival: %s\nthe other: %s", said(refused), said(allowed))
			}
		}
	}
	small, large := sides[0], sides[1]
	t.Logf("two answers take %v beside %d objects and %v beside %d", small.fastest, few, large.fastest, all)
	if small.cache.asked != large.cache.asked || small.cache.given != large.cache.given || large.cache.given > 20*rounds {
		t.Errorf("%d questions were asked of a cache of %d and %d of one of %d, which handed out %d and %d objects",
			small.cache.asked, few, large.cache.asked, all, small.cache.given, large.cache.given)
	}
	if large.fastest > 3*small.fastest {
		t.Errorf("two answers take %v beside %d objects and %v beside %d", small.fastest, few, large.fastest, all)
	}
}

func BenchmarkAdmission(b *testing.B) {
	for _, present := range []int{10, 10_000} {
		b.Run(fmt.Sprint(present), func(b *testing.B) {
			s := server(b, newCache(b, many(present)...))
			o := second()
			for b.Loop() {
				review(b, s, webhook.PathScaledObjects, o, nil)
			}
		})
	}
}
