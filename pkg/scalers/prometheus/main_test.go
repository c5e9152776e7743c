package prometheus_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	server "github.com/weir-sh/weir/internal/brokers/prometheus"
)

// live is the one real server of this test binary: its first samples take
// seconds.
var live struct {
	once   sync.Once
	server *server.Server
	target *httptest.Server
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopLive(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// start returns the address of a server that scrapes two gauges: jobs, which is 7
// for queue "a" and 5 for "b", and odd, which is NaN.
func start(t *testing.T) string {
	t.Helper()
	live.once.Do(func() { live.err = startLive() })
	if live.err != nil {
		t.Fatal(live.err)
	}
	return live.server.URL()
}

func startLive() error {
	live.target = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		if _, err := io.WriteString(w, "# TYPE jobs gauge\njobs{queue=\"a\"} 7\njobs{queue=\"b\"} 5\n# TYPE odd gauge\nodd NaN\n"); err != nil {
			live.err = err
		}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if live.server, err = server.Start(ctx, server.Options{Targets: []string{live.target.Listener.Addr().String()}}); err != nil {
		return err
	}
	// A second ago as well: queries are evaluated at whole seconds.
	return live.server.Await(ctx, "odd offset 1s")
}

func stopLive() error {
	var err error
	if live.server != nil {
		err = live.server.Stop()
	}
	if live.target != nil {
		live.target.Close()
	}
	return err
}
