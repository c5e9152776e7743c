package gcpmonitoring

import (
	"errors"
	"fmt"
	"math"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"

	"github.com/weir-sh/weir/pkg/scalers"
)

// reading is what the newest point of a time series says. A series without points
// is zero, as it always was; so is a value below zero.
func reading(op string, series *monitoringpb.TimeSeries) scalers.Reading {
	if len(series.GetPoints()) == 0 {
		return scalers.Reading{FalseZero: true, Empty: true}
	}
	point := series.GetPoints()[0]
	v, err := number(point.GetValue())
	if err != nil {
		return scalers.Reading{Err: &scalers.Error{
			Kind: scalers.BadAnswer, Op: op, Err: err,
			Hint: "choose a metric, or an aggregation, that gives a number",
		}}
	}
	r := measured(op, v)
	r.At = point.GetInterval().GetEndTime().AsTime()
	return r
}

// measured is a value. Zeros are doubtful: a point that is late is as good as a
// zero to those who count only what has arrived.
func measured(op string, v float64) scalers.Reading {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return scalers.Reading{Err: &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the value is not a finite number")}}
	}
	return scalers.Reading{Value: max(0, v), FalseZero: v <= 0}
}

// absent is the reading when there is no time series.
func (n ifNull) absent(op string) scalers.Reading {
	if n.given {
		r := measured(op, n.value)
		r.Empty = true
		return r
	}
	return scalers.Reading{Empty: true, Err: &scalers.Error{
		Kind: scalers.NotFound, Op: op, Err: errors.New("there is no time series"),
		Hint: "check the names and that the metric has values; idle resources may have none",
	}}
}

// number takes a whole or a real number.
func number(v *monitoringpb.TypedValue) (float64, error) {
	switch v := v.GetValue().(type) {
	case *monitoringpb.TypedValue_Int64Value:
		return float64(v.Int64Value), nil
	case *monitoringpb.TypedValue_DoubleValue:
		return v.DoubleValue, nil
	case *monitoringpb.TypedValue_DistributionValue:
		return 0, errors.New("the value is a distribution")
	case *monitoringpb.TypedValue_BoolValue, *monitoringpb.TypedValue_StringValue:
		return 0, fmt.Errorf("the value is a %T", v)
	}
	return 0, errors.New("the value is empty")
}
