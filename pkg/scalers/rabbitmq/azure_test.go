package rabbitmq_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/servicebus"
)

func TestAnAzureWorkloadIdentityLogsIn(t *testing.T) {
	authority := &servicebus.Authority{Tenant: "tenant-1", Client: "client-1", Proof: "assertion"}
	entra := httptest.NewTLSServer(authority)
	defer entra.Close()
	mq := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := r.Header.Get("Authorization"); token != "Bearer "+authority.Issued()[0] {
			t.Errorf("authorization %q", token)
		}
		if _, err := io.WriteString(w, queueJSON(3, 0, 0, 0)); err != nil {
			t.Error(err)
		}
	}))
	defer mq.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("assertion"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_CLIENT_ID", "client-1")
	t.Setenv("AZURE_TENANT_ID", "tenant-1")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	t.Setenv("AZURE_AUTHORITY_HOST", entra.URL)

	v := values(map[string]string{"workloadIdentityResource": "api://mq"}, "host", mq.URL)
	v.Identity = param.Identity{Provider: "azure-workload"}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	conn := connect(t, v, env(&http.Client{Transport: transport}))
	for range 3 {
		if r := fetch(t, conn, v)[0]; r.Err != nil || r.Value != 3 {
			t.Fatalf("got %v, %v", r.Value, r.Err)
		}
	}
	if got := authority.Issued(); len(got) != 1 || got[0] != "token-1-for-api___mq_.default+openid+offline_access+profile" {
		t.Errorf("tokens %q, want one for all measurements", got)
	}

	authority.Fail(&servicebus.Answer{Status: http.StatusUnauthorized, Body: "assertion"})
	v.Auth["workloadIdentityResource"] = "api://other"
	refused := connect(t, v, env(&http.Client{Transport: transport}))
	_, err := refused.Fetch(t.Context(), []scalers.Query{parse(t, v).Query})
	if scalers.KindOf(err) != scalers.Unauthorized {
		t.Errorf("a login that is refused: %v", err)
	}
}
