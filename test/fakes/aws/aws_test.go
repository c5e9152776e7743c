package awsfake_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is one of Secrets Manager, with the secret access key given.
func client(t *testing.T, s *awsfake.Server, secret string) *secretsmanager.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return secretsmanager.New(secretsmanager.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(s.URL), HTTPClient: &http.Client{Transport: transport}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("AK", secret, ""),
	})
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func TestSecretsHaveVersionsAndStages(t *testing.T) {
	s := awsfake.Start(t)
	s.AllowKey("AK", "SK", "")
	s.SetSecret("db",
		awsfake.SecretVersion{ID: "v2", Stages: []string{"AWSCURRENT"}, Text: "new"},
		awsfake.SecretVersion{ID: "v1", Stages: []string{"AWSPREVIOUS"}, Text: "old"})
	s.SetSecret("raw", awsfake.SecretVersion{ID: "v1", Stages: []string{"AWSCURRENT"}, Binary: []byte("bytes")})
	s.SetSecret("closed", awsfake.SecretVersion{ID: "v1", Stages: []string{"AWSCURRENT"}, Denied: true})
	c := client(t, s, "SK")
	for name, want := range map[string]struct {
		in   secretsmanager.GetSecretValueInput
		text string // or the error's code
	}{
		"the current version":  {secretsmanager.GetSecretValueInput{SecretId: aws.String("db")}, "new"},
		"another stage":        {secretsmanager.GetSecretValueInput{SecretId: aws.String("db"), VersionStage: aws.String("AWSPREVIOUS")}, "old"},
		"a version":            {secretsmanager.GetSecretValueInput{SecretId: aws.String("db"), VersionId: aws.String("v1")}, "old"},
		"a version of a stage": {secretsmanager.GetSecretValueInput{SecretId: aws.String("db"), VersionId: aws.String("v1"), VersionStage: aws.String("AWSCURRENT")}, "ResourceNotFoundException"},
		"bytes":                {secretsmanager.GetSecretValueInput{SecretId: aws.String("raw")}, "bytes"},
		"nothing":              {secretsmanager.GetSecretValueInput{SecretId: aws.String("none")}, "ResourceNotFoundException"},
		"one of others":        {secretsmanager.GetSecretValueInput{SecretId: aws.String("closed")}, "AccessDeniedException"},
	} {
		out, err := c.GetSecretValue(t.Context(), &want.in)
		got := code(err)
		if err == nil {
			got = aws.ToString(out.SecretString) + string(out.SecretBinary)
		}
		if got != want.text {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if n := s.Count(awsfake.GetSecretValue); n != 7 {
		t.Errorf("%d requests", n)
	}
}

func TestSignaturesAreVerified(t *testing.T) {
	s := awsfake.Start(t)
	s.SetSecret("db", awsfake.SecretVersion{ID: "v1", Stages: []string{"AWSCURRENT"}, Text: "x"})
	ask := func(secret string) string {
		_, err := client(t, s, secret).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("db")})
		return code(err)
	}
	if got := ask("SK"); got != "UnrecognizedClientException" {
		t.Errorf("an unknown key: %s", got)
	}
	s.AllowKey("AK", "SK", "")
	if got := ask("SK"); got != "" {
		t.Errorf("the right key: %s", got)
	}
	if got := ask("other"); got != "InvalidSignatureException" {
		t.Errorf("a wrong secret: %s", got)
	}
	s.RevokeKeys()
	if got := ask("SK"); got != "UnrecognizedClientException" {
		t.Errorf("a key that was taken back: %s", got)
	}
}

func TestFaultsReplaceAnswers(t *testing.T) {
	s := awsfake.Start(t)
	s.AllowKey("AK", "SK", "")
	c := client(t, s, "SK")
	s.Fail(awsfake.GetSecretValue, func(n int) *awsfake.Fault {
		if n == 2 {
			return &awsfake.Fault{Stall: true}
		}
		return &awsfake.Fault{Status: http.StatusServiceUnavailable, Code: "InternalServiceError"}
	})
	in := &secretsmanager.GetSecretValueInput{SecretId: aws.String("db")}
	if _, err := c.GetSecretValue(t.Context(), in); code(err) != "InternalServiceError" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.GetSecretValue(ctx, in); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stalled request: %v", err)
	}
	s.Fail(awsfake.GetSecretValue, nil)
	if _, err := c.GetSecretValue(t.Context(), in); code(err) != "ResourceNotFoundException" {
		t.Errorf("after the fault: %v", err)
	}
}

func TestWhatIsNotFakedIsRefused(t *testing.T) {
	s := awsfake.Start(t)
	s.AllowKey("AK", "SK", "")
	_, err := client(t, s, "SK").ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}
