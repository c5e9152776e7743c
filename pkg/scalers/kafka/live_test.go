package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weir-sh/weir/pkg/scalers"
)

// at is the metadata of a trigger at c on topic "orders" for group "g".
func (c *cluster) at(pairs ...string) map[string]string {
	m := meta("bootstrapServers", c.addrs(), "consumerGroup", "g", "topic", "orders")
	maps.Copy(m, meta(pairs...))
	return m
}

func TestManyQueriesAreOneRequestOfAKindForEachBroker(t *testing.T) {
	t.Parallel()
	const n = 500
	topics := make([]string, n)
	for i := range topics {
		topics[i] = fmt.Sprintf("topic-%d", i)
	}
	c := start(t, kfake.SeedTopics(3, topics...))
	cl := c.client(t)
	var triggers []scalers.Trigger
	for i, topic := range topics {
		if i%50 == 0 {
			produce(t, cl, topic, i, 0)
		}
		triggers = append(triggers, parse(t, "kafka", c.at("topic", topic, "consumerGroup", fmt.Sprintf("group-%d", i), "allowIdleConsumers", "true", "scaleToZeroOnInvalidOffset", "true"), nil))
		if i%50 == 0 {
			commit(t, cl, fmt.Sprintf("group-%d", i), topic, 0)
		}
	}
	// Other thresholds of what is measured anyway.
	for i := range n {
		triggers = append(triggers, parse(t, "kafka", c.at("topic", topics[i], "consumerGroup", fmt.Sprintf("group-%d", i), "lagThreshold", "7", "scaleToZeroOnInvalidOffset", "true"), nil))
	}
	cl.Close()
	before := c.conns.Load()
	conn := open(t, triggers[0])
	c.requests()
	check := func(readings []scalers.Reading) {
		t.Helper()
		for i, r := range readings[:n] {
			want := 0.0
			if i%50 == 0 {
				want = float64(i)
			}
			wantReading(t, topics[i], r, want, "", "")
		}
	}
	check(measure(t, conn, triggers...))
	cold := c.requests()
	if cold["Metadata"] != 1 || cold["FindCoordinator"] != n || cold["OffsetFetch"] != 3 || cold["ListOffsets"] != 3 {
		t.Errorf("the first poll costs %v", cold)
	}
	check(measure(t, conn, triggers...))
	warm := c.requests()
	if len(warm) != 2 || warm["OffsetFetch"] != 3 || warm["ListOffsets"] != 3 {
		t.Errorf("a poll costs %v, want one OffsetFetch and one ListOffsets for each of 3 brokers", warm)
	}
	if got := c.conns.Load() - before; got != 3 {
		t.Errorf("%d connections, want 3", got)
	}
}

func TestAnOlderProtocolTakesOneGroupAtATime(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2.8.0", "2.1.0", "1.0.0", "0.11.0.2", "0.10.2.1"} {
		c := start(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
		cl := c.client(t)
		produce(t, cl, "orders", 5, 0, 1)
		commit(t, cl, "g", "orders", 1, 2)
		commit(t, cl, "h", "orders", 5, 3)
		one, two := parse(t, "kafka", c.at("version", version), nil), parse(t, "kafka", c.at("version", version, "consumerGroup", "h"), nil)
		conn := open(t, one)
		c.requests()
		got := measure(t, conn, one, two)
		wantReading(t, version, got[0], 7, "", "")
		wantReading(t, version, got[1], 2, "", "")
		if n := c.requests()["OffsetFetch"]; n != 2 {
			t.Errorf("version %s: %d requests for offsets, want 2", version, n)
		}
	}
}

func TestTopicsAndPartitionsThatComeAndGo(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(2, "other"))
	gone := `measuring the lag of group "g" on topic "orders": code 3: kafka server: Request was for a topic or partition that does not exist on this broker; create the topic, or correct its name`
	trigger, other := parse(t, "kafka", c.at(), nil), parse(t, "kafka", c.at("topic", "other"), nil)
	conn := open(t, trigger)
	got := measure(t, conn, trigger, other)
	wantReading(t, "a missing topic", got[0], 0, scalers.NotFound, gone)
	wantReading(t, "its neighbour", got[1], 2, "", "")
	if n := c.TopicInfo("orders"); n != nil {
		t.Error("the missing topic was created")
	}
	if err := c.CreateTopic("orders", 4, nil); err != nil {
		t.Fatal(err)
	}
	wantReading(t, "a new topic", measure(t, conn, trigger)[0], 4, "", "")
	if err := c.DeleteTopic("orders"); err != nil {
		t.Fatal(err)
	}
	got = measure(t, conn, trigger, other)
	if scalers.KindOf(got[0].Err) != scalers.NotFound {
		t.Errorf("a deleted topic: %v, %v", got[0].Value, got[0].Err)
	}
	wantReading(t, "its neighbour", got[1], 2, "", "")
}

