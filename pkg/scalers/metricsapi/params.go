package metricsapi

import (
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// settings say which server to ask and as whom.
type settings struct {
	http httpauth.Settings
}

// query says what to measure.
type query struct {
	request

	location string
}

// request is what answers it.
type request struct {
	path   httpauth.Path
	format string
}

// The formats.
const (
	inJSON       = "json"
	inXML        = "xml"
	inYAML       = "yaml"
	inPrometheus = "prometheus"
)

const address = "url"

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) { s.http.Bind(p, address, "Address to ask.") }

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	var perEndpoint bool
	aggregation := "average"
	q.path.Bind(p, address)
	q.format = inJSON
	p.String(&q.location, "valueLocation", "Where in the answer the number is. In JSON a path in the syntax of GJSON, in XML and YAML keys and indexes separated by dots, for Prometheus a selector such as `name{label=\"value\"}`.", param.Required)
	p.String(&q.format, "format", "What the API answers in.", param.OneOf(inJSON, inXML, inYAML, inPrometheus))
	p.Bool(&perEndpoint, "aggregateFromKubeServiceEndpoints", "Ask every endpoint of a Service. Not supported by this version.")
	p.String(&aggregation, "aggregationType", "How the endpoints' numbers would be combined.", param.OneOf("average", "sum", "max", "min"))
	p.Check(func() error {
		if perEndpoint {
			return param.Wrong("aggregateFromKubeServiceEndpoints", "is not supported by this version; let one address answer for all endpoints, or use the prometheus trigger")
		}
		return nil
	}, "aggregateFromKubeServiceEndpoints")
	p.Check(func() error {
		if q.format != inPrometheus {
			return nil
		}
		switch sel, ok := parseSelector(q.location); {
		case !ok:
			p.Warn("valueLocation", `cannot be measured: it is not a selector such as name{label="value"}`)
		case sel.inexact:
			p.Warn("valueLocation", "is compared with = whatever its operators are")
		}
		return nil
	}, "valueLocation", "format")
}

// bindThresholds implements Spec.Thresholds.
func bindThresholds(_ *query, th *scalers.Thresholds, p *param.Set) {
	p.Float(&th.Target, "targetValue", "How much of the number one replica should carry. Required, except for a trigger that only feeds a formula.")
	p.Float(&th.Activation, "activationTargetValue", "How much is not yet work: the workload wakes from zero above this.")
	p.Check(func() error {
		if th.Target == 0 && !p.Values().FormulaOnly {
			return param.Wrong("targetValue", "is required and must not be zero")
		}
		th.Target = max(0, th.Target) // a target below zero has always been zero
		return nil
	}, "targetValue")
}
