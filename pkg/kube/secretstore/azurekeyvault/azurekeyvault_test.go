package azurekeyvault_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/kube/secretstore/azurekeyvault"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/azurekeyvault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func store(s *fake.Server) *azurekeyvault.Store {
	return azurekeyvault.New(scalers.Env{HTTP: s.Client(), Log: slog.New(slog.DiscardHandler), ClientName: "weir"})
}

func application(host, secret string) secretstore.AzureLogin {
	return secretstore.AzureLogin{VaultURI: "https://" + host + "/", ClientID: "app", TenantID: "tenant", ClientSecret: param.NewSecret(secret)}
}

// read reads "n" as a login, and writes the value, or the error with its kind.
func read(t *testing.T, s *fake.Server, l secretstore.AzureLogin, item secretstore.AzureItem) string {
	t.Helper()
	session, err := store(s).Open(l)
	var got secretstore.Secret
	if err == nil {
		got, err = session.Read(t.Context(), item)
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(fmt.Sprint(err), "canary") {
		t.Errorf("the error holds a secret: %v", err)
	}
	if err != nil {
		return fmt.Sprintf("%s: %v", scalers.KindOf(err), err)
	}
	return got.Fields[""]
}

func TestSecretsAreRead(t *testing.T) {
	t.Parallel()
	const host = "v.vault.azure.net"
	const op = `reading Key Vault secret "n" from v.vault.azure.net: `
	const name = `the name or the version is not one of a secret; use letters, digits and dashes`
	for _, tc := range []struct {
		name   string
		item   secretstore.AzureItem
		secret string
		status int
		want   string
	}{
		{name: "the newest", item: secretstore.AzureItem{Name: "n"}, want: "newest"},
		{name: "a version", item: secretstore.AzureItem{Name: "n", Version: "1a"}, want: "first"},
		{name: "one that is not there", item: secretstore.AzureItem{Name: "n", Version: "2"}, want: "NotFound: " + op + "status 404 Not Found (SecretNotFound); create the secret, or correct name and version"},
		{
			name: "one that is denied", item: secretstore.AzureItem{Name: "n", Version: "3"},
			want: "Unauthorized: " + op + "status 403 Forbidden (Forbidden); allow the identity to get secrets: the role Key Vault Secrets User, or an access policy; check the vault's firewall",
		},
		{
			name: "a wrong client secret", item: secretstore.AzureItem{Name: "n"}, secret: "canary-wrong",
			want: "Unauthorized: " + op + "getting a token of Microsoft Entra ID: status 401 Unauthorized (AADSTS7000215); check client id, tenant and the federated credential of the identity",
		},
		{name: "a vault in trouble", item: secretstore.AzureItem{Name: "n"}, status: 503, want: "Unreachable: " + op + "status 503 Service Unavailable"},
		{name: "a vault that is busy", item: secretstore.AzureItem{Name: "n"}, status: 429, want: "Throttled: " + op + "status 429 Too Many Requests"},
		{name: "no name", want: `Invalid: reading Key Vault secret "" from v.vault.azure.net: ` + name},
		{name: "a path for a name", item: secretstore.AzureItem{Name: "../keys/k"}, want: `Invalid: reading Key Vault secret "../keys/k" from v.vault.azure.net: ` + name},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := fake.Start(t)
			s.SetApplication("app", "canary-secret")
			s.SetSecret(host, "n", "", fake.Secret{Value: "newest"})
			s.SetSecret(host, "n", "1a", fake.Secret{Value: "first"})
			s.SetSecret(host, "n", "3", fake.Secret{Denied: true})
			s.Fail(tc.status)
			if tc.secret == "" {
				tc.secret = "canary-secret"
			}
			if got := read(t, s, application(host, tc.secret), tc.item); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestOneLoginServesManyReads(t *testing.T) {
	t.Parallel()
	s := fake.Start(t)
	s.SetApplication("app", "canary-secret")
	s.SetSecret("v.vault.azure.net", "n", "", fake.Secret{Value: "a"})
	session, err := store(s).Open(application("v.vault.azure.net", "canary-secret"))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := session.Read(t.Context(), secretstore.AzureItem{Name: "n"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(s.Logins(), s.Reads()); got != "[login.microsoftonline.com tenant app https://vault.azure.net/.default] 5" {
		t.Errorf("logins %s", got)
	}
}

// Each cloud has its own authority, and a private one says which.
func TestClouds(t *testing.T) {
	t.Parallel()
	private := v1alpha1.AzureKeyVaultCloud{Type: "Private", KeyVaultResourceURL: "https://vault.local/", ActiveDirectoryEndpoint: "https://login.local/"}
	loose, other, lost := private, private, private
	loose.KeyVaultResourceURL, other.KeyVaultResourceURL, lost.ActiveDirectoryEndpoint = "", "https://vault.azure.net", ""
	const connecting = "Invalid: connecting to Azure Key Vault: "
	for _, tc := range []struct {
		name      string
		cloud     v1alpha1.AzureKeyVaultCloud
		host      string
		challenge string // the resource that the vault says it is
		want      string // how it logged in, or the error
	}{
		{"none named", v1alpha1.AzureKeyVaultCloud{}, "v.vault.azure.net", "https://vault.azure.net", "login.microsoftonline.com https://vault.azure.net/.default"},
		{"the public one", v1alpha1.AzureKeyVaultCloud{Type: "AzurePublicCloud"}, "v.vault.azure.net", "https://vault.azure.net", "login.microsoftonline.com https://vault.azure.net/.default"},
		{"of China", v1alpha1.AzureKeyVaultCloud{Type: "AzureChinaCloud"}, "v.vault.azure.cn", "https://vault.azure.cn", "login.chinacloudapi.cn https://vault.azure.cn/.default"},
		{"a private one", private, "v.vault.local", "https://elsewhere.local/tenant", "login.local https://vault.local/.default"},
		{"a private one without resource", loose, "v.vault.local", "https://vault.local", "login.local https://vault.local/.default"},
		{"a private one that is not the vault's", other, "v.vault.local", "", connecting + "vaultUri is not below cloud.keyVaultResourceURL; give the resource of the vault's cloud, such as https://vault.example.com"},
		{"a private one without an authority", lost, "v.vault.local", "", connecting + "cloud.activeDirectoryEndpoint is missing; set it: cloud.type is Private"},
		{"an unknown one", v1alpha1.AzureKeyVaultCloud{Type: "Moon"}, "v.vault.local", "", connecting + "cloud.type names no cloud that is known here; use AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, or Private"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := fake.Start(t)
			s.SetApplication("app", "canary-secret")
			s.SetSecret(tc.host, "n", "", fake.Secret{Value: "found"})
			s.SetChallenge(tc.challenge)
			login := application(tc.host, "canary-secret")
			login.Cloud = tc.cloud
			got := read(t, s, login, secretstore.AzureItem{Name: "n"})
			if got == "found" {
				parts := strings.Fields(s.Logins()[0])
				got = parts[0] + " " + parts[3]
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A server that is no vault gets no token, and does no harm.
func TestServersThatAreNoVault(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{
		"https://vault.azure.net", `Bearer authorization="x" resource="https://example.org"`, `Bearer authorization="https://x" resource="https://example.org"`, "Bearer", "Bearer realm",
	} {
		s := fake.Start(t)
		s.SetApplication("app", "canary-secret")
		s.SetChallenge(challenge)
		s.SetSecret("evil.example.org", "n", "", fake.Secret{Value: "found"})
		got := read(t, s, application("evil.example.org", "canary-secret"), secretstore.AzureItem{Name: "n"})
		if !strings.HasPrefix(got, "BadAnswer: reading Key Vault secret \"n\" from evil.example.org: ") || len(s.Logins()) > 0 {
			t.Errorf("%s: got %s after %v", challenge, got, s.Logins())
		}
	}
}

func TestLoginsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	s := fake.Start(t)
	for _, uri := range []string{"", "vault", "http://v.vault.azure.net", "https://u:canary@v", "https://v/path", "https://v?canary=1"} {
		l := application("", "canary-secret")
		l.VaultURI = uri
		const want = "Invalid: connecting to Azure Key Vault: vaultUri is not the address of a vault; give it as https://name.vault.azure.net"
		if got := read(t, s, l, secretstore.AzureItem{Name: "n"}); got != want {
			t.Errorf("%s: got %s", uri, got)
		}
	}
	l := secretstore.AzureLogin{VaultURI: "https://v.vault.azure.net"}
	if got := read(t, s, l, secretstore.AzureItem{Name: "n"}); !strings.HasPrefix(got, "Invalid: preparing the Azure identity: there is none") {
		t.Errorf("got %s", got)
	}
}
