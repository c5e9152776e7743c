package serve

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

// webhookFlags parses flags of admission.
func webhookFlags(t *testing.T, args ...string) *webhookOptions {
	t.Helper()
	var o webhookOptions
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.bindWebhook(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &o
}

// TestTheCertificateIsForTheServiceThatTheManifestsHave: the API server verifies
// the name weir-webhooks.weir-system.svc.
func TestTheCertificateIsForTheServiceThatTheManifestsHave(t *testing.T) {
	t.Parallel()
	o := webhookFlags(t)
	const want = "weir-webhooks weir-webhooks.weir-system weir-webhooks.weir-system.svc weir-webhooks.weir-system.svc.cluster.local"
	if got := strings.Join(o.names("weir-system", ""), " "); got != want {
		t.Errorf("names are %q, want %q", got, want)
	}
	if o.webhookAddress != ":9443" || o.webhookConfiguration != certs.DefaultWebhookConfiguration || !o.patchWebhook {
		t.Errorf("defaults are %+v", o)
	}
}

func TestAdmissionCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	o := webhookFlags(t, "--webhook-bind-address=0")
	if names := o.names("weir-system", ""); names != nil {
		t.Errorf("the certificate is for %q", names)
	}
	if err := o.serveAdmission(nil, admission{}); err != nil {
		t.Errorf("without manager and parts: %v", err)
	}
}
