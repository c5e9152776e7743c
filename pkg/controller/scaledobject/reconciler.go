// Package scaledobject keeps workloads at the size their ScaledObjects ask for.
//
// One reconciler per object does everything for it, in one order and from one
// queue, so that nothing is written twice or out of turn:
//
//   - plan: what the object asks for. Its target is found, its credentials are
//     resolved, its triggers are parsed, the engine is told what to measure and
//     the HPA is applied. This happens when the object or something it refers to
//     changed.
//   - evaluate: what the newest readings mean, what the fallback stands in for and
//     what the formula makes of it. This happens after each reading that says
//     something new, and reads from memory only, but for the scale of workloads
//     that are not cached or whose ready pods the fallback is divided among.
//   - act: the scale subresource and the status are written, when they differ.
//
// The package measures nothing itself and serves nothing.
package scaledobject

import (
	"context"
	"errors"
	"log/slog"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
)

// Scales reads and writes the scale subresource.
type Scales interface {
	Find(kind schema.GroupVersionKind, namespace, name string) (kube.Target, error)
	Get(ctx context.Context, t kube.Target) (*autoscalingv1.Scale, error)
	Set(ctx context.Context, t kube.Target, was *autoscalingv1.Scale, replicas int32) error
}

// Config is what a Reconciler needs. All fields but Now and the hooks are required.
type Config struct {
	// Client reads from the cache and writes to the API server.
	Client client.Client
	// Live reads from the API server; for kinds that are not cached.
	Live        client.Reader
	Scales      Scales
	Engine      scaled.Engine
	Registry    *scalers.Registry
	Credentials kube.Credentials
	References  scaled.References
	Events      events.EventRecorder
	Log         *slog.Logger
	// Version is put on HPAs as a label.
	Version string
	// Now returns the time; nil means time.Now. Decisions take it as an argument.
	Now func() time.Time

	// OnDecision learns of every decision, and OnScaled of every attempt to scale a
	// workload. They must not block; nil means that nobody listens.
	OnDecision func(namespace, name string, d decide.Decision)
	OnScaled   func(Scaled)
}

// Scaled is an attempt to scale a workload from or to rest.
type Scaled struct {
	Namespace, Name string // of the ScaledObject
	Decision        decide.Decision
	// Measured is when the newest reading was taken that says there is work; zero
	// when none does.
	Measured time.Time
	// Started and Done are when the API server was first asked and had answered.
	Started, Done time.Time
	Err           error // nil when it succeeded
}

// Reconciler keeps ScaledObjects. It is safe for concurrent use; one object is
// reconciled by one goroutine at a time.
type Reconciler struct {
	Config

	objects  scaled.Known[object]
	queue    scaled.Queue
	resolver scaled.Resolver
	tell     scaled.Teller
}

// New makes a Reconciler. It starts nothing.
func New(c Config) *Reconciler {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Reconciler{
		Config:   c,
		resolver: scaled.Resolver{Registry: c.Registry, Credentials: c.Credentials, References: c.References, Now: c.Now},
		tell: scaled.Teller{
			Events: c.Events, Log: c.Log, Ready: v1alpha1.EventScaledObjectReady, CheckFailed: v1alpha1.EventScaledObjectCheckFailed,
			PausedBy: v1alpha1.EventScaledObjectPaused, Unpaused: v1alpha1.EventScaledObjectUnpaused,
		},
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	return scaled.Reconcile(ctx, r.Client, req, new(v1alpha1.ScaledObject), r.forget, r.reconcile)
}

// reconcile does the three steps, or lets go of an object that is being deleted.
func (r *Reconciler) reconcile(ctx context.Context, so *v1alpha1.ScaledObject) (reconcile.Result, error) {
	if !so.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, r.finalize(ctx, so)
	}
	st, now := r.remembered(so), r.Now()
	st.settled.Store(nil)
	var failure error
	if st.PlanDue(so, now, so.Labels, so.Annotations) || st.renamed(r.Engine.Latest) {
		failure = st.planned(so, now, r.plan(ctx, so, st))
	}
	decision, err := r.evaluate(ctx, so, st)
	err = errors.Join(failure, err)
	st.tellSnapshots(so)
	if err = errors.Join(err, r.writeStatus(ctx, so, st, decision, err)); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: st.recheck(decision, now)}, nil
}

// remembered returns what is known of so. An object that was made anew under an
// old name has nothing in common with the one before.
func (r *Reconciler) remembered(so *v1alpha1.ScaledObject) *object {
	key := client.ObjectKeyFromObject(so)
	st := r.objects.Get(key)
	if st.UID == so.UID {
		return st
	}
	if st.UID != "" {
		r.forget(key)
		st = r.objects.Get(key)
	}
	st.begin(so, r.Now())
	return st
}

// recheck is when to look at the object again if nothing happens to it; zero
// means not before that.
func (o *object) recheck(d *decide.Decision, now time.Time) time.Duration {
	var after time.Duration
	if d != nil {
		after = d.Recheck
	}
	if o.gone != "" {
		after = scaled.Sooner(after, scaled.RetryProblem)
	}
	return o.Recheck(now, after, o.hpaGrace, o.countAt)
}

// forget drops everything about an object that is gone.
func (r *Reconciler) forget(key client.ObjectKey) {
	r.Engine.Remove(scaled.Object.Owner(key))
	r.resolver.Forget(scaled.Object.Owner(key))
	r.objects.Remove(key)
}
