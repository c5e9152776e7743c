package awssqs_test

import (
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/awssqs"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 15, awssqs.Scaler) }

func TestTheQueuesNameIsTheLastOfTwoParts(t *testing.T) {
	const refused = `parameter "queueURL" must be a queue's name, or a URL whose path is the account and the queue, such as https://sqs.eu-west-1.amazonaws.com/111122223333/orders`
	for address, want := range map[string]string{
		"https://sqs.eu-west-1.amazonaws.com/111122223333/orders": "s0-aws-sqs-orders",
		"https://sqs.eu-west-1.amazonaws.com/1/orders.fifo?a=b":   "s0-aws-sqs-orders-fifo",
		"https://sqs.eu-west-1.amazonaws.com//orders":             "s0-aws-sqs-orders",
		"/1/orders":               "s0-aws-sqs-orders",
		"orders":                  "s0-aws-sqs-orders",
		"1/orders":                "s0-aws-sqs-1-orders",
		"https://sqs/orders":      refused,
		"https://sqs/1/2/orders":  refused,
		"https://sqs/1/":          refused,
		"https://sqs":             refused,
		"/orders":                 refused,
		"arn:aws:sqs:eu:1:orders": refused,
	} {
		trigger, _, err := awssqs.Scaler.Parse(values("http://h", "queueURL", address))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = trigger.MetricName(0)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestTheQueueMayComeFromTheEnvironment(t *testing.T) {
	v := values("http://h", "queueURL", "", "queueURLFromEnv", "Q")
	v.Env = map[string]string{"Q": "/1/envq.fifo"}
	trigger, warnings, err := awssqs.Scaler.Parse(v)
	if err != nil || len(warnings) > 0 || trigger.MetricName(2) != "s2-aws-sqs-envq-fifo" {
		t.Errorf("%s, %v, %v", trigger.MetricName(2), warnings, err)
	}
}

func TestWhoseIdentityCountsIsPartOfTheSource(t *testing.T) {
	own := func(namespace string, shared bool) param.Values {
		v := values("https://sqs.eu-west-1.amazonaws.com")
		v.Auth, v.Namespace, v.Identity = nil, namespace, param.Identity{Provider: "aws", Shared: shared}
		return v
	}
	q := queries(t, own("a", false), own("b", false), own("a", true), own("b", true))
	if q[0].Source == q[1].Source {
		t.Error("two namespaces share a source that connects as Weir")
	}
	if q[2].Source != q[3].Source {
		t.Error("an identity meant for all is not shared")
	}
	one, two := values("http://h"), values("http://h", "queueURL", "other")
	one.Namespace, two.Namespace = "a", "b"
	if q := queries(t, one, two); q[0].Source != q[1].Source {
		t.Error("equal keys do not share a source")
	}
}
