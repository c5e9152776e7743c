// Package redis scales on the length of Redis lists, sets, sorted sets and
// hashes, and on the entries of Redis streams, held by one server, a cluster or
// a master watched by sentinels. Valkey and others that speak the protocol work
// alike.
//
// A source polls over one connection to each server, in pipelines, and watches
// over another. The server may be any user's, so what it says is bounded before
// it reaches the client library, and quoted without passwords.
//
// Opening a source silences the log of package go-redis, which all its clients
// in a process share.
package redis

import (
	"context"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scalers returns the six scaler types of this package, sorted by type.
func Scalers() []*scalers.Definition {
	return []*scalers.Definition{
		defineLists("redis", standalone),
		defineLists("redis-cluster", cluster),
		defineStreams("redis-cluster-streams", cluster),
		defineLists("redis-sentinel", sentinel),
		defineStreams("redis-sentinel-streams", sentinel),
		defineStreams("redis-streams", standalone),
	}
}

func defineLists(typ string, d deployment) *scalers.Definition {
	return scalers.Define(scalers.Spec[settings, list]{
		Type:     typ,
		Summary:  "Scales on the number of items in a Redis list, set, sorted set or hash" + d.held() + ".",
		Unit:     "items",
		Settings: d.settings(),
		Query:    (*list).bind,
		Target: scalers.Target{
			Param: "listLength", Default: 5, Activation: "activationListLength", Whole: true,
		},
		MetricName: func(_ settings, q list) string { return "redis-" + q.key },
		Open: func(ctx context.Context, env scalers.Env, s settings) (scalers.Source[list], error) {
			u, err := open(ctx, env, s)
			if err != nil {
				return nil, err
			}
			return &lists{upstream: u, lengths: map[string]string{}}, nil
		},
		Watches:  true,
		Page:     d.listPage(),
		Examples: d.examples(map[string]string{"listName": "jobs"}, map[string]string{"listLength": "20", "activationListLength": "5"}),
	})
}

func defineStreams(typ string, d deployment) *scalers.Definition {
	return scalers.Define(scalers.Spec[settings, stream]{
		Type:       typ,
		Summary:    "Scales on the entries of a Redis stream" + d.held() + ": all of them, or those that a consumer group has yet to handle.",
		Unit:       "entries",
		Settings:   d.settings(),
		Query:      (*stream).bind,
		Thresholds: (*stream).bindThresholds,
		MetricName: func(_ settings, q stream) string { return "redis-streams-" + q.key },
		Open: func(ctx context.Context, env scalers.Env, s settings) (scalers.Source[stream], error) {
			u, err := open(ctx, env, s)
			if err != nil {
				return nil, err
			}
			return &streams{upstream: u}, nil
		},
		Watches: true,
		Page:    d.streamPage(),
		Examples: d.examples(map[string]string{"stream": "orders", "consumerGroup": "billing", "lagCount": "10"},
			map[string]string{"lagCount": "50", "activationLagCount": "5"}),
	})
}

// settings binds the settings of a deployment.
func (d deployment) settings() func(*settings, *param.Set) {
	return func(s *settings, p *param.Set) {
		s.deployment = d
		s.bind(p)
	}
}

// held says where the keys are.
func (d deployment) held() string {
	switch d {
	case cluster:
		return " in a Redis Cluster"
	case sentinel:
		return " on a master that Redis Sentinel watches"
	case standalone:
	}
	return ""
}
