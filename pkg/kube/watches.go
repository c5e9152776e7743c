package kube

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// Watches reads Secrets, ConfigMaps and ServiceAccounts by name and watches
// exactly those that somebody refers to. Nothing is listed: the service account needs get and watch
// only, and Secrets that no trigger names never enter the process.
//
// Each watched object costs one watch on the API server and one goroutine.
type Watches struct {
	client  kubernetes.Interface
	changed func(owners []string)
	log     *slog.Logger

	wg sync.WaitGroup

	mu      sync.Mutex      // guards the rest; never held while calling out
	ctx     context.Context //nolint:containedctx // the life of Run, which the watches share; set once
	entries map[Ref]*watched
	owners  map[string][]Ref // what each owner refers to
}

// watched is one object. Fields below synced are guarded by Watches.mu.
type watched struct {
	stop   context.CancelFunc
	synced chan struct{} // closed after the first read, whatever it gave
	users  int
	asked  bool      // somebody waits, or waited, for the first read
	news   time.Time // when it was last seen to change; zero if it was not

	version string // resource version; empty when missing
	object  runtime.Object
	err     error
}

// retryAfter is how long a watch that ended or failed rests before the next:
// short enough for a changed Secret to count within ten seconds.
const retryAfter = 2 * time.Second

// settling is more than passes between a read and the Set that follows it. Who
// becomes an owner within that time of a change may have read what was before.
const settling = time.Minute

// NewWatches makes a Watches that calls changed, from any goroutine and without
// locks held, whenever a watched object was created, changed or deleted, with the
// owners that refer to it. It starts nothing.
func NewWatches(client kubernetes.Interface, changed func(owners []string), log *slog.Logger) *Watches {
	return &Watches{
		client: client, changed: changed, log: log,
		entries: map[Ref]*watched{}, owners: map[string][]Ref{},
	}
}

// Run keeps the watches going until ctx ends; reads wait for it to be called.
func (w *Watches) Run(ctx context.Context) error {
	w.mu.Lock()
	w.ctx = ctx
	for ref, e := range w.entries {
		w.start(ref, e) //nolint:contextcheck // it is in w
	}
	w.mu.Unlock()
	<-ctx.Done()
	w.wg.Wait()
	return nil
}

// Set says which objects owner refers to from now on; none releases the owner.
// Objects that nobody refers to any more are forgotten. The owner is told at once
// of an object that may have changed since it was read.
func (w *Watches) Set(owner string, refs []Ref) {
	if w.set(owner, refs) {
		w.changed([]string{owner})
	}
}

// set does what Set says, and reports whether to tell the owner.
func (w *Watches) set(owner string, refs []Ref) (stale bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var kept []Ref
	for _, r := range refs {
		if r.Kind != KindSecret && r.Kind != KindConfigMap && r.Kind != KindServiceAccount {
			continue
		}
		e := w.entry(r)
		e.users++
		kept = append(kept, r)
		stale = stale || time.Since(e.news) < settling && !slices.Contains(w.owners[owner], r)
	}
	for _, r := range w.owners[owner] {
		e := w.entries[r]
		if e.users--; e.users == 0 {
			e.stop()
			delete(w.entries, r)
		}
	}
	if len(kept) == 0 {
		delete(w.owners, owner)
		return false
	}
	w.owners[owner] = kept
	return stale
}

// dependents returns who refers to the object, in no order. The caller holds mu.
func (w *Watches) dependents(ref Ref) []string {
	var out []string
	for owner, refs := range w.owners {
		if slices.Contains(refs, ref) {
			out = append(out, owner)
		}
	}
	return out
}

// Secret returns the data of a Secret and begins to watch it. Whoever asks must
// call Set afterwards, or the watch stays.
func (w *Watches) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	o, err := w.object(ctx, Ref{KindSecret, namespace, name})
	if s, ok := o.(*corev1.Secret); ok {
		return s.Data, nil
	}
	return nil, err
}

// ConfigMap returns the data of a ConfigMap and begins to watch it, as Secret
// does.
func (w *Watches) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	o, err := w.object(ctx, Ref{KindConfigMap, namespace, name})
	if m, ok := o.(*corev1.ConfigMap); ok {
		return m.Data, nil
	}
	return nil, err
}

