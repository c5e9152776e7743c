package awssqs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/awssqs"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestConformance(t *testing.T) {
	s := start(t)
	s.SetQueue("orders", awsfake.Queue{Visible: 5, InFlight: 2, Delayed: 1})
	s.SetQueue("empty", awsfake.Queue{})
	s.SetQueue("closed", awsfake.Queue{Denied: true})
	s.SetQueue("odd", awsfake.Queue{Unfit: true})
	at := func(metadata ...string) param.Values { return values(s.URL, metadata...) }
	scalertest.Run(t, awssqs.Scaler, []scalertest.Case{
		{Name: "messages that wait or are in flight", Values: at(), Want: 7, MetricName: "s0-aws-sqs-orders"},
		{Name: "messages that wait", Values: at("scaleOnInFlight", "false"), Want: 5},
		{Name: "messages that wait or are delayed", Values: at("scaleOnInFlight", "false", "scaleOnDelayed", "true"), Want: 6},
		{Name: "all messages", Values: at("scaleOnDelayed", "true"), Want: 8},
		{Name: "a queue by its name", Values: at("queueURL", "orders"), Want: 7},
		{Name: "an empty queue", Values: at("queueURL", "empty")},
		{Name: "a missing queue", Values: at("queueURL", "none"), Err: `measuring queue "none": the queue does not exist; check the queue's name, its account and the region, or create the queue`, Kind: scalers.NotFound},
		{Name: "a queue of others", Values: at("queueURL", "closed"), Err: `measuring queue "closed": AWS answered AccessDenied; allow the identity sqs:GetQueueAttributes on the queue`, Kind: scalers.Unauthorized},
		{Name: "counts that are no numbers", Values: at("queueURL", "odd"), Err: "the answer has no number for ApproximateNumberOfMessages", Kind: scalers.BadAnswer},
	})
}

func TestOnlyWhatIsCountedIsAskedFor(t *testing.T) {
	s := start(t)
	s.SetQueue("orders", awsfake.Queue{})
	v := values(s.URL, "scaleOnInFlight", "false")
	readings, err := connect(t, v).Fetch(t.Context(), queries(t, v))
	if err != nil || readings[0].Err != nil || !readings[0].FalseZero {
		t.Fatalf("%+v, %v", readings, err)
	}
	want := `{"AttributeNames":["ApproximateNumberOfMessages"],"QueueUrl":"` + s.URL + `/000000000000/orders"}`
	if r := s.Requests(awsfake.GetQueueAttributes)[0]; len(r.Body) != len(want) || !strings.Contains(r.Body, `"AttributeNames":["ApproximateNumberOfMessages"]`) || r.Region != "eu-west-1" {
		t.Errorf("asked %+v", r)
	}
}

func TestTheTriggersEndpointWinsOverTheProcesss(t *testing.T) {
	s := start(t)
	s.SetQueue("orders", awsfake.Queue{Visible: 3})
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
	v := values(s.URL)
	if r, err := connect(t, v).Fetch(t.Context(), queries(t, v)); err != nil || r[0].Err != nil || r[0].Value != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	t.Setenv("AWS_ENDPOINT_URL_SQS", s.URL)
	delete(v.Metadata, "awsEndpoint")
	if r, err := connect(t, v).Fetch(t.Context(), queries(t, v)); err != nil || r[0].Err != nil || r[0].Value != 3 {
		t.Errorf("the process's endpoint: %+v, %v", r, err)
	}
}

// many are n triggers, each on a queue of its own with i messages.
func many(s *awsfake.Server, n int) []param.Values {
	out := make([]param.Values, n)
	for i := range out {
		name := fmt.Sprintf("q%d", i)
		s.SetQueue(name, awsfake.Queue{Visible: i})
		out[i] = values(s.URL, "queueURL", name)
	}
	return out
}

func TestFiveHundredQueuesAreFiveHundredRequestsOverFewConnections(t *testing.T) {
	s := start(t)
	all := many(s, 500)
	conn := connect(t, all[0])
	for range 2 {
		readings, err := conn.Fetch(t.Context(), queries(t, all...))
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range readings {
			if r.Err != nil || r.Value != float64(i) {
				t.Fatalf("queue %d: %v, %v", i, r.Value, r.Err)
			}
		}
	}
	if n := s.Count(awsfake.GetQueueAttributes); n != 1000 {
		t.Errorf("%d requests", n)
	}
	if n := s.Connections(); n > 16 {
		t.Errorf("%d connections", n)
	}
}

