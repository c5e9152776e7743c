package azureservicebus_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/test/fakes/servicebus"
)

// queues makes n queues; the i-th has i+1 messages.
func queues(s *servicebus.Server, n int) {
	for i := range n {
		s.SetQueue(fmt.Sprintf("queue-%05d", i), servicebus.Counts{Active: int32(i) + 1})
	}
}

// on makes triggers on the first n queues.
func on(t *testing.T, connection string, n int) []scalers.Trigger {
	t.Helper()
	out := make([]scalers.Trigger, n)
	for i := range out {
		out[i] = trigger(t, connection, "queueName", fmt.Sprintf("queue-%05d", i))
	}
	return out
}

// wantAll checks the readings of on.
func wantAll(t *testing.T, readings []scalers.Reading) {
	t.Helper()
	for i, r := range readings {
		if r.Err != nil || r.Value != float64(i)+1 {
			t.Fatalf("queue %d: %v, %v", i, r.Value, r.Err)
		}
	}
}

func TestFiveHundredQueriesTakeAFewPagesOverFewConnections(t *testing.T) {
	s := servicebus.New()
	s.AllowKey("weir", secret)
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	connection := emulator(srv)
	queues(s, 500)
	all := on(t, connection, 500)
	gone := trigger(t, connection, "queueName", "gone")
	conn := open(t, env(t, nil), gone)
	for range 3 {
		readings := fetch(t, conn, append(all, gone)...)
		wantAll(t, readings[:500])
		if err := readings[500].Err; scalers.KindOf(err) != scalers.NotFound {
			t.Errorf("the missing queue: %v", err)
		}
		// A full last page is followed by an empty one; what is missing is confirmed.
		if got, want := s.TakeRequests(), (servicebus.Requests{Reads: 1, Pages: 6}); got != want {
			t.Errorf("requests %+v, want %+v", got, want)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestTheCheaperWayIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		queues, triggers    int
		first, second, last servicebus.Requests
	}{
		"one trigger":                    {1, 1, servicebus.Requests{Reads: 1}, servicebus.Requests{Reads: 1}, servicebus.Requests{Reads: 1}},
		"a few triggers on a few queues": {10, 3, servicebus.Requests{Pages: 1}, servicebus.Requests{Pages: 1}, servicebus.Requests{Pages: 1}},
		// The triggers' queues are on the first page; nothing tells that before.
		"a few triggers on many queues": {5000, 4, servicebus.Requests{Pages: 3}, servicebus.Requests{Reads: 4}, servicebus.Requests{Reads: 4}},
		"as many pages as triggers":     {350, 4, servicebus.Requests{Pages: 3}, servicebus.Requests{Reads: 4}, servicebus.Requests{Reads: 4}},
		"fewer pages than triggers":     {350, 8, servicebus.Requests{Pages: 4}, servicebus.Requests{Pages: 4}, servicebus.Requests{Pages: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			s, connection := namespace(t)
			queues(s, c.queues)
			triggers := on(t, connection, c.triggers)
			conn := open(t, env(t, nil), triggers[0])
			for i, want := range []servicebus.Requests{c.first, c.second, c.last} {
				wantAll(t, fetch(t, conn, triggers...))
				if got := s.TakeRequests(); got != want {
					t.Errorf("fetch %d: requests %+v, want %+v", i+1, got, want)
				}
			}
		})
	}
}

func TestAListThatIsGivenUpStillAnswersWhatItHas(t *testing.T) {
	s, connection := namespace(t)
	queues(s, 5000)
	first := on(t, connection, 2)
	far := trigger(t, connection, "queueName", "queue-04999")
	conn := open(t, env(t, nil), far)
	readings := fetch(t, conn, first[0], first[1], far)
	wantAll(t, readings[:2])
	if readings[2].Err != nil || readings[2].Value != 5000 {
		t.Errorf("the far queue: %+v", readings[2])
	}
	if got, want := s.TakeRequests(), (servicebus.Requests{Reads: 1, Pages: 2}); got != want {
		t.Errorf("requests %+v, want %+v", got, want)
	}
}

func TestExpressionsShareOneList(t *testing.T) {
	s, connection := namespace(t)
	queues(s, 250)
	var triggers []scalers.Trigger
	for i := range 50 {
		triggers = append(triggers, trigger(t, connection, "queueName", fmt.Sprintf("queue-%04d[01]", i%25), "useRegex", "true",
			"operation", []string{"sum", "max"}[i/25]))
	}
	triggers = append(triggers, trigger(t, connection, "queueName", "queue-00007"), trigger(t, connection, "queueName", "other-.*", "useRegex", "true"))
	readings := fetch(t, open(t, env(t, nil), triggers[0]), triggers...)
	for i, r := range readings[:50] {
		want := float64(i%25*10 + 2)
		if i < 25 {
			want += want - 1
		}
		if r.Err != nil || r.Value != want || r.FalseZero {
			t.Errorf("expression %d: %+v, want %v", i, r, want)
		}
	}
	if r := readings[50]; r.Value != 8 || r.Err != nil {
		t.Errorf("the queue: %+v", r)
	}
	if r := readings[51]; r.Value != 0 || r.Err != nil || !r.FalseZero {
		t.Errorf("what nothing matches: %+v, want a zero to be confirmed", r)
	}
	if got, want := s.TakeRequests(), (servicebus.Requests{Pages: 3}); got != want {
		t.Errorf("requests %+v, want %+v", got, want)
	}
}

func TestEveryTopicHasAListOfItsOwn(t *testing.T) {
	s, connection := namespace(t)
	var triggers []scalers.Trigger
	for i := range 3 {
		topic := fmt.Sprintf("topic-%d", i)
		s.SetTopic(topic)
		for k := range 120 {
			name := fmt.Sprintf("sub-%03d", k)
			s.SetSubscription(topic, name, servicebus.Counts{Active: int32(i*1000 + k)})
			triggers = append(triggers, trigger(t, connection, "topicName", topic, "subscriptionName", name))
		}
	}
	for i, r := range fetch(t, open(t, env(t, nil), triggers[0]), triggers...) {
		if want := float64(i/120*1000 + i%120); r.Err != nil || r.Value != want {
			t.Errorf("%d: %+v, want %v", i, r, want)
		}
	}
	if got, want := s.TakeRequests(), (servicebus.Requests{Pages: 6}); got != want {
		t.Errorf("requests %+v, want %+v", got, want)
	}
}

// Queues that are deleted while pages are read move others to a page that was read
// already; the second page is then shorter than it should be.
func TestAQueueThatAListSkipsIsNotMissing(t *testing.T) {
	s, connection := namespace(t)
	queues(s, 150)
	s.Intercept(func(r *http.Request) *servicebus.Answer {
		if strings.Contains(r.URL.RawQuery, "skip") {
			return &servicebus.Answer{Status: http.StatusOK, Body: `<feed xmlns="http://www.w3.org/2005/Atom"><title>Queues</title></feed>`}
		}
		return nil
	})
	triggers := on(t, connection, 150)[90:]
	for i, r := range fetch(t, open(t, env(t, nil), triggers[0]), triggers...) {
		if r.Err != nil || r.Value != float64(91+i) {
			t.Errorf("queue %d: %+v", 90+i, r)
		}
	}
}

func TestAKeyOfOneQueueReadsItAlone(t *testing.T) {
	s, connection := namespace(t)
	queues(s, 5)
	s.Intercept(func(r *http.Request) *servicebus.Answer {
		if strings.Contains(r.URL.Path, "$Resources") {
			return &servicebus.Answer{Status: http.StatusUnauthorized, Body: "<Error><Code>401</Code><Detail>" + secret + "</Detail></Error>"}
		}
		return nil
	})
	triggers := on(t, connection, 5)
	all := trigger(t, connection, "queueName", ".*", "useRegex", "true")
	conn := open(t, env(t, nil), all)
	readings := fetch(t, conn, append(triggers, all)...)
	wantAll(t, readings[:5])
	const want = "listing the queues: status 401 Unauthorized; use a key with the claim Manage, or give the identity the role Azure Service Bus Data Owner"
	if err := readings[5].Err; fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.Unauthorized {
		t.Errorf("the expression: %v\nwant %s", err, want)
	}
	if got, want := s.TakeRequests(), (servicebus.Requests{Reads: 5}); got != want {
		t.Errorf("requests %+v, want %+v", got, want)
	}
}

func TestAFetchThatIsCancelledBetweenListAndReadsKeepsWhatItHas(t *testing.T) {
	s, connection := namespace(t)
	queues(s, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Intercept(func(r *http.Request) *servicebus.Answer {
		if r.URL.Path == "/gone" {
			cancel()
			return &servicebus.Answer{Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	triggers := append(on(t, connection, 3), trigger(t, connection, "queueName", "gone"))
	conn := open(t, env(t, nil), triggers[0])
	readings, err := conn.Fetch(ctx, queriesOf(triggers))
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, readings[:3])
	if err := readings[3].Err; scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("what was cut off: %v", err)
	}
}