// ServiceAccount returns a ServiceAccount and begins to watch it, as Secret does.
func (w *Watches) ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	o, err := w.object(ctx, Ref{KindServiceAccount, namespace, name})
	if a, ok := o.(*corev1.ServiceAccount); ok {
		return a, nil
	}
	return nil, err
}

// object waits for the first read of ref and returns what is known now.
func (w *Watches) object(ctx context.Context, ref Ref) (runtime.Object, error) {
	w.mu.Lock()
	e := w.entry(ref) //nolint:contextcheck // a watch outlives the read that began it
	e.asked = true
	w.mu.Unlock()
	select {
	case <-e.synced:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return e.object, e.err
}

// entry returns the entry for ref, made if need be. The caller holds mu.
func (w *Watches) entry(ref Ref) *watched {
	e := w.entries[ref]
	if e == nil {
		e = &watched{synced: make(chan struct{}), stop: func() {}}
		w.entries[ref] = e
		if w.ctx != nil {
			w.start(ref, e)
		}
	}
	return e
}

// start begins watching. The caller holds mu.
func (w *Watches) start(ref Ref, e *watched) {
	ctx, stop := context.WithCancel(w.ctx)
	e.stop = stop
	w.wg.Go(func() {
		defer stop()
		for first := true; ctx.Err() == nil; first = false {
			w.follow(ctx, ref, e, first)
			select {
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
		}
	})
}

// follow reads ref once and then watches it until the watch ends.
func (w *Watches) follow(ctx context.Context, ref Ref, e *watched, first bool) {
	object, err := w.get(ctx, ref)
	w.update(ref, e, object, err, first)
	if err != nil && !apierrors.IsNotFound(err) {
		return
	}
	stream, err := w.watch(ctx, ref)
	if err != nil {
		w.log.Debug("watching failed; trying again", slog.Any("object", ref), slog.Any("error", err))
		return
	}
	defer stream.Stop()
	defer context.AfterFunc(ctx, stream.Stop)() // not every client ends its streams with the context
	for event := range stream.ResultChan() {
		switch event.Type {
		case watch.Added, watch.Modified:
			w.update(ref, e, event.Object, nil, false)
		case watch.Deleted:
			w.update(ref, e, nil, missing(ref), false)
		case watch.Bookmark:
		case watch.Error:
			return
		}
	}
}

// update stores what was seen, and tells if it is new. The first reading tells
// nobody where those who asked are waiting for it. An entry that Set had to make
// again, because its last owner left after the question, tells.
func (w *Watches) update(ref Ref, e *watched, object runtime.Object, err error, first bool) {
	version := ""
	if m, ok := object.(metav1.Object); ok && err == nil {
		version = m.GetResourceVersion()
	}
	if err != nil {
		object = nil
	}
	w.mu.Lock()
	if err != nil && !apierrors.IsNotFound(err) && e.object != nil {
		w.mu.Unlock() // the API server is away; what was read last still holds
		return
	}
	same := e.version == version && (e.err == nil) == (err == nil)
	if first {
		same = e.asked
	}
	e.version, e.object, e.err = version, object, err
	var owners []string
	if !same {
		e.news = time.Now()
		owners = w.dependents(ref)
	}
	w.mu.Unlock()
	if first {
		close(e.synced)
	}
	if len(owners) > 0 {
		w.changed(owners)
	}
}

// get reads ref. Managed fields and the like are dropped with the copy.
func (w *Watches) get(ctx context.Context, ref Ref) (runtime.Object, error) {
	switch ref.Kind {
	case KindSecret:
		return w.client.CoreV1().Secrets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	case KindServiceAccount:
		return w.client.CoreV1().ServiceAccounts(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	}
	return w.client.CoreV1().ConfigMaps(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
}

// watch follows ref from its present state: without a resource version the
// server begins with that, so nothing between get and watch is missed.
func (w *Watches) watch(ctx context.Context, ref Ref) (watch.Interface, error) {
	only := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", ref.Name).String()}
	switch ref.Kind {
	case KindSecret:
		return w.client.CoreV1().Secrets(ref.Namespace).Watch(ctx, only)
	case KindServiceAccount:
		return w.client.CoreV1().ServiceAccounts(ref.Namespace).Watch(ctx, only)
	}
	return w.client.CoreV1().ConfigMaps(ref.Namespace).Watch(ctx, only)
}

// missing is the error that a read of a missing object gives.
func missing(ref Ref) error {
	return apierrors.NewNotFound(corev1.Resource(ref.Kind), ref.Name)
}
