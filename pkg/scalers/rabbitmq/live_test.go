package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// declare makes durable queues on a connection of the test, each with as many
// persistent messages as given, which the broker confirmed.
func declare(t *testing.T, address string, depths map[string]int) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil && !errors.Is(err, amqp.ErrClosed) {
			t.Error(err)
		}
	})
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	for name, depth := range depths {
		if _, err := ch.QueueDeclare(name, true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
		sent := make([]*amqp.DeferredConfirmation, depth)
		for i := range sent {
			if sent[i], err = ch.PublishWithDeferredConfirm("", name, false, false, amqp.Publishing{Body: []byte("x"), DeliveryMode: amqp.Persistent}); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range sent {
			if !c.Wait() {
				t.Fatal("the broker did not take a message")
			}
		}
	}
	return conn
}

// createVhost makes a virtual host that is deleted with the test, so that lists
// hold the test's queues only. It returns its addresses by AMQP and HTTP.
func createVhost(t *testing.T, name string) (overAMQP, overHTTP string) {
	t.Helper()
	s := start(t)
	manage := func(method string) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, s.ManagementURL()+"/api/vhosts/"+name, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode > 299 {
			t.Fatalf("%s virtual host: %s, %v", method, resp.Status, err)
		}
	}
	manage(http.MethodPut)
	t.Cleanup(func() { manage(http.MethodDelete) })
	return s.AMQPURL() + name, s.ManagementURL() + "/" + name
}

// eventually repeats check until it is nil: the broker's statistics lag.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestReadyAndUnacknowledgedMessagesByProtocol(t *testing.T) {
	overAMQP, overHTTP := createVhost(t, "depths")
	conn := declare(t, overAMQP, map[string]int{"orders": 25, "a b+c": 3, "empty": 0})
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, ok, err := ch.Get("orders", false); !ok || err != nil {
			t.Fatalf("taking a message: %v %v", ok, err)
		}
	}
	out, err := start(t).Ctl(t.Context(), "list_queues", "--quiet", "--no-table-headers", "-p", "depths", "name", "messages_ready", "messages")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "orders\t20\t25") {
		t.Errorf("rabbitmqctl says %q", out)
	}
	for name, c := range map[string]struct {
		host     string
		metadata []string
		want     float64
	}{
		"AMQP, ready":           {overAMQP, nil, 20},
		"HTTP, all":             {overHTTP, nil, 25},
		"HTTP, ready":           {overHTTP, []string{"excludeUnacknowledged", "true"}, 20},
		"AMQP, odd name":        {overAMQP, []string{"queueName", "a b+c"}, 3},
		"HTTP, odd name":        {overHTTP, []string{"queueName", "a b+c"}, 3},
		"AMQP, empty":           {overAMQP, []string{"queueName", "empty"}, 0},
		"HTTP, empty":           {overHTTP, []string{"queueName", "empty"}, 0},
		"HTTP, expression":      {overHTTP, []string{"queueName", "ORD|^a", "useRegex", "true"}, 28},
		"AMQP, parameter wins":  {start(t).AMQPURL(), []string{"vhostName", "depths"}, 20},
		"HTTP, parameter wins":  {start(t).ManagementURL() + "/other", []string{"vhostName", "depths"}, 25},
		"HTTP, server's regex":  {overHTTP, []string{"queueName", "^(?=o)", "useRegex", "true", "excludeUnacknowledged", "true"}, 20},
		"HTTP, average rounded": {overHTTP, []string{"queueName", ".", "useRegex", "true", "operation", "avg"}, 9},
	} {
		t.Run(name, func(t *testing.T) {
			v := values(nil, append([]string{"host", c.host}, c.metadata...)...)
			eventually(t, func() error {
				if r := measure(t, v); r.Err != nil || r.Value != c.want {
					return fmt.Errorf("got %v, %w; want %v", r.Value, r.Err, c.want)
				}
				return nil
			})
			if r := measure(t, v); strings.HasPrefix(name, "AMQP") && r.FalseZero != (c.want == 0) {
				t.Errorf("false zero: %v", r.FalseZero)
			}
		})
	}
}

