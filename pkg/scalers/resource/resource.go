// Package resource scales on the CPU or memory that the pods of the workload use.
//
// Nothing is measured here: what the trigger says becomes a metric of the HPA,
// which asks the metrics server of the cluster itself.
package resource

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scalers returns the two scaler types of this package, sorted by type.
func Scalers() []*scalers.Definition {
	return []*scalers.Definition{
		define("cpu", "CPU", "500m", "which is in cores, such as `500m` for half of one"),
		define("memory", "memory", "512Mi", "which is in bytes, such as `512Mi`"),
	}
}

func define(typ, name, quantity, unit string) *scalers.Definition {
	return scalers.Define(scalers.Spec[struct{}, scalers.Resource]{
		Type:    typ,
		Summary: "Scales on the " + name + " that the pods of the workload use, as the HPA itself reads it.",
		Unit:    "percent or a quantity",
		Query: func(r *scalers.Resource, p *param.Set) {
			r.Name = typ
			bind(r, p, unit)
		},
		MetricName: func(struct{}, scalers.Resource) string { return typ },
		Page: scalers.Page{
			Measures: "The average over the pods that are ready, as the metrics server tells it. With `metricType: Utilization` on the trigger, `value` is a percentage of what the containers request; with `AverageValue` it is a quantity per pod, " + unit + ". With `containerName` only that container of each pod counts.\n\n" +
				"A trigger of this type never wakes a workload and never puts it to rest: without pods there is nothing to read. Another trigger decides between zero replicas and one.",
			Permissions: "None: the HPA controller asks.",
			Batching:    "No round trip of weir's, whatever the number of triggers.",
			Failures:    "Without a metrics server in the cluster, and without a request of the resource in every container for `Utilization`, the HPA cannot read the metric; its conditions say so.",
		},
		Examples: []scalers.Example{
			{Title: "Minimal", Metadata: map[string]string{"value": "70"}, MetricType: utilization},
			{Title: "Production", Metadata: map[string]string{"value": quantity, "containerName": "app"}, MetricType: averageValue},
		},
	})
}

// The metric types that these triggers know.
const (
	utilization  = "Utilization"
	averageValue = "AverageValue"
)

// bind implements Spec.Query.
func bind(r *scalers.Resource, p *param.Set, unit string) {
	var removed string
	p.String(&r.Target, "value", "Percentage of the request that one pod should use, or with `metricType: AverageValue` a quantity, "+unit+".", param.Required)
	p.String(&r.Container, "containerName", "The container that counts; by default all of the pod.")
	p.String(&removed, "type", "Removed: set `metricType` on the trigger.")
	p.Check(func() error {
		if p.Given("type") {
			return param.Wrong("type", "is no longer a parameter; set metricType on the trigger, beside metadata")
		}
		return nil
	})
	p.Check(func() error {
		switch p.Values().MetricType {
		case utilization:
			return percentage(r.Target, p)
		case averageValue:
			return quantity(r.Target, p)
		}
		return errors.New("metricType must be Utilization or AverageValue for cpu and memory; set it on the trigger, beside metadata")
	}, "value")
}

// percentage checks a target of type Utilization.
func percentage(text string, p *param.Set) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return param.Wrong("value", `must be a whole number of percent, such as "70", with metricType Utilization`)
	}
	if n <= 0 {
		p.Warn("value", "is not above zero; Kubernetes refuses the HPA")
	}
	return nil
}

// quantity checks a target of type AverageValue, which is written as Kubernetes
// writes quantities: a number, and a suffix or an exponent of ten.
func quantity(text string, p *param.Set) error {
	written := regexp.MustCompile(`^([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?$`)
	parts := written.FindStringSubmatch(text)
	if parts == nil {
		return param.Wrong("value", `must be a quantity such as "500m" or "512Mi", with metricType AverageValue`)
	}
	if parts[1] == "-" || strings.Trim(parts[2], "0.") == "" {
		p.Warn("value", "is not above zero; Kubernetes refuses the HPA")
	}
	return nil
}
