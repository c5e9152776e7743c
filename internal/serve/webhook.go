package serve

import (
	"log/slog"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-sh/weir/pkg/kube/certs"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/webhook"
)

// webhookOptions are the flags of admission.
type webhookOptions struct {
	webhookAddress       string
	webhookService       string
	webhookConfiguration string
	patchWebhook         bool
}

// bindWebhook declares the flags.
func (o *webhookOptions) bindWebhook(f *pflag.FlagSet) {
	f.StringVar(&o.webhookAddress, "webhook-bind-address", ":9443", `address of the admission webhook; "0" turns it off`)
	f.StringVar(&o.webhookService, "webhooks-service-name", "weir-webhooks", "Service through which the API server reaches the admission webhook")
	f.StringVar(&o.webhookConfiguration, "validating-webhook-name", certs.DefaultWebhookConfiguration, "ValidatingWebhookConfiguration of the admission webhook")
	f.BoolVar(&o.patchWebhook, "enable-webhook-patching", true, "keep the caBundle of the ValidatingWebhookConfiguration right")
}

// off reports whether admission is turned off.
func (o *webhookOptions) off() bool { return o.webhookAddress == "0" }

// names are those that the serving certificate needs for admission.
func (o *webhookOptions) names(namespace, domain string) []string {
	if o.off() {
		return nil
	}
	return certs.ServiceNames(o.webhookService, namespace, domain)
}

// admission is what serveAdmission gets from the other parts.
type admission struct {
	registry   *scalers.Registry
	client     kubernetes.Interface
	source     certs.Source
	namespace  string                // weir's own
	namespaces []string              // that weir serves; empty means all
	observe    func(webhook.Outcome) // told of every answer; nil is not
	minTLS     uint16                // zero means TLS 1.2
	ciphers    []uint16              // up to TLS 1.2; nil means Go's choice
	log        *slog.Logger
}

// serveAdmission adds the admission webhook, which every replica serves, and what
// keeps its registration.
func (o *webhookOptions) serveAdmission(m ctrl.Manager, a admission) error {
	if o.off() {
		return nil
	}
	server, err := webhook.New(webhook.Config{
		Registry: a.registry, Cache: m.GetCache(), Certificate: a.source.GetCertificate, Address: o.webhookAddress,
		Namespaces: a.namespaces, MinTLS: a.minTLS, CipherSuites: a.ciphers, Observe: a.observe, Log: a.log.With(slog.String("part", "webhook")),
	})
	if err != nil {
		return err
	}
	if err := m.Add(everywhere{server.Run}); err != nil || !o.patchWebhook {
		return err
	}
	keeper, err := certs.NewWebhookConfiguration(certs.WebhookConfigurationConfig{
		Client: a.client.AdmissionregistrationV1().ValidatingWebhookConfigurations(), Certs: a.source, Name: o.webhookConfiguration,
		Service: types.NamespacedName{Namespace: a.namespace, Name: o.webhookService}, Log: a.log.With(slog.String("part", "webhookconfiguration")),
	})
	if err != nil {
		return err
	}
	return m.Add(leading{keeper.Run})
}
