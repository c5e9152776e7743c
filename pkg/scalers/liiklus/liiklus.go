// Package liiklus scales on how far a consumer group is behind the end of a topic,
// as a Liiklus server tells it over gRPC.
//
// A source is one connection to one server. The end of a topic is asked for once
// for all its groups.
package liiklus

import (
	"context"
	"math"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/grpcx"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the liiklus scaler type.
var Scaler = scalers.Define(scalers.Spec[settings, query]{
	Type:       "liiklus",
	Summary:    "Scales on the events of a topic that a consumer group has yet to handle, as a Liiklus server counts them.",
	Unit:       "events",
	Settings:   (*settings).bind,
	Query:      (*query).bind,
	Thresholds: (*query).bindThresholds,
	MetricName: func(_ settings, q query) string { return "liiklus-" + q.topic },
	Open: func(_ context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
		return open(env, s)
	},
	PerQuery: true,
	Page: scalers.Page{
		Measures:    "The sum over the topic's partitions of how far the group's committed offset is behind the end. A partition without a commit counts from 0, and one whose commit is beyond the end counts 0. No more than `lagThreshold` times the number of partitions is reported, since more replicas than partitions have nothing to read: where the sum divided by `lagThreshold`, rounded down, is above the number of partitions. The activation threshold, too, is compared with that.\n\nA topic that the server does not know has no partitions and reads 0.",
		Permissions: "None: the server has no authentication, and is connected to in plain text. Keep it inside the cluster, with a network policy.",
		Batching:    "The server has no batch call. One call per topic and one per group and topic, up to 64 at a time, over one HTTP/2 connection that all triggers with the same address share. Triggers with different values of `lagThreshold` are measured apart.",
		Failures: `- A server that cannot be reached fails every trigger of the address. A call that is not answered within 5 seconds, or refused, fails the triggers that need it.
- A commit and an end are read by two calls. A group that commits in between looks a little less behind than it is.
- Addresses other than ` + "`host:port`" + ` are refused.`,
	},
	Examples: []scalers.Example{
		{Title: "Minimal", Metadata: map[string]string{"address": "liiklus:6565", "topic": "orders", "group": "billing"}},
		{
			Title: "Production",
			Metadata: map[string]string{
				"address": "liiklus.messaging.svc:6565", "topic": "orders", "group": "billing", "groupVersion": "2",
				"lagThreshold": "100", "activationLagThreshold": "5",
			},
		},
	},
})

// settings say where the server is.
type settings struct{ address string }

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	p.String(&s.address, "address", "The server, as `host:port`.", param.Required)
	p.Check(func() error {
		if _, ok := grpcx.Endpoint(s.address); !ok && s.address != "" {
			p.Warn("address", "cannot be connected to; give it as host:port")
		}
		return nil
	}, "address")
}

// query is one group on one topic.
type query struct {
	committed
	cap int64 // lagThreshold, which bounds the value; zero or less for no bound
}

// committed names what a group has committed.
type committed struct {
	topic, group string
	version      int64 // of the group, within uint32
}

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	p.String(&q.topic, "topic", "Topic to measure.", param.Required)
	p.String(&q.group, "group", "Consumer group that handles its events.", param.Required)
	p.Int(&q.version, 0, math.MaxUint32, "groupVersion", "Version of the group.")
}

// bindThresholds implements Spec.Thresholds.
func (q *query) bindThresholds(th *scalers.Thresholds, p *param.Set) {
	th.Target = 10
	scalers.WholeTarget(&th.Target, "lagThreshold", "How many events one replica should carry.", p)
	scalers.WholeTarget(&th.Activation, "activationLagThreshold", "How many events are not yet work: the workload wakes from zero above this.", p)
	p.Check(func() error {
		q.cap = int64(th.Target)
		return nil
	}, "lagThreshold")
}
