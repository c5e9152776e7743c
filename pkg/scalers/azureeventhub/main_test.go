package azureeventhub_test

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azureeventhub"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/azurestorage"
	"github.com/weir-sh/weir/test/fakes/eventhubs"
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

// fixture is a namespace and an account for checkpoints.
type fixture struct {
	*eventhubs.Server
	account *azurestorage.Account
	storage string // connection string of the account
}

func start(t *testing.T, o eventhubs.Options) fixture {
	t.Helper()
	s, err := eventhubs.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the namespace: %v", err)
		}
	})
	a := azurestorage.Start()
	t.Cleanup(a.Stop)
	return fixture{s, a, a.ConnectionString()}
}

// values are those of a trigger on the fixture: names and values of its metadata
// in turn.
func (f fixture) values(metadata ...string) param.Values {
	return param.Values{
		Metadata: meta(metadata...),
		Auth:     meta("connection", f.ConnectionString(), "storageConnection", f.storage),
	}
}

func meta(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// with returns v with more metadata.
func with(v param.Values, pairs ...string) param.Values {
	v.Metadata = maps.Clone(v.Metadata)
	maps.Copy(v.Metadata, meta(pairs...))
	return v
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := azureeventhub.Scaler.Parse(v)
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	return trigger
}

func env(t *testing.T) scalers.Env {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return scalers.Env{Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: transport, Timeout: soon}, ClientName: "weir-test"}
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

func queries(triggers []scalers.Trigger) []scalers.Query {
	out := make([]scalers.Query, len(triggers))
	for i, tr := range triggers {
		out[i] = tr.Query
	}
	return out
}

func measure(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) []scalers.Reading {
	t.Helper()
	out, err := conn.Fetch(within(t, soon), queries(triggers))
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	return out
}

// one measures a single trigger on a connection of its own.
func one(t *testing.T, v param.Values) (scalers.Reading, error) {
	t.Helper()
	trigger := parse(t, v)
	out, err := open(t, trigger, env(t)).Fetch(within(t, soon), []scalers.Query{trigger.Query})
	if err != nil {
		return scalers.Reading{}, err
	}
	return out[0], out[0].Err
}
