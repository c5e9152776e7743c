package awscloudwatch_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/awscloudwatch"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestConformance(t *testing.T) {
	const (
		noData  = "measuring metric App/Jobs: there is no data point in the time looked at; check the metric and its dimensions, or look further back with metricCollectionTime and metricEndTimeOffset"
		refused = `; check the metric or the expression with "aws cloudwatch get-metric-data"`
	)
	s := start(t)
	s.SetMetric(jobs("orders"), constant(7.5))
	s.SetMetric(jobs("idle"), constant(0))
	s.SetMetric(jobs("negative"), constant(-3))
	s.SetMetric(jobs("endless"), constant(math.Inf(1)))
	s.SetMetric(jobs("partial"), awsfake.Series{Status: "PartialData"})
	s.SetMetric(jobs("broken"), awsfake.Series{Status: "InternalError"})
	s.SetMetric(jobs("closed"), awsfake.Series{Status: "Forbidden"})
	s.SetExpression("SUM(x)", constant(9))
	s.SetExpression("SEARCH(some)", constant(4), constant(5))
	s.SetExpression("SEARCH(none)")
	s.SetExpression("SEARCH(empty)", awsfake.Series{}, constant(5))
	twin := constant(5)
	twin.Label = "same"
	s.SetExpression("SEARCH(twins)", awsfake.Series{Label: "same"}, twin)
	s.SetExpression("SELECT 1", constant(1))
	s.SetExpression("select 2", constant(2))
	other := jobs("orders")
	other.Account = "111122223333"
	s.SetMetric(other, constant(11))
	s.SetMetric(awsfake.Metric{Namespace: "App", Name: "Jobs", Dimensions: "A=1;B=2,3"}, constant(12))
	at := func(metadata ...string) param.Values { return values(s.URL, metadata...) }
	of := func(text string, metadata ...string) param.Values { return expression(s.URL, text, metadata...) }
	scalertest.Run(t, awscloudwatch.Scaler, []scalertest.Case{
		{Name: "a metric", Values: at(), Want: 7.5, MetricName: "s0-aws-cloudwatch"},
		{Name: "a metric of another account", Values: at("awsAccountId", "111122223333"), Want: 11},
		{Name: "several dimensions", Values: at("dimensionName", "A; B", "dimensionValue", "1 ;2,3"), Want: 12},
		{Name: "nothing to do", Values: at("dimensionValue", "idle")},
		{Name: "a negative number", Values: at("dimensionValue", "negative")},
		{Name: "a number without end", Values: at("dimensionValue", "endless"), Err: "the data point is no finite number", Kind: scalers.BadAnswer},
		{Name: "no data", Values: at("dimensionValue", "none"), Err: noData, Kind: scalers.NotFound, Empty: true},
		{Name: "no data counts as the minimum", Values: at("dimensionValue", "none", "ignoreNullValues", "true"), Want: 1, Empty: true},
		{Name: "no data counts as a negative minimum", Values: at("dimensionValue", "none", "ignoreNullValues", "true", "minMetricValue", "-5"), Empty: true},
		{Name: "a part of the data", Values: at("dimensionValue", "partial", "ignoreNullValues", "true"), Err: "only a part of the data", Kind: scalers.BadAnswer},
		{Name: "a metric that CloudWatch fails to read", Values: at("dimensionValue", "broken", "ignoreNullValues", "true"), Err: "CloudWatch answered InternalError", Kind: scalers.Unreachable},
		{Name: "a metric that may not be read", Values: at("dimensionValue", "closed", "ignoreNullValues", "true"), Err: "CloudWatch answered Forbidden; let the metric's account share it", Kind: scalers.Unauthorized},
		{Name: "a malformed statistic", Values: at("metricStat", "Mean"), Err: "measuring metric App/Jobs: AWS answered ValidationError" + refused, Kind: scalers.Invalid},
		{Name: "no time", Values: at("metricCollectionTime", "0"), Err: "AWS answered ValidationError" + refused, Kind: scalers.Invalid},
		{Name: "an expression", Values: of("SUM(x)"), Want: 9},
		{Name: "the first of several series", Values: of("SEARCH(some)"), Want: 4},
		{Name: "an expression without series", Values: of("SEARCH(none)"), Want: 1, Empty: true},
		{Name: "an expression whose first series is empty", Values: of("SEARCH(empty)"), Err: "measuring an expression: there is no data point", Kind: scalers.NotFound, Empty: true},
		{Name: "an expression whose series are called the same", Values: of("SEARCH(twins)"), Err: "there is no data point", Kind: scalers.NotFound, Empty: true},
		{Name: "a malformed expression", Values: of("c4n4ry("), Err: "measuring an expression: AWS answered ValidationError" + refused, Kind: scalers.Invalid},
		{Name: "a query", Values: of("SELECT 1"), Want: 1},
		{Name: "another query", Values: of("select 2"), Want: 2},
	})
}

