// Package scaledjob creates the Jobs that ScaledJobs ask for.
//
// One reconciler per object does everything for it, in one order and from one
// queue, as for ScaledObjects:
//
//   - plan: what the object asks for. Its credentials are resolved, its triggers
//     are parsed, the engine is told what to measure, and Jobs of earlier specs
//     are rolled out. This happens when the object or something it refers to
//     changed.
//   - evaluate: how many Jobs the newest readings ask for. This happens after
//     each reading and each end of a Job, and reads from memory only.
//   - act: Jobs are created, old ones beyond the history limits are deleted, and
//     the status is written when it differs.
//
// No message may get two Jobs. What is in memory is late: a Job that was created
// is not in the cache yet, one that ended may still be there, and a reading shows
// messages that a Job has taken since. Three things make up for it, all kept in
// the ledger of the object:
//
//   - A Job counts from before it is asked for until the cache shows it, or a
//     list from the API server shows that it never was. Its name is chosen here,
//     so that also a request without an answer is known by name.
//   - A Job that ended after a reading was taken counts against that reading as
//     one that runs: it may have ended with a message that the reading shows.
//   - The first creation of a process, and one while a Job has been awaited for
//     long, comes after a list from the API server.
//
// With these the strategy "default" may be evaluated at any time and as often as
// one likes: every Job that may have a message of the reading in hand is deducted,
// so that the same reading never creates twice. The other strategies do not deduct
// all Jobs; they create once per polling interval, on readings taken since.
//
// The package measures nothing itself and serves nothing.
package scaledjob

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide/jobs"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// Config is what a Reconciler needs. All fields are required but Now, OnDecision
// and OnCreated.
type Config struct {
	// Client reads from the cache and writes to the API server. Of Jobs the cache
	// holds metadata with owners, and conditions and completion time.
	Client client.Client
	// Live reads from the API server.
	Live        client.Reader
	Engine      scaled.Engine
	Registry    *scalers.Registry
	Credentials kube.Credentials
	References  scaled.References
	Events      events.EventRecorder
	Log         *slog.Logger
	// Version is put on Jobs as a label.
	Version string
	// Now returns the time; nil means time.Now. Decisions take it as an argument.
	Now func() time.Time
	// OnDecision is told of each decision after it was carried out, as far as it
	// was, with the Jobs that were really created. It must return at once. Nil
	// tells nobody.
	OnDecision func(namespace, name string, d snapshot.Decision)
	// OnCreated is told of each attempt to create Jobs. It must return at once. Nil
	// tells nobody.
	OnCreated func(Created)
}

// Created is an attempt to create the Jobs of one decision.
type Created struct {
	Namespace, Name string        // of the ScaledJob
	Decision        jobs.Decision // Create and To are what was really created
	// Measured is when the newest reading was taken that says there is work; zero
	// when none does.
	Measured time.Time
	// Started and Done are when the API server was first asked and had answered.
	Started, Done time.Time
	Err           error // of one of the Jobs that could not be created; nil when all were
}

// Reconciler keeps ScaledJobs. It is safe for concurrent use; one object is
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
	if c.OnDecision == nil {
		c.OnDecision = func(string, string, snapshot.Decision) {}
	}
	if c.OnCreated == nil {
		c.OnCreated = func(Created) {}
	}
	return &Reconciler{
		Config:   c,
		resolver: scaled.Resolver{Registry: c.Registry, Credentials: c.Credentials, References: c.References, Now: c.Now},
		tell: scaled.Teller{
			Events: c.Events, Log: c.Log, Ready: v1alpha1.EventScaledJobReady, CheckFailed: v1alpha1.EventScaledJobCheckFailed,
			PausedBy: v1alpha1.EventScaledJobPaused, Unpaused: v1alpha1.EventScaledJobUnpaused,
		},
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	return scaled.Reconcile(ctx, r.Client, req, new(v1alpha1.ScaledJob), r.forget, r.reconcile)
}

// reconcile does the three steps, or lets go of an object that is being deleted.
func (r *Reconciler) reconcile(ctx context.Context, sj *v1alpha1.ScaledJob) (reconcile.Result, error) {
	if !sj.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, r.finalize(ctx, sj)
	}
	st, now := r.remembered(sj), r.Now()
	st.settled.Store(nil)
	var failure error
	if st.PlanDue(sj, now, sj.Annotations) {
		failure = st.planned(sj, now, r.plan(ctx, sj, st))
	}
	decision, err := r.evaluate(ctx, sj, st)
	err = errors.Join(failure, err)
	if err = errors.Join(err, r.writeStatus(ctx, sj, st, decision, err)); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: st.recheck(decision, now)}, nil
}

// remembered returns what is known of sj. An object that was made anew under an
// old name has nothing in common with the one before.
func (r *Reconciler) remembered(sj *v1alpha1.ScaledJob) *object {
	key := client.ObjectKeyFromObject(sj)
	st := r.objects.Get(key)
	if st.UID == sj.UID {
		return st
	}
	if st.UID != "" {
		r.forget(key)
		st = r.objects.Get(key)
	}
	st.begin(sj, r.Now())
	return st
}

// recheck is when to look at the object again if nothing happens to it; zero
// means not before that.
func (o *object) recheck(d *jobs.Decision, now time.Time) time.Duration {
	var after time.Duration
	if d != nil {
		after = d.Recheck
	}
	return o.Recheck(now, after, o.ledger.overdueAt())
}

// finalize lets go of an object that is being deleted. Its Jobs go after it, as it
// owns them.
func (r *Reconciler) finalize(ctx context.Context, sj *v1alpha1.ScaledJob) error {
	key := client.ObjectKeyFromObject(sj)
	if !controllerutil.ContainsFinalizer(sj, v1alpha1.Finalizer) {
		r.forget(key)
		return nil
	}
	r.stop(sj, r.objects.Get(key))
	if err := kube.RemoveFinalizer(ctx, r.Client, sj); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.tell.Warning(sj, v1alpha1.EventScaledJobDeleted, "deleting", "the ScaledJob was deleted")
	r.forget(key)
	return nil
}

// forget drops everything about an object that is gone.
func (r *Reconciler) forget(key client.ObjectKey) {
	owner := scaled.Job.Owner(key)
	r.Engine.Remove(owner)
	r.resolver.Forget(owner)
	r.objects.Remove(key)
}
