package kube

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Reader is Objects on a running cluster: Secrets, ConfigMaps and ServiceAccounts
// by name, authentication objects from the cache.
type Reader struct {
	*Watches
	Cache client.Reader
}

// TriggerAuthentication implements Objects.
func (r Reader) TriggerAuthentication(ctx context.Context, namespace, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	t := new(v1alpha1.TriggerAuthentication)
	err := r.Cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, t)
	return &t.Spec, err
}

// ClusterTriggerAuthentication implements Objects.
func (r Reader) ClusterTriggerAuthentication(ctx context.Context, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	t := new(v1alpha1.ClusterTriggerAuthentication)
	err := r.Cache.Get(ctx, client.ObjectKey{Name: name}, t)
	return &t.Spec, err
}

// Retry calls f until it succeeds or ctx ends, waiting longer after each
// failure: from a second to half a minute. It returns nil in both cases.
func Retry(ctx context.Context, f func(context.Context) error) error {
	for wait := time.Second; f(ctx) != nil; wait = min(2*wait, 30*time.Second) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
	return nil
}
