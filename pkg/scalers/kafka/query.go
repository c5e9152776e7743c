package kafka

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// query says what to measure. What does not bear on that is zero, so that equal
// measurements compare equal.
type query struct {
	flavour flavour
	group   string
	topics  param.List // empty means all of the group's
	limit   partitions

	earliest          bool // a group without an offset begins at the first message
	zeroOnInvalid     bool // a partition without an offset has no lag
	excludePersistent bool // a partition whose offset stands still has no lag
	idle              bool // more replicas than partitions are useful
	withLag           bool // only partitions with lag keep a replica busy
	even              bool // replicas divide the partitions evenly

	// threshold is zero where the value does not depend on it. Else triggers with
	// another threshold are another query; what the brokers are asked is shared.
	threshold int64
	// activation is in the query where the value may be above what decides
	// whether there is work.
	activation int64
}

// bind implements Spec.Query.
func (q *query) bind(f flavour, p *param.Set) {
	q.flavour = f
	policy, limit := "latest", ""
	p.String(&q.group, "consumerGroup", "Consumer group whose lag to measure.", param.Required, param.From(param.Metadata, param.Env))
	q.bindTopics(p)
	p.String(&policy, "offsetResetPolicy", "Where the group begins in a partition that it has committed no offset for: `latest` counts one message, so that a consumer starts; "+
		"`earliest` counts all messages.", param.OneOf("latest", "earliest"))
	p.Bool(&q.idle, "allowIdleConsumers", "Allow more replicas than partitions.")
	p.Bool(&q.zeroOnInvalid, "scaleToZeroOnInvalidOffset", "Count no lag in a partition without a committed offset.")
	p.Bool(&q.excludePersistent, "excludePersistentLag", "Count no lag in a partition whose committed offset has not moved since it was last measured, so that a stuck consumer is not given company. It still counts as work.")
	p.Bool(&q.withLag, "limitToPartitionsWithLag", "Allow no more replicas than partitions with lag.")
	p.Bool(&q.even, "ensureEvenDistributionOfPartitions", "Report a value for which the number of replicas divides the number of partitions.")
	p.String(&limit, "partitionLimitation", "Partitions to measure, as `1,2,10-12`. Ignored without a topic.")
	full := true
	if f == classic {
		p.Bool(&full, "fullMetadata", "Has no effect: metadata is asked for topics in use only. Setting it to `false` needs a topic.")
	}
	p.Check(func() error {
		q.earliest = policy == "earliest"
		return nil
	})
	p.Check(func() error {
		parsed, ok := parsePartitions(limit)
		if !ok {
			return param.Wrong("partitionLimitation", "must be partition numbers and ranges such as 1,2,10-12")
		}
		q.setLimit(parsed, p)
		return nil
	}, "partitionLimitation")
	p.Check(func() error { return q.check(full) })
}

func (q *query) bindTopics(p *param.Set) {
	from := param.From(param.Metadata, param.Env)
	if q.flavour == apache {
		p.List(&q.topics, "topic", "Topics to measure, separated by commas. Without it all topics of the cluster count while the group has active members.", from)
	} else {
		var one string
		p.String(&one, "topic", "Topic to measure. Without it all topics that the group has committed offsets for count.", from)
		p.Check(func() error {
			q.topics = param.NewList(one)
			if strings.Contains(one, ",") {
				p.Warn("topic", "holds a comma, which no topic's name has; the type apache-kafka takes several topics")
			}
			return nil
		})
	}
	p.Check(func() error {
		if q.all() {
			p.Warn("topic", "is not set: %s; name the topic to be sure what is counted", q.flavour.withoutTopic())
		}
		return nil
	}, "topic")
}

// withoutTopic says what a trigger without a topic counts.
func (f flavour) withoutTopic() string {
	if f == apache {
		return "all topics of the cluster count, and measuring fails while the group has no active member"
	}
	return "all topics of the cluster count until the group has committed an offset"
}