func TestThrottlingSlowsDownAndIsTold(t *testing.T) {
	s := start(t)
	all := many(s, 100)
	conn := connect(t, all[0])
	s.Fail(awsfake.GetQueueAttributes, func(n int) *awsfake.Fault {
		if n == 40 {
			return &awsfake.Fault{Status: 403, Code: "RequestThrottled", RetryAfter: "2"}
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	readings, err := conn.Fetch(ctx, queries(t, all...))
	if err != nil {
		t.Fatal(err)
	}
	throttled := 0
	for _, r := range readings {
		if e, ok := errors.AsType[*scalers.Error](r.Err); ok && e.Kind == scalers.Throttled {
			throttled++
			if e.RetryAfter != 2*time.Second {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		}
	}
	if throttled != 1 || s.Count(awsfake.GetQueueAttributes) > 100 {
		t.Errorf("%d readings are throttled, %d requests", throttled, s.Count(awsfake.GetQueueAttributes))
	}
}

func TestCredentialsThatAreMissingCostNoRequest(t *testing.T) {
	s := start(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	v := with(values(s.URL), map[string]string{"awsRoleArn": "arn:aws:iam::1:role/c4n4ry"})
	all := make([]param.Values, 20)
	for i := range all {
		all[i] = with(values(s.URL, "queueURL", fmt.Sprint(i)), v.Auth)
		all[i].Identity.Shared = true
	}
	_, err := connect(t, all[0]).Fetch(t.Context(), queries(t, all...))
	const want = "getting AWS credentials: assuming the role: AWS answered AccessDenied; let the role's trust policy name Weir's identity, and check the external id"
	if scalers.KindOf(err) != scalers.Unauthorized || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if n, m := s.Count(awsfake.AssumeRole), s.Count(awsfake.GetQueueAttributes); n != 1 || m != 0 {
		t.Errorf("%d requests to STS, %d to SQS", n, m)
	}
}

func TestARoleIsAssumedOnce(t *testing.T) {
	s := start(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	s.SetRole("R", awsfake.Role{Trusts: true})
	s.SetRole("arn:aws:iam::000000000000:role/r", awsfake.Role{Trusts: true})
	all := many(s, 50)
	for i := range all {
		all[i] = with(all[i], map[string]string{"awsRoleArn": "arn:aws:iam::000000000000:role/r"})
		all[i].Identity.Shared = true
	}
	conn := connect(t, all[0])
	for range 2 {
		readings, err := conn.Fetch(t.Context(), queries(t, all...))
		if err != nil || slices.ContainsFunc(readings, func(r scalers.Reading) bool { return r.Err != nil }) {
			t.Fatalf("%+v, %v", readings, err)
		}
	}
	if n := s.Count(awsfake.AssumeRole); n != 1 {
		t.Errorf("%d requests to STS", n)
	}
}

func TestNoFailureShowsASecret(t *testing.T) {
	const canary = "c4n4ry"
	for name, fault := range map[string]awsfake.Fault{
		"denied":      {Status: 403, Code: "AccessDenied"},
		"signature":   {Status: 403, Code: "SignatureDoesNotMatch"},
		"throttled":   {Code: "ThrottlingException"},
		"invalid":     {Code: "InvalidAddress"},
		"internal":    {Status: 500, Code: "InternalFailure"},
		"not of AWS":  {Status: 404, Raw: canary},
		"not JSON":    {Status: 200, Raw: canary},
		"wrong shape": {Status: 200, Raw: `{"Attributes":{"ApproximateNumberOfMessages":"` + canary + `"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			fault.Message = "token " + canary
			s.Fail(awsfake.GetQueueAttributes, awsfake.Always(fault))
			v := with(values(s.URL), map[string]string{"awsAccessKeyID": canary, "awsSecretAccessKey": canary, "awsSessionToken": canary})
			readings, err := connect(t, v).Fetch(t.Context(), queries(t, v))
			if err != nil || readings[0].Err == nil {
				t.Fatalf("%+v, %v", readings, err)
			}
			if said := fmt.Sprintf("%v %+v", readings[0].Err, queries(t, v)[0]); strings.Contains(said, canary) {
				t.Errorf("shows a secret: %s", said)
			}
		})
	}
}

func TestAServerThatDoesNotAnswerEndsWithTheContext(t *testing.T) {
	s := start(t)
	s.Fail(awsfake.GetQueueAttributes, awsfake.Always(awsfake.Fault{Stall: true}))
	v := values(s.URL)
	conn := connect(t, v)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	readings, err := conn.Fetch(ctx, queries(t, v))
	if err != nil || scalers.KindOf(readings[0].Err) != scalers.Unreachable || readings[0].Err.Error() != `measuring queue "orders": no answer in time` {
		t.Errorf("%+v, %v", readings, err)
	}
}