func TestLeadersAndCoordinatorsThatMove(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(3, "orders"))
	cl := c.client(t)
	produce(t, cl, "orders", 3, 0, 1, 2)
	commit(t, cl, "g", "orders", 1, 1, 1)
	trigger := parse(t, "kafka", c.at(), nil)
	conn := open(t, trigger)
	wantReading(t, "before", measure(t, conn, trigger)[0], 6, "", "")
	for p := range int32(3) {
		if err := c.MoveTopicPartition("orders", p, (c.LeaderFor("orders", p)+1)%3); err != nil {
			t.Fatal(err)
		}
	}
	c.requests()
	wantReading(t, "leaders moved", measure(t, conn, trigger)[0], 6, "", "")
	if n := c.requests()["Metadata"]; n != 1 {
		t.Errorf("%d requests for metadata, want 1", n)
	}
	c.RehashCoordinators()
	wantReading(t, "coordinators moved", measure(t, conn, trigger)[0], 6, "", "")
}

func TestABrokerThatGoesFailsWhatItServesUntilAnotherTakesOver(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(3, "orders", "other"))
	cl := c.client(t)
	produce(t, cl, "orders", 3, 0, 1, 2)
	commit(t, cl, "g", "orders", 1, 1, 1)
	trigger := parse(t, "kafka", c.at(), nil)
	conn := open(t, trigger)
	wantReading(t, "before", measure(t, conn, trigger)[0], 6, "", "")
	cl.Close()
	// kfake hands leaders and coordinators on when a node is removed.
	if err := c.RemoveNode(c.LeaderFor("orders", 0)); err != nil {
		t.Fatal(err)
	}
	wantReading(t, "a broker is gone", measure(t, conn, trigger)[0], 6, "", "")
}

func TestAClusterThatIsGoneFailsTheSourceAndComesBack(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	trigger := parse(t, "kafka", c.at(), nil)
	conn := open(t, trigger)
	wantReading(t, "before", measure(t, conn, trigger)[0], 1, "", "")
	addr := c.addrs()
	c.Close()
	_, err := conn.Fetch(within(t, soon), []scalers.Query{trigger.Query})
	if scalers.KindOf(err) != scalers.Unreachable || !strings.Contains(err.Error(), `measuring the lag of group "g" on topic "orders"`) {
		t.Errorf("a dead cluster: %s %v", scalers.KindOf(err), err)
	}
	_, port, _ := strings.Cut(addr, ":")
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		t.Fatal(err)
	}
	start(t, kfake.NumBrokers(1), kfake.Ports(n), kfake.SeedTopics(2, "orders"))
	deadline := time.Now().Add(soon)
	for {
		got, err := conn.Fetch(within(t, soon), []scalers.Query{trigger.Query})
		if err == nil && got[0].Err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the source does not recover: %v", err)
		}
	}
}

func TestPersistentLagIsLeftOut(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(2, "orders"))
	cl := c.client(t)
	produce(t, cl, "orders", 10, 0, 1)
	commit(t, cl, "g", "orders", 4, 10)
	plain, trigger := parse(t, "kafka", c.at(), nil), parse(t, "kafka", c.at("excludePersistentLag", "true"), nil)
	conn := open(t, trigger)
	for i, want := range []float64{6, 0, 0} {
		got := measure(t, conn, trigger, plain, trigger)
		if wantReading(t, "excluded", got[0], want, "", ""); got[0].Activity != scalers.Busy {
			t.Errorf("step %d: activity %d", i, got[0].Activity)
		}
		wantReading(t, "not excluded", got[1], 6, "", "")
		wantReading(t, "the same query twice", got[2], want, "", "")
	}
	commit(t, cl, "g", "orders", 5, 10)
	wantReading(t, "the consumer moved", measure(t, conn, trigger)[0], 5, "", "")
}

