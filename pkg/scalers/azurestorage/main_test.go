package azurestorage_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azurestorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/azurestorage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what a test may wait for; nothing healthy takes a tenth of it.
const soon = 20 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T) *fake.Account {
	t.Helper()
	a := fake.Start()
	t.Cleanup(a.Stop)
	return a
}

func definition(t *testing.T, typ string) *scalers.Definition {
	t.Helper()
	for _, d := range registered() {
		if d.Type == typ {
			return d
		}
	}
	t.Fatalf("no scaler %s", typ)
	return nil
}

// registered are the definitions, of which there must be one set: sources of two
// are never the same.
var registered = sync.OnceValue(azurestorage.Scalers)

// values are those of a trigger: names and values of its metadata in turn.
func values(connection string, metadata ...string) param.Values {
	v := param.Values{Metadata: map[string]string{}, Auth: map[string]string{}}
	if connection != "" {
		v.Auth["connection"] = connection
	}
	for i := 0; i < len(metadata); i += 2 {
		v.Metadata[metadata[i]] = metadata[i+1]
	}
	return v
}

func parse(t *testing.T, typ string, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := definition(t, typ).Parse(v)
	if err != nil {
		t.Fatalf("parsing %s: %v", typ, err)
	}
	return trigger
}

func env(t *testing.T) scalers.Env {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return scalers.Env{Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: transport, Timeout: soon}, ClientName: "weir-test"}
}

// toServer makes a client that connects to a TLS server whatever the host is.
func toServer(t *testing.T, address string) *http.Client {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the host is another
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: soon}
}

func open(t *testing.T, trigger scalers.Trigger, e scalers.Env) scalers.Conn {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), e)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return conn
}

func measure(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) []scalers.Reading {
	t.Helper()
	queries := make([]scalers.Query, len(triggers))
	for i, tr := range triggers {
		queries[i] = tr.Query
	}
	out, err := conn.Fetch(within(t, soon), queries)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	return out
}

// one measures a single trigger on a connection of its own.
func one(t *testing.T, typ string, v param.Values) scalers.Reading {
	t.Helper()
	trigger := parse(t, typ, v)
	return measure(t, open(t, trigger, env(t)), trigger)[0]
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