func TestWhatDoesNotExistAndWhoMayNot(t *testing.T) {
	s := start(t)
	overAMQP, overHTTP := createVhost(t, "small")
	declare(t, overAMQP, map[string]int{"orders": 1})
	bad := map[string]string{"username": "guest", "password": "c4n4ry"}
	const noQueue = `: it does not exist; declare the queue, or correct its name or the virtual host`
	for name, c := range map[string]struct {
		v    param.Values
		kind scalers.Kind
		want string
	}{
		"queue over AMQP":        {values(nil, "host", overAMQP, "queueName", "none"), scalers.NotFound, `measuring queue "none"` + noQueue},
		"queue over HTTP":        {values(nil, "host", overHTTP, "queueName", "none"), scalers.NotFound, `measuring queue "none"` + noQueue},
		"virtual host over AMQP": {values(nil, "host", s.AMQPURL()+"nowhere"), scalers.NotFound, `connecting to the broker: the virtual host does not exist; create the virtual host, or correct its name`},
		"virtual host over HTTP": {values(nil, "host", s.ManagementURL()+"/nowhere"), scalers.NotFound, `measuring queue "orders"` + noQueue},
		"password over AMQP":     {values(bad, "host", overAMQP), scalers.Unauthorized, `connecting to the broker: the broker refused the login; check user name and password`},
		"password over HTTP":     {values(bad, "host", overHTTP), scalers.Unauthorized, `measuring queue "orders": status 401 Unauthorized: {"error":"not_authorized","reason":"Login failed"}; check the credentials, grant the user the management or monitoring tag, and access to the virtual host`},
		"expression":             {values(nil, "host", overHTTP, "queueName", "(", "useRegex", "true"), scalers.Invalid, `measuring queues that match "(": status 400 Bad Request: {"error":"bad_request","reason":"Pagination parameters are invalid"}; correct the regular expression; pageSize may be at most 500`},
	} {
		t.Run(name, func(t *testing.T) {
			err := try(t, c.v)
			if scalers.KindOf(err) != c.kind || text(err) != c.want {
				t.Errorf("%s: %v\nwant %s: %s", scalers.KindOf(err), err, c.kind, c.want)
			}
		})
	}
}

// try opens a source, measures once, and returns whatever failed.
func try(t *testing.T, v param.Values) error {
	t.Helper()
	trigger := parse(t, v)
	conn, err := trigger.Source.Open(t.Context(), env(nil))
	if err != nil {
		return err
	}
	readings, err := conn.Fetch(t.Context(), []scalers.Query{trigger.Query})
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		return err
	}
	return readings[0].Err
}

func TestFiveHundredQueuesAndOneThatIsMissing(t *testing.T) {
	const n = 500
	overAMQP, overHTTP := createVhost(t, "many")
	depths := map[string]int{}
	for i := range n {
		depths[fmt.Sprintf("q%d", i)] = i % 3
	}
	if err := declare(t, overAMQP, depths).Close(); err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, readings []scalers.Reading) {
		t.Helper()
		for i, r := range readings[:n] {
			if r.Err != nil || r.Value != float64(i%3) {
				t.Errorf("queue %d: %v, %v", i, r.Value, r.Err)
			}
		}
		if r := readings[n]; scalers.KindOf(r.Err) != scalers.NotFound {
			t.Errorf("missing queue: %v, %v", r.Value, r.Err)
		}
	}
	t.Run("AMQP", func(t *testing.T) {
		all := append(each(overAMQP, n), values(nil, "host", overAMQP, "queueName", "missing"))
		conn := connect(t, all[0], env(nil))
		check(t, fetch(t, conn, all...))
		check(t, fetch(t, conn, all...))
		out, err := start(t).Ctl(t.Context(), "list_connections", "--quiet", "--no-table-headers", "client_properties", "channels")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != 1 || !strings.Contains(lines[0], `{"connection_name","weir"}`) {
			t.Fatalf("connections: %q", out)
		}
		channels, err := strconv.Atoi(lines[0][strings.LastIndexByte(lines[0], '\t')+1:])
		if err != nil || channels < 1 || channels > 16 {
			t.Errorf("%d channels, %v", channels, err)
		}
		declare(t, overAMQP, map[string]int{"missing": 7})
		if r := fetch(t, conn, all...)[n]; r.Err != nil || r.Value != 7 {
			t.Errorf("after it was declared: %v, %v", r.Value, r.Err)
		}
	})
	t.Run("HTTP", func(t *testing.T) {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		counter := &counting{RoundTripper: transport}
		all := append(each(overHTTP, n), values(nil, "host", overHTTP, "queueName", "absent"))
		conn := connect(t, all[0], env(&http.Client{Transport: counter}))
		check(t, fetch(t, conn, all...))
		check(t, fetch(t, conn, all...))
		// First how many queues there are; each time the list and the missing one.
		if counter.requests != 5 {
			t.Errorf("%d requests", counter.requests)
		}
	})
}

