// Package external scales on what a server of the user's own answers over gRPC:
// whether a workload has work, which metrics the HPA gets, and their values.
//
// A source is one connection to one server under one identity; the calls of all
// its triggers run over it side by side. Type external-push also keeps streams
// open, over connections of their own, on which the server tells of new work.
//
// The server may be any user's, so the number and size of its answers are
// bounded, and what it says is quoted without the values that came from a
// workload's environment.
package external

import (
	"context"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Scalers returns the two scaler types of this package, sorted by type.
func Scalers() []*scalers.Definition {
	plain := spec("external", "Scales on the metrics that a gRPC server of your own names and measures.")
	plain.Open = func(_ context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
		return open(env, s)
	}
	pushed := spec("external-push", "Scales on the metrics that a gRPC server of your own names and measures, and wakes when it says so.")
	pushed.Watches = true
	pushed.Page.Batching += pushBatching
	pushed.Page.Failures += pushFailures
	pushed.Open = func(_ context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
		src, err := open(env, s)
		if err != nil {
			return nil, err
		}
		return &pusher{src}, nil
	}
	return []*scalers.Definition{scalers.Define(plain), scalers.Define(pushed)}
}

func spec(typ, summary string) scalers.Spec[settings, query] {
	return scalers.Spec[settings, query]{
		Type:         typ,
		Summary:      summary,
		Unit:         "units of its metrics",
		Settings:     (*settings).bind,
		Query:        (*query).bind,
		MetricName:   func(s settings, _ query) string { return "external-" + s.address },
		PerQuery:     true,
		NamesMetrics: true,
		Page:         page(),
		Examples:     examples(),
	}
}
