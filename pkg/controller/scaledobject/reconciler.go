// Package scaledobject keeps workloads at the size their ScaledObjects ask for.
//
// One reconciler per object does everything for it, in one order and from one
// queue, so that nothing is written twice or out of turn:
//
//   - plan: what the object asks for. Its target is found, its credentials are
//     resolved, its triggers are parsed, the engine is told what to measure and
//     the HPA is applied. This happens when the object or something it refers to
//     changed.
//   - evaluate: what the newest readings mean. This happens after each reading
//     and reads from memory only.
//   - act: the scale subresource and the status are written, when they differ.
//
// The package measures nothing itself and serves nothing.
package scaledobject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Engine measures.
type Engine interface {
	// Set replaces what owner measures.
	Set(owner engine.Owner, uses []engine.Use)
	// Remove ends what owner measures.
	Remove(owner engine.Owner)
	// Latest returns the newest reading of a query, from memory.
	Latest(q scalers.Query) engine.Sample
	// Fresh returns a reading of at most maxAge if one can be had at once or
	// soon, else the newest there is.
	Fresh(ctx context.Context, q scalers.Query, maxAge time.Duration) engine.Sample
}

// Scales reads and writes the scale subresource.
type Scales interface {
	Find(kind schema.GroupVersionKind, namespace, name string) (kube.Target, error)
	Get(ctx context.Context, t kube.Target) (*autoscalingv1.Scale, error)
	Set(ctx context.Context, t kube.Target, was *autoscalingv1.Scale, replicas int32) error
}

// References tells which Secrets and ConfigMaps an object depends on, so that
// they are watched.
type References interface {
	Set(owner string, refs []kube.Ref)
}

// Config is what a Reconciler needs. All fields but Now are required.
type Config struct {
	// Client reads from the cache and writes to the API server.
	Client client.Client
	// Live reads from the API server; for kinds that are not cached.
	Live        client.Reader
	Scales      Scales
	Engine      Engine
	Registry    *scalers.Registry
	Credentials kube.Credentials
	References  References
	Events      events.EventRecorder
	Log         *slog.Logger
	// Version is put on HPAs as a label.
	Version string
	// Now returns the time; nil means time.Now. Decisions take it as an argument.
	Now func() time.Time
}

// Reconciler keeps ScaledObjects. It is safe for concurrent use; one object is
// reconciled by one goroutine at a time.
type Reconciler struct {
	Config

	objects objects
	queue   queue
}

// New makes a Reconciler. It starts nothing.
func New(c Config) *Reconciler {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Reconciler{Config: c, objects: objects{byName: map[client.ObjectKey]*object{}}}
}

// retryProblem is how long an object whose spec, target or references are wrong
// waits before it is looked at again, when nothing tells of a change earlier.
const retryProblem = 30 * time.Second

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	so := new(v1alpha1.ScaledObject)
	if err := r.Client.Get(ctx, req.NamespacedName, so); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("reading ScaledObject %q: %w", req.NamespacedName, err)
	}
	result, err := r.reconcile(ctx, so)
	if apierrors.IsConflict(err) {
		// Somebody else wrote in between; the cache is about to tell what.
		return reconcile.Result{RequeueAfter: retryFirst}, nil
	}
	return result, err
}

// reconcile does the three steps, or lets go of an object that is being deleted.
func (r *Reconciler) reconcile(ctx context.Context, so *v1alpha1.ScaledObject) (reconcile.Result, error) {
	if !so.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, r.finalize(ctx, so)
	}
	st, now := r.remembered(so), r.Now()
	st.settled.Store(nil)
	var failure error
	if st.planDue(so, now) || st.renamed(r.Engine.Latest) {
		failure = st.planned(so, now, r.plan(ctx, so, st))
	}
	decision, err := r.evaluate(ctx, so, st)
	err = errors.Join(failure, err)
	if err = errors.Join(err, r.writeStatus(ctx, so, st, decision, err)); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: st.recheck(decision, now)}, nil
}

// remembered returns what is known of so. An object that was made anew under an
// old name has nothing in common with the one before.
func (r *Reconciler) remembered(so *v1alpha1.ScaledObject) *object {
	key := client.ObjectKeyFromObject(so)
	st := r.objects.get(key)
	if st.written != nil && st.uid != so.UID {
		r.forget(key)
		st = r.objects.get(key)
	}
	if st.written == nil {
		st.begin(so, r.Now())
	}
	return st
}

// recheck is when to look at the object again if nothing happens to it; zero
// means not before that.
func (o *object) recheck(d *decide.Decision, now time.Time) time.Duration {
	var after time.Duration
	if d != nil {
		after = d.Recheck
	}
	if o.problem != "" {
		after = sooner(after, o.retryAt.Sub(now))
	}
	if o.gone != "" {
		after = sooner(after, retryProblem)
	}
	for _, at := range []time.Time{o.rewordAt, o.hpaGrace, o.staleAt} {
		if !at.IsZero() {
			after = sooner(after, at.Sub(now))
		}
	}
	return after
}

// sooner returns the shorter of two spans, where zero means none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// problemError says that the object, or something it refers to, is wrong: a
// user must act, and trying again at once does not help.
type problemError struct{ message string }

// Error implements error.
func (e *problemError) Error() string { return e.message }

// problem makes a problemError.
func problem(format string, args ...any) error {
	return &problemError{fmt.Sprintf(format, args...)}
}

// problems makes one problemError of many; nil of none.
func problems(list []triggers.Problem) error {
	if len(list) == 0 {
		return nil
	}
	var b []byte
	for i, p := range list {
		if i > 0 {
			b = append(b, "; "...)
		}
		b = append(b, p.String()...)
	}
	return &problemError{string(b)}
}

// forget drops everything about an object that is gone.
func (r *Reconciler) forget(key client.ObjectKey) {
	r.Engine.Remove(owner(key))
	r.References.Set(key.String(), nil)
	r.objects.remove(key)
}

// Decisions returns the newest decisions about an object, oldest first.
func (r *Reconciler) Decisions(namespace, name string) []decide.Decision {
	return r.objects.find(client.ObjectKey{Namespace: namespace, Name: name}).decisions()
}
