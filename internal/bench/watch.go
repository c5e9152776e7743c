package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// observer sees by a watch when Deployments leave zero and come back to it.
type observer struct {
	cancel context.CancelFunc
	inform informers.SharedInformerFactory

	mu    sync.Mutex           // guards the rest
	woken map[string]time.Time // by name, of those above zero
	downs int                  // times one went to zero
	asked map[string]chan time.Time
}

// observe starts to watch. The caller stops it.
func observe(ctx context.Context, client kubernetes.Interface) (*observer, error) {
	ctx, cancel := context.WithCancel(ctx)
	o := &observer{
		cancel: cancel, inform: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(onlyReplicas)),
		woken: map[string]time.Time{}, asked: map[string]chan time.Time{},
	}
	deployments := o.inform.Apps().V1().Deployments().Informer()
	_, err := deployments.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, now any) {
			if d, ok := now.(*appsv1.Deployment); ok {
				o.see(d.Name, *d.Spec.Replicas, time.Now())
			}
		},
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watching Deployments: %w", err)
	}
	o.inform.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), deployments.HasSynced) {
		o.stop()
		return nil, fmt.Errorf("watching Deployments: %w", ctx.Err())
	}
	return o, nil
}

func (o *observer) stop() {
	o.cancel()
	o.inform.Shutdown()
}

// onlyReplicas keeps memory low.
func onlyReplicas(in any) (any, error) {
	if d, ok := in.(*appsv1.Deployment); ok {
		d.ManagedFields = nil
		d.Spec = appsv1.DeploymentSpec{Replicas: d.Spec.Replicas}
		d.Status = appsv1.DeploymentStatus{}
	}
	return in, nil
}

func (o *observer) see(name string, replicas int32, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, was := o.woken[name]
	switch {
	case replicas == 0 && was:
		delete(o.woken, name)
		o.downs++
	case replicas > 0 && !was:
		o.woken[name] = now
		if c := o.asked[name]; c != nil {
			c <- now
		}
	}
}

// next returns a channel that gets the time when a Deployment leaves zero. Ask
// before causing it.
func (o *observer) next(name string) <-chan time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := make(chan time.Time, 1)
	o.asked[name] = c
	return c
}

// state returns when each Deployment that is above zero left it, and how often
// one came back.
func (o *observer) state() (woken []time.Time, downs int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.woken {
		woken = append(woken, t)
	}
	return woken, o.downs
}
