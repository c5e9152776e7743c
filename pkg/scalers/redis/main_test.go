package redis_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/redis"
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

func definition(t *testing.T, typ string) *scalers.Definition {
	t.Helper()
	r, err := scalers.NewRegistry(redis.Scalers()...)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.Find(typ)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// meta is a trigger's metadata, as names and values in turn.
func meta(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

func parse(t *testing.T, typ string, metadata, auth map[string]string) scalers.Trigger {
	t.Helper()
	trigger, _, err := definition(t, typ).Parse(param.Values{Metadata: metadata, Auth: auth})
	if err != nil {
		t.Fatalf("parsing %s: %v", typ, err)
	}
	return trigger
}

func env() scalers.Env {
	return scalers.Env{Log: slog.New(slog.DiscardHandler), ClientName: "weir-test"}
}

func open(t *testing.T, trigger scalers.Trigger) scalers.Conn {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), env())
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

// wantReading compares a reading's value, or its error's kind and text.
func wantReading(t *testing.T, what string, got scalers.Reading, value float64, kind scalers.Kind, text string) {
	t.Helper()
	if got.Err != nil {
		if k := scalers.KindOf(got.Err); k != kind || got.Err.Error() != text {
			t.Errorf("%s: %s error %q, want %s %q", what, k, got.Err, kind, text)
		}
		return
	}
	if kind != "" || got.Value != value {
		t.Errorf("%s = %v, want %v %s", what, got.Value, value, kind)
	}
}

func server(t *testing.T, opts broker.Options) *broker.Server {
	t.Helper()
	s, err := broker.Start(within(t, soon), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return s
}

func cli(t *testing.T, s *broker.Server, args ...string) string {
	t.Helper()
	out, err := s.CLI(within(t, soon), args...)
	if err != nil {
		t.Fatalf("redis-cli %v: %v", args, err)
	}
	return out
}
