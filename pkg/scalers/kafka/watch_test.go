package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/weir-sh/weir/pkg/scalers"
)

// watching runs a Watch until the test ends.
type watching struct {
	wakes chan scalers.Query
	ended chan error
	stop  context.CancelFunc
}

func watch(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{make(chan scalers.Query, 1000), make(chan error, 1), cancel}
	ready, done := make(chan struct{}), make(chan struct{})
	var queries []scalers.Query
	for _, tr := range triggers {
		queries = append(queries, tr.Query)
	}
	go func() {
		defer close(done)
		w.ended <- conn.Watch(ctx, queries, func() { close(ready) }, func(q scalers.Query) { w.wakes <- q })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-ready:
	case err := <-w.ended:
		t.Fatalf("Watch ended: %v", err)
	case <-time.After(soon):
		t.Fatal("Watch is not ready")
	}
	return w
}

// want waits for a wake of a trigger.
func (w *watching) want(t *testing.T, trigger scalers.Trigger) {
	t.Helper()
	deadline := time.After(soon)
	for {
		select {
		case q := <-w.wakes:
			if q == trigger.Query {
				return
			}
			t.Errorf("a wake of %v", q)
		case err := <-w.ended:
			t.Fatalf("Watch ended: %v", err)
		case <-deadline:
			t.Fatal("no wake")
		}
	}
}

func TestAMessageWakesTheQueriesOfItsPartition(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(3, "orders", "other"))
	cl := c.client(t)
	produce(t, cl, "orders", 5, 0)
	trigger, other := parse(t, "kafka", c.at(), nil), parse(t, "kafka", c.at("topic", "other"), nil)
	limited := parse(t, "kafka", c.at("partitionLimitation", "2"), nil)
	conn := open(t, trigger)
	measure(t, conn, trigger, other, limited)
	before := c.conns.Load()
	w := watch(t, conn, trigger, other, limited)
	leaders := map[int32]bool{}
	for _, topic := range []string{"orders", "other"} {
		for p := range int32(3) {
			leaders[c.LeaderFor(topic, p)] = true
		}
	}
	// The first may have been to a broker that leads nothing.
	if got, want := c.conns.Load()-before, int64(len(leaders)); got != want && got != want+1 {
		t.Errorf("watching takes %d more connections, want one for each of %d leaders", got, want)
	}
	produce(t, cl, "orders", 1, 1)
	w.want(t, trigger)
	produce(t, cl, "other", 1, 0)
	w.want(t, other)
	wantReading(t, "while watching", measure(t, conn, trigger)[0], 3, "", "")
	w.stop()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	w.ended <- nil
}

func TestAPartitionThatIsWrittenToAgainWakesAgain(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	cl := c.client(t)
	trigger := parse(t, "kafka", c.at(), nil)
	w := watch(t, open(t, trigger), trigger)
	for range 4 {
		produce(t, cl, "orders", 1, 0)
		w.want(t, trigger)
	}
	if n := c.requests()["Fetch"]; n > 6 {
		t.Errorf("%d fetches for 4 messages, want few", n)
	}
}

func TestAWatchEndsWhenLeadersMove(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(1, "orders"))
	cl := c.client(t)
	trigger := parse(t, "kafka", c.at(), nil)
	w := watch(t, open(t, trigger), trigger)
	if err := c.MoveTopicPartition("orders", 0, (c.LeaderFor("orders", 0)+1)%3); err != nil {
		t.Fatal(err)
	}
	produce(t, cl, "orders", 1, 0)
	select {
	case err := <-w.ended:
		if scalers.KindOf(err) != scalers.Unreachable {
			t.Errorf("%s %v", scalers.KindOf(err), err)
		}
	case <-time.After(soon):
		t.Fatal("the watch goes on at a broker that leads no more")
	}
}

// allow are the ACLs of a user that may do ops.
func allow(resource kmsg.ACLResourceType, name string, ops ...kmsg.ACLOperation) []kfake.ACL {
	var out []kfake.ACL
	for _, op := range ops {
		out = append(out, kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true})
	}
	return out
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	acls := allow(kmsg.ACLResourceTypeTopic, "orders", kmsg.ACLOperationDescribe)
	acls = append(acls, allow(kmsg.ACLResourceTypeTopic, "open", kmsg.ACLOperationRead)...)
	acls = append(acls, allow(kmsg.ACLResourceTypeGroup, "g", kmsg.ACLOperationDescribe)...)
	c := start(t, kfake.SeedTopics(2, "orders", "open", "hidden"), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("PLAIN", "root", "r00t"), kfake.User("PLAIN", user, password, acls...))
	at := func(pairs ...string) scalers.Trigger {
		return parse(t, "kafka", c.at(append(pairs, "sasl", "plaintext")...), meta("username", user, "password", password))
	}
	conn := open(t, at())
	got := measure(t, conn, at(), at("topic", "hidden"), at("consumerGroup", "h"), at("topic", "open"))
	wantReading(t, "described", got[0], 2, "", "")
	wantReading(t, "a hidden topic", got[1], 0, scalers.Unauthorized, `measuring the lag of group "g" on topic "hidden": code 29: kafka server: The client is not authorized to access this topic; allow the user DESCRIBE on the topic`)
	wantReading(t, "a hidden group", got[2], 0, scalers.Unauthorized, `measuring the lag of group "h" on topic "orders": code 30: kafka server: The client is not authorized to access this group; allow the user DESCRIBE on the consumer group`)
	wantReading(t, "a readable topic", got[3], 2, "", "")

	if err := conn.Watch(within(t, soon), []scalers.Query{at().Query}, func() { t.Error("ready") }, func(scalers.Query) {}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("watching what cannot be read: %v", err)
	}
	w := watch(t, conn, at(), at("topic", "open"))
	cl := c.client(t, kgo.SASL(plain.Auth{User: "root", Pass: "r00t"}.AsMechanism()))
	produce(t, cl, "orders", 1, 0)
	produce(t, cl, "open", 1, 1)
	w.want(t, at("topic", "open"))
}
