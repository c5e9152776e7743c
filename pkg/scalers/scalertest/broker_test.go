package scalertest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// startBroker serves a line protocol on loopback until the test ends: "GET name"
// gives a number, or "NONE" for a queue that does not exist; "WATCH" gives "OK"
// and then the names of queues that changed. Each answer takes a millisecond.
func startBroker(t *testing.T, queues map[string]int) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed by the cleanup
			}
			wg.Go(func() { serve(ctx, c, queues) })
		}
	})
	t.Cleanup(func() {
		stop()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	return l.Addr().String()
}

// serve answers until the client goes away or ctx ends.
func serve(ctx context.Context, c net.Conn, queues map[string]int) {
	hangUp := func() { c.Close() } //nolint:errcheck // hanging up twice is an error that means nothing
	defer hangUp()
	defer context.AfterFunc(ctx, hangUp)()
	for in := bufio.NewScanner(c); in.Scan(); {
		time.Sleep(time.Millisecond) // the latency of a network, not a synchronisation
		answer := "NONE"
		name, isGet := strings.CutPrefix(in.Text(), "GET ")
		if n, ok := queues[name]; ok {
			answer = strconv.Itoa(n)
		}
		if !isGet {
			answer = "OK\nfull"
		}
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return
		}
	}
}

// broker and queue are the settings and the query of a well-behaved scaler.
type broker struct {
	address  string
	user     string
	password param.Secret
	proxy    param.URL
	seq      int64 // only a broken variant sets it
}

type queue struct {
	name, state string
	token       string // only a broken variant sets it
}

func (b *broker) bind(p *param.Set) {
	p.String(&b.address, "address", "Address of the broker, as host:port.", param.Required, param.From(param.Metadata, param.Env))
	p.String(&b.user, "user", "User name.", param.From(param.Auth))
	p.Secret(&b.password, "password", "Password.")
	p.URL(&b.proxy, "proxy", "Proxy to go through.")
	p.Together("user", "password")
}

func (q *queue) bind(p *param.Set) {
	q.state = "ready"
	p.String(&q.name, "queueName", "Queue to measure.", param.Required)
	p.String(&q.state, "state", "Which messages to count.", param.OneOf("ready", "delayed"))
}

// brokerSpec is a scaler that keeps every promise. Each variant breaks one.
func brokerSpec() scalers.Spec[broker, queue] {
	return scalers.Spec[broker, queue]{
		Type: "broker", Summary: "Scales on the messages in a queue of the test's broker.", Unit: "messages",
		Target:     scalers.Target{Param: "length", Activation: "activationLength", Default: 5, Whole: true},
		Settings:   (*broker).bind,
		Query:      (*queue).bind,
		MetricName: func(_ broker, q queue) string { return "broker-" + q.name },
		Open: func(ctx context.Context, _ scalers.Env, b broker) (scalers.Source[queue], error) {
			s, err := dial(ctx, b)
			return watcher{s}, err
		},
		Watches: true,
		Page:    scalers.Page{Measures: "Messages that nobody has taken."},
		Examples: []scalers.Example{{
			Title:    "Minimal",
			Metadata: map[string]string{"address": "broker:1", "queueName": "jobs"},
			Auth:     map[string]string{"user": "me", "password": "secret"},
		}},
	}
}

// connection is the source, without Watch. A connection on which a Fetch was cut
// off is spent: answers to it may still arrive.
type connection struct {
	broker  broker
	conn    net.Conn
	in      *bufio.Reader
	spent   bool
	variant behaviour
}

// behaviour is what variants change in connection. The zero value is right.
type behaviour struct {
	wrong          float64 // added to every value
	metrics        string  // names of the metrics of every reading
	allOrNothing   bool    // a missing queue fails the batch
	backwards      bool    // answers come in the wrong order
	deaf           bool    // the context is not looked at
	reusesSpent    bool    // goes on after a Fetch that was cut off
	wakesFirst     bool    // Watch returns before its context ends
	readyTwice     bool
	staysSubscribe bool // Watch outlives its context
}

func dial(ctx context.Context, b broker) (*connection, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", b.address)
	if err != nil {
		return nil, &scalers.Error{Kind: scalers.Unreachable, Op: "connecting to the broker", Err: err}
	}
	return &connection{broker: b, conn: c, in: bufio.NewReader(c)}, nil
}

func (c *connection) Fetch(ctx context.Context, queries []queue) ([]scalers.Reading, error) {
	if c.spent {
		return nil, &scalers.Error{Kind: scalers.Unreachable, Op: "measuring on a connection that was cut off"}
	}
	if err := ctx.Err(); err != nil && !c.variant.deaf {
		return nil, err
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if !c.variant.deaf {
		defer context.AfterFunc(ctx, func() {
			if err := c.conn.SetDeadline(time.Unix(1, 0)); err != nil {
				panic(err)
			}
		})()
	}
	readings, err := c.ask(queries)
	if err == nil && !c.variant.deaf {
		err = ctx.Err()
	}
	if err != nil {
		c.spent = !c.variant.reusesSpent
	}
	return readings, err
}

// ask sends all requests in one write and reads the answers.
func (c *connection) ask(queries []queue) ([]scalers.Reading, error) {
	var request strings.Builder
	for _, q := range queries {
		request.WriteString("GET " + q.name + "\n")
	}
	if _, err := c.conn.Write([]byte(request.String())); err != nil {
		return nil, err
	}
	out := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if c.variant.backwards {
			i = len(queries) - 1 - i
		}
		out[i] = c.reading(q, strings.TrimSpace(line))
		if out[i].Err != nil && c.variant.allOrNothing && len(queries) > 1 {
			return nil, out[i].Err
		}
	}
	return out, nil
}

func (c *connection) reading(q queue, answer string) scalers.Reading {
	if answer == "NONE" {
		return scalers.Reading{Err: &scalers.Error{
			Kind: scalers.NotFound, Op: fmt.Sprintf("measuring queue %q", q.name), Hint: "create it", Err: errors.New("it does not exist"),
		}}
	}
	n, err := strconv.ParseFloat(answer, 64)
	if err != nil {
		return scalers.Reading{Err: &scalers.Error{Kind: scalers.BadAnswer, Op: "reading " + scalers.Excerpt(answer)}}
	}
	r := scalers.Reading{Value: n + c.variant.wrong}
	for name := range strings.FieldsSeq(c.variant.metrics) {
		r.Metrics = append(r.Metrics, scalers.Metric{Name: name, Target: 2, Value: n})
	}
	return r
}

func (c *connection) Close() error { return c.conn.Close() }

// watcher is the source with Watch.
type watcher struct{ *connection }

func (w watcher) Watch(ctx context.Context, queries []queue, ready func(), wake func(queue)) error {
	c, err := dial(ctx, w.broker)
	if err != nil {
		return err
	}
	defer c.conn.Close() //nolint:errcheck // the error of Watch says more
	if _, err := c.conn.Write([]byte("WATCH\n")); err != nil {
		return err
	}
	if !w.variant.staysSubscribe {
		defer context.AfterFunc(ctx, func() {
			if err := c.conn.SetDeadline(time.Unix(1, 0)); err != nil {
				panic(err)
			}
		})()
	}
	if w.variant.wakesFirst {
		return errors.New("the stream broke")
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return err
		}
		switch line = strings.TrimSpace(line); line {
		case "OK":
			ready()
			if w.variant.readyTwice {
				ready()
			}
		default:
			for _, q := range queries {
				if q.name == line {
					wake(q)
				}
			}
		}
	}
}
