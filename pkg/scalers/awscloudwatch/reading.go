package awscloudwatch

import (
	"errors"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/weir-sh/weir/pkg/scalers"
)

// result is what CloudWatch says to one query: the first of its results, and of
// that the newest data point. An expression may have several results, or none.
type result struct {
	page   int    // where it was seen last, counted from 1; 0 means not yet
	label  string // tells the first result from others on later pages
	status types.StatusCode

	has   bool
	value float64
	at    time.Time // zero when CloudWatch did not say
}

// take notes a result of a page. It reports whether the data point came with it.
func (r *result) take(m types.MetricDataResult, page int) bool {
	label := aws.ToString(m.Label)
	if r.has || r.page == page || r.page > 0 && label != r.label {
		return false
	}
	r.page, r.label, r.status = page, label, m.StatusCode
	if len(m.Values) == 0 {
		return false
	}
	r.has, r.value = true, m.Values[0]
	if len(m.Timestamps) > 0 {
		r.at = m.Timestamps[0]
	}
	return true
}

// reading is what r means for q.
func (r *result) reading(q metric) scalers.Reading {
	fail := func(kind scalers.Kind, what, hint string) scalers.Reading {
		return scalers.Reading{Err: &scalers.Error{Kind: kind, Op: q.op(), Err: errors.New(what), Hint: hint}}
	}
	switch {
	case r.status == types.StatusCodeInternalError:
		return fail(scalers.Unreachable, "CloudWatch answered InternalError", "")
	case r.status == types.StatusCodeForbidden:
		return fail(scalers.Unauthorized, "CloudWatch answered Forbidden", "let the metric's account share it with the identity's")
	case r.has && (math.IsNaN(r.value) || math.IsInf(r.value, 0)):
		return fail(scalers.BadAnswer, "the data point is no finite number", "")
	case r.has:
		return scalers.Reading{Value: max(0, r.value), At: r.at}
	case r.status == types.StatusCodePartialData:
		return fail(scalers.BadAnswer, "CloudWatch answered only a part of the data", "")
	case r.page > 0 && q.strict:
		none := fail(scalers.NotFound, "there is no data point in the time looked at",
			"check the metric and its dimensions, or look further back with metricCollectionTime and metricEndTimeOffset")
		none.Empty = true
		return none
	}
	return scalers.Reading{Value: max(0, q.least), FalseZero: true, Empty: true}
}