func TestApacheKafkaWithoutATopicNeedsAMember(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(2, "orders", "other"))
	trigger := parse(t, "apache-kafka", meta("bootstrapServers", c.addrs(), "consumerGroup", "g"), nil)
	conn := open(t, trigger)
	if r := measure(t, conn, trigger)[0]; scalers.KindOf(r.Err) != scalers.NotFound {
		t.Errorf("no member: %v, %v", r.Value, r.Err)
	}
	c.client(t, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"))
	if _, err := c.WaitGroupStable(within(t, soon), "g", 1); err != nil {
		t.Fatal(err)
	}
	wantReading(t, "all topics", measure(t, conn, trigger)[0], 4, "", "")
}

// answerOffsets has the broker say about group "g" that it has no offset in topic
// "orders", as brokers do that know every group, and ask for a pause of as many
// milliseconds as pause says.
func answerOffsets(c *cluster, pause *atomic.Int32) {
	c.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer := r.ResponseKind().(*kmsg.OffsetFetchResponse) //nolint:forcetypeassert // it is the key's
		answer.ThrottleMillis = pause.Load()
		topic := kmsg.OffsetFetchResponseGroupTopic{Topic: "orders"}
		for p := range int32(2) {
			one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			one.Partition, one.Offset = p, -1
			topic.Partitions = append(topic.Partitions, one)
		}
		group := kmsg.NewOffsetFetchResponseGroup()
		group.Group, group.Topics = "g", append(group.Topics, topic)
		answer.Groups = append(answer.Groups, group)
		return answer, nil, true
	})
}

func TestGroupsThatNeverCommittedLikeOlderBrokersSayIt(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	answerOffsets(c, new(atomic.Int32))
	trigger := parse(t, "kafka", c.at(), nil)
	wantReading(t, "offset -1", measure(t, open(t, trigger), trigger)[0], 2, "", "")
}

func TestABrokerThatWantsToBeLeftAlone(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	trigger := parse(t, "kafka", c.at(), nil)
	conn := open(t, trigger)
	pause := new(atomic.Int32)
	pause.Store(50)
	answerOffsets(c, pause)
	wantReading(t, "for a moment", measure(t, conn, trigger)[0], 2, "", "")
	pause.Store(int32(time.Hour.Milliseconds()))
	for range 2 {
		_, err := conn.Fetch(within(t, soon), []scalers.Query{trigger.Query})
		e, ok := errors.AsType[*scalers.Error](err)
		if !ok || e.Kind != scalers.Throttled || e.RetryAfter < 50*time.Minute {
			t.Fatalf("for long: %v", err)
		}
	}
}

func TestABrokerThatCannotBeReachedFailsWhatItServesAlone(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.SeedTopics(1, "orders", "other"))
	if err := c.MoveTopicPartition("orders", 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.MoveTopicPartition("other", 0, 1); err != nil {
		t.Fatal(err)
	}
	group := "g"
	for c.CoordinatorFor(group) == 0 {
		group += "g"
	}
	e, far := env(), c.ListenAddrs()[0]
	e.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == far {
			return nil, errors.New("no route")
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	one, two := parse(t, "kafka", c.at("consumerGroup", group), nil), parse(t, "kafka", c.at("topic", "other", "consumerGroup", group), nil)
	conn, err := one.Source.Open(within(t, soon), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	got := measure(t, conn, one, two)
	wantReading(t, "led by the broker", got[0], 0, scalers.Unreachable,
		fmt.Sprintf("measuring the lag of group %q on topic \"orders\", partition 0 of topic \"orders\": no route; check bootstrapServers, the brokers' advertised addresses, network policies and tls", group))
	wantReading(t, "led by another", got[1], 1, "", "")
}

func TestAnEndedContextEndsAFetchThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	trigger := parse(t, "kafka", c.at(), nil)
	conn := open(t, trigger)
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		once.Do(func() { close(held) })
		c.SleepControl(func() { <-release })
		return nil, nil, false
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-held
		cancel()
	}()
	_, err := conn.Fetch(ctx, []scalers.Query{trigger.Query})
	if !errors.Is(err, context.Canceled) || scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("%s %v", scalers.KindOf(err), err)
	}
	close(release)
	wantReading(t, "the next one", measure(t, conn, trigger)[0], 1, "", "")
}
