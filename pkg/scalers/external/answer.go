package external

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	pb "github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
)

// maxMetrics is how many metrics a server may name for one trigger. Each is a
// call, and a metric in the HPA.
const maxMetrics = 100

// metricSpec is a metric that the server named.
type metricSpec struct {
	name   string
	target float64 // finite, > 0
}

// specsOf takes the answer to GetMetricSpec, sorted by name. Names are quoted in
// errors after redact.
func specsOf(answer []*pb.MetricSpec, redact func(string) string) ([]metricSpec, error) {
	switch {
	case len(answer) == 0:
		return nil, errors.New("it names no metric")
	case len(answer) > maxMetrics:
		return nil, fmt.Errorf("it names %d metrics; %d are the most", len(answer), maxMetrics)
	}
	out := make([]metricSpec, len(answer))
	for i, m := range answer {
		target := either(m.GetTargetSizeFloat(), m.GetTargetSize())
		switch {
		case m.GetMetricName() == "":
			return nil, errors.New("it names a metric with an empty name")
		case !sound(target) || target == 0:
			return nil, fmt.Errorf("the target of metric %s is %v; it must be a number above zero", quote(redact(m.GetMetricName())), target)
		}
		out[i] = metricSpec{m.GetMetricName(), target}
	}
	slices.SortFunc(out, func(a, b metricSpec) int { return strings.Compare(a.name, b.name) })
	for i := range out[1:] {
		if out[i].name == out[i+1].name {
			return nil, fmt.Errorf("it names metric %s twice", quote(redact(out[i].name)))
		}
	}
	return out, nil
}

// valueOf adds up the answer to GetMetrics, as the HPA does with several values of
// one metric.
func valueOf(answer []*pb.MetricValue) (float64, error) {
	if len(answer) == 0 {
		return 0, errors.New("it gives no value")
	}
	sum := 0.0
	for _, m := range answer {
		value := either(m.GetMetricValueFloat(), m.GetMetricValue())
		if !sound(value) {
			return 0, fmt.Errorf("the value is %v; it must be a finite number of zero or more", value)
		}
		sum += value
	}
	if !sound(sum) {
		return 0, errors.New("the values add up to more than can be told")
	}
	return sum, nil
}

// either returns the new field unless it is zero; then the old one counts.
func either(float float64, whole int64) float64 {
	if float != 0 { // NaN and negative numbers too, so that they are not overlooked
		return float
	}
	return float64(whole)
}

// sound reports whether v is finite and not negative.
func sound(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// quote makes a name of the server's fit for an error.
func quote(name string) string { return strconv.Quote(scalers.Excerpt(name)) }
