package gcpmonitoring

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// aggregate aligns each series and reduces all to one, as far as it is asked for.
func aggregate(in []*monitoringpb.TimeSeries, a *monitoringpb.Aggregation, interval *monitoringpb.TimeInterval) ([]*monitoringpb.TimeSeries, error) {
	if a.GetPerSeriesAligner() == monitoringpb.Aggregation_ALIGN_NONE {
		if a.GetCrossSeriesReducer() != monitoringpb.Aggregation_REDUCE_NONE {
			return nil, errors.New("cross_series_reducer needs a per_series_aligner")
		}
		return in, nil
	}
	period := a.GetAlignmentPeriod().AsDuration()
	if period < time.Minute {
		return nil, errors.New("alignment_period must be at least 60 seconds")
	}
	var out []*monitoringpb.TimeSeries
	for _, s := range in {
		points, err := align(s, a.GetPerSeriesAligner(), period, interval)
		if err != nil {
			return nil, err
		}
		out = append(out, &monitoringpb.TimeSeries{Metric: s.GetMetric(), Resource: s.GetResource(), MetricKind: s.GetMetricKind(), Points: points})
	}
	if a.GetCrossSeriesReducer() == monitoringpb.Aggregation_REDUCE_NONE || len(out) == 0 {
		return out, nil
	}
	return reduce(out, a.GetCrossSeriesReducer())
}

// align makes one point of each period.
func align(s *monitoringpb.TimeSeries, by monitoringpb.Aggregation_Aligner, period time.Duration, in *monitoringpb.TimeInterval) ([]*monitoringpb.Point, error) {
	if by == monitoringpb.Aggregation_ALIGN_DELTA && s.GetMetricKind() == metric.MetricDescriptor_GAUGE {
		return nil, errors.New("The aligner ALIGN_DELTA cannot be applied to metrics with kind GAUGE.") //nolint:staticcheck,revive // as the API words it
	}
	var out []*monitoringpb.Point
	for end := in.GetEndTime().AsTime(); end.After(in.GetStartTime().AsTime()); end = end.Add(-period) {
		var values []*monitoringpb.TypedValue
		for _, p := range s.GetPoints() {
			if at := p.GetInterval().GetEndTime().AsTime(); at.After(end.Add(-period)) && !at.After(end) {
				values = append(values, p.GetValue())
			}
		}
		if len(values) == 0 {
			continue
		}
		v, err := combine(by.String()[len("ALIGN_"):], values)
		if err != nil {
			return nil, err
		}
		out = append(out, point(end, v))
	}
	return out, nil
}

func point(end time.Time, v *monitoringpb.TypedValue) *monitoringpb.Point {
	at := timestamppb.New(end)
	return &monitoringpb.Point{Interval: &monitoringpb.TimeInterval{StartTime: at, EndTime: at}, Value: v}
}

// reduce makes one series of all, at the instants that any has.
func reduce(in []*monitoringpb.TimeSeries, by monitoringpb.Aggregation_Reducer) ([]*monitoringpb.TimeSeries, error) {
	values := map[time.Time][]*monitoringpb.TypedValue{}
	var instants []time.Time
	for _, s := range in {
		for _, p := range s.GetPoints() {
			at := p.GetInterval().GetEndTime().AsTime()
			if values[at] == nil {
				instants = append(instants, at)
			}
			values[at] = append(values[at], p.GetValue())
		}
	}
	slices.SortFunc(instants, func(a, b time.Time) int { return b.Compare(a) })
	out := &monitoringpb.TimeSeries{Metric: in[0].GetMetric(), Resource: in[0].GetResource(), MetricKind: in[0].GetMetricKind()}
	for _, at := range instants {
		v, err := combine(by.String()[len("REDUCE_"):], values[at])
		if err != nil {
			return nil, err
		}
		out.Points = append(out.Points, point(at, v))
	}
	return []*monitoringpb.TimeSeries{out}, nil
}

// combine applies the operation that aligners and reducers share the name of. A
// lone distribution is passed through; more than one, or a mix, is not understood.
func combine(how string, in []*monitoringpb.TypedValue) (*monitoringpb.TypedValue, error) {
	if in[0].GetDistributionValue() != nil && len(in) == 1 && (how == "DELTA" || how == "SUM") {
		return in[0], nil
	}
	all, err := numbers(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", how, err)
	}
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	switch how {
	case "SUM", "DELTA":
		return Double(sum), nil
	case "MEAN":
		return Double(sum / float64(len(all))), nil
	case "MIN":
		return Double(slices.Min(all)), nil
	case "MAX":
		return Double(slices.Max(all)), nil
	case "COUNT":
		return Int(int64(len(all))), nil
	}
	return nil, fmt.Errorf("%s is not reproduced", how)
}

func numbers(in []*monitoringpb.TypedValue) ([]float64, error) {
	var out []float64
	for _, v := range in {
		switch v := v.GetValue().(type) {
		case *monitoringpb.TypedValue_Int64Value:
			out = append(out, float64(v.Int64Value))
		case *monitoringpb.TypedValue_DoubleValue:
			out = append(out, v.DoubleValue)
		default:
			return nil, fmt.Errorf("a %T is no number", v)
		}
	}
	return out, nil
}
