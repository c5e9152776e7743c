package authentication

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
)

// queue is the queue of a controller.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// ofItself tells of an object what happened to it, and asks for its status. What
// there was when this process began to look is no news.
func (r *Reconciler) ofItself() handler.EventHandler {
	tell := func(o client.Object, reason, action, what string) {
		scaled.Event(r.events, o, corev1.EventTypeNormal, reason, action, "the "+r.kind.name+" was "+what)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				tell(e.Object, r.kind.added, "creating", "created")
			}
			q.Add(request(e.Object))
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			was, is := e.ObjectOld, e.ObjectNew
			switch deleting := !is.GetDeletionTimestamp().IsZero(); {
			case was.GetUID() != is.GetUID():
				tell(is, r.kind.added, "creating", "created anew")
			case was.GetGeneration() == is.GetGeneration() && !deleting:
				return // status and metadata, which are nobody's news
			case !deleting:
				tell(is, r.kind.updated, "updating", "changed")
			}
			q.Add(request(is))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ queue) {
			tell(e.Object, r.kind.deleted, "deleting", "deleted")
		},
	}
}

func request(o client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}
}

// settle is how long changes of referrers are gathered: ten thousand of them that
// come in a burst cost a write of the status each settle, not one each.
const settle = 2 * time.Second

// ofReferrers asks for the status of what a ScaledObject or ScaledJob refers to
// since it changed, or referred to before.
func (r *Reconciler) ofReferrers() handler.EventHandler {
	ask := func(q queue, o client.Object, keys []string) {
		for _, key := range keys {
			if name, ok := strings.CutPrefix(key, scaled.AuthKey(r.kind.name, "")); ok {
				at := client.ObjectKey{Name: name}
				if r.kind.name == v1alpha1.KindTriggerAuthentication {
					at.Namespace = o.GetNamespace()
				}
				q.AddAfter(reconcile.Request{NamespacedName: at}, settle)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { ask(q, e.Object, scaled.AuthKeys(e.Object)) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { ask(q, e.Object, scaled.AuthKeys(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetGeneration() == e.ObjectNew.GetGeneration() && e.ObjectOld.GetUID() == e.ObjectNew.GetUID() {
				return
			}
			was, is := scaled.AuthKeys(e.ObjectOld), scaled.AuthKeys(e.ObjectNew)
			ask(q, e.ObjectNew, without(was, is))
			ask(q, e.ObjectNew, without(is, was))
		},
	}
}

// without returns what is in a and not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(key string) bool { return slices.Contains(b, key) })
}
