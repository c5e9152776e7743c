package awsauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

// check compares an error, and looks for the canary in it.
func check(t *testing.T, err error, kind scalers.Kind, want string) {
	t.Helper()
	if scalers.KindOf(err) != kind || err.Error() != want {
		t.Errorf("got  %s: %v\nwant %s: %s", scalers.KindOf(err), err, kind, want)
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.Contains(err.Error(), canary) {
			t.Errorf("shows a secret: %v", err)
		}
	}
}

func TestAnswersBecomeErrorsWithAKind(t *testing.T) {
	const keysHint = "; check the access key, its secret, the session token and the region"
	for name, c := range map[string]struct {
		fault awsfake.Fault
		kind  scalers.Kind
		want  string
	}{
		"access denied":    {awsfake.Fault{Status: 403, Code: "AccessDenied"}, scalers.Unauthorized, "AWS answered AccessDenied; allow the identity sqs:GetQueueAttributes on the queue"},
		"wrong signature":  {awsfake.Fault{Status: 403, Code: "SignatureDoesNotMatch"}, scalers.Unauthorized, "AWS answered SignatureDoesNotMatch" + keysHint},
		"unknown key":      {awsfake.Fault{Status: 403, Code: "InvalidClientTokenId"}, scalers.Unauthorized, "AWS answered InvalidClientTokenId" + keysHint},
		"unknown token":    {awsfake.Fault{Code: "UnrecognizedClientException"}, scalers.Unauthorized, "AWS answered UnrecognizedClientException" + keysHint},
		"expired":          {awsfake.Fault{Status: 403, Code: "ExpiredToken"}, scalers.Unauthorized, "AWS answered ExpiredToken; renew the session token, and check Weir's clock"},
		"throttled":        {awsfake.Fault{Code: "ThrottlingException"}, scalers.Throttled, "AWS answered ThrottlingException"},
		"throttled by 403": {awsfake.Fault{Status: 403, Code: "RequestThrottled"}, scalers.Throttled, "AWS answered RequestThrottled"},
		"throttled by 429": {awsfake.Fault{Status: 429, Code: "SomethingNew"}, scalers.Throttled, "AWS answered SomethingNew"},
		"missing":          {awsfake.Fault{Code: "QueueDoesNotExist"}, scalers.NotFound, "AWS answered AWS.SimpleQueueService.NonExistentQueue"},
		"invalid":          {awsfake.Fault{Code: "InvalidParameterValue"}, scalers.Invalid, "AWS answered InvalidParameterValue"},
		"internal":         {awsfake.Fault{Status: 500, Code: "InternalError"}, scalers.Unreachable, "AWS answered InternalError"},
		"unavailable":      {awsfake.Fault{Status: 503, Code: "ServiceUnavailable"}, scalers.Unreachable, "AWS answered ServiceUnavailable"},
		"something new":    {awsfake.Fault{Code: "SomethingNew"}, scalers.BadAnswer, "AWS answered SomethingNew"},
		"a forged code":    {awsfake.Fault{Code: "Some\x1b[2J\nthing"}, scalers.BadAnswer, "AWS answered Some2Jthing"},
		"none of AWS":      {awsfake.Fault{Status: 404, Raw: "<html>" + canary}, scalers.BadAnswer, "the answer with status 404 is none of AWS; check that the endpoint is that of the service"},
		"none of AWS, 200": {awsfake.Fault{Status: 200, Raw: "<html>" + canary}, scalers.BadAnswer, "the answer with status 200 is none of AWS; check that the endpoint is that of the service"},
		"a proxy":          {awsfake.Fault{Status: 502, Raw: "<html>" + canary}, scalers.Unreachable, "status 502 Bad Gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.AllowKey("AK", "SK", canary)
			c.fault.Message = "canonical string " + canary
			s.Fail(awsfake.GetQueueAttributes, awsfake.Always(c.fault))
			client, _ := connect(t, s, keys("AK", "SK", canary), param.Identity{})
			check(t, ask(t.Context(), client), c.kind, "measuring: "+c.want)
		})
	}
}

func TestTheUpstreamSaysHowLongToWait(t *testing.T) {
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "": 0, "-1": 0, "soon": 0, "99999": time.Hour} {
		s := start(t)
		s.AllowKey("AK", "SK", "")
		s.Fail(awsfake.GetQueueAttributes, awsfake.Always(awsfake.Fault{Code: "ThrottlingException", RetryAfter: header}))
		client, _ := connect(t, s, keys("AK", "SK", ""), param.Identity{})
		e, ok := errors.AsType[*scalers.Error](ask(t.Context(), client))
		if !ok || e.Kind != scalers.Throttled || e.RetryAfter != want {
			t.Errorf("%q: got %+v, want %v", header, e, want)
		}
		if n := s.Count(awsfake.GetQueueAttributes); n != 1 {
			t.Errorf("a throttled request was sent %d times", n)
		}
	}
}

func TestWhatTheServerBreaksIsTriedTwice(t *testing.T) {
	s := start(t)
	s.AllowKey("AK", "SK", "")
	client, _ := connect(t, s, keys("AK", "SK", ""), param.Identity{})
	s.Fail(awsfake.GetQueueAttributes, func(n int) *awsfake.Fault {
		if n == 1 {
			return &awsfake.Fault{Status: 500, Code: "InternalError"}
		}
		return nil
	})
	if err := ask(t.Context(), client); err != nil || s.Count(awsfake.GetQueueAttributes) != 2 {
		t.Errorf("%d requests, %v", s.Count(awsfake.GetQueueAttributes), err)
	}
	s.Fail(awsfake.GetQueueAttributes, awsfake.Always(awsfake.Fault{Status: 500, Code: "InternalError"}))
	if err := ask(t.Context(), client); err == nil || s.Count(awsfake.GetQueueAttributes) != 4 {
		t.Errorf("%d requests, %v", s.Count(awsfake.GetQueueAttributes), err)
	}
}

