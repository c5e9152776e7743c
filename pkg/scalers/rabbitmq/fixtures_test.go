package rabbitmq_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// env is what the engine gives; a nil client is one of the test's own.
func env(client *http.Client) scalers.Env {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{}}
	}
	return scalers.Env{Log: slog.New(slog.DiscardHandler), HTTP: client, ClientName: "weir"}
}

// connect opens the source of v and closes it with the test.
func connect(t *testing.T, v param.Values, e scalers.Env) scalers.Conn {
	t.Helper()
	conn, err := parse(t, v).Source.Open(t.Context(), e)
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

// measure fetches one trigger through a source of its own.
func measure(t *testing.T, v param.Values) scalers.Reading {
	t.Helper()
	readings := fetch(t, connect(t, v, env(nil)), v)
	return readings[0]
}

// fetch fetches the queries of all values at once.
func fetch(t *testing.T, conn scalers.Conn, all ...param.Values) []scalers.Reading {
	t.Helper()
	readings, err := conn.Fetch(t.Context(), queries(t, all...))
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

func queries(t *testing.T, all ...param.Values) []scalers.Query {
	t.Helper()
	out := make([]scalers.Query, len(all))
	for i, v := range all {
		out[i] = parse(t, v).Query
	}
	return out
}

// canned serves answers by request target, and records the targets. Targets
// without an answer get status 404.
type canned struct {
	*httptest.Server

	mu      sync.Mutex
	answers map[string]string
	targets []string // guarded by mu
	user    string
}

func serve(t *testing.T, answers map[string]string) *canned {
	t.Helper()
	c := &canned{answers: answers}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.targets, c.user = append(c.targets, r.RequestURI), user+":"+password
		body, ok := c.answers[r.RequestURI]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = `{"error":"Object Not Found","reason":"Not Found"}`
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// asked returns the sorted targets since the last call.
func (c *canned) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.targets
	c.targets = nil
	slices.Sort(out)
	return out
}

// counting counts requests.
type counting struct {
	http.RoundTripper

	mu       sync.Mutex
	requests int
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.requests++
	c.mu.Unlock()
	return c.RoundTripper.RoundTrip(r)
}

// expired is a context that has ended.
func expired(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
