// Package awscloudwatch scales on metrics of Amazon CloudWatch, or on expressions
// over them, as told by GetMetricData.
//
// One request measures up to 500 queries that look at the same span of time. CloudWatch
// refuses a request as a whole when one query in it is malformed, so the source
// finds out which one that is and leaves it out of the others' requests.
package awscloudwatch

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the aws-cloudwatch scaler type.
var Scaler = scalers.Define(scalers.Spec[awsauth.Settings, metric]{
	Type:       "aws-cloudwatch",
	Summary:    "Scales on a metric of Amazon CloudWatch, or on an expression over metrics.",
	Unit:       "units of the metric",
	Settings:   func(s *awsauth.Settings, p *param.Set) { s.Bind(p, awsauth.Options{Endpoint: "monitoring"}) },
	Query:      (*metric).bind,
	Thresholds: thresholds,
	MetricName: func(awsauth.Settings, metric) string { return "aws-cloudwatch" },
	Open:       open,
	PerQuery:   true, // AWS bills each
	Page:       page(),
	Examples:   examples(),
})

// parallel is how many requests run at a time, each on a connection that stays
// open. An account may make 50 a second in a region.
const parallel = 4

func open(ctx context.Context, env scalers.Env, s awsauth.Settings) (scalers.Source[metric], error) {
	cfg, closeAll, err := s.Connect(ctx, env, parallel)
	if err != nil {
		return nil, err
	}
	return &source{
		cfg: cfg, client: cloudwatch.NewFromConfig(cfg), closeAll: closeAll,
		// An expression could name another query of the request if it knew its id.
		prefix: "w" + strings.ToLower(rand.Text()), refused: map[metric]refusal{},
	}, nil
}

// metric is what to measure: a metric or an expression, and when.
type metric struct {
	namespace, name string
	dimensions      param.List // name, value, name, value ...
	stat, unit      string
	expression      string // then all above is empty
	account         string

	period, span, offset int64   // seconds
	least                float64 // counts where there is no data point
	strict               bool    // no data point is an error
}

func (q *metric) bind(p *param.Set) {
	var names, values string
	lenient := true
	q.stat, q.period, q.span = "Average", 300, 300
	p.String(&q.namespace, "namespace", "Namespace of the metric, such as `AWS/SQS`. Required without `expression`.")
	p.String(&q.name, "metricName", "Name of the metric. Required without `expression`.")
	p.String(&names, "dimensionName", "Names of the metric's dimensions, separated by semicolons. Required without `expression`.")
	p.String(&values, "dimensionValue", "Values of the dimensions, as many as there are names, separated by semicolons.")
	p.String(&q.expression, "expression", "A Metrics Insights query or a metric math expression, instead of one metric.")
	p.Float(&q.least, "minMetricValue", "Counts where there is no data point and `ignoreNullValues` is true.", param.Required)
	p.Bool(&lenient, "ignoreNullValues", "Whether `minMetricValue` counts where there is no data point. Else that is an error, and the workload stays as it is.")
	p.Int(&q.span, 0, math.MaxInt32, "metricCollectionTime", "How far back to look for a data point, in seconds; a multiple of `metricStatPeriod`.")
	p.String(&q.stat, "metricStat", "Statistic, such as `Average`, `Sum`, `Maximum` or `p95`.")
	p.Int(&q.period, math.MinInt32, math.MaxInt32, "metricStatPeriod", "Seconds that one data point covers: 1, 5, 10, 30 or a multiple of 60.")
	p.String(&q.unit, "metricUnit", "Only data points published with this unit count, such as `Count` or `Bytes/Second`. Empty means any.")
	p.Int(&q.offset, math.MinInt32, math.MaxInt32, "metricEndTimeOffset", "How long ago to stop looking, in seconds, for metrics that arrive late.")
	p.String(&q.account, "awsAccountId", "Account that the metric is in, when CloudWatch may read it from another one. Empty means the identity's.")
	p.Check(func() error { return q.checkWhat(names, values) })
	p.Check(q.checkWhen, "metricCollectionTime", "metricStatPeriod")
	p.Check(func() error {
		q.strict = !lenient
		q.warn(p, lenient)
		return nil
	}, "ignoreNullValues", "metricCollectionTime", "metricEndTimeOffset")
}

