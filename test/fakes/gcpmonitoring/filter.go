package gcpmonitoring

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// filter is a conjunction of conditions.
type filter struct {
	metric string
	others []condition
}

// condition is met when the field is one of the values.
type condition struct {
	field  string
	values []string
}

// parseFilter understands what the README says.
func parseFilter(text string) (filter, error) {
	one := regexp.MustCompile(`^\s*((?:metric|resource)\.(?:type|labels\.\w+))\s*=\s*(?:one_of\(((?:\s*"[^"]*"\s*,?)+)\)|("[^"]*"))\s*(?:AND\s|$)`)
	quoted := regexp.MustCompile(`"([^"]*)"`)
	var f filter
	for strings.TrimSpace(text) != "" {
		m := one.FindStringSubmatch(text)
		if m == nil {
			return filter{}, fmt.Errorf("could not parse %q", text)
		}
		text = text[len(m[0]):]
		c := condition{field: m[1]}
		for _, v := range quoted.FindAllStringSubmatch(m[2]+m[3], -1) {
			c.values = append(c.values, v[1])
		}
		switch {
		case c.field != "metric.type":
			f.others = append(f.others, c)
		case f.metric != "" || len(c.values) != 1:
			return filter{}, errors.New("the filter must name one metric type")
		default:
			f.metric = c.values[0]
		}
	}
	if f.metric == "" {
		return filter{}, errors.New("the filter must name one metric type")
	}
	return f, nil
}

// takes reports whether a series meets all conditions.
func (f filter) takes(s *monitoringpb.TimeSeries) bool {
	return !slices.ContainsFunc(f.others, func(c condition) bool {
		kind, rest, _ := strings.Cut(c.field, ".")
		label, isLabel := strings.CutPrefix(rest, "labels.")
		var got string
		switch {
		case kind == "resource" && isLabel:
			got = s.GetResource().GetLabels()[label]
		case kind == "resource":
			got = s.GetResource().GetType()
		default:
			got = s.GetMetric().GetLabels()[label]
		}
		return !slices.Contains(c.values, got)
	})
}

// page cuts the answer by the number of points. The token says how many came
// before.
func page(all []*monitoringpb.TimeSeries, size int, token string) (*monitoringpb.ListTimeSeriesResponse, error) {
	const most = 100_000
	if size <= 0 || size > most {
		size = most
	}
	skip := 0
	if token != "" {
		var err error
		if skip, err = strconv.Atoi(token); err != nil {
			return nil, status.Error(codes.InvalidArgument, "the page token is none of ours")
		}
	}
	out := new(monitoringpb.ListTimeSeriesResponse)
	before := skip
	for _, s := range all {
		points := s.GetPoints()
		if skip >= len(points) {
			skip -= len(points)
			continue
		}
		points, skip = points[skip:], 0
		if size == 0 {
			out.NextPageToken = strconv.Itoa(before)
			return out, nil
		}
		part := min(size, len(points))
		out.TimeSeries = append(out.TimeSeries, &monitoringpb.TimeSeries{
			Metric: s.GetMetric(), Resource: s.GetResource(), MetricKind: s.GetMetricKind(), ValueType: s.GetValueType(), Points: points[:part],
		})
		before += part
		if size -= part; part < len(points) {
			out.NextPageToken = strconv.Itoa(before)
			return out, nil
		}
	}
	return out, nil
}