func TestExpressionsMeanTheSameHereAndOnTheServer(t *testing.T) {
	overAMQP, overHTTP := createVhost(t, "names")
	depths := map[string]int{}
	for i, name := range []string{"orders", "Orders.EU", "orders_us-1", "re-orders", "a b", "x{,3}", "x", "xxx", "tab]", "50%", "k", "0rders", "a/b", "[x]"} {
		depths[name] = 1 << i // the sum tells which ones match
	}
	declare(t, overAMQP, depths)
	base, err := url.Parse(overHTTP)
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{
		"orders", "^orders$", "^ORDERS", "o.ders", "^[a-o]", "[^a-z]", `\d`, `\D`, `\w+-\d$`, `\bus`, `\Bus`, `a\sb`, "^x{3}$", "x{2,}", "^(?:a|k)", "(r|d)+ers",
		`\.eu`, "]", "^[]a]", "^[W-c]", ".", "^.$", "x|", "^[^xX]*$", `[\w.]+\.`, "(?i)EU", "x{,3}", "x++", `(?<=r)d`, `[[:digit:]]`, `\x6f`, "o(?#no)r", "a*?b",
	} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			here := values(nil, "host", overHTTP, "queueName", pattern, "useRegex", "true")
			// The look-ahead is beyond Go and changes nothing.
			there := values(nil, "host", base.String(), "queueName", "(?=.|^)(?:"+pattern+")", "useRegex", "true")
			eventually(t, func() error {
				a, b := measure(t, here), measure(t, there)
				if a.Err != nil || b.Err != nil || a.Value != b.Value {
					return fmt.Errorf("here %b %w, there %b %w", int(a.Value), a.Err, int(b.Value), b.Err)
				}
				return nil
			})
		})
	}
}

func TestRatesOfTheRealServer(t *testing.T) {
	overAMQP, overHTTP := createVhost(t, "rates")
	declare(t, overAMQP, map[string]int{"q0": 40, "q1": 0, "q2": 0, "q3": 0, "q4": 0})
	for name, all := range map[string][]param.Values{
		"one by one": each(overHTTP, 1, "mode", "MessageRate", "value", "1"),
		"by a list":  each(overHTTP, 5, "mode", "MessageRate", "value", "1"),
	} {
		t.Run(name, func(t *testing.T) {
			conn := connect(t, all[0], env(nil))
			eventually(t, func() error {
				if r := fetch(t, conn, all...)[0]; r.Err != nil || r.Work != 40 && r.Work <= r.Value {
					return fmt.Errorf("%v published a second, %v at work, %w", r.Value, r.Work, r.Err)
				}
				return nil
			})
		})
	}
}

