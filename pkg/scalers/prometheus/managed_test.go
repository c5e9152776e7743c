package prometheus_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/prometheus"
)

// as gives a trigger a pod identity in namespace "shop".
func as(provider string, v param.Values) param.Values {
	v.Identity.Provider, v.Namespace = provider, "shop"
	v.Metadata["ignoreNullValues"] = "false"
	return v
}

func TestManagedParameters(t *testing.T) {
	const in = "https://w.westeurope.prometheus.monitor.azure.com"
	for name, c := range map[string]struct {
		v        param.Values
		err      string
		warnings string
	}{
		"azure":                      {as("azure-workload", values(in, nil)), "<nil>", "[]"},
		"another azure cloud":        {as("azure-workload", values(in, nil, "cloud", "azureusgovernmentcloud")), "<nil>", "[]"},
		"a private azure cloud":      {as("azure-workload", values(in, nil, "cloud", "private", "azureManagedPrometheusResourceURL", "https://prometheus.airgap/.default")), "<nil>", "[]"},
		"... without its resource":   {as("azure-workload", values(in, nil, "cloud", "private")), `parameter "azureManagedPrometheusResourceURL" is required when "cloud" is Private`, "[]"},
		"a cloud without Prometheus": {as("azure-workload", values(in, nil, "cloud", "AzureGermanCloud")), `parameter "cloud" has no managed Prometheus`, "[]"},
		"a cloud nobody asks for":    {as("", values(in, nil, "cloud", "nowhere")), "<nil>", "[]"},
		"gcp":                        {as("gcp", values(in, nil)), "<nil>", "[]"},
		"aws":                        {as("aws", values(in, nil, "awsRegion", "eu-west-1")), "<nil>", "[]"},
		"aws without a region":       {as("aws", values(in, nil)), "<nil>", `[parameter "awsRegion" is required; until then requests are not signed for AWS]`},
		"aws as Weir":                {as("", values(in, nil, "awsRegion", "eu-west-1", "identityOwner", "operator")), "<nil>", "[]"},
	} {
		_, warnings, err := prometheus.Scaler.Parse(c.v)
		if fmt.Sprint(err) != c.err || fmt.Sprint(warnings) != c.warnings {
			t.Errorf("%s: %v, %v", name, err, warnings)
		}
	}
}

func TestIdentitiesOfWeirAreNotSharedBetweenNamespaces(t *testing.T) {
	for _, v := range []param.Values{
		as("azure-workload", values("https://p", nil)),
		as("gcp", values("https://p", nil)),
		as("aws", values("https://p", nil, "awsRegion", "r")),
		as("", values("https://p", nil, "awsRegion", "r", "identityOwner", "operator")),
	} {
		other := v
		other.Namespace = "billing"
		if parse(t, v).Source == parse(t, other).Source {
			t.Errorf("%s: two namespaces share a source", v.Identity.Provider)
		}
		v.Identity.Shared, other.Identity.Shared = true, true
		if parse(t, v).Source != parse(t, other).Source {
			t.Errorf("%s: an identity for all is not shared", v.Identity.Provider)
		}
	}
}

func TestTokensAreNotSentElsewhere(t *testing.T) {
	const begin = "preparing requests with a cloud identity: serverAddress leads elsewhere, where the identity's token could be misused; give "
	azure, google, private := begin+"a managed Prometheus of the Azure cloud, over https", begin+"a host of googleapis.com, over https", begin+"an address that begins with https://"
	key := kv{"GoogleApplicationCredentials": "{}"}
	for _, c := range []struct {
		v    param.Values
		want string
	}{
		{as("azure-workload", values("https://example.com", nil)), azure},
		{as("azure-workload", values("http://w.prometheus.monitor.azure.com", nil)), azure},
		{as("azure-workload", values("https://w.prometheus.monitor.azure.com.example.com", nil)), azure},
		{as("azure-workload", values("https://w.prometheus.monitor.azure.com", nil, "cloud", "AzureChinaCloud")), azure},
		{as("azure-workload", values("https://w.example.com", nil, "cloud", "Private", "azureManagedPrometheusResourceURL", "https://management.azure.com")), azure},
		{as("gcp", values("https://example.com", nil)), google},
		{as("gcp", values("https://notgoogleapis.com", nil)), google},
		{as("", values("http://monitoring.googleapis.com", key)), private},
	} {
		_, err := parse(t, c.v).Source.Open(t.Context(), scalers.Env{})
		if fmt.Sprint(err) != c.want || scalers.KindOf(err) != scalers.Invalid {
			t.Errorf("%s: %v", c.v.Metadata["serverAddress"], err)
		}
	}
}

