package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/weir-sh/weir/internal/outbound"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/telemetry"
	"github.com/weir-sh/weir/test/fakes/vault"
)

// tenant is a namespace with one TriggerAuthentication and one service account.
type tenant struct {
	kube.Objects
	auth *v1alpha1.TriggerAuthenticationSpec
}

// TriggerAuthentication implements kube.Objects.
func (t tenant) TriggerAuthentication(context.Context, string, string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	return t.auth, nil
}

// ServiceAccount implements kube.Objects.
func (tenant) ServiceAccount(_ context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u1"}}, nil
}

// TestASecretOfVaultReachesATrigger goes the whole way: a service account's token
// from the API server, a login and a read at Vault, the cache, the parameter.
func TestASecretOfVaultReachesATrigger(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	client.PrependReactor("create", "serviceaccounts", func(a clienttesting.Action) (bool, runtime.Object, error) {
		made, ok := a.(clienttesting.CreateActionImpl)
		if !ok || made.GetSubresource() != "token" || made.Name != "reader" || made.Namespace != "shop" {
			return true, nil, errors.New("not the token of the service account")
		}
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: "jwt", ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
		}}, nil
	})
	server, address := vault.Start(t)
	server.SetRole("kubernetes", "orders", vault.Role{JWT: "jwt", TTL: time.Hour, Policies: []string{"secret/"}})
	put := func(password string) {
		server.SetSecret("", "secret/data/orders", vault.Secret{Data: vault.V2(map[string]any{"password": password})})
	}
	put("one")

	network, err := outbound.New(outbound.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.HTTP.CloseIdleConnections)
	told, err := telemetry.New(telemetry.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stores, closeAll, err := openStores(client, &options{secretTTL: time.Second},
		scalers.Env{HTTP: network.HTTP, Dial: network.Dial, ClientName: "weir"}, hooks{told}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeAll(); err != nil {
			t.Error(err)
		}
	})
	c := kube.Credentials{Stores: stores, Objects: tenant{auth: &v1alpha1.TriggerAuthenticationSpec{HashiCorpVault: &v1alpha1.HashiCorpVault{
		Address: address, Authentication: v1alpha1.VaultAuthenticationKubernetes, Mount: "kubernetes", Role: "orders",
		Credential: &v1alpha1.VaultCredential{ServiceAccountName: "reader"},
		Secrets:    []v1alpha1.VaultSecret{{Parameter: "password", Path: "secret/data/orders", Key: "password"}},
	}}}}
	password := func() string {
		found, err := c.Resolve(t.Context(), v1alpha1.Trigger{AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "auth"}}, kube.Workload{Namespace: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		if found.FreshFor <= 0 || found.FreshFor > time.Second {
			t.Errorf("good for %s, though secrets are kept a second", found.FreshFor)
		}
		return found.Values.Auth["password"]
	}
	for range 3 {
		if got := password(); got != "one" {
			t.Fatalf("password %q", got)
		}
	}
	if reads, logins := server.Count(vault.Read), server.Count(vault.Login); reads > 2 || logins != 1 {
		t.Errorf("%d reads and %d logins for three triggers", reads, logins)
	}
	put("two")
	for end := time.Now().Add(20 * time.Second); password() != "two"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new password is not used")
		}
	}
	server.Fail(http.StatusServiceUnavailable)
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got := password(); got != "two" {
			t.Fatalf("password %q while Vault is sealed", got)
		}
	}
}
