package rabbitmq_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/internal/brokers/rabbitmq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerKeepsItsDataOverKillAndRestart(t *testing.T) {
	var said []string
	s, err := rabbitmq.Start(t.Context(), rabbitmq.Options{Dir: t.TempDir(), Progress: func(line string) { said = append(said, line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	put(t, s.ManagementURL()+"/api/queues/%2F/kept", `{"durable":true}`)
	before := s.AMQPURL()

	// An orderly restart first: a crash may lose what was made a moment before.
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.AMQPAddr()); err == nil {
		t.Errorf("a killed broker accepts connections: %v", conn.Close())
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.AMQPURL() != before {
		t.Errorf("the address changed from %s to %s", before, s.AMQPURL())
	}
	out, err := s.Ctl(t.Context(), "list_queues", "--quiet", "--no-table-headers", "name")
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(out) != "kept" {
		t.Errorf("queues after the restart: %q", out)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if len(said) == 0 || !strings.HasPrefix(said[len(said)-1], "RabbitMQ is ready on 127.0.0.1:") {
		t.Errorf("progress: %q", said)
	}
}

func TestStartNeedsADirectory(t *testing.T) {
	if _, err := rabbitmq.Start(t.Context(), rabbitmq.Options{}); err == nil {
		t.Error("no error")
	}
}

// put sends a body to the management API. Credentials are in the URL.
func put(t *testing.T, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		t.Fatalf("PUT: %s %s %v", resp.Status, answer, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}
