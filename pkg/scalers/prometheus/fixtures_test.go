package prometheus_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/prometheus"
)

type kv = map[string]string

// values are those of a trigger on a server; pairs are more metadata.
func values(serverAddress string, auth kv, pairs ...string) param.Values {
	v := param.Values{Metadata: kv{"serverAddress": serverAddress, "query": "q", "threshold": "1"}, Auth: auth}
	for i := 0; i < len(pairs); i += 2 {
		v.Metadata[pairs[i]] = pairs[i+1]
	}
	return v
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := prometheus.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}

// connect opens the source of v and closes it with the test.
func connect(t *testing.T, v param.Values) scalers.Conn {
	t.Helper()
	conn, err := parse(t, v).Source.Open(t.Context(), scalers.Env{HTTP: &http.Client{Transport: &http.Transport{}}, ClientName: "weir"})
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

// fetch measures triggers of one source.
func fetch(t *testing.T, conn scalers.Conn, all ...param.Values) []scalers.Reading {
	t.Helper()
	queries := make([]scalers.Query, len(all))
	for i, v := range all {
		queries[i] = parse(t, v).Query
	}
	readings, err := conn.Fetch(t.Context(), queries)
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

// measure measures one trigger through a source of its own.
func measure(t *testing.T, v param.Values) scalers.Reading {
	t.Helper()
	return fetch(t, connect(t, v), v)[0]
}

// serve runs a server for the time of the test.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Error(err)
	}
}

// sample is an answer with one sample.
func sample(value string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000.25,"` + value + `"]}]}}`
}
