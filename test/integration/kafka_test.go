//go:build integration

package integration

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	brokers "github.com/weir-sh/weir/internal/brokers/kafka"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/kafka"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

// TestKafka starts one broker for all, which takes seconds and 300 MB. The tests
// are in an order: the first sees a cluster in which no group has ever been, the last
// kills the broker.
func TestKafka(t *testing.T) {
	c := startKafka(t)
	k := kafkaTests{c, kafka.Scalers()}
	t.Run("a cluster without a single group", k.noGroupYet)
	c.fill(t)
	t.Run("the lag is that of kafka-consumer-groups", k.likeTheTool)
	t.Run("conformance", k.conformance)
	t.Run("a missing topic is not created", k.createsNothing)
	t.Run("many groups in one batch", k.batch)
	t.Run("logins", k.logins)
	t.Run("a login with a token", k.token)
	t.Run("releases of the protocol", k.releases)
	t.Run("a member that consumes", k.member)
	t.Run("wake-up", k.wakes)
	t.Run("a user who may not read is not woken", k.wakesNot)
	t.Run("a broker that is killed and comes back", k.killed)
}

type kafkaTests struct {
	*cluster
	definitions []*scalers.Definition
}

func (c *cluster) fill(t *testing.T) {
	t.Helper()
	c.topic(t, "orders", 4, 4, 4)
	c.topic(t, "behind", 30, 30, 30)
	c.topic(t, "empty", 0, 0, 0)
	c.topic(t, "partly", 5, 5)
	c.topic(t, "made-anew", 2)
	c.commit(t, "g", "orders", 1, 4, 2)
	c.commit(t, "g", "behind", 0, 0, 30)
	c.commit(t, "g", "partly", 2, none)
	c.commit(t, "g", "made-anew", 50) // beyond the end
	c.topic(t, "transactions", 0)
	tx := c.connect(t, kgo.TransactionalID("tx"))
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := tx.ProduceSync(within(t, soon), records("transactions", 0, 3)...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := tx.EndTransaction(within(t, soon), commit); err != nil {
			t.Fatal(err)
		}
	}
	c.commit(t, "g", "transactions", 1)
	c.commit(t, "other", "orders", 0, 0, 0)
}

func (k kafkaTests) noGroupYet(t *testing.T) {
	k.topic(t, "early", 3, 3)
	for _, def := range k.definitions {
		t.Run(def.Type, func(t *testing.T) {
			// The topic of offsets is made when the first group is asked for.
			trigger := parse(t, def, k.at("topic", "early", "offsetResetPolicy", "earliest"))
			conn := open(t, trigger)
			eventually(t, "the broker makes the topic of offsets", func() bool {
				r := measure(t, conn, trigger)[0]
				if r.Err != nil && scalers.KindOf(r.Err) != scalers.Unreachable || r.Err == nil && r.Value != 6 {
					t.Fatalf("got %v, %s %v, want 6, or Unreachable until then", r.Value, scalers.KindOf(r.Err), r.Err)
				}
				return r.Err == nil
			})
		})
	}
}

// likeTheTool compares every topic of a group with what the vendor's tool says.
func (k kafkaTests) likeTheTool(t *testing.T) {
	for group, topics := range map[string]map[string]int{ // and their partitions
		"g":     {"orders": 3, "behind": 3, "partly": 2, "made-anew": 1, "transactions": 1},
		"other": {"orders": 3},
	} {
		told, err := k.Lag(within(t, started), group)
		if err != nil {
			t.Fatal(err)
		}
		for topic, partitions := range topics {
			want, untold := 0.0, partitions
			for p, lag := range told {
				if p.Topic == topic && lag != brokers.Unknown {
					want += float64(lag)
					untold--
				}
			}
			if untold == partitions {
				t.Errorf("kafka-consumer-groups tells nothing of group %s on topic %s", group, topic)
			}
			want += float64(untold) // one message each, so that a consumer starts
			for _, def := range k.definitions {
				trigger := parse(t, def, k.at("topic", topic, "consumerGroup", group))
				if got := value(t, trigger); got != max(0, want) {
					t.Errorf("%s: group %s, topic %s: got %v, want %v", def.Type, group, topic, got, want)
				}
			}
		}
	}
	if told, err := k.Lag(within(t, started), "unknown"); err == nil {
		t.Errorf("kafka-consumer-groups knows a group that never was: %v", told)
	}
}

