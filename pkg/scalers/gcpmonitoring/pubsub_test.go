package gcpmonitoring_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/genproto/googleapis/api/distribution"
	"google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/gcpmonitoring"
)

func TestFiveHundredSubscriptionsTakeFewCallsAndOneConnection(t *testing.T) {
	const n = 500
	s := start(t)
	var all []param.Values
	for i := range n {
		id := fmt.Sprintf("sub-%03d", i)
		s.Put(fake.Series("projects/shop/subscriptions/"+id, "num_undelivered_messages", fake.Int(int64(i)), 20*time.Second))
		all = append(all, values(t, s, "subscriptionName", id, "value", fmt.Sprint(i+1)))
	}
	all = append(all, values(t, s, "subscriptionName", "missing"), values(t, s, "subscriptionName", "projects/shop/subscriptions/sub-007"))
	conn := connect(t, "gcp-pubsub", all[0], env(nil))
	for range 2 {
		readings := fetch(t, conn, "gcp-pubsub", all...)
		for i, r := range readings[:n] {
			if r.Err != nil || r.Value != float64(i) || r.At.IsZero() {
				t.Fatalf("subscription %d reads %v", i, r)
			}
		}
		want(t, "a missing one", readings[n], 0, "NotFound", `reading a metric of subscription "missing": there is no time series; check the names and that the metric has values; idle resources may have none`)
		want(t, "one asked for twice", readings[n+1], 7, "", "")
		requests := s.Requests()
		if len(requests) != 6 {
			t.Errorf("%d subscriptions took %d calls, want 6", n, len(requests))
		}
		for _, r := range requests {
			if len(r.GetFilter()) > 2048 || strings.Count(r.GetFilter(), "sub-") > 100 {
				t.Errorf("a filter is too long: %s", r.GetFilter())
			}
		}
	}
	if c := s.Connections(); c != 1 {
		t.Errorf("%d connections, want 1", c)
	}
}

func TestLongNamesMakeShorterCalls(t *testing.T) {
	s := start(t)
	var all []param.Values
	for i := range 20 {
		all = append(all, values(t, s, "subscriptionName", strings.Repeat("x", 250)+fmt.Sprintf("%03d", i), "valueIfNull", "1"))
	}
	s.Put(fake.Series("projects/shop/subscriptions/any", "num_undelivered_messages", fake.Int(1)))
	for i, r := range fetch(t, connect(t, "gcp-pubsub", all[0], env(nil)), "gcp-pubsub", all...) {
		want(t, fmt.Sprint(i), r, 1, "", "")
	}
	requests := s.Requests()
	for _, r := range requests {
		if len(r.GetFilter()) > 2048 {
			t.Errorf("a filter has %d characters", len(r.GetFilter()))
		}
	}
	if len(requests) != 3 {
		t.Errorf("%d calls, want 3", len(requests))
	}
}

func TestTheRequestIsWhatThePageSays(t *testing.T) {
	s := start(t)
	s.Put(fake.Series("projects/shop/subscriptions/abc", "num_undelivered_messages", fake.Int(1), time.Minute))
	want(t, "the value", measure(t, "gcp-pubsub", values(t, s, "subscriptionName", "abc")), 1, "", "")
	r := s.Requests()[0]
	if want := `metric.type="pubsub.googleapis.com/subscription/num_undelivered_messages" AND resource.type="pubsub_subscription" AND resource.labels.project_id="shop" AND resource.labels.subscription_id="abc"`; r.GetFilter() != want {
		t.Errorf("the filter is %s\nwant %s", r.GetFilter(), want)
	}
	span := r.GetInterval().GetEndTime().AsTime().Sub(r.GetInterval().GetStartTime().AsTime())
	if r.GetName() != "projects/shop" || span != 2*time.Minute || r.GetAggregation() != nil {
		t.Errorf("the request is %v", r)
	}
}

// histogram is a distribution of kind DELTA with the ranges up to 10, 20, 40 and
// above.
func histogram(label string, count int64, mean, squares float64, buckets ...int64) *monitoringpb.TimeSeries {
	out := fake.Series("projects/shop/topics/orders", "message_sizes", &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_DistributionValue{
		DistributionValue: &distribution.Distribution{
			Count: count, Mean: mean, SumOfSquaredDeviation: squares, BucketCounts: buckets,
			BucketOptions: &distribution.Distribution_BucketOptions{Options: &distribution.Distribution_BucketOptions_ExplicitBuckets{
				ExplicitBuckets: &distribution.Distribution_BucketOptions_Explicit{Bounds: []float64{10, 20, 40}},
			}},
		},
	}}, time.Minute)
	out.MetricKind, out.Metric.Labels = metric.MetricDescriptor_DELTA, map[string]string{"region": label}
	return out
}

