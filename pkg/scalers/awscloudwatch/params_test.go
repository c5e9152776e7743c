package awscloudwatch_test

import (
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/awscloudwatch"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 13, awscloudwatch.Scaler) }

func TestParameters(t *testing.T) {
	const (
		period = `parameter "metricStatPeriod" must be 1, 5, 10, 30 or a multiple of 60`
		span   = `parameter "metricCollectionTime" must be a multiple of "metricStatPeriod"`
		unit   = `parameter "metricUnit" must be a unit of CloudWatch, such as Count, Percent, Seconds, Bytes or Count/Second`
	)
	at := func(metadata ...string) param.Values { return values("http://h", metadata...) }
	for name, c := range map[string]struct {
		v    param.Values
		want string // errors and warnings, one a line
	}{
		"all is well": {at(), ""},
		"nothing to measure": {
			at("namespace", "", "metricName", "", "dimensionName", "", "dimensionValue", ""),
			`parameter "dimensionName" is required without "expression"` + "\n" + `parameter "dimensionValue" is required without "expression"` + "\n" +
				`parameter "metricName" is required without "expression"` + "\n" + `parameter "namespace" is required without "expression"`,
		},
		"fewer values than names":         {at("dimensionName", "A;B"), `parameter "dimensionValue" must have as many items, separated by semicolons, as "dimensionName"`},
		"a comma separates nothing":       {at("dimensionName", "A,B"), ""},
		"an unknown unit":                 {at("metricUnit", "count"), unit},
		"a unit per second":               {at("metricUnit", "Terabits/Second"), ""},
		"an expression needs no metric":   {expression("http://h", "SELECT"), ""},
		"an expression has no unit":       {expression("http://h", "SELECT", "metricUnit", "bogus"), ""},
		"an expression has a period":      {expression("http://h", "SELECT", "metricStatPeriod", "7"), period},
		"no period":                       {at("metricStatPeriod", "0"), period},
		"a negative period":               {at("metricStatPeriod", "-60"), period},
		"thirty seconds":                  {at("metricStatPeriod", "30"), ""},
		"half a period":                   {at("metricCollectionTime", "150"), span},
		"a negative span":                 {at("metricCollectionTime", "-300"), `parameter "metricCollectionTime" must be a whole number from 0 to 2147483647`},
		"no span":                         {at("metricCollectionTime", "0"), `warning: parameter "metricCollectionTime" is zero: CloudWatch refuses to look at no time`},
		"a span into the future":          {at("metricEndTimeOffset", "-1"), `warning: parameter "metricEndTimeOffset" is negative: there are no data points in the future`},
		"missing data may count as a min": {at("ignoreNullValues", ""), `warning: parameter "ignoreNullValues" is true: a metric without data points, be it misspelt, late or not readable, counts as minMetricValue and may scale the workload down; set it to "false" to keep the workload as it is until there is a data point`},
		"no target":                       {at("targetMetricValue", ""), `parameter "targetMetricValue" is required; set it in the trigger's metadata`},
		"no minimum":                      {at("minMetricValue", ""), `parameter "minMetricValue" is required; set it in the trigger's metadata`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := awscloudwatch.Scaler.Parse(c.v)
			var lines []string
			if err != nil {
				lines = append(lines, err.Error())
			}
			for _, w := range warnings {
				lines = append(lines, "warning: "+w.String())
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTriggersThatDifferInTheirTargetShareAMeasurement(t *testing.T) {
	q := queries(t, values("http://h"), values("http://h", "targetMetricValue", "9", "activationTargetMetricValue", "4"))
	if q[0] != q[1] {
		t.Error("two measurements")
	}
	q = queries(t, expression("http://h", "E"), expression("http://h", "E", "metricStat", "Sum", "metricUnit", "Count", "namespace", "N"))
	if q[0] != q[1] {
		t.Error("what an expression does not use makes another measurement")
	}
	trigger, _, err := awscloudwatch.Scaler.Parse(values("http://h", "targetMetricValue", "-1", "activationTargetMetricValue", "-2"))
	if err != nil || trigger.Target != 0 || trigger.Activation != -2 {
		t.Errorf("%+v, %v", trigger.Thresholds, err)
	}
}
