package azureservicebus_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azureservicebus"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/servicebus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is the key that lets in. It must be seen nowhere.
const secret = "c2VjcmV0LWNhbmFyeQ"

// namespace starts an empty namespace as an emulator has it, and returns its
// connection string.
func namespace(t *testing.T) (*servicebus.Server, string) {
	t.Helper()
	s := servicebus.New()
	s.AllowKey("weir", secret)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, emulator(srv)
}

func emulator(srv *httptest.Server) string {
	return "Endpoint=sb://" + strings.TrimPrefix(srv.URL, "http://") + ";SharedAccessKeyName=weir;SharedAccessKey=" + secret + ";UseDevelopmentEmulator=true"
}

// trigger parses a trigger with a connection string.
func trigger(t *testing.T, connection string, metadata ...string) scalers.Trigger {
	t.Helper()
	return parse(t, values(map[string]string{"connection": connection}, metadata...))
}

func values(auth map[string]string, metadata ...string) param.Values {
	v := param.Values{Metadata: map[string]string{}, Auth: auth, Namespace: "shop", Name: "orders"}
	for i := 0; i < len(metadata); i += 2 {
		v.Metadata[metadata[i]] = metadata[i+1]
	}
	return v
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	out, _, err := azureservicebus.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// env is what a source gets. Client may be nil.
func env(t *testing.T, client *http.Client) scalers.Env {
	t.Helper()
	if client == nil {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		client = &http.Client{Transport: transport, Timeout: 5 * time.Second}
	}
	return scalers.Env{HTTP: client, Log: slog.New(slog.DiscardHandler), ClientName: "weir-test-with-a-long-name-indeed"}
}

// open opens a trigger's source until the end of the test.
func open(t *testing.T, e scalers.Env, of scalers.Trigger) scalers.Conn {
	t.Helper()
	conn, err := of.Source.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// fetch measures triggers in one batch.
func fetch(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) []scalers.Reading {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	readings, err := conn.Fetch(ctx, queriesOf(triggers))
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

// queriesOf returns what triggers measure.
func queriesOf(triggers []scalers.Trigger) []scalers.Query {
	queries := make([]scalers.Query, len(triggers))
	for i, of := range triggers {
		queries[i] = of.Query
	}
	return queries
}

// reroute makes a client that finds example.com and what is below it at addr.
func reroute(t *testing.T, trusting *http.Client, addr string) *http.Client {
	t.Helper()
	transport := trusting.Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, "example.com:443") {
			address = addr
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}
