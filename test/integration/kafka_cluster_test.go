//go:build integration

package integration

import (
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weir-sh/weir/internal/brokers/kafka"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Users of the broker. ACLs say what they may do.
const (
	reader = "reader" // describe and read
	looker = "looker" // describe only
	nobody = "nobody"
	// password is that of all of them.
	password = "s3cret"
)

// cluster is a broker, with a client that may do anything.
type cluster struct {
	*kafka.Server
	client *kgo.Client
}

func startKafka(t *testing.T) *cluster {
	t.Helper()
	s, err := kafka.Start(within(t, started), kafka.Options{Users: map[string]string{reader: password, looker: password, nobody: password}})
	c := &cluster{Server: run(t, s, err)}
	c.client = c.connect(t)
	for name, operations := range map[string][]kmsg.ACLOperation{
		reader: {kmsg.ACLOperationDescribe, kmsg.ACLOperationRead},
		looker: {kmsg.ACLOperationDescribe},
	} {
		for _, o := range operations {
			c.allow(t, name, kmsg.ACLResourceTypeTopic, o)
		}
		c.allow(t, name, kmsg.ACLResourceTypeGroup, kmsg.ACLOperationDescribe)
	}
	return c
}

// connect returns another client library's client.
func (c *cluster) connect(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// allow lets a user do an operation on all resources of a type.
func (c *cluster) allow(t *testing.T, name string, on kmsg.ACLResourceType, o kmsg.ACLOperation) {
	t.Helper()
	ask := kmsg.NewPtrCreateACLsRequest()
	acl := kmsg.NewCreateACLsRequestCreation()
	acl.ResourceType, acl.ResourceName, acl.ResourcePatternType = on, "*", kmsg.ACLResourcePatternTypeLiteral
	acl.Principal, acl.Host, acl.Operation, acl.PermissionType = "User:"+name, "*", o, kmsg.ACLPermissionTypeAllow
	ask.Creations = append(ask.Creations, acl)
	answer, err := ask.RequestWith(within(t, soon), c.client)
	if err != nil {
		t.Fatalf("allowing %s: %v", name, err)
	}
	if err := kerr.ErrorForCode(answer.Results[0].ErrorCode); err != nil {
		t.Fatalf("allowing %s: %v", name, err)
	}
}

// topic makes a topic with as many messages in its partitions as given.
func (c *cluster) topic(t *testing.T, name string, messages ...int) {
	t.Helper()
	ask := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, int32(len(messages)), 1
	ask.Topics, ask.TimeoutMillis = append(ask.Topics, topic), int32(soon.Milliseconds())
	answer, err := ask.RequestWith(within(t, soon), c.client)
	if err != nil {
		t.Fatalf("creating topic %s: %v", name, err)
	}
	if err := kerr.ErrorForCode(answer.Topics[0].ErrorCode); err != nil {
		t.Fatalf("creating topic %s: %v", name, err)
	}
	for p, n := range messages {
		c.produce(t, name, int32(p), n)
	}
}

func records(topic string, partition int32, n int) []*kgo.Record {
	out := make([]*kgo.Record, n)
	for i := range out {
		out[i] = &kgo.Record{Topic: topic, Partition: partition, Value: []byte("v")}
	}
	return out
}

func (c *cluster) produce(t *testing.T, topic string, partition int32, n int) {
	t.Helper()
	if err := c.client.ProduceSync(within(t, soon), records(topic, partition, n)...).FirstErr(); err != nil {
		t.Fatalf("producing to %s: %v", topic, err)
	}
}

// none is no offset.
const none = -1

// commit commits offsets of partitions 0, 1, ... of a topic, but for those that are
// none.
func (c *cluster) commit(t *testing.T, group, topic string, offsets ...int64) {
	t.Helper()
	ask := kmsg.NewPtrOffsetCommitRequest()
	ask.Group, ask.Generation = group, -1
	in := kmsg.NewOffsetCommitRequestTopic()
	in.Topic = topic
	for i, o := range offsets {
		if o == none {
			continue
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = int32(i), o
		in.Partitions = append(in.Partitions, p)
	}
	ask.Topics = append(ask.Topics, in)
	answer, err := ask.RequestWith(within(t, soon), c.client)
	if err != nil {
		t.Fatalf("committing: %v", err)
	}
	for _, p := range answer.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			t.Fatalf("committing: %v", err)
		}
	}
}

// topics are the names of all topics that there are.
func (c *cluster) topics(t *testing.T) map[string]bool {
	t.Helper()
	ask := kmsg.NewPtrMetadataRequest() // without topics: all
	answer, err := ask.RequestWith(within(t, soon), c.client)
	if err != nil {
		t.Fatalf("listing topics: %v", err)
	}
	out := map[string]bool{}
	for _, topic := range answer.Topics {
		out[*topic.Topic] = true
	}
	return out
}

// at are the values of a trigger on group "g" that nothing bounds.
func (c *cluster) at(pairs ...string) param.Values {
	m := meta("bootstrapServers", c.Addr(), "consumerGroup", "g", "allowIdleConsumers", "true")
	maps.Copy(m, meta(pairs...))
	return param.Values{Metadata: m}
}

// as are the values of a trigger that logs in.
func (c *cluster) as(name, word, sasl string, pairs ...string) param.Values {
	v := with(c.at("bootstrapServers", c.SASLAddr(), "sasl", sasl), pairs...)
	v.Auth = meta("username", name, "password", word)
	return v
}

// eventually tries until something is so.
func eventually(t *testing.T, what string, try func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(started)
	for !try() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", started, what)
		}
	}
}
