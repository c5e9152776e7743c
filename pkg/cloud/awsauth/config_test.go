package awsauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "c4n4ry"

// start serves a fake with the queue "orders" and keeps the SDK from reading the
// machine's own configuration.
func start(t *testing.T) *awsfake.Server {
	t.Helper()
	s := awsfake.Start(t)
	s.SetQueue("orders", awsfake.Queue{Visible: 1})
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_STS": s.URL, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	return s
}

// connect makes a client of SQS.
func connect(t *testing.T, s *awsfake.Server, keys awsauth.Keys, id param.Identity) (*sqs.Client, aws.Config) {
	t.Helper()
	settings, err := awsauth.New("eu-west-1", keys, id, "team")
	if err != nil {
		t.Fatal(err)
	}
	cfg, closeAll, err := settings.Connect(t.Context(), env(), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeAll(); err != nil {
			t.Error(err)
		}
	})
	return sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(s.URL) }), cfg
}

func env() scalers.Env {
	return scalers.Env{HTTP: &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}, ClientName: "weir"}
}

// ask makes a request and returns its error as scalers give it.
func ask(ctx context.Context, c *sqs.Client) error {
	_, err := c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String("orders")})
	if err == nil {
		return nil
	}
	return awsauth.Failed("measuring", err, "sqs:GetQueueAttributes on the queue")
}

func keys(id, secret, token string) awsauth.Keys {
	return awsauth.Keys{ID: param.NewSecret(id), Secret: param.NewSecret(secret), Token: param.NewSecret(token)}
}

func TestStaticKeysSignForTheRegion(t *testing.T) {
	s := start(t)
	s.AllowKey("AK", "SK", "T")
	c, cfg := connect(t, s, keys("AK", "SK", "T"), param.Identity{})
	if err := errors.Join(awsauth.Ready(t.Context(), cfg), ask(t.Context(), c)); err != nil {
		t.Fatal(err)
	}
	if r := s.Requests(awsfake.GetQueueAttributes)[0]; r.KeyID != "AK" || r.Region != "eu-west-1" {
		t.Errorf("got %+v", r)
	}
}

func TestARoleIsAssumedWithTheProcesssKeysAndRefreshed(t *testing.T) {
	s := start(t)
	s.AllowKey("OWN", "SK", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "OWN")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	s.SetRole("arn:aws:iam::1:role/r", awsfake.Role{Trusts: true, ExternalID: "E", TTL: time.Minute}) // shorter than the time it is refreshed ahead
	c, _ := connect(t, s, awsauth.Keys{}, param.Identity{Provider: "aws", RoleARN: "arn:aws:iam::1:role/r", ExternalID: "E"})
	if err := ask(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.SetRole("arn:aws:iam::1:role/r", awsfake.Role{Trusts: true, ExternalID: "E"})
	for range 3 {
		if err := ask(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var signers []string
	for _, r := range s.Requests(awsfake.GetQueueAttributes) {
		signers = append(signers, r.KeyID)
	}
	if got := strings.Join(signers, " "); got != "ASIA0001 ASIA0002 ASIA0002 ASIA0002" {
		t.Errorf("signed by %s", got)
	}
	for _, r := range s.Requests(awsfake.AssumeRole) {
		if r.KeyID != "OWN" || r.Session != "weir.team" || r.Region != "eu-west-1" {
			t.Errorf("assumed by %+v", r)
		}
	}
}

// tokenFile makes a web identity of the process, as IRSA does.
func tokenFile(t *testing.T, token string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/own")
}

func TestARoleThatTrustsTheTokenNeedsNoOther(t *testing.T) {
	s := start(t)
	tokenFile(t, "jwt")
	s.SetRole("arn:aws:iam::1:role/r", awsfake.Role{Token: "jwt"})
	c, _ := connect(t, s, awsauth.Keys{}, param.Identity{Provider: "aws", RoleARN: "arn:aws:iam::1:role/r"})
	if err := ask(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n := s.Count(awsfake.AssumeRole); n != 0 {
		t.Errorf("%d requests for the role by keys", n)
	}
}

func TestARoleThatDoesNotTrustTheTokenIsAssumedByTheProcesssRole(t *testing.T) {
	s := start(t)
	tokenFile(t, "jwt")
	s.SetRole("arn:aws:iam::1:role/own", awsfake.Role{Token: "jwt"})
	s.SetRole("arn:aws:iam::1:role/r", awsfake.Role{Trusts: true})
	c, _ := connect(t, s, awsauth.Keys{}, param.Identity{Provider: "aws", RoleARN: "arn:aws:iam::1:role/r"})
	if err := ask(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if r := s.Requests(awsfake.AssumeRole); len(r) != 1 || r[0].KeyID != "ASIA0001" {
		t.Errorf("assumed by %+v", r)
	}
}

func TestTheProcesssIdentityByServiceAccount(t *testing.T) {
	s := start(t)
	tokenFile(t, "jwt")
	s.SetRole("arn:aws:iam::1:role/own", awsfake.Role{Token: "jwt"})
	c, _ := connect(t, s, awsauth.Keys{}, param.Identity{Provider: "aws"})
	if err := ask(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestTheProcesssIdentityByTheAgentOfEKS(t *testing.T) {
	s := start(t)
	s.SetAgent("agent-token", time.Hour)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL+"/v1/credentials")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "agent-token")
	c, _ := connect(t, s, awsauth.Keys{}, param.Identity{Provider: "aws"})
	for range 2 {
		if err := ask(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Count(awsfake.AgentCredentials); n != 1 {
		t.Errorf("%d requests to the agent", n)
	}
}

func TestConfigSharesTheProcesssConnections(t *testing.T) {
	s := start(t)
	s.AllowKey("AK", "SK", "")
	settings, err := awsauth.New("r", keys("AK", "SK", ""), param.Identity{}, "")
	if err != nil {
		t.Fatal(err)
	}
	e := env()
	defer e.HTTP.CloseIdleConnections()
	for range 50 { // a connection that is lost now and then shows
		cfg, err := settings.Config(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(t.Context(), sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(s.URL) })); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestCloseEndsRequestsUnderWay(t *testing.T) {
	s := start(t)
	s.AllowKey("AK", "SK", "")
	arrived := make(chan struct{}, 2)
	s.Fail(awsfake.GetQueueAttributes, func(int) *awsfake.Fault {
		arrived <- struct{}{}
		return &awsfake.Fault{Stall: true}
	})
	settings, err := awsauth.New("r", keys("AK", "SK", ""), param.Identity{}, "")
	if err != nil {
		t.Fatal(err)
	}
	cfg, closeAll, err := settings.Connect(t.Context(), env(), 1)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- ask(context.Background(), sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(s.URL) }))
	}()
	<-arrived
	if err := closeAll(); err != nil {
		t.Error(err)
	}
	if err := <-done; scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("got %v", err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	s := start(t)
	s.AllowKey("AK", "SK", "")
	hop := httptest.NewServer(http.RedirectHandler(s.URL, http.StatusTemporaryRedirect))
	defer hop.Close()
	_, cfg := connect(t, s, keys("AK", "SK", ""), param.Identity{})
	err := ask(t.Context(), sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(hop.URL) }))
	if scalers.KindOf(err) != scalers.BadAnswer || s.Count(awsfake.GetQueueAttributes) != 0 {
		t.Errorf("got %v", err)
	}
}
