package azureauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/servicebus"
)

// token asks for a token with a deadline.
func token(t *testing.T, c azcore.TokenCredential) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := c.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://servicebus.azure.net/.default"}})
	return got.Token, err
}

func credential(t *testing.T, i azureauth.Identity, client *http.Client) azcore.TokenCredential {
	t.Helper()
	c, err := i.Credential(env(client))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIdentitiesAreValues(t *testing.T) {
	values := func(namespace string, i param.Identity) param.Values {
		return param.Values{Namespace: namespace, Identity: i}
	}
	workload := param.Identity{Provider: "azure-workload", ID: "c"}
	shared := workload
	shared.Shared = true
	for name, c := range map[string]struct {
		a, b azureauth.Identity
		same bool
	}{
		"one namespace":  {azureauth.OfWorkload(values("a", workload)), azureauth.OfWorkload(values("a", workload)), true},
		"two namespaces": {azureauth.OfWorkload(values("a", workload)), azureauth.OfWorkload(values("b", workload)), false},
		"for all":        {azureauth.OfWorkload(values("a", shared)), azureauth.OfWorkload(values("b", shared)), true},
		"nobody":         {azureauth.OfWorkload(values("a", param.Identity{Provider: "gcp"})), azureauth.Identity{}, true},
		"two secrets": {
			azureauth.OfApplication("t", "c", param.NewSecret("a"), ""), azureauth.OfApplication("t", "c", param.NewSecret("b"), ""), false,
		},
	} {
		if (c.a == c.b) != c.same {
			t.Errorf("%s: equal is %v, want %v", name, c.a == c.b, c.same)
		}
	}
	if !(azureauth.Identity{}).IsZero() || azureauth.OfWorkload(values("a", workload)).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestAWorkloadIdentityKeepsItsTokenUntilItExpires(t *testing.T) {
	a, _, client := authority(t)
	c := credential(t, of(param.Identity{}), client)
	for range 3 {
		if got, err := token(t, c); err != nil || !a.Valid(got) {
			t.Fatalf("token %q, %v", got, err)
		}
	}
	if n := len(a.Issued()); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
}

func TestAnExpiredTokenIsReplaced(t *testing.T) {
	a, _, client := authority(t)
	a.Lifetime = 1 // less than what a token must still last to be used
	c := credential(t, of(param.Identity{}), client)
	for want := 1; want < 4; want++ {
		if _, err := token(t, c); err != nil {
			t.Fatal(err)
		}
		if n := len(a.Issued()); n != want {
			t.Errorf("%d tokens were asked for, want %d", n, want)
		}
	}
}

func TestAnIdentityReplacesClientTenantAndAuthority(t *testing.T) {
	a, url, client := authority(t)
	a.Tenant, a.Client = "tenant-2", "client-2"
	t.Setenv("AZURE_AUTHORITY_HOST", "https://127.0.0.1:1/")
	i := param.Identity{ID: "client-2", TenantID: "tenant-2", AuthorityHost: url, Shared: true}
	if got, err := token(t, credential(t, of(i), client)); err != nil || !a.Valid(got) {
		t.Fatalf("token %q, %v", got, err)
	}
}

func TestAnApplicationLogsInWithItsSecret(t *testing.T) {
	a, url, client := authority(t)
	app := azureauth.OfApplication("tenant-1", "client-1", param.NewSecret(canary), url)
	if got, err := token(t, credential(t, app, client)); err != nil || !a.Valid(got) {
		t.Fatalf("token %q, %v", got, err)
	}
}

func TestIdentitiesThatCannotBeUsed(t *testing.T) {
	_, url, client := authority(t)
	for name, c := range map[string]struct {
		identity azureauth.Identity
		want     string
	}{
		"nobody":                       {azureauth.Identity{}, "there is none; set podIdentity azure-workload in the authentication object"},
		"a tenant with a path":         {of(param.Identity{TenantID: "a/../b"}), "the tenant is not an id or a domain; check identityTenantId"},
		"an authority in plain HTTP":   {of(param.Identity{AuthorityHost: "http://login.microsoftonline.com/"}), `the authority is not the address of a host; give identityAuthorityHost as "https://host/"`},
		"an authority with a path":     {of(param.Identity{AuthorityHost: "https://login.microsoftonline.com/x"}), `the authority is not the address of a host; give identityAuthorityHost as "https://host/"`},
		"somebody's own authority":     {of(param.Identity{AuthorityHost: url}), "the authority is none of Azure's, and would receive the process's token; name it in a ClusterTriggerAuthentication"},
		"an authority on another port": {of(param.Identity{AuthorityHost: "https://login.microsoftonline.com:8443"}), "the authority is none of Azure's, and would receive the process's token; name it in a ClusterTriggerAuthentication"},
		"a tenant of an application":   {azureauth.OfApplication("", "c", param.NewSecret(canary), ""), "the tenant or the authority cannot be used; check tenant and cloud"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.identity.Credential(env(client))
			if want := "preparing the Azure identity: " + c.want; fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.Invalid {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
	if _, err := of(param.Identity{AuthorityHost: "https://Login.MicrosoftOnline.us"}).Credential(env(client)); err != nil {
		t.Errorf("an authority of Azure's: %v", err)
	}
}

func TestAProcessWithoutWorkloadIdentitySaysSo(t *testing.T) {
	_, err := of(param.Identity{ID: "c", TenantID: "t"}).Credential(env(&http.Client{}))
	const want = "preparing the Azure identity: this process has no Azure workload identity: no token file specified. Check pod configuration or set TokenFilePath in the options; " +
		"have the workload identity webhook set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE in this process, or use a connection string"
	if fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.Unauthorized {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestLoginsThatFail(t *testing.T) {
	const hint = "; check client id, tenant and the federated credential of the identity"
	for name, c := range map[string]struct {
		change func(*servicebus.Authority)
		kind   scalers.Kind
		retry  time.Duration
		want   string
	}{
		"another client":  {func(a *servicebus.Authority) { a.Client = "x" }, scalers.Unauthorized, 0, "status 400 Bad Request (AADSTS700016)" + hint},
		"another tenant":  {func(a *servicebus.Authority) { a.Tenant = "x" }, scalers.Unauthorized, 0, "status 400 Bad Request (AADSTS90002)" + hint},
		"another subject": {func(a *servicebus.Authority) { a.Proof = "x" }, scalers.Unauthorized, 0, "status 400 Bad Request (AADSTS700213)" + hint},
		"throttled": {func(a *servicebus.Authority) {
			a.Fail(&servicebus.Answer{Status: 429, RetryAfter: "7", Body: canary})
		}, scalers.Throttled, 7 * time.Second, "status 429 Too Many Requests"},
		"down": {func(a *servicebus.Authority) {
			a.Fail(&servicebus.Answer{Status: 502, Body: canary})
		}, scalers.Unreachable, 0, "status 502 Bad Gateway"},
		"redirected": {func(a *servicebus.Authority) {
			a.Fail(&servicebus.Answer{Status: 302, Location: "https://elsewhere.example/"})
		}, scalers.BadAnswer, 0, "following the server's redirect: status 302 Found; credentials are not sent elsewhere; give the final address"},
		"a code that is none": {func(a *servicebus.Authority) {
			a.Fail(&servicebus.Answer{Status: 400, Body: `{"error":"` + canary + `"}`})
		}, scalers.Unauthorized, 0, "status 400 Bad Request" + hint},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, client := authority(t)
			c.change(a)
			_, err := token(t, credential(t, of(param.Identity{}), client))
			e, ok := errors.AsType[*scalers.Error](err)
			if want := "getting a token of Microsoft Entra ID: " + c.want; !ok || err.Error() != want || e.Kind != c.kind || e.RetryAfter != c.retry {
				t.Errorf("error %v\nwant  %s of kind %s", err, want, c.kind)
			}
		})
	}
}

func TestAnAuthorityThatCannotBeReached(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	_, _, client := authority(t)
	t.Setenv("AZURE_AUTHORITY_HOST", srv.URL)
	srv.Close()
	_, err := token(t, credential(t, of(param.Identity{}), client))
	if scalers.KindOf(err) != scalers.Unreachable || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "https") {
		t.Errorf("error %v", err)
	}
	t.Run("in time", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := credential(t, of(param.Identity{}), client).GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"s/.default"}})
		if !errors.Is(err, context.Canceled) || scalers.KindOf(err) != scalers.Unreachable {
			t.Errorf("error %v", err)
		}
	})
	t.Run("without its token", func(t *testing.T) {
		_, _, client := authority(t)
		t.Setenv("AZURE_FEDERATED_TOKEN_FILE", t.TempDir()+"/"+canary)
		_, err := token(t, credential(t, of(param.Identity{}), client))
		const want = "getting a token of Microsoft Entra ID: the login could not be prepared; check that the file of the workload identity's token can be read, and the tenant"
		if fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.Unauthorized {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	})
}
