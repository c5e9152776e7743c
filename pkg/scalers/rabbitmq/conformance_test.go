package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/rabbitmq"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestConformance(t *testing.T) {
	overAMQP, overHTTP := createVhost(t, "suite")
	if err := declare(t, overAMQP, map[string]int{"orders": 3, "Orders.old": 4, "empty": 0}).Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the statistics lag
		if r := measure(t, values(nil, "host", overHTTP)); r.Err != nil || r.Value != 3 {
			return fmt.Errorf("got %v, %w", r.Value, r.Err)
		}
		return nil
	})
	scalertest.Run(t, rabbitmq.Scaler, []scalertest.Case{
		{Name: "messages over AMQP", Values: values(nil, "host", overAMQP), Want: 3, MetricName: "s0-rabbitmq-orders"},
		{Name: "an empty queue over AMQP", Values: values(nil, "host", overAMQP, "queueName", "empty")},
		{Name: "a missing queue over AMQP", Values: values(nil, "host", overAMQP, "queueName", "none"), Err: "does not exist", Kind: scalers.NotFound},
		{Name: "messages over HTTP", Values: values(nil, "host", overHTTP), Want: 3},
		{Name: "an expression", Values: values(nil, "host", overHTTP, "queueName", "^orders", "useRegex", "true"), Want: 7, MetricName: "s0-rabbitmq--5Eorders"},
		{Name: "an unknown operation", Values: values(nil, "host", overHTTP, "queueName", "^orders", "useRegex", "true", "operation", "median"), Err: "operation is not known", Kind: scalers.Invalid},
		{Name: "a missing queue over HTTP", Values: values(nil, "host", overHTTP, "queueName", "none"), Err: "does not exist", Kind: scalers.NotFound},
		{Name: "a missing virtual host", Values: values(nil, "host", overAMQP+"x"), Err: "the virtual host does not exist", Kind: scalers.NotFound},
	})
}

func TestAFetchOverAMQPThatIsNotAnsweredEndsWithItsContext(t *testing.T) {
	s := start(t)
	declare(t, s.AMQPURL(), map[string]int{"stalled": 1})
	p := stallable(t, s.AMQPAddr())
	v := values(nil, "host", "amqp://guest:guest@"+p.addr, "queueName", "stalled")
	conn := connect(t, v, env(nil))
	if r := fetch(t, conn, v)[0]; r.Err != nil || r.Value != 1 {
		t.Fatalf("got %v, %v", r.Value, r.Err)
	}
	p.stalled.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := conn.Fetch(ctx, queries(t, v))
	if !errors.Is(err, context.DeadlineExceeded) || scalers.KindOf(err) != scalers.Unreachable || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if _, err := conn.Fetch(t.Context(), queries(t, v)); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("the connection that was given up: %v", err)
	}
}

// proxy passes bytes on to a server until it is stalled, and drops them then.
type proxy struct {
	addr    string
	stalled atomic.Bool
}

func stallable(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(context.Background(), "tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			go p.pass(out, in)
			go p.pass(in, out)
		}
	}()
	return p
}

// pass copies until one side ends, then ends both.
func (p *proxy) pass(to io.WriteCloser, from io.ReadCloser) {
	defer func() {
		if err := errors.Join(to.Close(), from.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
			panic(err) // the test may have ended
		}
	}()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if p.stalled.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestPermissionsThatAreNeeded(t *testing.T) {
	s := start(t)
	overAMQP, overHTTP := createVhost(t, "guarded")
	declare(t, overAMQP, map[string]int{"orders": 2})
	api := func(method, path, body string) {
		req, err := http.NewRequestWithContext(context.Background(), method, s.ManagementURL()+"/api/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode > 299 {
			t.Fatalf("%s %s: %s, %v", method, path, resp.Status, err)
		}
	}
	api(http.MethodPut, "users/viewer", `{"password":"pw","tags":"management"}`)
	t.Cleanup(func() { api(http.MethodDelete, "users/viewer", "") })
	auth := map[string]string{"username": "viewer", "password": "pw"}
	viaAMQP, viaHTTP := values(auth, "host", overAMQP), values(auth, "host", overHTTP)

	if err := try(t, viaAMQP); scalers.KindOf(err) != scalers.Unauthorized || err.Error() != "connecting to the broker: the broker refused the virtual host; grant the user access to it" {
		t.Errorf("AMQP without access: %v", err)
	}
	if err := try(t, viaHTTP); scalers.KindOf(err) != scalers.Unauthorized {
		t.Errorf("HTTP without access: %v", err)
	}
	api(http.MethodPut, "permissions/guarded/viewer", `{"configure":"^$","write":"^$","read":"^$"}`)
	if err := try(t, viaAMQP); err != nil {
		t.Errorf("AMQP with access to the virtual host: %v", err)
	}
	eventually(t, func() error { return try(t, viaHTTP) }) // the statistics lag
}

func TestManyMissingQueuesDoNotHoldUpTheOthers(t *testing.T) {
	const n = 1000
	overAMQP, _ := createVhost(t, "holes")
	declare(t, overAMQP, map[string]int{"orders": 2})
	all := append(each(overAMQP, n), values(nil, "host", overAMQP))
	conn := connect(t, all[0], env(nil))
	fetch(t, conn, all...) // learns that they are missing
	for range 2 {
		readings := fetch(t, conn, all...)
		for i, r := range readings[:n] {
			if scalers.KindOf(r.Err) != scalers.NotFound {
				t.Fatalf("queue %d: %v, %v", i, r.Value, r.Err)
			}
		}
		if r := readings[n]; r.Err != nil || r.Value != 2 {
			t.Errorf("got %v, %v", r.Value, r.Err)
		}
	}
	// The last in line gets its turn within a few rounds.
	declare(t, overAMQP, map[string]int{fmt.Sprintf("q%d", n-1): 9})
	eventually(t, func() error {
		if r := fetch(t, conn, all...)[n-1]; r.Err != nil || r.Value != 9 {
			return fmt.Errorf("got %v, %w", r.Value, r.Err)
		}
		return nil
	})
}
