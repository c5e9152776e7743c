package azureservicebus_test

import (
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azureservicebus"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	"github.com/weir-sh/weir/test/fakes/servicebus"
)

// fill makes what the cases measure.
func fill(s *servicebus.Server) {
	s.SetQueue("orders", servicebus.Counts{Active: 7, DeadLetter: 2, Scheduled: 3, Transfer: 4, TransferDeadLetter: 5})
	s.SetQueue("empty", servicebus.Counts{DeadLetter: 9})
	s.SetQueue("team/a b?c#d", servicebus.Counts{Active: 11})
	s.SetQueue("abc", servicebus.Counts{Active: 3})
	s.SetQueue("abcd", servicebus.Counts{Active: 4})
	s.SetTopic("events")
	s.SetSubscription("events", "billing", servicebus.Counts{Active: 5})
	s.SetSubscription("events", "audit", servicebus.Counts{Active: 2})
	s.SetTopic("lonely")
}

func TestConformance(t *testing.T) {
	s, connection := namespace(t)
	fill(s)
	at := func(name string, want float64, metric string, metadata ...string) scalertest.Case {
		return scalertest.Case{Name: name, Values: values(map[string]string{"connection": connection}, metadata...), Want: want, MetricName: metric}
	}
	failing := func(name, text string, kind scalers.Kind, metadata ...string) scalertest.Case {
		return scalertest.Case{Name: name, Values: values(map[string]string{"connection": connection}, metadata...), Err: text, Kind: kind}
	}
	scalertest.Run(t, azureservicebus.Scaler, []scalertest.Case{
		at("a queue", 7, "s0-azure-servicebus-orders", "queueName", "orders"),
		at("an empty queue", 0, "", "queueName", "empty"),
		at("a queue in another case", 7, "s0-azure-servicebus-ORDERS", "queueName", "ORDERS"),
		at("a queue whose name has to be escaped", 11, "", "queueName", "team/a b?c#d"),
		at("a subscription", 5, "s0-azure-servicebus-events", "topicName", "events", "subscriptionName", "billing"),
		at("the sum", 7, "s0-azure-servicebus-queue-regex", "queueName", "abcd?", "useRegex", "true"),
		at("the largest", 4, "", "queueName", "abcd?", "useRegex", "true", "operation", "max"),
		at("the mean, rounded down", 3, "", "queueName", "abcd?", "useRegex", "true", "operation", "avg"),
		at("the longest alternative", 7, "", "queueName", "abc|abcd", "useRegex", "true"),
		at("only whole names", 0, "", "queueName", "bc", "useRegex", "true", "operation", "avg"),
		at("all subscriptions", 7, "s0-azure-servicebus-topic-regex", "topicName", "events", "subscriptionName", ".*", "useRegex", "true"),
		at("no subscriptions", 0, "", "topicName", "lonely", "subscriptionName", ".*", "useRegex", "true"),
		failing("no queue", `measuring queue "gone": it does not exist in this namespace`, scalers.NotFound, "queueName", "gone"),
		failing("no subscription", `measuring subscription "gone" of topic "events": it does not exist`, scalers.NotFound, "topicName", "events", "subscriptionName", "gone"),
		failing("no topic", `measuring subscription "gone" of topic "none": it does not exist`, scalers.NotFound, "topicName", "none", "subscriptionName", "gone"),
		failing("no topic for an expression", "status 404 Not Found", scalers.NotFound, "topicName", "none", "subscriptionName", ".*", "useRegex", "true"),
		failing("a topic that is taken for a queue", "no CountDetails element", scalers.BadAnswer, "queueName", "events"),
	})
}
