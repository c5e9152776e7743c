package awssqs_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/awssqs"
	"github.com/weir-sh/weir/pkg/scalers/param"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys are what the fake accepts.
func keys() map[string]string {
	return map[string]string{"awsAccessKeyID": "AK", "awsSecretAccessKey": "SK"}
}

// start serves a fake that accepts keys.
func start(t *testing.T) *awsfake.Server {
	t.Helper()
	s := awsfake.Start(t)
	s.AllowKey("AK", "SK", "")
	return s
}

// values are those of a trigger on queue "orders" at an endpoint.
func values(endpoint string, metadata ...string) param.Values {
	v := param.Values{
		Metadata: map[string]string{"queueURL": endpoint + "/000000000000/orders", "awsRegion": "eu-west-1", "awsEndpoint": endpoint}, Auth: keys(),
	}
	for i := 0; i < len(metadata); i += 2 {
		v.Metadata[metadata[i]] = metadata[i+1]
	}
	return v
}

// with adds authentication parameters.
func with(v param.Values, auth map[string]string) param.Values {
	v.Auth = maps.Clone(v.Auth)
	maps.Copy(v.Auth, auth)
	return v
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

func queries(t *testing.T, values ...param.Values) []scalers.Query {
	t.Helper()
	out := make([]scalers.Query, len(values))
	for i, v := range values {
		trigger, _, err := awssqs.Scaler.Parse(v)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = trigger.Query
	}
	return out
}
