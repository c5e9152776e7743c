package kafka_test

import (
	"maps"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

const (
	user     = "admin"
	password = "s3cret"
)

func TestConformance(t *testing.T) {
	c := start(t, kfake.SeedTopics(3, "orders", "empty", "behind"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", user, password))
	cl := c.client(t, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	produce(t, cl, "orders", 4, 0, 1, 2)
	produce(t, cl, "behind", 30, 0, 1, 2)
	commit(t, cl, "g", "orders", 1, 4, 2)
	commit(t, cl, "g", "behind", 0, 0, 30)
	for _, typ := range []string{"kafka", "apache-kafka"} {
		at := func(pairs ...string) param.Values {
			m := meta("bootstrapServers", c.addrs(), "consumerGroup", "g", "sasl", "scram_sha512")
			maps.Copy(m, meta(pairs...))
			return param.Values{Metadata: m, Auth: meta("username", user, "password", password)}
		}
		cases := []scalertest.Case{
			{Name: "a topic", Values: at("topic", "orders"), Want: 5, MetricName: "s0-kafka-orders"},
			{Name: "some partitions", Values: at("topic", "orders", "partitionLimitation", "0-1"), Want: 3},
			{Name: "more than partitions carry", Values: at("topic", "behind", "lagThreshold", "5"), Want: 15, Work: 60},
			{Name: "partitions with lag", Values: at("topic", "behind", "lagThreshold", "5", "limitToPartitionsWithLag", "true"), Want: 10, Work: 60},
			{Name: "idle consumers", Values: at("topic", "behind", "lagThreshold", "5", "allowIdleConsumers", "true"), Want: 60},
			{Name: "evenly", Values: at("topic", "orders", "ensureEvenDistributionOfPartitions", "true", "lagThreshold", "4"), Want: 12, Activity: scalers.Busy},
			{Name: "no messages and no offsets", Values: at("topic", "empty"), Want: 3},
			{Name: "a group that never committed, latest", Values: at("topic", "orders", "consumerGroup", "new"), Want: 3},
			{Name: "a group that never committed, earliest", Values: at("topic", "orders", "consumerGroup", "new", "offsetResetPolicy", "earliest"), Want: 12},
			{Name: "a group that never committed, zero", Values: at("topic", "orders", "consumerGroup", "new", "scaleToZeroOnInvalidOffset", "true"), Want: 0},
		}
		if typ == "kafka" {
			cases = append(cases,
				scalertest.Case{Name: "all topics of the group", Values: at("allowIdleConsumers", "true"), Want: 65, MetricName: "s0-kafka-g-topics"},
				scalertest.Case{Name: "all topics of a group that never committed", Values: at("consumerGroup", "new"), Want: 9},
				scalertest.Case{Name: "no topic", Values: at("topic", "none"), Err: `measuring the lag of group "g" on topic "none": code 3: kafka server: Request was for a topic or partition that does not exist on this broker; create the topic, or correct its name`, Kind: scalers.NotFound},
				scalertest.Case{Name: "no partition", Values: at("topic", "orders", "partitionLimitation", "4-2"), Err: `no partition of topic "orders" is left to measure`, Kind: scalers.NotFound},
			)
		} else {
			cases = append(cases,
				scalertest.Case{Name: "two topics", Values: at("topic", "orders, behind", "allowIdleConsumers", "true"), Want: 65, MetricName: "s0-kafka-orders,behind"},
				scalertest.Case{Name: "a topic that is not there, and one that is", Values: at("topic", "none,orders"), Want: 5},
				scalertest.Case{Name: "an empty limitation", Values: at("topic", "orders", "partitionLimitation", "4-2"), Want: 5},
				scalertest.Case{Name: "no topic", Values: at("topic", "none"), Want: 0},
				scalertest.Case{Name: "no member", Values: at(), Err: "the group has no active member; name the topic, which needs no member", Kind: scalers.NotFound},
			)
		}
		t.Run(typ, func(t *testing.T) { scalertest.Run(t, definition(t, typ), cases) })
	}
}
