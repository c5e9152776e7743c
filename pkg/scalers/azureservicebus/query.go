package azureservicebus

import (
	"fmt"
	"regexp"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// The operations.
const (
	sum = "sum"
	top = "max"
	avg = "avg"
)

// query is a queue, or a subscription of a topic, or all of them that an
// expression matches.
type query struct {
	topic     string // empty for queues
	name      string // of the queue or subscription; an expression when regex is set
	regex     bool
	operation string // how the counts of an expression are combined; empty for one entity
}

func (q *query) bind(p *param.Set) {
	var queue, subscription string
	q.operation = sum
	p.String(&queue, "queueName", "Queue to measure; an expression with useRegex.")
	p.String(&q.topic, "topicName", "Topic whose subscription is measured.")
	p.String(&subscription, "subscriptionName", "Subscription of topicName to measure; an expression with useRegex.")
	p.Bool(&q.regex, "useRegex", "Take queueName, or subscriptionName, for a regular expression in the syntax of RE2 that must match the whole name.")
	p.String(&q.operation, "operation", "How the counts of all that useRegex matches are combined. \"avg\" rounds down.", param.OneOf(sum, top, avg))
	p.Check(func() error {
		switch {
		case queue == "" && q.topic == "":
			return param.Wrong("queueName", "is required, or topicName and subscriptionName")
		case queue != "" && q.topic != "":
			return param.Wrong("topicName", `cannot be combined with "queueName"; keep one of them`)
		case queue != "" && subscription != "":
			return param.Wrong("subscriptionName", `cannot be combined with "queueName"; keep one of them`)
		case q.topic != "" && subscription == "":
			return param.Wrong("subscriptionName", `is required when "topicName" is set`)
		}
		name := "queueName"
		if q.name = queue; q.topic != "" {
			name, q.name = "subscriptionName", subscription
		}
		return q.complete(p, name)
	}, "queueName", "topicName", "subscriptionName", "useRegex", "operation")
}

// complete checks the expression, which the parameter called name holds, or does
// away with what only expressions use.
func (q *query) complete(p *param.Set, name string) error {
	if !q.regex {
		if p.Given("operation") {
			p.Warn("operation", "has no effect without useRegex")
		}
		q.operation = ""
		return nil
	}
	if _, err := regexp.Compile(q.name); err != nil {
		return param.Wrong(name, "must be a regular expression in the syntax of RE2")
	}
	return nil
}

// op says what is tried, for errors.
func (q query) op() string {
	what, of := "queue", ""
	if q.topic != "" {
		what, of = "subscription", fmt.Sprintf(" of topic %q", scalers.Excerpt(q.topic))
	}
	if q.regex {
		return "measuring the " + what + "s" + of + " that an expression matches"
	}
	return fmt.Sprintf("measuring %s %q%s", what, scalers.Excerpt(q.name), of)
}

// matcher returns whether a name is matched as a whole: the longest of the first
// matches must be all of it.
func (q query) matcher() func(string) bool {
	re, err := regexp.Compile(q.name)
	if err != nil { // parsing the trigger has refused it
		return func(string) bool { return false }
	}
	re.Longest()
	return func(name string) bool { return re.FindString(name) == name }
}

// combine makes one number of the counts of all that was matched; zero of none.
func (q query) combine(counts []int32) float64 {
	var all, most int64
	for _, c := range counts {
		all += int64(c)
		most = max(most, int64(c))
	}
	switch {
	case q.operation == top:
		return float64(most)
	case q.operation == avg && len(counts) > 0:
		return float64(all / int64(len(counts)))
	}
	return float64(all)
}

func metricName(_ settings, q query) string {
	switch {
	case q.regex && q.topic == "":
		return "azure-servicebus-queue-regex"
	case q.regex:
		return "azure-servicebus-topic-regex"
	case q.topic != "":
		return "azure-servicebus-" + q.topic
	}
	return "azure-servicebus-" + q.name
}