func TestAggregationsCoverAllSeriesOfATopic(t *testing.T) {
	s := start(t)
	s.Put(histogram("a", 2, 12, 8, 0, 2)) // 10 and 14
	s.Put(histogram("b", 2, 32, 8, 0, 0, 2))
	other := fake.Series("projects/shop/topics/orders", "send_request_count", fake.Int(3), time.Minute, 2*time.Minute)
	more := fake.Series("projects/shop/topics/orders", "send_request_count", fake.Int(2), time.Minute)
	other.MetricKind, other.Metric.Labels = metric.MetricDescriptor_DELTA, map[string]string{"response_class": "success"}
	more.MetricKind, more.Metric.Labels = metric.MetricDescriptor_DELTA, map[string]string{"response_class": "error"}
	s.Put(other)
	s.Put(more)

	var all []param.Values
	var wants []float64
	for _, c := range []struct {
		mode, aggregation string
		want              float64
	}{
		{"MessageSizes", "count", 4},
		{"MessageSizes", "sum", 88},
		{"MessageSizes", "mean", 22},
		{"MessageSizes", "variance", (8 + 8 + 2*100 + 2*100) / 4.0},
		{"MessageSizes", "median", 20},
		{"MessageSizes", "percentile75", 30},
		{"MessageSizes", "percentile100", 40},
		{"MessageSizes", "percentile0", 10},
		{"SendRequestCount", "sum", 8},
		{"SendRequestCount", "count", 2},
		{"SendRequestCount", "mean", 4},
		{"SendRequestCount", "stddev", 2},
		{"SendRequestCount", "median", 4},
		{"SendRequestCount", "percentile25", 3},
	} {
		all = append(all, values(t, s, "topicName", "orders", "mode", c.mode, "aggregation", c.aggregation))
		wants = append(wants, c.want)
	}
	for i, r := range fetch(t, connect(t, "gcp-pubsub", all[0], env(nil)), "gcp-pubsub", all...) {
		want(t, all[i].Metadata["mode"]+" "+all[i].Metadata["aggregation"], r, wants[i], "", "")
	}
	if n := len(s.Requests()); n != 2 {
		t.Errorf("%d calls for two metrics, want 2", n)
	}
	want(t, "a distribution without aggregation", measure(t, "gcp-pubsub", values(t, s, "topicName", "orders", "mode", "MessageSizes")), 0,
		"BadAnswer", `reading a metric of topic "orders": the value is a distribution; choose a metric, or an aggregation, that gives a number`)
}

func TestZerosAreDoubtful(t *testing.T) {
	s := start(t)
	for id, v := range map[string]*monitoringpb.TypedValue{"zero": fake.Int(0), "below": fake.Double(-3)} {
		s.Put(fake.Series("projects/shop/subscriptions/"+id, "num_undelivered_messages", v, time.Minute))
		if r := measure(t, "gcp-pubsub", values(t, s, "subscriptionName", id)); r.Err != nil || r.Value != 0 || !r.FalseZero {
			t.Errorf("%s reads %+v", id, r)
		}
	}
}

// backlog counts the messages of an in-process Pub/Sub that are not acknowledged.
func backlog(s *pstest.Server) int64 {
	n := int64(0)
	for _, m := range s.Messages() {
		if m.Acks == 0 {
			n++
		}
	}
	return n
}

func TestTheBacklogOfPubSub(t *testing.T) {
	const topic, subscription = "projects/shop/topics/orders", "projects/shop/subscriptions/orders"
	bus := pstest.NewServer()
	conn, err := grpc.NewClient(bus.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range []error{conn.Close(), bus.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	subscriber := pubsubpb.NewSubscriberClient(conn)
	if _, err := pubsubpb.NewPublisherClient(conn).CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	if _, err := subscriber.CreateSubscription(t.Context(), &pubsubpb.Subscription{Name: subscription, Topic: topic, AckDeadlineSeconds: 60}); err != nil {
		t.Fatal(err)
	}
	s := start(t)
	s.PutLive(fake.Series(subscription, "num_undelivered_messages", nil), func() int64 { return backlog(bus) })
	v := values(t, s, "subscriptionName", subscription)
	source := connect(t, "gcp-pubsub", v, env(nil))
	check := func(what string, value float64) {
		t.Helper()
		want(t, what, fetch(t, source, "gcp-pubsub", v)[0], value, "", "")
	}
	check("before", 0)
	for range 9 {
		bus.Publish(topic, []byte("x"), nil)
	}
	check("published", 9)
	pulled, err := subscriber.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: subscription, MaxMessages: 4})
	if err != nil || len(pulled.GetReceivedMessages()) == 0 {
		t.Fatal(pulled, err)
	}
	check("delivered", 9)
	ids := make([]string, len(pulled.GetReceivedMessages()))
	for i, m := range pulled.GetReceivedMessages() {
		ids[i] = m.GetAckId()
	}
	if _, err := subscriber.Acknowledge(t.Context(), &pubsubpb.AcknowledgeRequest{Subscription: subscription, AckIds: ids}); err != nil {
		t.Fatal(err)
	}
	check("acknowledged", float64(9-len(ids)))
}
