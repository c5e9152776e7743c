// Package workload scales on the number of pods that match a label selector, such
// as those of a workload that another one serves.
//
// Pods are counted in memory that the process keeps up to date: nothing is asked
// over the network. Only the namespace of the object is looked at.
package workload

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the kubernetes-workload scaler type.
var Scaler = scalers.Define(scalers.Spec[struct{}, query]{
	Type:       "kubernetes-workload",
	Summary:    "Scales on the number of pods in the same namespace that match a label selector.",
	Unit:       "pods",
	Query:      (*query).bind,
	Thresholds: thresholds,
	MetricName: func(_ struct{}, q query) string { return "workload-" + q.namespace },
	Open:       open,
	Page: scalers.Page{
		Measures:    "The pods in the object's own namespace that match `podSelector` and have neither succeeded nor failed; pending pods count. With `groupByNode` the value is the number of nodes that such pods are on.\n\nThe metric's name holds the namespace only.",
		Permissions: "None of the user's: weir itself watches pods.",
		Batching:    "No round trip, whatever the number of triggers: pods are counted in memory.",
		Failures:    "Without a cluster, as in `weir check`, there is nothing to count in, and measuring fails. A selector that matches the pods of the workload itself makes it grow by its own growth.",
	},
	Examples: []scalers.Example{
		{Title: "Minimal", Metadata: map[string]string{"podSelector": "app=backend", "value": "2"}},
		{Title: "Production", Metadata: map[string]string{
			"podSelector": "app=backend, tier in (web, api), !canary", "value": "2.5", "activationValue": "3",
		}},
	},
})

// query is what to count.
type query struct {
	namespace, selector string
	byNode              bool
}

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	p.String(&q.selector, "podSelector", "Which pods to count, as a label selector: `app=backend`, `tier in (web, api)`, `!canary`, joined by commas.", param.Required)
	p.Bool(&q.byNode, "groupByNode", "Count the nodes that the pods are on, rather than the pods.")
	p.Check(func() error {
		q.namespace = p.Values().Namespace
		if err := checkSelector(q.selector); err != nil {
			return param.Wrong("podSelector", "must be a label selector: %v", err)
		}
		return nil
	}, "podSelector")
}

// thresholds implements Spec.Thresholds.
func thresholds(_ *query, th *scalers.Thresholds, p *param.Set) {
	p.Float(&th.Target, "value", "How many pods, or nodes, one replica should serve.")
	p.Float(&th.Activation, "activationValue", "How many pods are not yet work: the workload wakes from zero above this.")
	p.Check(func() error {
		if th.Target <= 0 && !p.Values().FormulaOnly {
			return param.Wrong("value", "is required, and must be above zero")
		}
		th.Target = max(0, th.Target)
		return nil
	}, "value")
}

// open implements Spec.Open.
func open(_ context.Context, env scalers.Env, _ struct{}) (scalers.Source[query], error) {
	if env.Cluster == nil {
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: "counting pods", Err: errors.New("there is no cluster to count in"),
			Hint: "see the status of the object in the cluster: weir check cannot measure it",
		}
	}
	return source{env.Cluster}, nil
}

// source counts pods.
type source struct{ cluster scalers.Cluster }

// Fetch implements scalers.Source.
func (s source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	readings := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := s.count(ctx, q)
		if err != nil {
			readings[i].Err = err
			continue
		}
		readings[i].Value = float64(n)
	}
	return readings, nil
}

func (s source) count(ctx context.Context, q query) (int, error) {
	pods, nodes, err := s.cluster.CountPods(ctx, q.namespace, q.selector)
	switch {
	case err == nil && q.byNode:
		return nodes, nil
	case err == nil:
		return pods, nil
	case scalers.KindOf(err) != scalers.Unknown:
		return 0, err
	}
	return 0, &scalers.Error{Kind: scalers.Unreachable, Op: fmt.Sprintf("counting pods in namespace %q", q.namespace), Err: err}
}

// Close implements scalers.Source.
func (source) Close() error { return nil }