func (k kafkaTests) conformance(t *testing.T) {
	at := func(name string, want float64, pairs ...string) scalertest.Case {
		return scalertest.Case{Name: name, Want: want, Values: k.as(reader, password, "scram_sha512", pairs...)}
	}
	cases := func(typ string) []scalertest.Case {
		named := at("a topic", 5, "topic", "orders")
		named.MetricName = "s0-kafka-orders"
		bounded := at("more than partitions carry", 15, "topic", "behind", "lagThreshold", "5", "allowIdleConsumers", "false")
		bounded.Work = 60
		out := []scalertest.Case{
			named, bounded,
			at("some partitions", 3, "topic", "orders", "partitionLimitation", "0-1"),
			at("no messages and no offsets", 3, "topic", "empty"),
			at("a partition without an offset, latest", 4, "topic", "partly"),
			at("a partition without an offset, earliest", 8, "topic", "partly", "offsetResetPolicy", "earliest"),
			at("a partition without an offset, zero", 3, "topic", "partly", "scaleToZeroOnInvalidOffset", "true"),
			at("an unknown group, latest", 3, "topic", "orders", "consumerGroup", "unknown"),
			at("an unknown group, earliest", 12, "topic", "orders", "consumerGroup", "unknown", "offsetResetPolicy", "earliest"),
			at("an offset beyond the end", 0, "topic", "made-anew"),
		}
		missing := at("a missing topic", 0, "topic", "none")
		if typ == "kafka" {
			missing.Err, missing.Kind = `topic "none": code 3: kafka server: Request was for a topic or partition that does not exist`, scalers.NotFound
			return append(out, missing, at("all topics of a group", 12, "consumerGroup", "other"))
		}
		noMember := at("no topic and no member", 0)
		noMember.Err, noMember.Kind = "the group has no active member", scalers.NotFound
		return append(out, missing, noMember, at("two topics", 65, "topic", "orders,behind"))
	}
	for _, def := range k.definitions {
		t.Run(def.Type, func(t *testing.T) { scalertest.Run(t, def, cases(def.Type)) })
	}
}

// createsNothing: the broker creates topics that are asked for carelessly.
func (k kafkaTests) createsNothing(t *testing.T) {
	for _, def := range k.definitions {
		t.Run(def.Type, func(t *testing.T) {
			trigger := parse(t, def, k.at("topic", "none"))
			measure(t, open(t, trigger), trigger)
		})
	}
	if k.topics(t)["none"] {
		t.Error("measuring has created the topic")
	}
}

func (k kafkaTests) batch(t *testing.T) {
	const groups = 50
	for i := range groups {
		k.commit(t, fmt.Sprint("many-", i), "behind", int64(i%30), 30, 30)
	}
	for _, def := range k.definitions {
		t.Run(def.Type, func(t *testing.T) {
			var triggers []scalers.Trigger
			for i := range groups {
				triggers = append(triggers, parse(t, def, k.at("topic", "behind", "consumerGroup", fmt.Sprint("many-", i))))
			}
			triggers = append(triggers, parse(t, def, k.at("topic", "none")))
			conn := open(t, triggers[0])
			for range 2 {
				readings := measure(t, conn, triggers...)
				for i, r := range readings[:groups] {
					if want := float64(30 - i%30); r.Err != nil || r.Value != want {
						t.Errorf("group %d: %v, %v, want %v", i, r.Value, r.Err, want)
					}
				}
				if r := readings[groups]; def.Type == "kafka" && scalers.KindOf(r.Err) != scalers.NotFound {
					t.Errorf("the missing topic: %v, %v", r.Value, r.Err)
				}
			}
		})
	}
}