func TestTheRequestIsWhatTheTriggerSays(t *testing.T) {
	s := start(t)
	v := values(s.URL, "metricStat", "p95", "metricStatPeriod", "60", "metricCollectionTime", "120", "metricEndTimeOffset", "3600", "metricUnit", "Count", "awsAccountId", "1")
	conn := connect(t, v)
	before := time.Now()
	fetch(t, conn, v)
	after := time.Now()
	s.SetExpression("E")
	fetch(t, conn, expression(s.URL, "E", "metricStatPeriod", "60"))
	r := s.MetricRequests()
	if len(r) != 2 || len(r[0].Queries) != 1 || len(r[1].Queries) != 1 {
		t.Fatalf("asked %+v", r)
	}
	ago := func(now time.Time) time.Time { return now.Add(-time.Hour).Truncate(time.Minute) }
	if end := r[0].End; end.Before(ago(before)) || end.After(ago(after)) || end.Sub(r[0].Start) != 2*time.Minute || r[0].ScanBy != "TimestampDescending" {
		t.Errorf("looked at %+v", r[0])
	}
	q := r[0].Queries[0]
	want := awsfake.MetricQuery{ID: q.ID, Metric: awsfake.Metric{Account: "1", Namespace: "App", Name: "Jobs", Dimensions: "Queue=orders"}, Stat: "p95", Unit: "Count", Period: 60, Returned: true}
	if q != want {
		t.Errorf("got  %+v\nwant %+v", q, want)
	}
	q = r[1].Queries[0]
	if want := (awsfake.MetricQuery{ID: q.ID, Expression: "E", Period: 60, Returned: true}); q != want {
		t.Errorf("got  %+v\nwant %+v", q, want)
	}
}

func TestReadingsSayWhenTheyWereTrueAndWhichZeroIsDoubtful(t *testing.T) {
	s := start(t)
	s.SetMetric(jobs("orders"), constant(0))
	v := values(s.URL, "minMetricValue", "0", "ignoreNullValues", "true")
	missing := values(s.URL, "minMetricValue", "0", "ignoreNullValues", "true", "dimensionValue", "none")
	r := fetch(t, connect(t, v), v, missing)
	if r[0].Err != nil || r[0].FalseZero || time.Since(r[0].At) < 2*time.Minute || time.Since(r[0].At) > time.Hour {
		t.Errorf("a zero: %+v", r[0])
	}
	if r[1].Err != nil || !r[1].FalseZero || !r[1].At.IsZero() {
		t.Errorf("no data: %+v", r[1])
	}
}

func TestOnlyTheFirstSeriesGoesOnOnTheNextPage(t *testing.T) {
	s := start(t)
	s.SetMetric(jobs("orders"), constant(1))
	s.SetExpression("SEARCH(late)", awsfake.Series{}, constant(5))
	s.SetPage(1)
	v := values(s.URL)
	r := fetch(t, connect(t, v), v, expression(s.URL, "SEARCH(late)"))
	if r[0].Value != 1 || scalers.KindOf(r[1].Err) != scalers.NotFound || s.Count(awsfake.GetMetricData) != 2 {
		t.Errorf("%+v", r)
	}
}

