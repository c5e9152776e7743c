package gcpmonitoring_test

import (
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	fake "github.com/weir-sh/weir/test/fakes/gcpmonitoring"
)

func fill(s *fake.Server) {
	s.Put(fake.Series("projects/shop/subscriptions/orders", "num_undelivered_messages", fake.Int(7), 30*time.Second, 90*time.Second))
	s.Put(fake.Series("projects/shop/subscriptions/idle", "num_undelivered_messages", fake.Int(0), 30*time.Second))
	s.Put(fake.Series("projects/other/subscriptions/orders", "num_undelivered_messages", fake.Int(9), 30*time.Second))
	s.Put(fake.Series("projects/shop/subscriptions/orders", "oldest_unacked_message_age", fake.Double(12.5), 30*time.Second))
	s.Put(fake.Series("projects/shop/topics/orders", "message_sizes", fake.Int(3), 30*time.Second))
}

func TestConformancePubSub(t *testing.T) {
	s := start(t)
	fill(s)
	scalertest.Run(t, definition(t, "gcp-pubsub"), []scalertest.Case{
		{Name: "a subscription", Values: values(t, s, "subscriptionName", "orders"), Want: 7, MetricName: "s0-gcp-ps-orders"},
		{
			Name: "a subscription of another project", Values: values(t, s, "subscriptionName", "projects/other/subscriptions/orders"),
			Want: 9, MetricName: "s0-gcp-ps-projects-other-subscriptions-orders",
		},
		{Name: "an empty subscription", Values: values(t, s, "subscriptionName", "idle"), Want: 0},
		{Name: "another metric", Values: values(t, s, "subscriptionName", "orders", "mode", "OldestUnackedMessageAge"), Want: 12.5},
		{Name: "a topic", Values: values(t, s, "topicName", "orders", "mode", "MessageSizes"), Want: 3},
		{Name: "no subscription", Values: values(t, s, "subscriptionName", "none"), Err: "there is no time series", Kind: scalers.NotFound, Empty: true},
		{Name: "no subscription, and a value for that", Values: values(t, s, "subscriptionName", "none", "valueIfNull", "4"), Want: 4, Empty: true},
		{Name: "a name that cannot be", Values: values(t, s, "subscriptionName", "googly"), Err: `a name does not begin with "goog"`, Kind: scalers.Invalid},
		{Name: "no such metric", Values: values(t, s, "subscriptionName", "orders", "mode", "Nothing"), Err: "NotFound: Cannot find metric", Kind: scalers.NotFound},
		{Name: "an aggregation of a gauge", Values: values(t, s, "subscriptionName", "orders", "aggregation", "sum"), Err: "GAUGE", Kind: scalers.Invalid},
	})
}

func TestConformanceStackdriver(t *testing.T) {
	s := start(t)
	fill(s)
	const filter = `metric.type="pubsub.googleapis.com/subscription/num_undelivered_messages"`
	only := func(id string) string { return filter + ` AND resource.labels.subscription_id="` + id + `"` }
	scalertest.Run(t, definition(t, "gcp-stackdriver"), []scalertest.Case{
		{Name: "one series", Values: values(t, s, "projectId", "shop", "filter", only("orders")), Want: 7, MetricName: "s0-gcp-stackdriver-shop"},
		{Name: "a filter of two lines", Values: values(t, s, "projectId", "shop", "filter", filter+"\n  AND resource.labels.subscription_id=\"orders\""), Want: 7},
		{Name: "another project", Values: values(t, s, "projectId", "other", "filter", filter), Want: 9, MetricName: "s0-gcp-stackdriver-other"},
		{Name: "the first of two series", Values: values(t, s, "projectId", "shop", "filter", filter), Want: 7},
		{Name: "reduced", Values: values(
			t, s, "projectId", "shop", "filter", filter, "alignmentPeriodSeconds", "60", "alignmentAligner", "mean", "alignmentReducer", "Sum",
		), Want: 7},
		{Name: "nothing", Values: values(t, s, "projectId", "shop", "filter", only("none")), Err: "there is no time series", Kind: scalers.NotFound, Empty: true},
		{Name: "nothing, and a value for that", Values: values(t, s, "projectId", "shop", "filter", only("none"), "valueIfNull", "2"), Want: 2, Empty: true},
		{Name: "a filter that is none", Values: values(t, s, "projectId", "shop", "filter", "metric"), Err: "InvalidArgument", Kind: scalers.Invalid},
	})
}
