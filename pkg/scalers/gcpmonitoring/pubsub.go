package gcpmonitoring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func pubsub() *scalers.Definition {
	return scalers.Define(scalers.Spec[settings, query]{
		Type:     "gcp-pubsub",
		Summary:  "Scales on the messages that wait in a Google Cloud Pub/Sub subscription, or on another metric of a subscription or a topic.",
		Unit:     "messages",
		Settings: (*settings).bind,
		Query:    (*query).bind,
		Target: scalers.Target{
			Param: "value", Default: 10, Activation: "activationValue",
			Doc: "How much one replica should carry, in the unit of the metric that `mode` chooses; messages by default.",
		},
		MetricName: func(_ settings, q query) string { return "gcp-ps-" + q.resource.written },
		Open: func(ctx context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
			a, err := s.open(ctx, env)
			if err != nil {
				return nil, err
			}
			return &source{a}, nil
		},
		Page:     pubsubPage(),
		Examples: pubsubExamples(),
	})
}

const defaultMode = "SubscriptionSize"

// query is one metric of one subscription or topic.
type query struct {
	resource    resource
	metric      string        // the metric's type
	aggregation string        // empty means the newest point as it is
	percentile  int64         // 0 to 100, with aggregation "percentile"
	span        time.Duration // how far back to look; > 0
	ifNull      ifNull
	fault       string // why it cannot be measured; empty means it can
}

// op says what is tried, for errors.
func (q query) op() string {
	return fmt.Sprintf("reading a metric of %s %q", q.resource.kind, q.resource.written)
}

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	var subscription, topic, removed, aggregation string
	mode := defaultMode
	places := param.From(param.Metadata, param.Env)
	p.String(&subscription, "subscriptionName", "Subscription to measure: its id, or `projects/PROJECT/subscriptions/ID`. With the id alone the project is that of the credentials.", places)
	p.String(&topic, "topicName", "Topic to measure instead: its id, or `projects/PROJECT/topics/ID`.", places)
	p.String(&mode, "mode", "Metric to read: `SubscriptionSize` for the messages not acknowledged yet, or the name of a Pub/Sub metric in camel case, such as `OldestUnackedMessageAge` or `MessageSizes`.")
	p.String(&aggregation, "aggregation", "How the values of three minutes become one number: mean, median, variance, stddev, sum, count, or percentile0 to percentile100. Needed for distributions such as MessageSizes; not for metrics that are one number, such as SubscriptionSize.")
	p.Duration(&q.span, "timeHorizon", "How far back to look; 2m when not given or zero, 5m with an aggregation. A bare number is milliseconds.")
	p.String(&removed, "subscriptionSize", "No longer accepted: use `mode` and `value`.")
	q.ifNull.bind(p)
	p.Check(func() error {
		if removed != "" {
			return param.Wrong("subscriptionSize", `is no longer accepted; use "mode" and "value"`)
		}
		return nil
	})
	p.Check(func() error {
		switch {
		case subscription != "" && topic != "":
			return param.Wrong("topicName", `cannot be combined with "subscriptionName"; keep one of them`)
		case topic != "":
			q.resource = newResource("topic", topic)
		case subscription != "":
			q.resource = newResource("subscription", subscription)
		default:
			return param.Wrong("subscriptionName", `is required, or "topicName"`)
		}
		q.complete(p, mode, aggregation)
		return nil
	}, "subscriptionName", "topicName", "mode", "aggregation", "timeHorizon")
}

// complete settles the rest, and warns of what can never be measured.
func (q *query) complete(p *param.Set, mode, aggregation string) {
	q.metric = metricType(q.resource.kind, mode)
	q.aggregation, q.percentile = parseAggregation(aggregation)
	never := func(name, problem string) {
		p.Warn(name, "can never be measured: %s", problem)
		q.fault = problem
	}
	name := q.resource.kind + "Name"
	if problem := q.resource.problem(); problem != "" {
		never(name, problem)
	}
	if !validMetric(q.metric) {
		never("mode", "a metric's name is letters and digits")
	}
	if aggregation != "" && q.aggregation == "" {
		never("aggregation", "it is none of mean, median, variance, stddev, sum, count and percentile0 to percentile100")
	}
	if mode == defaultMode && q.resource.kind == "topic" {
		p.Warn("mode", "is needed with a topic: messages wait in subscriptions")
	}
	q.bindSpan(p)
}

// bindSpan settles how far back to look.
func (q *query) bindSpan(p *param.Set) {
	usual, least, why := 2*time.Minute, time.Minute, "values come once a minute"
	if q.aggregation != "" {
		usual, least, why = 5*time.Minute, period, "an aggregation covers three minutes"
	}
	switch {
	case q.span == 0:
		q.span = usual
	case q.span < least:
		p.Warn("timeHorizon", "is short: %s, so that most measurements find none; a bare number is milliseconds", why)
	}
}

// source is a connection that measures Pub/Sub triggers in batches.
type source struct{ api *api }

// Close implements scalers.Source.
func (s *source) Close() error { return s.api.close() }

// invalid is the reading of a query that can never be measured.
func (q query) invalid() scalers.Reading {
	return scalers.Reading{Err: &scalers.Error{
		Kind: scalers.Invalid, Op: q.op(), Err: errors.New(q.fault), Hint: "correct the trigger",
	}}
}

// quoted is a list of names as a filter's condition. The names need no escaping.
func quoted(ids []string) string {
	if len(ids) == 1 {
		return `"` + ids[0] + `"`
	}
	return `one_of("` + strings.Join(ids, `","`) + `")`
}
