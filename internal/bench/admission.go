package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// admit asks for one object after the other to be created and not kept, beside all
// that are there. Every second one is for a workload that has a ScaledObject, which
// admission refuses. The time is that of the whole request.
func (b *bed) admit(ctx context.Context, r *result, l load) error {
	asked := 10 * b.opts.trials
	b.log.say("%d: asking admission about %d objects", b.n, asked)
	// Whether admission serves: it is asked once its configuration is known.
	err := b.await(ctx, "admission to refuse", time.Minute, func(ctx context.Context) error {
		return b.dryRun(ctx, l, 0, l.name(0), true)
	})
	if err != nil {
		return err
	}
	for i := range asked {
		at, target := i%l.n, fmt.Sprintf("free-%05d", i)
		if i%2 == 0 {
			target = l.name(at)
		}
		sent := time.Now()
		if err := b.dryRun(ctx, l, at, target, i%2 == 0); err != nil {
			return fmt.Errorf("asking admission: %w", err)
		}
		r.admissions = append(r.admissions, time.Since(sent))
	}
	return nil
}

// dryRun asks for a ScaledObject beside the one of place i. The error is any answer
// but the one that is wanted.
func (b *bed) dryRun(ctx context.Context, l load, i int, target string, refused bool) error {
	o := l.scaledObject(i)
	o.SetName("new")
	o.Object["spec"].(map[string]any)["scaleTargetRef"] = map[string]any{"name": target}
	_, err := b.objects.Resource(scaledObjects()).Namespace(l.namespace(i)).Create(ctx, o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case refused && apierrors.IsForbidden(err), !refused && err == nil:
		return nil
	case refused && err == nil:
		return fmt.Errorf("a second ScaledObject for %q was let through", target)
	}
	return fmt.Errorf("creating a ScaledObject for %q: %w", target, err)
}
