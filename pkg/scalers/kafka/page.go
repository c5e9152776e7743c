package kafka

import (
	"maps"

	"github.com/weir-sh/weir/pkg/scalers"
)

func (f flavour) page() scalers.Page {
	return scalers.Page{
		Measures:    f.measures(),
		Permissions: "With ACLs: *Describe* on the topic and on the consumer group. Without `topic` also *Describe* on every topic that counts. *Read* on the topic is used where it is granted, to be told of new messages at once; nothing is ever consumed, committed or joined, and no topic is created.",
		Batching: `All triggers with the same brokers, protocol version, TLS settings and credentials share one connection to each broker they need. A poll of any number of them is one request to each coordinator for the committed offsets (up to 1,000 groups each) and one to each leader for the ends of the partitions (up to 10,000 each). Triggers of the same group and topic with different thresholds share both.

Metadata is asked for the topics in use, in one request a minute. The coordinator of a group is asked for once, until it moves. Brokers before 3.0, or ` + "`version`" + ` below that, take one group per request for offsets.

To be told of new messages, one more connection to each leader holds a request at the end of the partitions. A partition that is written to all the time is looked at every 5 seconds by that way, and its messages are not transferred; one batch is when a message ends the silence.`,
		Failures: f.failures(),
	}
}

func (f flavour) measures() string {
	without := "Without `topic` all topics count that the group has committed offsets for; while it has committed none, all topics of the cluster do, as a group may be about to begin."
	if f == apache {
		without = "Without `topic` all topics of the cluster count, and the group must have an active member."
	}
	return `The value is the sum over the partitions of the last written offset minus the committed one, transactions' markers and uncommitted messages included. ` + without + `

| Partition | Lag |
|---|---|
| without a committed offset, ` + "`offsetResetPolicy: latest`" + ` | 1 |
| without a committed offset, ` + "`offsetResetPolicy: earliest`" + ` | the last written offset, even where early messages are deleted |
| without a committed offset, ` + "`scaleToZeroOnInvalidOffset: \"true\"`" + ` | 0 |
| with the offset of the last measurement, ` + "`excludePersistentLag: \"true\"`" + ` | 0; it still counts as work |

Unless ` + "`allowIdleConsumers`" + ` is set, the value stops at ` + "`lagThreshold`" + ` times the number of partitions, or of those with lag with ` + "`limitToPartitionsWithLag`" + `. It is cut only from one threshold above that, so that one replica more can be asked for. With ` + "`ensureEvenDistributionOfPartitions`" + ` it is ` + "`lagThreshold`" + ` times the smallest divisor of the number of partitions that carries the lag, at least one. Whether there is work is decided by the sum before all that.

The memory of ` + "`excludePersistentLag`" + ` is lost when the process starts anew, and every measurement advances it.`
}

func (f flavour) failures() string {
	out := "A group or topic that may not be seen, or a partition without a leader, fails the triggers that need it. When a broker is gone, only what it leads or coordinates fails, until another has taken over. When none answers, or the login is refused, all triggers of the source fail. " +
		"Brokers before 2.0, and some proxies, answer a wrong password by closing the connection. Answers that ask for a pause of more than a second are Throttled. "
	if f == apache {
		return out + "A topic that does not exist counts nothing, as ever: when no topic is left, the value is an unconfirmed 0. The type `kafka` takes that for an error, which is the safe setting. `sasl: gssapi` is accepted, and refused when it connects."
	}
	return out + "A topic that does not exist is NotFound for its own triggers. `sasl: gssapi` connects to the servers that `kerberosConfig` lists, each of which must answer over TCP; `dns_lookup_kdc` is refused. The files that the Kerberos library reads are in a private temporary folder while the source is open."
}

// examples are a minimal trigger, and one as in production.
func (f flavour) examples() []scalers.Example {
	small := map[string]string{"bootstrapServers": "kafka.default.svc:9092", "consumerGroup": "billing", "topic": "orders"}
	large := maps.Clone(small)
	maps.Copy(large, map[string]string{
		"bootstrapServers": "kafka-0.kafka.default.svc:9093,kafka-1.kafka.default.svc:9093",
		"lagThreshold":     "50", "activationLagThreshold": "5", "tls": "enable", "sasl": "scram_sha512",
	})
	aws := maps.Clone(large)
	maps.Copy(aws, map[string]string{"bootstrapServers": "b-1.shop.kafka.eu-west-1.amazonaws.com:9098", "awsRegion": "eu-west-1", "sasl": string(mskIAM)})
	if f == classic {
		aws["sasl"], aws["saslTokenProvider"] = string(oauthBearer), byMSK
	}
	return []scalers.Example{
		{Title: "Minimal", Metadata: small},
		{Title: "Production", Metadata: large, Auth: map[string]string{"username": "weir", "password": "<password>", "ca": "<PEM>"}},
		{Title: "Amazon MSK with IAM", Metadata: aws, Identity: "aws"},
	}
}