func (q *metric) warn(p *param.Set, lenient bool) {
	if lenient {
		p.Warn("ignoreNullValues", "is true: a metric without data points, be it misspelt, late or not readable, counts as minMetricValue and may scale the workload down; "+
			`set it to "false" to keep the workload as it is until there is a data point`)
	}
	if q.span == 0 {
		p.Warn("metricCollectionTime", "is zero: CloudWatch refuses to look at no time")
	}
	if q.offset < 0 {
		p.Warn("metricEndTimeOffset", "is negative: there are no data points in the future")
	}
}

// thresholds binds the two numbers. Unlike other scalers' the target has no
// default.
func thresholds(_ *metric, th *scalers.Thresholds, p *param.Set) {
	p.Float(&th.Target, "targetMetricValue", "How much of the metric one replica should carry.", param.Required)
	p.Float(&th.Activation, "activationTargetMetricValue", "How much is not yet work: the workload wakes from zero above this.")
	p.Check(func() error {
		th.Target = max(0, th.Target) // as it always was
		return nil
	}, "targetMetricValue")
}

// checkWhat checks and completes what is measured.
func (q *metric) checkWhat(names, values string) error {
	if q.expression != "" {
		q.namespace, q.name, q.stat, q.unit, q.dimensions = "", "", "", "", param.List{}
		return nil
	}
	var missing []error
	for _, given := range []struct{ name, value string }{
		{"namespace", q.namespace}, {"metricName", q.name}, {"dimensionName", names}, {"dimensionValue", values},
	} {
		if given.value == "" {
			missing = append(missing, param.Wrong(given.name, `is required without "expression"`))
		}
	}
	if missing != nil {
		return errors.Join(missing...)
	}
	n, v := strings.Split(names, ";"), strings.Split(values, ";")
	if len(n) != len(v) {
		return param.Wrong("dimensionValue", "must have as many items, separated by semicolons, as %q", "dimensionName")
	}
	pairs := make([]string, 0, 2*len(n))
	for i := range n {
		pairs = append(pairs, strings.TrimSpace(n[i]), strings.TrimSpace(v[i]))
	}
	q.dimensions = param.NewList(pairs...)
	if q.unit != "" && !slices.Contains(types.StandardUnit("").Values(), types.StandardUnit(q.unit)) {
		return param.Wrong("metricUnit", "must be a unit of CloudWatch, such as Count, Percent, Seconds, Bytes or Count/Second")
	}
	return nil
}

// checkWhen checks which time is looked at.
func (q *metric) checkWhen() error {
	switch q.period {
	case 1, 5, 10, 30:
	default:
		if q.period < 60 || q.period%60 != 0 {
			return param.Wrong("metricStatPeriod", "must be 1, 5, 10, 30 or a multiple of 60")
		}
	}
	if q.span%q.period != 0 {
		return param.Wrong("metricCollectionTime", "must be a multiple of %q", "metricStatPeriod")
	}
	return nil
}

// window is a span of time that queries look at.
type window struct{ start, end time.Time }

// window returns what q looks at: whole periods before now.
func (q metric) window(now time.Time) window {
	end := now.Add(-time.Duration(q.offset) * time.Second).Truncate(time.Duration(q.period) * time.Second)
	return window{end.Add(-time.Duration(q.span) * time.Second), end}
}

// isInsights reports whether q is a Metrics Insights query. A request may have
// one of these.
func (q metric) isInsights() bool {
	return len(q.expression) >= 6 && strings.EqualFold(q.expression[:6], "select")
}

// query returns q as CloudWatch is asked for it.
func (q metric) query(id string) types.MetricDataQuery {
	out := types.MetricDataQuery{Id: aws.String(id), ReturnData: aws.Bool(true)}
	if q.account != "" {
		out.AccountId = aws.String(q.account)
	}
	period := aws.Int32(int32(q.period))
	if q.expression != "" {
		out.Expression, out.Period = aws.String(q.expression), period
		return out
	}
	items := q.dimensions.Items()
	dimensions := make([]types.Dimension, 0, len(items)/2)
	for i := 0; i+1 < len(items); i += 2 {
		dimensions = append(dimensions, types.Dimension{Name: aws.String(items[i]), Value: aws.String(items[i+1])})
	}
	out.MetricStat = &types.MetricStat{
		Metric: &types.Metric{Namespace: aws.String(q.namespace), MetricName: aws.String(q.name), Dimensions: dimensions},
		Period: period, Stat: aws.String(q.stat), Unit: types.StandardUnit(q.unit),
	}
	return out
}

// op says what is tried with q.
func (q metric) op() string {
	if q.expression != "" {
		return "measuring an expression"
	}
	return "measuring metric " + strings.Join([]string{q.namespace, q.name}, "/")
}
