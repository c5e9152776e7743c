package nats_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/nats"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestConformance(t *testing.T) {
	endpoint := net.JoinHostPort("127.0.0.1", ports(t, 1, "127.0.0.1")[0])
	js := connect(t, start(t, "alone", endpoint, ""))
	fill(t, js, "orders", 1, 5, 2)
	c, err := js.Consumer(within(t, soon), "orders", "c0")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := c.Fetch(2)
	if err != nil {
		t.Fatal(err)
	}
	for m := range taken.Messages() {
		if string(m.Data()) == "0" {
			if err := m.DoubleAck(within(t, soon)); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := "measuring consumer "
	scalertest.Run(t, nats.Scaler, []scalertest.Case{
		{Name: "one acknowledged, one delivered, three not", Values: values(endpoint, "orders", "c0"), Want: 4, MetricName: "s0-nats-jetstream-orders"},
		{Name: "nothing taken", Values: values(endpoint, "orders", "c1"), Want: 5},
		{Name: "the account by its identifier", Values: values(endpoint, "orders", "c1", "account", "", "accountID", "SHOP"), Want: 5},
		{Name: "no consumer", Values: values(endpoint, "orders", "c9"), Kind: scalers.NotFound, Err: at + `"c9" of stream "orders": the consumer does not exist; create it as a durable consumer`},
		{Name: "no stream", Values: values(endpoint, "none", "c0"), Kind: scalers.NotFound, Err: at + `"c0" of stream "none": the stream does not exist; create it, or check stream and account`},
		{Name: "no JetStream", Values: values(endpoint, "orders", "c0", "account", "PLAIN"), Kind: scalers.NotFound, Err: at + `"c0" of stream "orders": the account has no JetStream; check account and accountID`},
		{Name: "no account", Values: values(endpoint, "orders", "c0", "account", "NONE"), Kind: scalers.NotFound, Err: "the account has no JetStream"},
		{Name: "nobody listens", Values: values("127.0.0.1:1", "orders", "c0"), Kind: scalers.Unreachable, Err: "reading the account's JetStream at http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
	})
}

func TestABatchOf500(t *testing.T) {
	endpoint := net.JoinHostPort("127.0.0.1", ports(t, 1, "127.0.0.1")[0])
	js := connect(t, start(t, "alone", endpoint, ""))
	var triggers []scalers.Trigger
	for s := range 5 {
		stream := fmt.Sprintf("s%d", s)
		fill(t, js, stream, 1, s, 100)
		for c := range 100 {
			triggers = append(triggers, parse(t, values(endpoint, stream, fmt.Sprintf("c%d", c))))
		}
	}
	triggers = append(triggers, parse(t, values(endpoint, "s0", "none")))
	transport := newCounting(t)
	conn := open(t, triggers[0], transport)
	for range 2 {
		got := fetch(t, conn, triggers...)
		for i := range 500 {
			if want := fmt.Sprint(i / 100); got[i] != want {
				t.Fatalf("consumer %d: got %s, want %s", i, got[i], want)
			}
		}
		if !strings.HasPrefix(got[500], "NotFound ") {
			t.Errorf("the missing one: %s", got[500])
		}
	}
	if jsz, varz := transport.jsz.Load(), transport.varz.Load(); jsz != 2 || varz != 0 {
		t.Errorf("%d requests for JetStream and %d for servers in two rounds, want 2 and 0", jsz, varz)
	}
}

// startCluster starts three servers on loopback addresses of their own, with the
// same monitoring port.
func startCluster(t *testing.T) (nodes []*server.Server, endpoint string) {
	t.Helper()
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	free := ports(t, 2, hosts...)
	var routes []string
	for _, h := range hosts {
		routes = append(routes, fmt.Sprintf("%q", "nats://"+net.JoinHostPort(h, free[1])))
	}
	for i, h := range hosts {
		nodes = append(nodes, start(t, fmt.Sprintf("n%d", i), net.JoinHostPort(h, free[0]),
			fmt.Sprintf("cluster { name: c, listen: %q, routes: [ %s ] }", net.JoinHostPort(h, free[1]), strings.Join(routes, ", "))))
	}
	for deadline := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		led := slices.ContainsFunc(nodes, (*server.Server).JetStreamIsLeader)
		if led && !slices.ContainsFunc(nodes, func(n *server.Server) bool { return !n.JetStreamIsCurrent() }) {
			return nodes, net.JoinHostPort(hosts[0], free[0])
		}
		if time.Now().After(deadline) {
			t.Fatal("the cluster has no leader")
		}
	}
}

// eventually repeats f until it gives what is wanted.
func eventually(t *testing.T, want []string, f func() []string) {
	t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(50 * time.Millisecond) {
		got := f()
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestConsumersOfAClusterAreReadFromTheirLeaders(t *testing.T) {
	nodes, endpoint := startCluster(t)
	js := connect(t, nodes...)
	var triggers []scalers.Trigger
	var want []string
	for s := range 6 { // odd ones have one replica, somewhere
		stream := fmt.Sprintf("s%d", s)
		fill(t, js, stream, []int{3, 1}[s%2], s+1, 5)
		for c := range 5 {
			triggers = append(triggers, parse(t, values(endpoint, stream, fmt.Sprintf("c%d", c))))
			want = append(want, fmt.Sprint(s+1))
		}
	}
	transport := newCounting(t)
	conn := open(t, triggers[0], transport)
	measure := func() []string { return fetch(t, conn, triggers...) }
	eventually(t, want, measure)

	jsz, varz := transport.jsz.Load(), transport.varz.Load()
	if got := measure(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if jsz, varz := transport.jsz.Load()-jsz, transport.varz.Load()-varz; jsz > 3 || varz != 0 {
		t.Errorf("%d requests for JetStream and %d for servers, want at most 3 and none", jsz, varz)
	}

	missing := fetch(t, conn, parse(t, values(endpoint, "s0", "none")), triggers[0])
	if want := []string{`NotFound measuring consumer "none" of stream "s0": the consumer does not exist; create it as a durable consumer`, "1"}; !slices.Equal(missing, want) {
		t.Errorf("got %q, want %q", missing, want)
	}

	// A leader goes away: what has replicas is read from the next one, what has
	// none cannot be read, and is not taken for missing.
	info, err := js.Stream(within(t, soon), "s1")
	if err != nil {
		t.Fatal(err)
	}
	alone := info.CachedInfo().Cluster.Leader
	if alone == "n0" {
		alone = moveAway(t, js)
	}
	gone := slices.IndexFunc(nodes, func(n *server.Server) bool { return n.Name() == alone })
	nodes[gone].Shutdown()
	nodes[gone].WaitForShutdown()
	eventually(t, want[:5], func() []string { return fetch(t, conn, triggers[:5]...) })
	if got := fetch(t, conn, triggers[5])[0]; !strings.HasPrefix(got, "Unreachable measuring consumer") {
		t.Errorf("a consumer whose only server is down: %s", got)
	}
}

// moveAway puts stream s1 on another server than n0, which the endpoint leads to.
func moveAway(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); {
		if err := js.DeleteStream(within(t, soon), "s1"); err != nil {
			t.Fatal(err)
		}
		fill(t, js, "s1", 1, 2, 5)
		s, err := js.Stream(within(t, soon), "s1")
		if err != nil {
			t.Fatal(err)
		}
		if leader := s.CachedInfo().Cluster.Leader; leader != "n0" {
			return leader
		}
	}
	t.Fatal("the stream stays on n0")
	return ""
}
