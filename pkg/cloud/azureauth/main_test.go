package azureauth_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/servicebus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is the assertion or secret. No error may hold it.
const canary = "canary-of-the-token"

// authority starts a stand-in for Microsoft Entra ID, and makes this process one
// with a workload identity there. The client trusts it.
func authority(t *testing.T) (*servicebus.Authority, string, *http.Client) {
	t.Helper()
	a := &servicebus.Authority{Tenant: "tenant-1", Client: "client-1", Proof: canary}
	srv := httptest.NewTLSServer(a)
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	t.Setenv("AZURE_CLIENT_ID", "client-1")
	t.Setenv("AZURE_TENANT_ID", "tenant-1")
	t.Setenv("AZURE_AUTHORITY_HOST", srv.URL)
	client := srv.Client()
	client.Timeout = 5 * time.Second
	return a, srv.URL, client
}

func env(client *http.Client) scalers.Env {
	return scalers.Env{HTTP: client, ClientName: "weir"}
}

// of is the workload identity of a trigger.
func of(as param.Identity) azureauth.Identity {
	as.Provider = azureauth.Workload
	return azureauth.OfWorkload(param.Values{Namespace: "shop", Identity: as})
}
