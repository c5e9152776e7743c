package vault_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/kube/secretstore/vault"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jwt is a token of a service account as far as weir looks.
func jwt(subject string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":%q}`, subject)) + ".canary"
}

func account() string { return jwt("system:serviceaccount:shop:worker") }

// client never keeps a connection, so that none is left in the end.
func client() *http.Client { return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} }

func tokens(context.Context, secretstore.ServiceAccount) (param.Secret, error) {
	return param.NewSecret(account()), nil
}

// open opens a session; that must not fail.
func open(t *testing.T, web *http.Client, l secretstore.VaultLogin) secretstore.Session[secretstore.VaultItem] {
	t.Helper()
	s, err := vault.New(vault.Config{HTTP: web, Token: tokens}).Open(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// show writes what was read, or the error and its kind without the address.
func show(s secretstore.Secret, err error, address string) string {
	if err != nil {
		return fmt.Sprintf("%s: %s", scalers.KindOf(err), strings.ReplaceAll(err.Error(), address, "ADDRESS"))
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.Fields)) {
		out = append(out, k+"="+s.Fields[k])
	}
	if s.Life > 0 {
		out = append(out, fmt.Sprintf("for %v", s.Life.Round(time.Minute)))
	}
	return strings.ReplaceAll(strings.Join(out, " "), "\n", "|")
}

// served is a server with secrets of all kinds.
func served(t *testing.T) (*fake.Server, string) {
	t.Helper()
	s, address := fake.Start(t)
	furnish(s)
	return s, address
}

func furnish(s *fake.Server) {
	s.SetToken("canary-token", fake.Role{})
	s.SetRole("kubernetes", "worker", fake.Role{JWT: account(), TTL: time.Hour, Renewable: true})
	s.SetRole("kubernetes", "short", fake.Role{JWT: account(), TTL: time.Hour})
	s.SetRole("kubernetes", "limited", fake.Role{JWT: account(), TTL: time.Hour, Policies: []string{"kv1/"}})
	s.SetSecret("", "kv1/a", fake.Secret{Data: map[string]any{"user": "u", "number": 1.5, "flag": true, "list": []string{"x", "y"}, "mixed": []any{"x", 1}}})
	s.SetSecret("", "kv1/like2", fake.Secret{Data: map[string]any{"data": map[string]any{"user": "inner"}}})
	s.SetSecret("", "kv2/data/a", fake.Secret{Data: fake.V2(map[string]any{"user": "u2"})})
	s.SetSecret("", "kv2/data/deleted", fake.Secret{Data: fake.V2(nil)})
	s.SetSecret("team", "kv1/a", fake.Secret{Data: map[string]any{"user": "of-team"}})
	s.SetSecret("", "database/creds/r", fake.Secret{Data: map[string]any{"password": "p"}, Lease: time.Hour})
	s.SetSecret("", "pki/issue/r", fake.Secret{Certificate: 24 * time.Hour})
}

func TestSecretsOfAllEngines(t *testing.T) {
	t.Parallel()
	s, address := served(t)
	session := open(t, client(), secretstore.VaultLogin{Address: address, Token: param.NewSecret("canary-token")})
	const gone = "; create it, or correct path and type; of key/value version 2 the path has data after the mount"
	for _, tc := range []struct {
		path string
		kind v1alpha1.VaultSecretType
		want string
	}{
		{"kv1/a", "", `flag=true list=x|y mixed=["x",1] number=1.5 user=u`},
		{"kv1/a", "secret", `flag=true list=x|y mixed=["x",1] number=1.5 user=u`},
		{"kv1/a", "secretV2", `NotFound: reading Vault secret "kv1/a" from ADDRESS: its newest version is deleted, or it is none of key/value version 2` + gone},
		{"/kv1/a", "", `flag=true list=x|y mixed=["x",1] number=1.5 user=u`},
		{"kv1/like2", "secret", `data={"user":"inner"}`},
		{"kv1/like2", "", "user=inner"},
		{"kv2/data/a", "", "user=u2"},
		{"kv2/data/a", "secretV2", "user=u2"},
		{"kv2/data/deleted", "", `NotFound: reading Vault secret "kv2/data/deleted" from ADDRESS: its newest version is deleted, or it is none of key/value version 2` + gone},
		{"kv2/a", "", `NotFound: reading Vault secret "kv2/a" from ADDRESS: it does not exist` + gone},
		{"database/creds/r", "", "password=p username=user-1 for 1h0m0s"},
		{"pki/issue/r", "pki", "ca_chain=intermediate|root certificate=certificate-2 expiration=N private_key=key-2 for 24h0m0s"},
		{"kv1/../sys/seal", "", `Invalid: reading Vault secret "kv1/../sys/seal" from ADDRESS: the path is not one of a secret; give it without "..", as in secret/data/name`},
		{"", "", `Invalid: reading Vault secret "" from ADDRESS: the path is not one of a secret; give it without "..", as in secret/data/name`},
	} {
		item := secretstore.VaultItem{Path: tc.path, Type: tc.kind}
		if tc.kind == "pki" {
			item.PKI = v1alpha1.VaultPKIData{CommonName: "c", AltNames: "a", IPSans: "i", URISans: "u", OtherSans: "o", TTL: "24h", Format: "pem"}
		}
		got, err := session.Read(t.Context(), item)
		if _, ok := got.Fields["expiration"]; ok {
			got.Fields["expiration"] = "N"
		}
		if out := show(got, err, address); out != tc.want {
			t.Errorf("%s %q: got\n%s\nwant\n%s", tc.path, tc.kind, out, tc.want)
		}
	}
	if n := s.Count(fake.Lookup); n != 1 {
		t.Errorf("the token was looked up %d times", n)
	}
	if got := fmt.Sprint(s.Issued()); got != "[map[alt_names:a common_name:c format:pem ip_sans:i other_sans:o ttl:24h uri_sans:u]]" {
		t.Errorf("asked for certificates %s", got)
	}
}

func TestANamespaceHasItsOwnSecrets(t *testing.T) {
	t.Parallel()
	_, address := served(t)
	session := open(t, client(), secretstore.VaultLogin{Address: address, Namespace: "team", Token: param.NewSecret("canary-token")})
	got, err := session.Read(t.Context(), secretstore.VaultItem{Path: "kv1/a"})
	if out := show(got, err, address); out != "user=of-team" {
		t.Errorf("got %s", out)
	}
}

func TestWhatVaultRefuses(t *testing.T) {
	t.Parallel()
	const reading = `reading Vault secret "kv1/a" from ADDRESS: `
	logging := func(role, mount string) string {
		return fmt.Sprintf("logging in to Vault at ADDRESS as role %q of mount %q: ", role, mount)
	}
	const policy = "; let a policy of the login allow it"
	for _, tc := range []struct {
		name   string
		login  secretstore.VaultLogin
		status int
		path   string
		want   string
	}{
		{name: "a wrong token", login: secretstore.VaultLogin{Token: param.NewSecret("canary-wrong")}, want: "Unauthorized: " + reading + "status 403: permission denied, invalid token" + policy},
		{name: "a path outside the policies", path: "kv2/data/a", login: secretstore.VaultLogin{Mount: "kubernetes", Role: "limited", Account: secretstore.ServiceAccount{Name: "a"}}, want: `Unauthorized: reading Vault secret "kv2/data/a" from ADDRESS: status 403: 1 error occurred: * permission denied` + policy},
		{name: "a wrong role", login: secretstore.VaultLogin{Mount: "kubernetes", Role: "none", Account: secretstore.ServiceAccount{Name: "a"}}, want: "Invalid: " + logging("none", "kubernetes") + `status 400: invalid role name "none"`},
		{name: "a sealed server", login: secretstore.VaultLogin{Token: param.NewSecret("canary-token")}, status: 503, want: "Unreachable: looking up the token of ADDRESS: status 503: Vault is sealed"},
		{name: "a sealed server at login", login: secretstore.VaultLogin{Mount: "kubernetes", Role: "worker", Account: secretstore.ServiceAccount{Name: "a"}}, status: 503, want: "Unreachable: " + logging("worker", "kubernetes") + "status 503: Vault is sealed"},
		{name: "no such mount", login: secretstore.VaultLogin{Mount: "kubernetes", Role: "worker", Account: secretstore.ServiceAccount{Name: "a"}}, status: 404, want: "Invalid: " + logging("worker", "kubernetes") + "there is no such mount; correct mount"},
		{name: "too many requests", login: secretstore.VaultLogin{Token: param.NewSecret("canary-token")}, status: 429, want: "Throttled: looking up the token of ADDRESS: status 429: Too Many Requests"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, address := served(t)
			s.Fail(tc.status)
			tc.login.Address = address
			if tc.path == "" {
				tc.path = "kv1/a"
			}
			got, err := open(t, client(), tc.login).Read(t.Context(), secretstore.VaultItem{Path: tc.path})
			if out := show(got, err, address); strings.Join(strings.Fields(out), " ") != tc.want {
				t.Errorf("got\n%s\nwant\n%s", out, tc.want)
			}
			if strings.Contains(fmt.Sprint(err), "canary") {
				t.Error("the error holds a secret")
			}
		})
	}
}

