package gcpmonitoring_test

import (
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/gcpmonitoring"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 17, gcpmonitoring.Scalers()...) }

func TestParametersThatAreRefusedOrOdd(t *testing.T) {
	const late = `warning: parameter "valueIfNull" is reported for whatever gives no time series: a name that is wrong, metrics that are late; leave it out to keep replicas as they are then`
	identity := param.Identity{Provider: "gcp"}
	auth := map[string]string{"GoogleApplicationCredentials": "{}"}
	type kv = map[string]string
	for name, c := range map[string]struct {
		typ  string
		v    param.Values
		want string
	}{
		"both": {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "topicName": "abc", "mode": "X"}, Identity: identity}, `parameter "topicName" cannot be combined with "subscriptionName"; keep one of them`},
		"neither, and no credentials": {"gcp-pubsub", param.Values{}, `parameter "GoogleApplicationCredentials" is required as an authentication parameter, or through credentialsFromEnv, unless the authentication object has podIdentity gcp
parameter "subscriptionName" is required, or "topicName"`},
		"removed":                   {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "subscriptionSize": "1"}, Auth: auth}, `parameter "subscriptionSize" is no longer accepted; use "mode" and "value"`},
		"milliseconds":              {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "timeHorizon": "90"}, Auth: auth}, `warning: parameter "timeHorizon" is short: values come once a minute, so that most measurements find none; a bare number is milliseconds`},
		"short aggregation":         {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "timeHorizon": "2m", "aggregation": "sum"}, Auth: auth}, `warning: parameter "timeHorizon" is short: an aggregation covers three minutes, so that most measurements find none; a bare number is milliseconds`},
		"bad name":                  {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "a/b"}, Auth: auth}, `warning: parameter "subscriptionName" can never be measured: a name is 3 to 255 letters, digits and - _ . ~ + %, and begins with a letter`},
		"bad project":               {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": `projects/a"b/subscriptions/abc`}, Auth: auth}, `warning: parameter "subscriptionName" can never be measured: a project's id is letters, digits and - . :`},
		"bad mode":                  {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "mode": `x" OR "`}, Auth: auth}, `warning: parameter "mode" can never be measured: a metric's name is letters and digits`},
		"bad aggregation":           {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "aggregation": "p99"}, Auth: auth}, `warning: parameter "aggregation" can never be measured: it is none of mean, median, variance, stddev, sum, count and percentile0 to percentile100`},
		"topic's size":              {"gcp-pubsub", param.Values{Metadata: kv{"topicName": "abc"}, Auth: auth}, `warning: parameter "mode" is needed with a topic: messages wait in subscriptions`},
		"value if null":             {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "valueIfNull": "0"}, Auth: auth}, late},
		"file":                      {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "credentialsFromEnvFile": "F"}}, `warning: parameter "credentialsFromEnvFile" is not supported: no trigger may read files of the process; use credentialsFromEnv, or an authentication object`},
		"identity and key":          {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc"}, Auth: auth, Identity: identity}, `warning: parameter "GoogleApplicationCredentials" is ignored, as podIdentity gcp comes first; remove one of them`},
		"identity and foreign host": {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "monitoringEndpoint": "googleapis.com.example.org:443"}, Identity: identity}, `parameter "monitoringEndpoint" must be a host below googleapis.com with podIdentity gcp: the process's own tokens go nowhere else`},
		"identity and private host": {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "monitoringEndpoint": "monitoring-x.p.googleapis.com"}, Identity: identity}, ""},
		"key and foreign host":      {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "monitoringEndpoint": "https://10.0.0.1:8443/"}, Auth: auth}, ""},
		"plain text":                {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "monitoringEndpoint": "http://[::1]"}, Auth: auth}, `warning: parameter "monitoringEndpoint" speaks plain text, and sends no credentials; use it for emulators only`},
		"no endpoint":               {"gcp-pubsub", param.Values{Metadata: kv{"subscriptionName": "abc", "monitoringEndpoint": "https://h/v3"}, Auth: auth}, `parameter "monitoringEndpoint" must be "host:port", or begin with "http://" for an emulator that speaks plain text`},
		"period":                    {"gcp-stackdriver", param.Values{Metadata: kv{"projectId": "p", "filter": "f", "alignmentPeriodSeconds": "-60"}, Auth: auth}, `parameter "alignmentPeriodSeconds" must be at least 60, or zero`},
		"aligner":                   {"gcp-stackdriver", param.Values{Metadata: kv{"projectId": "p", "filter": "f", "alignmentPeriodSeconds": "60", "alignmentAligner": "avg"}, Auth: auth}, `parameter "alignmentAligner" must be one of count, count_false, count_true, delta, fraction_true, interpolate, max, mean, min, next_older, none, percent_change, percentile_05, percentile_50, percentile_95, percentile_99, rate, stddev, sum`},
		"reducer":                   {"gcp-stackdriver", param.Values{Metadata: kv{"projectId": "p", "filter": "f", "alignmentPeriodSeconds": "60", "alignmentReducer": "rate"}, Auth: auth}, `parameter "alignmentReducer" must be one of count, count_false, count_true, fraction_true, max, mean, min, none, percentile_05, percentile_50, percentile_95, percentile_99, stddev, sum`},
		"reducer alone":             {"gcp-stackdriver", param.Values{Metadata: kv{"projectId": "p", "filter": "f", "alignmentPeriodSeconds": "60", "alignmentReducer": "sum"}, Auth: auth}, `warning: parameter "alignmentReducer" needs an alignmentAligner; Cloud Monitoring refuses it without`},
		"without period":            {"gcp-stackdriver", param.Values{Metadata: kv{"projectId": "p", "filter": "f", "alignmentAligner": "avg"}, Auth: auth}, `warning: parameter "alignmentAligner" is ignored without alignmentPeriodSeconds`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := definition(t, c.typ).Parse(c.v)
			got := ""
			if err != nil {
				got = err.Error()
			}
			for _, w := range warnings {
				got += "warning: " + w.String()
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
