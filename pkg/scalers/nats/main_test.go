package nats_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/nats"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what a test may wait for; nothing healthy takes a tenth of it.
const soon = 30 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// start starts a real server with JetStream, an account SHOP that needs no login,
// and its monitoring port at address; more is added to its configuration.
func start(t *testing.T, name, address, more string) *server.Server {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "nats.conf")
	text := fmt.Sprintf(`
server_name: %s
listen: "%s:-1"
http: "%s"
jetstream { store_dir: %q, max_mem: 64MB, max_file: 256MB }
accounts {
  SHOP { jetstream: enabled, users: [ { user: shop, password: pw } ] }
  SYS { users: [ { user: sys, password: pw } ] }
  PLAIN { users: [ { user: plain, password: pw } ] }
}
system_account: SYS
no_auth_user: shop
%s`, name, host, address, t.TempDir(), more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o.NoLog, o.NoSigs = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(soon) {
		t.Fatal("the server is not ready")
	}
	return s
}

// connect connects to servers as a client.
func connect(t *testing.T, servers ...*server.Server) jetstream.JetStream {
	t.Helper()
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	nc, err := client.Connect(strings.Join(urls, ","), client.MaxReconnects(-1), client.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// fill makes a stream with n messages and consumers named c0, c1, ...
func fill(t *testing.T, js jetstream.JetStream, stream string, replicas, messages, consumers int) {
	t.Helper()
	ctx := within(t, soon)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}, Replicas: replicas, Storage: jetstream.MemoryStorage}); err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		if _, err := js.Publish(ctx, stream+".x", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range consumers {
		if _, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{Durable: fmt.Sprintf("c%d", i), AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	}
}

// counting counts requests by path, and connections.
type counting struct {
	*http.Transport
	jsz, varz, conns atomic.Int32
}

func newCounting(t *testing.T) *counting {
	t.Helper()
	c := &counting{Transport: new(http.Transport)}
	c.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c.conns.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// RoundTrip implements http.RoundTripper.
func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Path {
	case "/jsz":
		c.jsz.Add(1)
	case "/varz":
		c.varz.Add(1)
	}
	return c.Transport.RoundTrip(r)
}

// values are those of a trigger on account SHOP.
func values(endpoint, stream, consumer string, pairs ...string) param.Values {
	v := param.Values{Metadata: map[string]string{
		"natsServerMonitoringEndpoint": endpoint, "account": "SHOP", "stream": stream, "consumer": consumer,
	}}
	for i := 0; i < len(pairs); i += 2 {
		v.Metadata[pairs[i]] = pairs[i+1]
	}
	return v
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := nats.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}

func open(t *testing.T, trigger scalers.Trigger, transport http.RoundTripper) scalers.Conn {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), scalers.Env{
		HTTP: &http.Client{Transport: transport, Timeout: 3 * time.Second}, ClientName: "weir-test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// fetch measures triggers and writes each reading as text.
func fetch(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) []string {
	t.Helper()
	queries := make([]scalers.Query, len(triggers))
	for i, tr := range triggers {
		queries[i] = tr.Query
	}
	readings, err := conn.Fetch(within(t, soon), queries)
	if err != nil {
		return []string{string(scalers.KindOf(err)) + " all " + err.Error()}
	}
	out := make([]string, len(readings))
	for i, r := range readings {
		out[i] = fmt.Sprint(r.Value)
		if r.Err != nil {
			out[i] = string(scalers.KindOf(r.Err)) + " " + r.Err.Error()
		}
	}
	return out
}

// ports returns ports that are free on each of hosts.
func ports(t *testing.T, n int, hosts ...string) []string {
	t.Helper()
	var out []string
	for len(out) < n {
		port := "0"
		for _, host := range hosts {
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(host, port))
			if err != nil {
				port = ""
				break
			}
			defer l.Close() //nolint:errcheck // only held so that the next one is another
			if _, port, err = net.SplitHostPort(l.Addr().String()); err != nil {
				t.Fatal(err)
			}
		}
		if port != "" {
			out = append(out, port)
		}
	}
	return out
}