func (k kafkaTests) logins(t *testing.T) {
	const login = "connecting to Kafka at %s: code 58: kafka server: SASL Authentication failed; check username, password and the mechanism that the broker expects"
	const topic = `measuring the lag of group "g" on topic "orders": code 29: kafka server: The client is not authorized to access this topic; allow the user DESCRIBE on the topic`
	for _, c := range []struct{ user, password, sasl, err string }{
		{reader, password, "plaintext", ""},
		{reader, password, "scram_sha256", ""},
		{looker, password, "scram_sha512", ""},
		{reader, "wrong", "plaintext", fmt.Sprintf(login, k.SASLAddr())},
		{reader, "wrong", "scram_sha256", fmt.Sprintf(login, k.SASLAddr())},
		{reader, "wrong", "scram_sha512", fmt.Sprintf(login, k.SASLAddr())},
		{nobody, password, "scram_sha512", topic},
	} {
		for _, def := range k.definitions {
			t.Run(def.Type, func(t *testing.T) {
				got, err := attempt(t, parse(t, def, k.as(c.user, c.password, c.sasl, "topic", "orders")))
				switch {
				case c.err == "" && (err != nil || got != 5):
					t.Errorf("%s by %s: %v, %v, want 5", c.user, c.sasl, got, err)
				case c.err != "" && (scalers.KindOf(err) != scalers.Unauthorized || err.Error() != c.err):
					t.Errorf("%s by %s: %s error %v\nwant %s %s", c.user, c.sasl, scalers.KindOf(err), err, scalers.Unauthorized, c.err)
				}
			})
		}
	}
}

// token: the broker takes tokens that nobody has signed.
func (k kafkaTests) token(t *testing.T) {
	subject := reader
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now().Unix()
		token := ""
		for _, part := range []string{`{"alg":"none"}`, fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject, now, now+3600)} {
			token += base64.RawURLEncoding.EncodeToString([]byte(part)) + "."
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, token)
	}))
	t.Cleanup(tokens.Close)
	v := k.as("client", "secret", "oauthbearer", "topic", "orders")
	v.Auth["oauthTokenEndpointUri"] = tokens.URL
	trigger := parse(t, of(t, k.definitions, "kafka"), v)
	if got, err := attempt(t, trigger); err != nil || got != 5 {
		t.Errorf("got %v, %v, want 5", got, err)
	}
	subject = nobody
	if got, err := attempt(t, trigger); scalers.KindOf(err) != scalers.Unauthorized {
		t.Errorf("as nobody: got %v, %s %v", got, scalers.KindOf(err), err)
	}
}

// releases: the protocol is agreed on, also with what is older than the broker knows.
func (k kafkaTests) releases(t *testing.T) {
	for _, version := range []string{"0.11.0.2", "1.0.0", "2.1.0", "2.8.0", "3.6.0", "4.1.0"} {
		trigger := parse(t, of(t, k.definitions, "kafka"), k.at("topic", "orders", "version", version))
		if got, err := attempt(t, trigger); err != nil || got != 5 {
			t.Errorf("version %s: %v, %v, want 5", version, got, err)
		}
	}
}

