package gcpmonitoring

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func stackdriver() *scalers.Definition {
	return scalers.Define(scalers.Spec[settings, metric]{
		Type:     "gcp-stackdriver",
		Summary:  "Scales on the newest value of a Google Cloud Monitoring metric that a filter selects.",
		Unit:     "units of the metric",
		Settings: (*settings).bind,
		Query:    (*metric).bind,
		Target: scalers.Target{
			Param: "targetValue", Default: 5, Activation: "activationTargetValue",
			Doc: "How much one replica should carry, in the unit of the metric.",
		},
		MetricName: func(_ settings, m metric) string { return "gcp-stackdriver-" + m.project },
		Open:       openStackdriver,
		PerQuery:   true,
		Page:       stackdriverPage(),
		Examples:   stackdriverExamples(),
	})
}

func openStackdriver(ctx context.Context, env scalers.Env, s settings) (scalers.Source[metric], error) {
	a, err := s.open(ctx, env)
	if err != nil {
		return nil, err
	}
	return scalers.Each(atOnce, a.metric, a.close), nil
}

// metric is a user's own filter.
type metric struct {
	project string
	filter  string
	span    time.Duration // how far back to look; > 0
	// period is zero when points are not aligned; then so are the two after it.
	period  time.Duration
	aligner monitoringpb.Aggregation_Aligner
	reducer monitoringpb.Aggregation_Reducer
	ifNull  ifNull
}

// century is the longest time that makes a difference, in seconds.
const century = 100 * 365 * 24 * 60 * 60

// bind implements Spec.Query.
func (m *metric) bind(p *param.Set) {
	var minutes, seconds int64
	var aligner, reducer string
	p.String(&m.project, "projectId", "Project whose metrics to read.", param.Required)
	p.Text(&m.filter, "filter", "Which time series to read, in Cloud Monitoring's filter language. It must name one metric type and should match one series.",
		param.Required)
	p.Int(&minutes, math.MinInt64, math.MaxInt64, "filterDuration", "How many minutes to look back; 2 when it is zero or less.")
	p.Int(&seconds, math.MinInt64, math.MaxInt64, "alignmentPeriodSeconds", "Length of the periods that points are aligned to, in seconds, at least 60. Zero leaves points as they are.")
	p.String(&aligner, "alignmentAligner", "How the points of one period become one: "+strings.Join(aligners(), ", ")+". In any case.")
	p.String(&reducer, "alignmentReducer", "How time series become one: "+strings.Join(reducers(), ", ")+". In any case.")
	m.ifNull.bind(p)
	p.Check(func() error {
		m.span = 2 * time.Minute
		if minutes > 0 {
			m.span = time.Duration(min(minutes, century/60)) * time.Minute
		}
		return m.align(p, seconds, aligner, reducer)
	}, "filterDuration", "alignmentPeriodSeconds", "alignmentAligner", "alignmentReducer")
}

// align settles how points are aligned.
func (m *metric) align(p *param.Set, seconds int64, aligner, reducer string) error {
	if seconds == 0 {
		for _, name := range []string{"alignmentAligner", "alignmentReducer"} {
			if p.Given(name) {
				p.Warn(name, "is ignored without alignmentPeriodSeconds")
			}
		}
		return nil
	}
	if seconds < 60 {
		return param.Wrong("alignmentPeriodSeconds", "must be at least 60, or zero")
	}
	m.period = time.Duration(min(seconds, century)) * time.Second
	a, known := lookup(monitoringpb.Aggregation_Aligner_value, alignPrefix, aligner)
	if !known {
		return param.Wrong("alignmentAligner", "must be one of %s", strings.Join(aligners(), ", "))
	}
	r, known := lookup(monitoringpb.Aggregation_Reducer_value, reducePrefix, reducer)
	if !known {
		return param.Wrong("alignmentReducer", "must be one of %s", strings.Join(reducers(), ", "))
	}
	m.aligner, m.reducer = monitoringpb.Aggregation_Aligner(a), monitoringpb.Aggregation_Reducer(r)
	if m.reducer != 0 && m.aligner == 0 {
		p.Warn("alignmentReducer", "needs an alignmentAligner; Cloud Monitoring refuses it without")
	}
	return nil
}

const alignPrefix, reducePrefix = "ALIGN_", "REDUCE_"

// aligners are the names that users write, in the order of their numbers.
func aligners() []string { return names(monitoringpb.Aggregation_Aligner_value, alignPrefix) }

func reducers() []string { return names(monitoringpb.Aggregation_Reducer_value, reducePrefix) }

func names(values map[string]int32, prefix string) []string {
	out := make([]string, 0, len(values))
	for name := range values {
		out = append(out, strings.ToLower(strings.TrimPrefix(name, prefix)))
	}
	slices.Sort(out)
	return out
}

// lookup finds what a user wrote; nothing is none.
func lookup(values map[string]int32, prefix, name string) (int32, bool) {
	if name == "" {
		return 0, true
	}
	v, ok := values[prefix+strings.ToUpper(name)]
	return v, ok
}

// metric measures one filter: the newest point of the first series.
func (a *api) metric(ctx context.Context, m metric) scalers.Reading {
	const op = "reading the metric that the filter selects"
	r := request{op: op, project: m.project, span: m.span, filter: m.filter + ` AND resource.labels.project_id="` + m.project + `"`}
	if m.period > 0 {
		r.aggregation = &monitoringpb.Aggregation{
			AlignmentPeriod: durationpb.New(m.period), PerSeriesAligner: m.aligner, CrossSeriesReducer: m.reducer,
		}
	}
	out := m.ifNull.absent(op)
	err := a.list(ctx, r, 1, func(series *monitoringpb.TimeSeries) bool {
		out = reading(op, series)
		return false
	})
	if err != nil {
		return scalers.Reading{Err: err}
	}
	return out
}