func TestARefusedLoginDoesNotRepeatItsToken(t *testing.T) {
	t.Parallel()
	s, address := served(t)
	s.SetRole("kubernetes", "worker", fake.Role{JWT: "another"})
	login := secretstore.VaultLogin{Address: address, Mount: "kubernetes", Role: "worker", Account: secretstore.ServiceAccount{Name: "a"}}
	got, err := open(t, client(), login).Read(t.Context(), secretstore.VaultItem{Path: "kv1/a"})
	want := `Unauthorized: logging in to Vault at ADDRESS as role "worker" of mount "kubernetes": status 403: token [redacted] is not authorized; ` +
		"bind the role to the service account and its namespace, and check the mount"
	if out := show(got, err, address); out != want {
		t.Errorf("got %s", out)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "vault", "vault:8200", "unix:///run/vault.sock", "ftp://v", "https://user:canary@v", "https://v?token=canary", "https://\x00"} {
		_, err := vault.New(vault.Config{HTTP: client()}).Open(secretstore.VaultLogin{Address: address})
		const want = "connecting to Vault: the address is no URL of a server; give the server's URL, such as https://vault.example.com:8200"
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// What is in weir's environment is for the operator's own tools, not for servers
// that users choose.
func TestTheEnvironmentIsNotSent(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_TOKEN": "canary", "VAULT_NAMESPACE": "canary", "VAULT_HEADERS": `{"X-Canary":"canary"}`, "VAULT_ADDR": "http://canary.invalid", "VAULT_AGENT_ADDR": "http://canary.invalid",
	} {
		t.Setenv(name, value)
	}
	s := fake.New()
	furnish(s)
	leaked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(fmt.Sprint(r.Header), "canary") || strings.Contains(fmt.Sprint(r.Header), "Canary") {
			leaked <- r.URL.Path
		}
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	login := secretstore.VaultLogin{Address: server.URL, Mount: "kubernetes", Role: "worker", Account: secretstore.ServiceAccount{Name: "a"}}
	got, err := open(t, client(), login).Read(t.Context(), secretstore.VaultItem{Path: "kv2/data/a"})
	if out := show(got, err, server.URL); out != "user=u2" {
		t.Errorf("got %s", out)
	}
	if len(leaked) > 0 {
		t.Errorf("%s was sent the environment", <-leaked)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere, _ := served(t)
	target := httptest.NewServer(elsewhere)
	defer target.Close()
	server := httptest.NewServer(http.RedirectHandler(target.URL+"/v1/kv1/a", http.StatusTemporaryRedirect))
	defer server.Close()
	got, err := open(t, client(), secretstore.VaultLogin{Address: server.URL, Token: param.NewSecret("canary-token")}).Read(t.Context(), secretstore.VaultItem{Path: "kv1/a"})
	const want = "BadAnswer: looking up the token of ADDRESS: the server redirects elsewhere; " +
		"give the address of the active server: redirects are not followed, as they would take the token along"
	if out := show(got, err, server.URL); out != want {
		t.Errorf("got %s", out)
	}
	if n := elsewhere.Count(fake.Read) + elsewhere.Count(fake.Lookup); n > 0 {
		t.Error("the token went elsewhere")
	}
}

func TestLargeAnswersAreNotRead(t *testing.T) {
	t.Parallel()
	s, address := served(t)
	s.SetSecret("", "kv1/large", fake.Secret{Data: map[string]any{"a": strings.Repeat("canary", 1<<20)}})
	got, err := open(t, client(), secretstore.VaultLogin{Address: address, Token: param.NewSecret("canary-token")}).Read(t.Context(), secretstore.VaultItem{Path: "kv1/large"})
	if out := show(got, err, address); out != `Unreachable: reading Vault secret "kv1/large" from ADDRESS: the answer is larger than 4194304 bytes` {
		t.Errorf("got %.300s", out)
	}
}

func TestTokenFiles(t *testing.T) {
	t.Parallel()
	_, address := served(t)
	directory := t.TempDir()
	for name, content := range map[string]string{
		"token": account() + "\n", "password": "canary", "user": jwt("canary"), "broken": "a.!.c", "large": strings.Repeat("x", 1<<20+1),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const (
		hint  = "; leave credential.serviceAccount out, or use credential.serviceAccountName"
		none  = "it holds no token of a service account" + hint
		noWay = "it cannot be read, or is no regular file of at most 1 MiB" + hint
	)
	for name, want := range map[string]string{"token": "user=u2", "password": none, "user": none, "broken": none, "large": noWay, "none": noWay, ".": noWay} {
		path := filepath.Join(directory, name)
		if strings.HasSuffix(want, hint) {
			want = fmt.Sprintf("Invalid: reading the service account token in file %q of weir's container: %s", path, want)
		}
		login := secretstore.VaultLogin{Address: address, Mount: "/kubernetes/", Role: "worker", TokenFile: path}
		if name == "token" {
			login.Mount = "kubernetes"
		}
		got, err := open(t, client(), login).Read(t.Context(), secretstore.VaultItem{Path: "kv2/data/a"})
		if out := show(got, err, address); out != want {
			t.Errorf("%s: got %s, want %s", name, out, want)
		}
	}
}

func TestNoTokenNoLogin(t *testing.T) {
	t.Parallel()
	_, address := served(t)
	login := secretstore.VaultLogin{Address: address, Mount: "kubernetes", Role: "worker", Account: secretstore.ServiceAccount{Name: "a"}}
	for want, f := range map[string]func(context.Context, secretstore.ServiceAccount) (param.Secret, error){
		"boom": func(context.Context, secretstore.ServiceAccount) (param.Secret, error) {
			return param.Secret{}, errors.New("boom")
		},
		"logging in to Vault: no tokens are requested for service accounts here": nil,
	} {
		session, err := vault.New(vault.Config{HTTP: client(), Token: f}).Open(login)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.Read(t.Context(), secretstore.VaultItem{Path: "kv1/a"}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer server.Close()
	defer close(hold)
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	got, err := open(t, client(), secretstore.VaultLogin{Address: server.URL, Token: param.NewSecret("t")}).Read(ctx, secretstore.VaultItem{Path: "kv1/a"})
	if out := show(got, err, server.URL); out != "Unreachable: looking up the token of ADDRESS: context deadline exceeded" {
		t.Errorf("got %s", out)
	}
}