// check holds the rules across parameters.
func (q *query) check(full bool) error {
	const topic = "needs a topic"
	switch {
	case q.withLag && q.idle:
		return param.Wrong("limitToPartitionsWithLag", `cannot be combined with "allowIdleConsumers"; keep one of them`)
	case q.withLag && q.all():
		return param.Wrong("limitToPartitionsWithLag", topic)
	case q.flavour == apache:
		return nil
	case q.withLag && q.even:
		return param.Wrong("limitToPartitionsWithLag", `cannot be combined with "ensureEvenDistributionOfPartitions"; keep one of them`)
	case q.even && q.all():
		return param.Wrong("ensureEvenDistributionOfPartitions", topic)
	case !full && q.all():
		return param.Wrong("fullMetadata", `can be "false" only with a topic`)
	}
	return nil
}

// setLimit applies the limitation where the type does.
func (q *query) setLimit(limit partitions, p *param.Set) {
	switch {
	case limit.isZero():
		return
	case q.all():
		p.Warn("partitionLimitation", "is ignored without a topic")
		return
	case limit.ranges() == nil:
		if q.flavour == apache {
			p.Warn("partitionLimitation", "holds no partition: its range begins after its end; all partitions count")
			return
		}
		p.Warn("partitionLimitation", "holds no partition: its range begins after its end; measuring fails")
	}
	q.limit = limit
}

// bindThresholds implements Spec.Thresholds.
func (q *query) bindThresholds(th *scalers.Thresholds, p *param.Set) {
	lag, activation := int64(10), int64(0)
	p.Int(&lag, 1, math.MaxInt64, "lagThreshold", "How many messages of lag one replica should carry.")
	p.Int(&activation, 0, math.MaxInt64, "activationLagThreshold", "How many messages of lag are not yet work: the workload wakes from zero above this.")
	p.Check(func() error {
		th.Target, th.Activation = float64(lag), float64(activation)
		if q.bounded() {
			q.threshold = lag
		}
		if q.even || q.excludePersistent {
			q.activation = activation
		}
		return nil
	})
}

// all reports whether no topic is named.
func (q query) all() bool { return q.topics == param.List{} }

// bounded reports whether the number of partitions bounds the value.
func (q query) bounded() bool { return !q.idle || q.withLag || q.even }

func (q query) metricName() string {
	if q.all() {
		return "kafka-" + q.group + "-topics"
	}
	return "kafka-" + q.topics.String()
}

// op says what measuring q is, for errors.
func (q query) op() string {
	if q.all() {
		return fmt.Sprintf("measuring the lag of group %q", q.group)
	}
	return fmt.Sprintf("measuring the lag of group %q on topic %q", q.group, q.topics)
}

// partitions are numbers and ranges of partitions in a form that == compares.
// The zero value means all. One that is set may still hold none.
type partitions struct{ text string }

// span is a range of partitions, both ends included.
type span struct{ from, to int32 }

// parsePartitions reads numbers and ranges; a range that begins after its end
// is empty.
func parsePartitions(text string) (partitions, bool) {
	if text == "" {
		return partitions{}, true
	}
	var kept []string
	for item := range strings.SplitSeq(text, ",") {
		s, ok := parseSpan(strings.TrimSpace(item))
		if !ok {
			return partitions{}, false
		}
		if s.from <= s.to {
			kept = append(kept, fmt.Sprintf("%d-%d", s.from, s.to))
		}
	}
	return partitions{"," + strings.Join(kept, ",")}, true
}

func parseSpan(item string) (span, bool) {
	from, to, ranged := strings.Cut(item, "-")
	if !ranged {
		to = from
	}
	low, err := strconv.ParseInt(from, 10, 32)
	high, err2 := strconv.ParseInt(to, 10, 32)
	ok := err == nil && err2 == nil && !strings.ContainsAny(item, "+") && low >= 0 && high >= 0
	return span{int32(low), int32(high)}, ok
}

func (l partitions) isZero() bool { return l == partitions{} }

// ranges returns what parsePartitions kept; nil when that is nothing.
func (l partitions) ranges() []span {
	var out []span
	for item := range strings.SplitSeq(strings.TrimPrefix(l.text, ","), ",") {
		if s, ok := parseSpan(item); ok {
			out = append(out, s)
		}
	}
	return out
}
