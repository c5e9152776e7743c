package awssecretsmanager_test

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/kube/secretstore/awssecretsmanager"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a Store on a fake that accepts one temporary key.
func store(t *testing.T) (*fake.Server, *awssecretsmanager.Store) {
	t.Helper()
	s := fake.Start(t)
	s.AllowKey("AKIA", "canary-secret", "canary-token")
	s.SetSecret("broker", fake.SecretVersion{ID: "1", Stages: []string{"AWSPREVIOUS"}, Text: "old"},
		fake.SecretVersion{ID: "2", Stages: []string{"AWSCURRENT"}, Text: `{"user":"u","password":"canary-value","port":1}`})
	s.SetSecret("binary", fake.SecretVersion{ID: "1", Stages: []string{"AWSCURRENT"}, Binary: []byte("bytes")})
	s.SetSecret("denied", fake.SecretVersion{ID: "1", Stages: []string{"AWSCURRENT"}, Denied: true})
	return s, awssecretsmanager.New(awssecretsmanager.Config{
		Env: scalers.Env{HTTP: &http.Client{Transport: &http.Transport{}}, Log: slog.New(slog.DiscardHandler), ClientName: "weir"}, Endpoint: s.URL,
	})
}

func keys() secretstore.AWSLogin {
	return secretstore.AWSLogin{
		Region: "eu-west-1", AccessKey: param.NewSecret("AKIA"), SecretKey: param.NewSecret("canary-secret"), SessionToken: param.NewSecret("canary-token"),
	}
}

func show(s secretstore.Secret, err error) string {
	if err != nil {
		return fmt.Sprintf("%s: %v", scalers.KindOf(err), err)
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.Fields)) {
		out = append(out, fmt.Sprintf("%q=%s", k, s.Fields[k]))
	}
	return strings.Join(out, " ")
}

func TestSecretsAreRead(t *testing.T) {
	t.Parallel()
	s, made := store(t)
	session, err := made.Open(keys())
	if err != nil {
		t.Fatal(err)
	}
	current := `""={"user":"u","password":"canary-value","port":1} "password"=canary-value "user"=u`
	const missing = `: AWS answered ResourceNotFoundException`
	for _, tc := range []struct {
		item secretstore.AWSItem
		want string
	}{
		{secretstore.AWSItem{Name: "broker"}, current},
		{secretstore.AWSItem{Name: "broker", VersionStage: "AWSPREVIOUS"}, `""=old`},
		{secretstore.AWSItem{Name: "broker", VersionID: "1"}, `""=old`},
		{secretstore.AWSItem{Name: "binary"}, `""=bytes`},
		{secretstore.AWSItem{Name: "gone"}, `NotFound: reading Secrets Manager secret "gone"` + missing},
		{secretstore.AWSItem{Name: "broker", VersionID: "9"}, `NotFound: reading Secrets Manager secret "broker"` + missing},
		{secretstore.AWSItem{Name: "denied"}, `Unauthorized: reading Secrets Manager secret "denied": AWS answered AccessDeniedException; ` +
			"allow the identity secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key"},
	} {
		got, err := session.Read(t.Context(), tc.item)
		if out := show(got, err); out != tc.want {
			t.Errorf("%+v: got %s, want %s", tc.item, out, tc.want)
		}
		if strings.Contains(fmt.Sprint(err), "canary") {
			t.Error("the error holds a secret")
		}
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

func TestASessionTokenBelongsToItsKey(t *testing.T) {
	t.Parallel()
	_, made := store(t)
	login := keys()
	login.SessionToken = param.NewSecret("canary-wrong")
	session, err := made.Open(login)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Read(t.Context(), secretstore.AWSItem{Name: "broker"}); scalers.KindOf(err) != scalers.Unauthorized || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

func TestLoginsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	_, made := store(t)
	half := keys()
	half.SecretKey = param.Secret{}
	for want, login := range map[string]secretstore.AWSLogin{
		"reading the AWS credentials; give both the access key and its secret":                                 half,
		`reading the AWS credentials; give an access key with its secret, or a pod identity of provider "aws"`: {Region: "eu-west-1"},
	} {
		if _, err := made.Open(login); err == nil || err.Error() != want || scalers.KindOf(err) != scalers.Invalid {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// With no region anywhere nothing is asked.
func TestARegionIsNeeded(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	s, made := store(t)
	login := keys()
	login.Region = ""
	session, err := made.Open(login)
	if err != nil {
		t.Fatal(err)
	}
	const want = "connecting to AWS Secrets Manager: there is no region; set region, or give weir AWS_REGION"
	if _, err := session.Read(t.Context(), secretstore.AWSItem{Name: "broker"}); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if n := s.Count(fake.GetSecretValue); n > 0 {
		t.Errorf("asked %d times", n)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}
