package certs_test

import (
	"log/slog"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

// hook is a webhook that leads to a Service.
func hook(name, service string) admissionregistrationv1.ValidatingWebhook {
	return admissionregistrationv1.ValidatingWebhook{
		Name:                    name,
		ClientConfig:            admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: namespace, Name: service}},
		SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
		AdmissionReviewVersions: []string{"v1"},
	}
}

func webhookKeeper(t *testing.T, client *fake.Clientset, source certs.Source) *certs.WebhookConfiguration {
	t.Helper()
	w, err := certs.NewWebhookConfiguration(certs.WebhookConfigurationConfig{
		Client: client.AdmissionregistrationV1().ValidatingWebhookConfigurations(), Certs: source,
		Service: types.NamespacedName{Namespace: namespace, Name: "weir-webhooks"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheBundleOfWebhooksIsWrittenOnceAndNothingElse(t *testing.T) {
	_, source := newSource(t)
	foreign := hook("other.example.com", "other")
	foreign.ClientConfig.CABundle = []byte("theirs")
	client := fake.NewClientset(&admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: certs.DefaultWebhookConfiguration, UID: "1"},
		Webhooks:   []admissionregistrationv1.ValidatingWebhook{hook("a.weir.sh", "weir-webhooks"), foreign, hook("b.weir.sh", "weir-webhooks")},
	})
	w := webhookKeeper(t, client, source)
	for range 3 {
		if err := w.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), certs.DefaultWebhookConfiguration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a.weir.sh": string(source.CABundle()), "other.example.com": "theirs", "b.weir.sh": string(source.CABundle())}
	if len(got.Webhooks) != len(want) {
		t.Errorf("%d webhooks, want %d", len(got.Webhooks), len(want))
	}
	for _, h := range got.Webhooks {
		if string(h.ClientConfig.CABundle) != want[h.Name] || h.SideEffects == nil {
			t.Errorf("webhook %s is %+v", h.Name, h)
		}
	}
	writes := 0
	for _, action := range client.Actions() {
		patch, ok := action.(clienttesting.PatchAction)
		if !ok {
			continue
		}
		if writes++; patch.GetPatchType() != types.ApplyPatchType || strings.Contains(string(patch.GetPatch()), "other.example.com") {
			t.Errorf("the patch is %s", patch.GetPatch())
		}
	}
	if writes != 1 {
		t.Errorf("%d writes, want 1", writes)
	}
}

func TestAWebhookConfigurationThatIsNotThereIsNotMade(t *testing.T) {
	_, source := newSource(t)
	client := fake.NewClientset()
	if err := webhookKeeper(t, client, source).Ensure(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(client.Actions()); n != 1 {
		t.Errorf("%d requests, want one read", n)
	}
}

func TestTheUpkeepOfWebhooksNeedsItsParts(t *testing.T) {
	_, source := newSource(t)
	client := fake.NewClientset().AdmissionregistrationV1().ValidatingWebhookConfigurations()
	log := slog.New(slog.DiscardHandler)
	for want, cfg := range map[string]certs.WebhookConfigurationConfig{
		"the upkeep of a ValidatingWebhookConfiguration needs Client, Certs and Log":                    {Client: client, Certs: source},
		"the upkeep of a ValidatingWebhookConfiguration needs the namespace and name of weir's Service": {Client: client, Certs: source, Log: log},
	} {
		if _, err := certs.NewWebhookConfiguration(cfg); err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
