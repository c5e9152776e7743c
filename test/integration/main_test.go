//go:build integration

// Package integration tests scalers against servers that hack/extras fetches, and
// compares their numbers with those that the vendors' own tools and clients give. A
// server that cannot be had on a machine is said and skipped; the unit tests run
// against stand-ins everywhere.
package integration

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/internal/brokers/extras"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// soon bounds what a test may wait for; nothing healthy takes a tenth of it.
	soon = 20 * time.Second
	// started bounds a server's start on a busy machine.
	started = 2 * time.Minute
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// stopper is a server of internal/brokers.
type stopper interface{ Stop() error }

// run returns a server that was started, and stops it at the end of the test. It is
// the one place that skips: when the server is not on this machine.
func run[S stopper](t *testing.T, server S, err error) S {
	t.Helper()
	if errors.Is(err, extras.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return server
}

// meta are names and values in turn.
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

// of returns the definition of a type.
func of(t *testing.T, definitions []*scalers.Definition, typ string) *scalers.Definition {
	t.Helper()
	for _, d := range definitions {
		if d.Type == typ {
			return d
		}
	}
	t.Fatalf("there is no type %s", typ)
	return nil
}

func parse(t *testing.T, def *scalers.Definition, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := def.Parse(v)
	if err != nil {
		t.Fatalf("parsing %s: %v", def.Type, err)
	}
	return trigger
}

// client returns an HTTP client whose connections end with the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: soon}
}

// env is what the engine would give a source.
func env(t *testing.T) scalers.Env {
	t.Helper()
	return scalers.Env{Log: slog.New(slog.DiscardHandler), HTTP: client(t), ClientName: "weir-test", Dial: new(net.Dialer).DialContext}
}

// open opens the source of a trigger until the end of the test.
func open(t *testing.T, trigger scalers.Trigger) scalers.Conn {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), env(t))
	if err != nil {
		t.Fatalf("opening a source: %v", err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing a source: %v", err)
		}
	})
	return conn
}

// measure measures triggers of one source in one batch.
func measure(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) []scalers.Reading {
	t.Helper()
	out, err := conn.Fetch(within(t, soon), queries(triggers))
	if err != nil {
		t.Fatalf("measuring: %v", err)
	}
	return out
}

func queries(triggers []scalers.Trigger) []scalers.Query {
	out := make([]scalers.Query, len(triggers))
	for i, tr := range triggers {
		out[i] = tr.Query
	}
	return out
}

// attempt measures a trigger on a connection of its own.
func attempt(t *testing.T, trigger scalers.Trigger) (value float64, err error) {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), env(t))
	if err != nil {
		return 0, err
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing a source: %v", err)
		}
	}()
	readings, err := conn.Fetch(within(t, soon), queries([]scalers.Trigger{trigger}))
	if err != nil {
		return 0, err
	}
	return readings[0].Value, readings[0].Err
}

// value is that of a trigger that can be measured.
func value(t *testing.T, trigger scalers.Trigger) float64 {
	t.Helper()
	v, err := attempt(t, trigger)
	if err != nil {
		t.Fatalf("measuring: %v", err)
	}
	return v
}
