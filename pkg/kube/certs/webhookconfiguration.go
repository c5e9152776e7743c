package certs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// DefaultWebhookConfiguration is the name of weir's ValidatingWebhookConfiguration.
const DefaultWebhookConfiguration = "weir-admission"

// WebhookConfigurations is the access to ValidatingWebhookConfigurations;
// AdmissionregistrationV1().ValidatingWebhookConfigurations() of a clientset is one.
type WebhookConfigurations interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*admissionregistrationv1.ValidatingWebhookConfiguration, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (*admissionregistrationv1.ValidatingWebhookConfiguration, error)
}

// WebhookConfigurationConfig says which ValidatingWebhookConfiguration a
// [WebhookConfiguration] keeps and for whom.
type WebhookConfigurationConfig struct {
	Client WebhookConfigurations // required
	Certs  Source                // required; its bundle is written
	// Name of the object; empty means DefaultWebhookConfiguration.
	Name string
	// Service is weir's Service for admission. Required. Webhooks that lead to
	// another Service are not touched.
	Service types.NamespacedName
	// Interval between two looks at the object; zero means two minutes.
	Interval time.Duration
	Log      *slog.Logger // required
}

// WebhookConfiguration keeps clientConfig.caBundle of the webhooks in a
// ValidatingWebhookConfiguration that lead to weir equal to a source's bundle. It
// writes nothing else and only what differs, by server-side apply. Every replica
// may run one.
type WebhookConfiguration struct {
	keeper
	cfg WebhookConfigurationConfig
}

// NewWebhookConfiguration checks cfg and subscribes to cfg.Certs; it does no I/O.
func NewWebhookConfiguration(cfg WebhookConfigurationConfig) (*WebhookConfiguration, error) {
	if cfg.Client == nil || cfg.Certs == nil || cfg.Log == nil {
		return nil, errors.New("the upkeep of a ValidatingWebhookConfiguration needs Client, Certs and Log")
	}
	if cfg.Service.Name == "" || cfg.Service.Namespace == "" {
		return nil, errors.New("the upkeep of a ValidatingWebhookConfiguration needs the namespace and name of weir's Service")
	}
	if cfg.Name == "" {
		cfg.Name = DefaultWebhookConfiguration
	}
	return &WebhookConfiguration{keeper: newKeeper(cfg.Certs, cfg.Interval, cfg.Log), cfg: cfg}, nil
}

// Run keeps the object right until ctx ends: at once, after each change of the
// bundle, and from time to time. Errors are logged and tried again. It returns nil.
func (w *WebhookConfiguration) Run(ctx context.Context) error {
	w.run(ctx, w.Ensure)
	return nil
}

// Ensure looks once and writes when something differs. Without a bundle (no
// certificate yet, or one of a public authority), and where the object does not
// exist, since admission may be left out, it does nothing.
func (w *WebhookConfiguration) Ensure(ctx context.Context) error {
	if w.cfg.Certs.CABundle() == nil {
		return nil
	}
	found, err := w.cfg.Client.Get(ctx, w.cfg.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading ValidatingWebhookConfiguration %s: %w", w.cfg.Name, err)
	}
	right := func() bool { return len(w.stale(found)) == 0 }
	return w.settle(ctx, right, func(ctx context.Context) error { return w.apply(ctx, found) })
}

// ours reports whether a webhook leads to weir's Service.
func (w *WebhookConfiguration) ours(hook *admissionregistrationv1.ValidatingWebhook) bool {
	s := hook.ClientConfig.Service
	return s != nil && s.Namespace == w.cfg.Service.Namespace && s.Name == w.cfg.Service.Name
}

// stale returns the names of our webhooks with another bundle.
func (w *WebhookConfiguration) stale(found *admissionregistrationv1.ValidatingWebhookConfiguration) (names []string) {
	for i := range found.Webhooks {
		hook := &found.Webhooks[i]
		if w.ours(hook) && !bytes.Equal(hook.ClientConfig.CABundle, w.cfg.Certs.CABundle()) {
			names = append(names, hook.Name)
		}
	}
	return names
}

// apply writes the bundle of all our webhooks: what is left out of an apply would
// be taken away. The uid makes an object deleted meanwhile an error instead of a
// new object.
func (w *WebhookConfiguration) apply(ctx context.Context, found *admissionregistrationv1.ValidatingWebhookConfiguration) error {
	var hooks []map[string]any
	for i := range found.Webhooks {
		if w.ours(&found.Webhooks[i]) {
			hooks = append(hooks, map[string]any{
				"name": found.Webhooks[i].Name, "clientConfig": map[string]any{"caBundle": w.cfg.Certs.CABundle()},
			})
		}
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": admissionregistrationv1.SchemeGroupVersion.String(),
		"kind":       "ValidatingWebhookConfiguration",
		"metadata":   map[string]any{"name": w.cfg.Name, "uid": found.UID},
		"webhooks":   hooks,
	})
	if err != nil {
		return fmt.Errorf("encoding ValidatingWebhookConfiguration %s: %w", w.cfg.Name, err)
	}
	_, err = w.cfg.Client.Patch(ctx, w.cfg.Name, types.ApplyPatchType, body,
		metav1.PatchOptions{FieldManager: fieldManager, Force: new(true)})
	if err != nil {
		return fmt.Errorf("applying ValidatingWebhookConfiguration %s: %w", w.cfg.Name, err)
	}
	w.cfg.Log.Info("CA bundle of the ValidatingWebhookConfiguration written", "object", w.cfg.Name)
	return nil
}
