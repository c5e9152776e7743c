package awscloudwatch_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/awscloudwatch"
	"github.com/weir-sh/weir/pkg/scalers/param"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves a fake that accepts the keys of values.
func start(t *testing.T) *awsfake.Server {
	t.Helper()
	s := awsfake.Start(t)
	s.AllowKey("AK", "SK", "")
	return s
}

// values are those of a trigger on metric Jobs of queue "orders" at an endpoint,
// where missing data is an error.
func values(endpoint string, metadata ...string) param.Values {
	v := param.Values{
		Metadata: map[string]string{
			"namespace": "App", "metricName": "Jobs", "dimensionName": "Queue", "dimensionValue": "orders",
			"targetMetricValue": "2", "minMetricValue": "1", "ignoreNullValues": "false", "awsRegion": "eu-west-1", "awsEndpoint": endpoint,
		},
		Auth: map[string]string{"awsAccessKeyID": "AK", "awsSecretAccessKey": "SK"},
	}
	for i := 0; i < len(metadata); i += 2 {
		v.Metadata[metadata[i]] = metadata[i+1]
	}
	return v
}

// expression is a trigger on an expression instead.
func expression(endpoint, text string, metadata ...string) param.Values {
	v := values(endpoint, metadata...)
	maps.DeleteFunc(v.Metadata, func(name, _ string) bool {
		return name == "namespace" || name == "metricName" || name == "dimensionName" || name == "dimensionValue"
	})
	v.Metadata["expression"] = text
	return v
}

// jobs is the metric of values.
func jobs(queue string) awsfake.Metric {
	return awsfake.Metric{Namespace: "App", Name: "Jobs", Dimensions: "Queue=" + queue}
}

// constant is a series with one value in the 300 seconds that a trigger looks at
// by default, also if those are over before it is asked for.
func constant(value float64) awsfake.Series {
	end := time.Now().Truncate(300 * time.Second)
	return awsfake.Series{Points: []awsfake.Point{{At: end.Add(150 * time.Second), Value: value}, {At: end.Add(-150 * time.Second), Value: value}}}
}

// connect opens the source of v.
func connect(t *testing.T, v param.Values) scalers.Conn {
	t.Helper()
	conn, err := queries(t, v)[0].Source.Open(t.Context(), scalers.Env{
		HTTP: &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}, ClientName: "weir",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// fetch measures triggers at once.
func fetch(t *testing.T, conn scalers.Conn, values ...param.Values) []scalers.Reading {
	t.Helper()
	readings, err := conn.Fetch(t.Context(), queries(t, values...))
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

func queries(t *testing.T, values ...param.Values) []scalers.Query {
	t.Helper()
	out := make([]scalers.Query, len(values))
	for i, v := range values {
		trigger, _, err := awscloudwatch.Scaler.Parse(v)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = trigger.Query
	}
	return out
}
