package authentication

import (
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
)

// New makes the reconciler of a kind.
func New(c client.Client, recorder events.EventRecorder, of string) *Reconciler {
	for _, k := range kinds() {
		if k.name == of {
			return &Reconciler{c, recorder, k}
		}
	}
	return nil
}

// OfItself and OfReferrers are what SetUp registers.
func (r *Reconciler) OfItself() handler.EventHandler    { return r.ofItself() }
func (r *Reconciler) OfReferrers() handler.EventHandler { return r.ofReferrers() }

// Settle is how long changes of referrers are gathered.
const Settle = settle

// WithIndexes adds the indexes to a fake client.
func WithIndexes(b *fake.ClientBuilder) *fake.ClientBuilder {
	return b.WithIndex(&v1alpha1.ScaledObject{}, scaled.IndexAuth, scaled.AuthKeys).WithIndex(&v1alpha1.ScaledJob{}, scaled.IndexAuth, scaled.AuthKeys)
}