// many are triggers on n metrics with the values 1 to n.
func many(s *awsfake.Server, n int) []param.Values {
	out := make([]param.Values, n)
	for i := range out {
		queue := fmt.Sprintf("q%d", i)
		s.SetMetric(jobs(queue), constant(float64(i+1)))
		out[i] = values(s.URL, "dimensionValue", queue)
	}
	return out
}

// numbered fails unless the readings are 1 to n.
func numbered(t *testing.T, readings []scalers.Reading) {
	t.Helper()
	for i, r := range readings {
		if r.Err != nil || r.Value != float64(i+1) {
			t.Fatalf("metric %d: %v, %v", i, r.Value, r.Err)
		}
	}
}

func TestFiveHundredMetricsAreOneRequest(t *testing.T) {
	s := start(t)
	all := many(s, 1001)
	conn := connect(t, all[0])
	numbered(t, fetch(t, conn, all[:500]...))
	if n := s.Count(awsfake.GetMetricData); n != 1 {
		t.Errorf("500 metrics are %d requests", n)
	}
	numbered(t, fetch(t, conn, all...))
	if n := s.Count(awsfake.GetMetricData) - 1; n != 3 {
		t.Errorf("1001 metrics are %d requests", n)
	}
	if n := s.Connections(); n > 4 {
		t.Errorf("%d connections", n)
	}
}

func TestMetricsOfDifferentWindowsAreApart(t *testing.T) {
	s := start(t)
	all := []param.Values{values(s.URL), values(s.URL, "metricStatPeriod", "60"), values(s.URL, "metricCollectionTime", "600"), values(s.URL, "metricStat", "Sum")}
	fetch(t, connect(t, all[0]), all...)
	r := s.MetricRequests()
	sizes := map[int]int{}
	for _, one := range r {
		sizes[len(one.Queries)]++
	}
	// With periods of 60 and 300 seconds the windows have the same end once in five minutes.
	if len(r) < 2 || len(r) > 3 || sizes[2]+sizes[3] != 1 {
		t.Errorf("asked %+v", r)
	}
}

func TestARequestHasOneQueryOfMetricsInsights(t *testing.T) {
	s := start(t)
	all := many(s, 10)
	for i := range 5 {
		text := fmt.Sprintf("SELECT %d", i)
		s.SetExpression(text, constant(float64(11+i)))
		all = append(all, expression(s.URL, text))
	}
	numbered(t, fetch(t, connect(t, all[0]), all...))
	if n := s.Count(awsfake.GetMetricData); n != 5 {
		t.Errorf("%d requests for 5 queries and 10 metrics", n)
	}
}

func TestPagesAreFollowed(t *testing.T) {
	s := start(t)
	all := many(s, 100)
	s.SetPage(7)
	conn := connect(t, all[0])
	numbered(t, fetch(t, conn, all...))
	if n := s.Count(awsfake.GetMetricData); n != 15 {
		t.Errorf("%d requests for 100 data points in pages of 7", n)
	}
	s.SetMetric(jobs("q0"), awsfake.Series{Points: slices.Repeat(constant(1).Points[1:], 50)})
	numbered(t, fetch(t, conn, all...))
}

func TestAMalformedQueryIsFoundAndLeftAlone(t *testing.T) {
	s := start(t)
	all := many(s, 500)
	bad := slices.Insert(slices.Clone(all), 321, expression(s.URL, "malformed("))
	conn := connect(t, all[0])
	check := func() {
		t.Helper()
		readings := fetch(t, conn, bad...)
		if err := readings[321].Err; scalers.KindOf(err) != scalers.Invalid {
			t.Errorf("the malformed one: %v", err)
		}
		numbered(t, slices.Delete(readings, 321, 322))
	}
	check()
	found := s.Count(awsfake.GetMetricData)
	if found > 21 {
		t.Errorf("finding it took %d requests", found)
	}
	check()
	if n := s.Count(awsfake.GetMetricData) - found; n != 1 {
		t.Errorf("500 metrics are %d requests once it is known", n)
	}
}

