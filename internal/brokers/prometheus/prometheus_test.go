package prometheus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/internal/brokers/prometheus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestServer(t *testing.T) {
	t.Parallel()
	s, err := prometheus.Start(within(t, time.Minute), prometheus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Await(within(t, time.Minute), "vector(1)"); err != nil {
		t.Error(err)
	}
	if err := s.Await(within(t, 100*time.Millisecond), "none"); err == nil || !strings.HasPrefix(err.Error(), "asking for none: ") {
		t.Errorf("a metric that never comes: %v", err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := prometheus.Start(within(t, time.Minute), prometheus.Options{Flags: []string{"--no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("Start: %v, want the server's own words", err)
	}
}
