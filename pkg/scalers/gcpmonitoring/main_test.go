package gcpmonitoring_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/gcpmonitoring"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/gcpmonitoring"
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
	for _, d := range gcpmonitoring.Scalers() {
		if d.Type == typ {
			return d
		}
	}
	t.Fatalf("there is no type %s", typ)
	return nil
}

// account is a service account's key, made once: that takes a while.
var account = sync.OnceValues(func() (string, error) {
	text, _, err := fake.Account("shop")
	return text, err
})

func key(t *testing.T) string {
	t.Helper()
	text, err := account()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// start runs a fake that speaks plain text.
func start(t *testing.T) *fake.Server {
	t.Helper()
	return startWith(t, fake.Options{})
}

func startWith(t *testing.T, o fake.Options) *fake.Server {
	t.Helper()
	s, err := fake.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// values are those of a trigger that asks the fake.
func values(t *testing.T, s *fake.Server, metadata ...string) param.Values {
	t.Helper()
	v := param.Values{
		Metadata: map[string]string{"monitoringEndpoint": "http://" + s.Addr()},
		Auth:     map[string]string{"GoogleApplicationCredentials": key(t)},
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
		t.Fatal(err)
	}
	return trigger
}

func env(roots *x509.CertPool) scalers.Env {
	return scalers.Env{Log: slog.New(slog.DiscardHandler), ClientName: "weir-test", RootCAs: roots}
}

// connect opens the source of v and closes it with the test.
func connect(t *testing.T, typ string, v param.Values, e scalers.Env) scalers.Conn {
	t.Helper()
	conn, err := parse(t, typ, v).Source.Open(within(t, soon), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return conn
}

func fetch(t *testing.T, conn scalers.Conn, typ string, all ...param.Values) []scalers.Reading {
	t.Helper()
	queries := make([]scalers.Query, len(all))
	for i, v := range all {
		queries[i] = parse(t, typ, v).Query
	}
	readings, err := conn.Fetch(within(t, soon), queries)
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

// measure fetches one trigger through a source of its own.
func measure(t *testing.T, typ string, v param.Values) scalers.Reading {
	t.Helper()
	return fetch(t, connect(t, typ, v, env(nil)), typ, v)[0]
}

// want compares a reading's value, or its error's kind and text.
func want(t *testing.T, what string, got scalers.Reading, value float64, kind scalers.Kind, text string) {
	t.Helper()
	switch {
	case got.Err != nil:
		if k := scalers.KindOf(got.Err); k != kind || got.Err.Error() != text {
			t.Errorf("%s: %s error %q, want %s %q", what, k, got.Err, kind, text)
		}
	case kind != "" || got.Value != value:
		t.Errorf("%s = %v, want %v %s", what, got.Value, value, kind)
	}
}