func TestRequestsAreSignedForAWS(t *testing.T) {
	var seen http.Header
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		write(t, w, sample("3"))
	})
	auth := kv{"awsAccessKeyID": "AKIDEXAMPLE", "awsSecretAccessKey": "s3cret", "awsSessionToken": "s3ssion"}
	if r := measure(t, values(url, auth, "awsRegion", "eu-west-1")); r.Err != nil || r.Value != 3 {
		t.Fatalf("got %v, %v", r.Value, r.Err)
	}
	got := seen.Get("Authorization")
	if !strings.HasPrefix(got, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(got, "/eu-west-1/aps/aws4_request, SignedHeaders=") {
		t.Errorf("authorization %q", got)
	}
	if seen.Get("X-Amz-Security-Token") != "s3ssion" || seen.Get("X-Amz-Date") == "" {
		t.Errorf("headers %v", seen)
	}
}

func TestTheKeyOfAServiceAccountGivesTokens(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := json.Marshal(kv{
		"type": "service_account", "project_id": "p", "private_key_id": "k", "client_email": "weir@p.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://example.invalid/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || strings.Count(token, ".") != 2 {
			t.Errorf("authorization %q is no signed token", r.Header.Get("Authorization"))
		}
		write(t, w, sample("4"))
	}))
	defer srv.Close()
	v := values(srv.URL, kv{"GoogleApplicationCredentials": string(key)}, "unsafeSsl", "true")
	if r := measure(t, v); r.Err != nil || r.Value != 4 {
		t.Errorf("got %v, %v", r.Value, r.Err)
	}
}

// internet answers for the hosts of Azure.
type internet struct {
	t      *testing.T
	tokens int
}

// RoundTrip implements http.RoundTripper.
func (i *internet) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	switch r.URL.Host {
	case "login.microsoftonline.com":
		tenant, discovery := strings.CutSuffix(strings.TrimSuffix(r.URL.String(), "?"), "/v2.0/.well-known/openid-configuration")
		if discovery {
			body = `{"token_endpoint":"` + tenant + `/oauth2/v2.0/token","authorization_endpoint":"` + tenant + `/oauth2/v2.0/authorize","issuer":"` + tenant + `/v2.0"}`
			break
		}
		i.tokens++
		if err := r.ParseForm(); err != nil || !strings.Contains(r.Form.Get("scope"), "https://prometheus.monitor.azure.com/.default") || r.Form.Get("client_assertion") != "f3derated" {
			i.t.Errorf("token request %v, %v", r.Form, err)
		}
		body = `{"token_type":"Bearer","access_token":"4zure","expires_in":3600}`
	case "w.westeurope.prometheus.monitor.azure.com":
		if got := r.Header.Get("Authorization"); got != "Bearer 4zure" {
			i.t.Errorf("authorization %q", got)
		}
		body = sample("5")
	default:
		i.t.Errorf("%s was asked", r.URL.Host)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

func TestTheWorkloadIdentityGivesTokensForAzure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("f3derated"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_CLIENT_ID", "c0ffee00-0000-0000-0000-000000000000")
	t.Setenv("AZURE_TENANT_ID", "c0ffee00-0000-0000-0000-000000000001")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	v := as("azure-workload", values("https://w.westeurope.prometheus.monitor.azure.com", nil))
	azure := &internet{t: t}
	trigger := parse(t, v)
	conn, err := trigger.Source.Open(t.Context(), scalers.Env{HTTP: &http.Client{Transport: azure}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		readings, err := conn.Fetch(t.Context(), []scalers.Query{trigger.Query})
		if err != nil || readings[0].Err != nil || readings[0].Value != 5 {
			t.Fatalf("got %v, %v", readings, err)
		}
	}
	if err := conn.Close(); err != nil || azure.tokens != 1 {
		t.Errorf("%d tokens, %v", azure.tokens, err)
	}
}
