// Package kafka scales on how far a consumer group is behind the end of its
// topics in Apache Kafka, or in anything that speaks its protocol.
//
// There is one implementation of the measurement and two sets of parameters and
// rules: the types kafka and apache-kafka, which users' manifests tell apart.
//
// A source asks brokers itself over sarama's connections, one to each broker it
// needs, instead of using sarama's client: that has no way to end a call, keeps
// a second connection to the bootstrap broker, and retries everything when one
// group fails. Committed offsets of all groups are one request to each
// coordinator, end offsets of all topics one to each leader.
package kafka

import (
	"context"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scalers returns the two scaler types of this package, sorted by type.
func Scalers() []*scalers.Definition {
	return []*scalers.Definition{define(apache), define(classic)}
}

// flavour is one of the two types. Their rules differ where manifests depend on
// it.
type flavour string

const (
	classic flavour = "kafka"
	apache  flavour = "apache-kafka"
)

func define(f flavour) *scalers.Definition {
	return scalers.Define(scalers.Spec[settings, query]{
		Type:       string(f),
		Summary:    "Scales on the lag of a consumer group of Apache Kafka: the messages that it has yet to handle.",
		Unit:       "messages",
		Settings:   func(s *settings, p *param.Set) { s.bind(f, p) },
		Query:      func(q *query, p *param.Set) { q.bind(f, p) },
		Thresholds: (*query).bindThresholds,
		MetricName: func(_ settings, q query) string { return q.metricName() },
		Open: func(ctx context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
			return open(ctx, env, s)
		},
		Watches:  true,
		Page:     f.page(),
		Examples: f.examples(),
	})
}