func TestManyMalformedQueriesAreFoundInSeveralRounds(t *testing.T) {
	s := start(t)
	all := many(s, 60)
	for i := range 20 {
		all = append(all, expression(s.URL, fmt.Sprintf("malformed(%d", i)))
	}
	conn := connect(t, all[0])
	for round := 0; ; round++ {
		before := s.Count(awsfake.GetMetricData)
		readings := fetch(t, conn, all...)
		if n := s.Count(awsfake.GetMetricData) - before; n > 41 {
			t.Fatalf("round %d took %d requests", round, n)
		}
		if !slices.ContainsFunc(readings, func(r scalers.Reading) bool { return scalers.KindOf(r.Err) == scalers.BadAnswer }) {
			numbered(t, readings[:60])
			return
		}
		if round == 5 {
			t.Fatal("the malformed ones are not all found")
		}
	}
}

func TestAnExpressionCannotNameAnothersQuery(t *testing.T) {
	s := start(t)
	v := many(s, 2)
	fetch(t, connect(t, v[0]), v...)
	fetch(t, connect(t, v[0]), v...)
	r := s.MetricRequests()
	if one, two := r[0].Queries[0].ID, r[1].Queries[0].ID; one == two || len(one) < 20 {
		t.Errorf("ids %s and %s can be guessed", one, two)
	}
}

func TestFailuresOfTheServiceHaveAKindAndShowNoSecret(t *testing.T) {
	const canary = "c4n4ry"
	for name, c := range map[string]struct {
		fault awsfake.Fault
		kind  scalers.Kind
		want  string
	}{
		"denied":     {awsfake.Fault{Status: 403, Code: "AccessDenied"}, scalers.Unauthorized, "AWS answered AccessDenied; allow the identity cloudwatch:GetMetricData"},
		"signature":  {awsfake.Fault{Status: 403, Code: "SignatureDoesNotMatch"}, scalers.Unauthorized, "AWS answered SignatureDoesNotMatch; check the access key, its secret, the session token and the region"},
		"throttled":  {awsfake.Fault{Code: "Throttling"}, scalers.Throttled, "AWS answered Throttling"},
		"broken":     {awsfake.Fault{Status: 500, Code: "InternalServiceFault"}, scalers.Unreachable, "AWS answered InternalServiceFault"},
		"not of AWS": {awsfake.Fault{Status: 404, Raw: canary}, scalers.BadAnswer, "the answer with status 404 is none of AWS; check that the endpoint is that of the service"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c.fault.Message = canary
			s.Fail(awsfake.GetMetricData, awsfake.Always(c.fault))
			v := values(s.URL)
			v.Auth = map[string]string{"awsAccessKeyID": canary, "awsSecretAccessKey": canary, "awsSessionToken": canary}
			r := fetch(t, connect(t, v), v)
			if got := r[0].Err; scalers.KindOf(got) != c.kind || got.Error() != "measuring metric App/Jobs: "+c.want {
				t.Errorf("got %v", got)
			}
			if said := fmt.Sprintf("%v %v", r[0].Err, queries(t, v)[0]); strings.Contains(said, canary) {
				t.Errorf("shows a secret: %s", said)
			}
		})
	}
}

func TestAServerThatDoesNotAnswerEndsWithTheContext(t *testing.T) {
	s := start(t)
	s.Fail(awsfake.GetMetricData, awsfake.Always(awsfake.Fault{Stall: true}))
	v := many(s, 5000)
	conn, all := connect(t, v[0]), queries(t, v...)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	readings, err := conn.Fetch(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readings {
		if scalers.KindOf(r.Err) != scalers.Unreachable {
			t.Fatalf("got %v, %v", r.Value, r.Err)
		}
	}
}