// member: what a consumer group of another library leaves unread is the lag.
func (k kafkaTests) member(t *testing.T) {
	k.topic(t, "read", 10, 0)
	consumer := k.connect(t, kgo.ConsumerGroup("members"), kgo.ConsumeTopics("read"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	for n := 0; n < 10; {
		fetched := consumer.PollFetches(within(t, soon))
		if err := fetched.Err(); err != nil {
			t.Fatal(err)
		}
		n += fetched.NumRecords()
	}
	if err := consumer.CommitUncommittedOffsets(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	k.produce(t, "read", 0, 3)
	told, err := k.Lag(within(t, started), "members")
	if err != nil {
		t.Fatal(err)
	}
	if lag := told[brokers.Partition{Topic: "read", Number: 0}]; lag != 3 {
		t.Errorf("kafka-consumer-groups says %d, want 3", lag)
	}
	for _, def := range k.definitions {
		t.Run(def.Type, func(t *testing.T) {
			if got := value(t, parse(t, def, k.at("topic", "read", "consumerGroup", "members", "scaleToZeroOnInvalidOffset", "true"))); got != 3 {
				t.Errorf("got %v, want 3", got)
			}
		})
	}
	t.Run("all topics of a group with a member", func(t *testing.T) {
		v := k.at("consumerGroup", "members", "scaleToZeroOnInvalidOffset", "true")
		if got := value(t, parse(t, of(t, k.definitions, "apache-kafka"), v)); got != 3 {
			t.Errorf("got %v, want 3", got)
		}
	})
}

// watch watches triggers until the end of the test, and returns what it ended with.
func watch(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) (wakes chan scalers.Query, ready chan struct{}, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	wakes, ready, ended = make(chan scalers.Query, 100), make(chan struct{}), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- conn.Watch(ctx, queries(triggers), func() { close(ready) }, func(q scalers.Query) { wakes <- q })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return wakes, ready, ended
}

func (k kafkaTests) wakes(t *testing.T) {
	for _, def := range k.definitions {
		t.Run(def.Type, func(t *testing.T) {
			trigger, other := parse(t, def, k.as(reader, password, "scram_sha512", "topic", "orders")), parse(t, def, k.as(reader, password, "scram_sha512", "topic", "empty"))
			conn := open(t, trigger)
			before := measure(t, conn, trigger)[0].Value
			wakes, ready, ended := watch(t, conn, trigger, other)
			ctx := within(t, soon)
			select {
			case <-ready:
			case err := <-ended:
				t.Fatalf("Watch ended: %v", err)
			case <-ctx.Done():
				t.Fatal("Watch is not ready")
			}
			k.produce(t, "orders", 2, 1)
			select {
			case q := <-wakes:
				if q != trigger.Query {
					t.Errorf("a wake of %v", q)
				}
			case err := <-ended:
				t.Fatalf("Watch ended: %v", err)
			case <-ctx.Done():
				t.Fatal("no wake")
			}
			if r := measure(t, conn, trigger)[0]; r.Err != nil || r.Value != before+1 {
				t.Errorf("then %v, %v, want %v", r.Value, r.Err, before+1)
			}
		})
	}
}

func (k kafkaTests) wakesNot(t *testing.T) {
	for _, def := range k.definitions {
		t.Run(def.Type, func(t *testing.T) {
			trigger := parse(t, def, k.as(looker, password, "plaintext", "topic", "orders"))
			_, _, ended := watch(t, open(t, trigger), trigger)
			select {
			case err := <-ended:
				if !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("Watch ended: %v", err)
				}
			case <-within(t, soon).Done():
				t.Error("Watch goes on")
			}
		})
	}
}

func (k kafkaTests) killed(t *testing.T) {
	var triggers []scalers.Trigger
	var conns []scalers.Conn
	for _, def := range k.definitions {
		trigger := parse(t, def, k.at("topic", "behind"))
		conn := open(t, trigger)
		if r := measure(t, conn, trigger)[0]; r.Err != nil || r.Value != 60 {
			t.Fatalf("before: %v, %v", r.Value, r.Err)
		}
		triggers, conns = append(triggers, trigger), append(conns, conn)
	}
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	for i, conn := range conns {
		if _, err := conn.Fetch(within(t, soon), queries(triggers[i:i+1])); scalers.KindOf(err) != scalers.Unreachable {
			t.Errorf("while it is down: %s %v", scalers.KindOf(err), err)
		}
	}
	if err := k.Restart(within(t, started)); err != nil {
		t.Fatal(err)
	}
	for i, conn := range conns {
		eventually(t, "the source works again", func() bool {
			readings, err := conn.Fetch(within(t, soon), queries(triggers[i:i+1]))
			if err == nil {
				err = readings[0].Err
			}
			if err != nil && scalers.KindOf(err) != scalers.Unreachable || err == nil && readings[0].Value != 60 {
				t.Fatalf("got %v, %s, want 60, or Unreachable until then", readings, err)
			}
			return err == nil
		})
	}
}
