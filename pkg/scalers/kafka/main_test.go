package kafka_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/kafka"
	"github.com/weir-sh/weir/pkg/scalers/param"
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

// definitions are those of the package, the same in all tests, so that triggers
// compare.
var definitions = sync.OnceValue(kafka.Scalers)

func definition(t *testing.T, typ string) *scalers.Definition {
	t.Helper()
	for _, d := range definitions() {
		if d.Type == typ {
			return d
		}
	}
	t.Fatalf("there is no type %s", typ)
	return nil
}

// meta are names and values in turn.
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
			t.Errorf("%s: %s error %q\nwant %s %q", what, k, got.Err, kind, text)
		}
		return
	}
	if kind != "" || got.Value != value {
		t.Errorf("%s = %v, want %v %s", what, got.Value, value, kind)
	}
}

// cluster is a fake Kafka cluster that counts requests and connections.
type cluster struct {
	*kfake.Cluster
	conns  atomic.Int64
	mu     sync.Mutex
	counts map[string]int // by the name of the request
}

func start(t *testing.T, opts ...kfake.Opt) *cluster {
	t.Helper()
	c := &cluster{counts: map[string]int{}}
	opts = append([]kfake.Opt{kfake.NumBrokers(3), kfake.ListenFn(func(network, addr string) (net.Listener, error) {
		l, err := new(net.ListenConfig).Listen(t.Context(), network, addr)
		return counted{l, &c.conns}, err
	})}, opts...)
	var err error
	if c.Cluster, err = kfake.NewCluster(opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.counts[kmsg.NameForKey(r.Key())]++
		return nil, nil, false
	})
	return c
}

// counted counts the connections that a listener accepts.
type counted struct {
	net.Listener
	n *atomic.Int64
}

// Accept implements net.Listener.
func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

// requests returns what was counted since the last call.
func (c *cluster) requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.counts
	c.counts = map[string]int{}
	return out
}

func (c *cluster) addrs() string { return strings.Join(c.ListenAddrs(), ",") }

// client returns another client library's client.
func (c *cluster) client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.ProducerLinger(0),
		kgo.RequiredAcks(kgo.LeaderAck()), kgo.MaxVersions(kversion.V3_6_0()), // later ones name topics by their IDs
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce writes n messages to each of partitions.
func produce(t *testing.T, cl *kgo.Client, topic string, n int, partitions ...int32) {
	t.Helper()
	var records []*kgo.Record
	for _, p := range partitions {
		for range n {
			records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte("v")})
		}
	}
	if err := cl.ProduceSync(within(t, soon), records...).FirstErr(); err != nil {
		t.Fatalf("producing to %s: %v", topic, err)
	}
}

// commit commits offsets of partitions 0, 1, ... of a topic.
func commit(t *testing.T, cl *kgo.Client, group, topic string, offsets ...int64) {
	t.Helper()
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.Generation = group, -1
	in := kmsg.NewOffsetCommitRequestTopic()
	in.Topic = topic
	for i, o := range offsets {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = int32(i), o
		in.Partitions = append(in.Partitions, p)
	}
	r.Topics = append(r.Topics, in)
	answer, err := r.RequestWith(within(t, soon), cl)
	if err != nil {
		t.Fatalf("committing: %v", err)
	}
	for _, p := range answer.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			t.Fatalf("committing: %v", err)
		}
	}
}