func TestTLSOfTheRealBroker(t *testing.T) {
	overAMQP, _ := createVhost(t, "secure")
	declare(t, overAMQP, map[string]int{"orders": 2})
	host := "amqps://guest:guest@" + live.tls + "/secure"
	err := try(t, values(nil, "host", host))
	if scalers.KindOf(err) != scalers.Unreachable || scalers.HintOf(err) != `trust the broker's certificate authority with "tls" and "ca"` {
		t.Errorf("unknown authority: %v", err)
	}
	err = try(t, values(nil, "host", host, "unsafeSsl", "true"))
	if scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("unsafeSsl without tls: %v", err)
	}
	for name, v := range map[string]param.Values{
		"authority":   values(map[string]string{"tls": "enable", "ca": live.pki.CA}, "host", host),
		"unsafeSsl":   values(map[string]string{"tls": "enable"}, "host", host, "unsafeSsl", "true"),
		"certificate": values(map[string]string{"tls": "enable", "ca": live.pki.CA, "cert": live.pki.Cert, "key": live.pki.Key}, "host", host),
	} {
		if r := measure(t, v); r.Err != nil || r.Value != 2 {
			t.Errorf("%s: %v, %v", name, r.Value, r.Err)
		}
	}
	// The broker has no EXTERNAL mechanism enabled: that it is asked for is seen.
	external := values(map[string]string{"tls": "enable", "ca": live.pki.CA, "cert": live.pki.Cert, "key": live.pki.Key}, "host", strings.Replace(host, "guest:guest@", "guest@", 1))
	if err := try(t, external); scalers.KindOf(err) != scalers.Unauthorized || !strings.Contains(err.Error(), "does not offer this way to log in") {
		t.Errorf("EXTERNAL: %v", err)
	}
}

func TestAKilledBrokerIsUnreachableUntilTheSourceIsOpenedAgain(t *testing.T) {
	s := start(t)
	declare(t, s.AMQPURL(), map[string]int{"survivor": 4})
	overAMQP := values(nil, "host", s.AMQPURL(), "queueName", "survivor")
	overHTTP := values(nil, "host", s.ManagementURL(), "queueName", "survivor")
	conns := map[string]scalers.Conn{"AMQP": connect(t, overAMQP, env(nil)), "HTTP": connect(t, overHTTP, env(nil))}
	if r := fetch(t, conns["AMQP"], overAMQP)[0]; r.Err != nil || r.Value != 4 {
		t.Fatalf("before: %v, %v", r.Value, r.Err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	for name, conn := range conns {
		v := map[string]param.Values{"AMQP": overAMQP, "HTTP": overHTTP}[name]
		if _, err := conn.Fetch(t.Context(), queries(t, v)); scalers.KindOf(err) != scalers.Unreachable {
			t.Errorf("%s: %v", name, err)
		}
		if err := try(t, v); scalers.KindOf(err) != scalers.Unreachable {
			t.Errorf("%s, opened while down: %v", name, err)
		}
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := conns["AMQP"].Fetch(t.Context(), queries(t, overAMQP)); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("the old connection: %v", err)
	}
	// A queue of a moment before the crash may be lost, so that it is made again.
	declare(t, s.AMQPURL(), map[string]int{"risen": 4})
	overAMQP.Metadata["queueName"], overHTTP.Metadata["queueName"] = "risen", "risen"
	eventually(t, func() error {
		for _, v := range []param.Values{overAMQP, overHTTP} {
			if r := measure(t, v); r.Err != nil || r.Value != 4 {
				return fmt.Errorf("after: %v, %w", r.Value, r.Err)
			}
		}
		return nil
	})
}

func TestABrokerThatNeverAnswersIsLeftWhenTheContextEnds(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, scheme := range []string{"amqp", "amqps", "http"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		v := values(nil, "host", scheme+"://"+l.Addr().String())
		began := time.Now()
		trigger := parse(t, v)
		conn, err := trigger.Source.Open(ctx, env(nil))
		if err == nil {
			_, err = conn.Fetch(ctx, []scalers.Query{trigger.Query})
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
		if !errors.Is(err, context.DeadlineExceeded) || scalers.KindOf(err) != scalers.Unreachable || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %v after %v", scheme, err, time.Since(began))
		}
	}
}