func TestWrongSecretsAreRefusedAndNotShown(t *testing.T) {
	s := start(t)
	s.AllowKey("AK", "SK", canary)
	for _, k := range []awsauth.Keys{keys("AK", "x"+canary, canary), keys("AK"+canary, "SK", canary), keys("AK", "SK", canary+"x")} {
		client, _ := connect(t, s, k, param.Identity{})
		err := ask(t.Context(), client)
		if scalers.KindOf(err) != scalers.Unauthorized || strings.Contains(err.Error(), canary) {
			t.Errorf("got %v", err)
		}
	}
}

func TestMissingCredentialsAreOneErrorThatSaysWhoseTheyAre(t *testing.T) {
	const own = "; give Weir an identity by EKS Pod Identity or a service account's role, or give the trigger keys of its own"
	const role = "getting AWS credentials: assuming the role: "
	const trust = "; let the role's trust policy name Weir's identity, and check the external id"
	assume := param.Identity{Provider: "aws", RoleARN: "arn:aws:iam::1:role/" + canary, ExternalID: canary}
	for name, c := range map[string]struct {
		id    param.Identity
		token bool
		fault *awsfake.Fault
		kind  scalers.Kind
		want  string
	}{
		"no identity": {param.Identity{Provider: "aws"}, false, nil, scalers.Unauthorized, "getting AWS credentials: getting Weir's own AWS credentials: the SDK finds none" + own},
		"an identity that is refused": {
			param.Identity{Provider: "aws"}, true, nil, scalers.Unauthorized, "getting AWS credentials: getting Weir's own AWS credentials: AWS answered AccessDenied" + own,
		},
		"a role that is refused": {assume, true, &awsfake.Fault{Status: 403, Code: "AccessDenied", Message: canary}, scalers.Unauthorized, role + "AWS answered AccessDenied" + trust},
		"STS throttles":          {assume, true, &awsfake.Fault{Code: "Throttling", Message: canary}, scalers.Throttled, "getting AWS credentials: AWS answered Throttling"},
		"STS is broken":          {assume, true, &awsfake.Fault{Status: 500, Code: "InternalFailure"}, scalers.Unreachable, role + "AWS answered InternalFailure"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			if c.token {
				tokenFile(t, canary)
			}
			if c.fault != nil {
				s.SetRole("arn:aws:iam::1:role/own", awsfake.Role{Token: canary})
				s.Fail(awsfake.AssumeRole, awsfake.Always(*c.fault))
			}
			_, cfg := connect(t, s, awsauth.Keys{}, c.id)
			check(t, awsauth.Ready(t.Context(), cfg), c.kind, c.want)
		})
	}
}

func TestAWorkloadWithoutARoleIsNotWeir(t *testing.T) {
	start(t)
	s, err := awsauth.New("r", awsauth.Keys{}, param.Identity{Provider: "aws", Owner: "workload"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Config(t.Context(), env())
	check(t, err, scalers.Invalid, "choosing an AWS identity: there is no role to assume; annotate the workload's service account with eks.amazonaws.com/role-arn, or name a role in the authentication object")
}

func TestAnUnusableConfigurationOfTheProcess(t *testing.T) {
	start(t)
	t.Setenv("AWS_PROFILE", canary)
	s, err := awsauth.New("r", awsauth.Keys{}, param.Identity{Provider: "aws"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, closeAll, err := s.Connect(t.Context(), env(), 1)
	if closeAll != nil {
		t.Error("there is something to close")
	}
	if scalers.KindOf(err) != scalers.Invalid || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
}

func TestTheNetworkIsUnreachable(t *testing.T) {
	s := start(t)
	_, cfg := connect(t, s, keys("AK", "SK", ""), param.Identity{})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	at := func(address string) *sqs.Client {
		return sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(address) })
	}
	if err := ask(t.Context(), at(gone.URL+"/"+canary)); scalers.KindOf(err) != scalers.Unreachable || strings.Contains(err.Error(), canary) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check(t, ask(ctx, at(s.URL)), scalers.Unreachable, "measuring: no answer in time")
}

func TestARegionIsNeededForARequest(t *testing.T) {
	start(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	s, err := awsauth.New("", keys("AK", "SK", ""), param.Identity{}, "")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := s.Config(t.Context(), env())
	if err != nil {
		t.Fatal(err)
	}
	check(t, ask(t.Context(), sqs.NewFromConfig(cfg)), scalers.Invalid, "measuring: the request cannot be made; check the region and the endpoint")
}

func TestAnAnswerWithoutEndIsCutOff(t *testing.T) {
	s := start(t)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		chunk := []byte(`{"Attributes":{"` + strings.Repeat("x", 1<<20))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	_, cfg := connect(t, s, keys("AK", "SK", ""), param.Identity{})
	err := ask(t.Context(), sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(endless.URL) }))
	check(t, err, scalers.BadAnswer, "measuring: the answer is larger than 64 MiB; check that the endpoint is that of the service")
}

func TestReadyNeedsAProvider(t *testing.T) {
	check(t, awsauth.Ready(t.Context(), aws.Config{}), scalers.Invalid, "getting AWS credentials: the request cannot be made; check the region and the endpoint")
	if errors.Is(awsauth.Failed("x", io.EOF, ""), io.EOF) {
		t.Error("the cause is repeated")
	}
}
