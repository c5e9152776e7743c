package gcpmonitoring_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/gcpmonitoring"
)

func TestStatusCodesBecomeKinds(t *testing.T) {
	s := start(t)
	s.Put(fake.Series("projects/shop/subscriptions/abc", "num_undelivered_messages", fake.Int(1), time.Minute))
	busy, err := status.New(codes.ResourceExhausted, "Quota exceeded").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	v := values(t, s, "subscriptionName", "abc")
	conn := connect(t, "gcp-pubsub", v, env(nil))
	const op = `reading a metric of subscription "abc": `
	for _, c := range []struct {
		fault error
		kind  scalers.Kind
		text  string
	}{
		{busy.Err(), scalers.Throttled, op + "ResourceExhausted: Quota exceeded"},
		{status.Error(codes.PermissionDenied, "no\nno"), scalers.Unauthorized, op + "PermissionDenied: no no; grant the account the role roles/monitoring.viewer on the project"},
		{status.Error(codes.Unauthenticated, ""), scalers.Unauthorized, op + "Unauthenticated; check that the key is not deleted and that its account is enabled"},
		{status.Error(codes.Unavailable, "later"), scalers.Unreachable, op + "Unavailable: later"},
		{status.Error(codes.Internal, "oops"), scalers.Unreachable, op + "Internal: oops"},
		{status.Error(codes.InvalidArgument, "bad"), scalers.Invalid, op + "InvalidArgument: bad"},
		{status.Error(codes.DataLoss, "lost"), scalers.BadAnswer, op + "DataLoss: lost"},
	} {
		s.Fail(c.fault)
		r := fetch(t, conn, "gcp-pubsub", v)[0]
		want(t, string(c.kind), r, 0, c.kind, c.text)
		if e, ok := r.Err.(*scalers.Error); c.kind == scalers.Throttled && (!ok || e.RetryAfter != 7*time.Second) { //nolint:errorlint // it is not wrapped
			t.Errorf("retry after: %+v", e)
		}
	}
	want(t, "afterwards", fetch(t, conn, "gcp-pubsub", v)[0], 1, "", "")
}

func TestOneProjectThatFailsDoesNotFailAnother(t *testing.T) {
	s := start(t)
	s.Put(fake.Series("projects/shop/subscriptions/abc", "num_undelivered_messages", fake.Int(1), time.Minute))
	all := []param.Values{
		values(t, s, "subscriptionName", "abc"),
		values(t, s, "subscriptionName", "projects/shop/subscriptions/abc", "mode", "Unheard"),
	}
	readings := fetch(t, connect(t, "gcp-pubsub", all[0], env(nil)), "gcp-pubsub", all...)
	want(t, "the good one", readings[0], 1, "", "")
	if scalers.KindOf(readings[1].Err) != scalers.NotFound {
		t.Errorf("the other gives %v", readings[1])
	}
}

func TestNothingHangs(t *testing.T) {
	s := start(t)
	s.Hang(true)
	for _, typ := range []string{"gcp-pubsub", "gcp-stackdriver"} {
		v := values(t, s, "subscriptionName", "abc", "projectId", "shop", "filter", "f")
		conn := connect(t, typ, v, env(nil))
		began := time.Now()
		readings, err := conn.Fetch(within(t, 50*time.Millisecond), []scalers.Query{parse(t, typ, v).Query})
		if err == nil {
			err = readings[0].Err
		}
		if scalers.KindOf(err) != scalers.Unreachable || time.Since(began) > soon {
			t.Errorf("%s: %v after %v", typ, err, time.Since(began))
		}
	}
}

func TestAServerThatIsGoneIsUnreachable(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	v := param.Values{
		Metadata: map[string]string{"subscriptionName": "abc", "monitoringEndpoint": l.Addr().String()},
		Auth:     map[string]string{"GoogleApplicationCredentials": key(t)},
	}
	if r := measure(t, "gcp-pubsub", v); scalers.KindOf(r.Err) != scalers.Unreachable || !strings.Contains(r.Err.Error(), "connection refused") {
		t.Errorf("got %v", r.Err)
	}
}

func TestCredentialsThatCannotBeUsedSaySoWithoutShowingThem(t *testing.T) {
	const canary = "c4n4ry"
	const op = "preparing the Google Cloud credentials: "
	for name, c := range map[string]struct {
		key  string
		want string
	}{
		"no JSON":       {canary, op + "the key is not JSON; give the JSON of a service account's key, as Google made it"},
		"another type":  {`{"type":"external_account","credential_source":{"file":"` + canary + `"}}`, op + "the key's type is not service_account; give the JSON of a service account's key, as Google made it"},
		"no type":       {`{}`, op + "the key's type is not service_account; give the JSON of a service account's key, as Google made it"},
		"no key":        {`{"type":"service_account","private_key":"` + canary + `"}`, op + "the key cannot be read; give the JSON of a service account's key, as Google made it"},
		"a wrong field": {`{"type":"service_account","private_key":{"` + canary + `":1}}`, op + "the key cannot be read; give the JSON of a service account's key, as Google made it"},
	} {
		t.Run(name, func(t *testing.T) {
			v := param.Values{Metadata: map[string]string{"subscriptionName": "abc"}, Auth: map[string]string{"GoogleApplicationCredentials": c.key}}
			_, err := parse(t, "gcp-pubsub", v).Source.Open(t.Context(), env(nil))
			if fmt.Sprint(err) != c.want || scalers.KindOf(err) != scalers.Invalid {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	v := param.Values{Metadata: map[string]string{"subscriptionName": "abc", "credentialsFromEnvFile": "F"}, Env: map[string]string{"F": "/" + canary}}
	_, err := parse(t, "gcp-pubsub", v).Source.Open(t.Context(), env(nil))
	want(t, "a file", scalers.Reading{Err: err}, 0, scalers.Invalid, op+"the key is in a file of the process, which no trigger may read; use credentialsFromEnv, or an authentication object")
	v = param.Values{Metadata: map[string]string{"subscriptionName": "abc", "credentialsFromEnv": "F"}}
	_, err = parse(t, "gcp-pubsub", v).Source.Open(t.Context(), env(nil))
	want(t, "no variable", scalers.Reading{Err: err}, 0, scalers.Invalid, op+"the variable that credentialsFromEnv names holds nothing; set it in the workload's container")
}

func TestTokensAreSignedAndCheckedOverTLS(t *testing.T) {
	text, verify, err := fake.Account("shop")
	if err != nil {
		t.Fatal(err)
	}
	config, roots, err := fake.Certificate("monitoring.googleapis.com")
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, fake.Options{TLS: config, Key: verify})
	s.Put(fake.Series("projects/shop/subscriptions/abc", "num_undelivered_messages", fake.Int(4), time.Minute))
	good := param.Values{
		Metadata: map[string]string{"subscriptionName": "abc", "monitoringEndpoint": s.Addr()},
		Auth:     map[string]string{"GoogleApplicationCredentials": text},
	}
	other := param.Values{Metadata: good.Metadata, Auth: map[string]string{"GoogleApplicationCredentials": key(t)}}
	want(t, "the account's own key", fetch(t, connect(t, "gcp-pubsub", good, env(roots)), "gcp-pubsub", good)[0], 4, "", "")
	if r := fetch(t, connect(t, "gcp-pubsub", other, env(roots)), "gcp-pubsub", other)[0]; scalers.KindOf(r.Err) != scalers.Unauthorized {
		t.Errorf("another key: %v", r)
	}
	if r := fetch(t, connect(t, "gcp-pubsub", good, env(nil)), "gcp-pubsub", good)[0]; scalers.KindOf(r.Err) != scalers.Unreachable || !strings.HasSuffix(r.Err.Error(), "; trust the server's certificate authority") {
		t.Errorf("without its authority: %v", r.Err)
	}
	echo := startWith(t, fake.Options{TLS: config, Key: verify, Echo: true})
	v := param.Values{Metadata: map[string]string{"subscriptionName": "abc", "monitoringEndpoint": echo.Addr()}, Auth: good.Auth}
	want(t, "a server that repeats the token", fetch(t, connect(t, "gcp-pubsub", v, env(roots)), "gcp-pubsub", v)[0], 0,
		scalers.BadAnswer, `reading a metric of subscription "abc": DataLoss: you sent Bearer [redacted]`)

	// Weir's own identity, as a file of its own names it, goes to Google's host.
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	own := param.Values{Metadata: map[string]string{"subscriptionName": "abc"}, Identity: param.Identity{Provider: "gcp"}}
	e := env(roots)
	e.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "monitoring.googleapis.com:443" {
			return nil, fmt.Errorf("dialled %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, s.Addr())
	}
	want(t, "the process's identity", fetch(t, connect(t, "gcp-pubsub", own, e), "gcp-pubsub", own)[0], 4, "", "")
}

func TestOwnIdentityIsSharedOnlyWhereItIsMeantForAll(t *testing.T) {
	def := definition(t, "gcp-pubsub")
	source := func(namespace string, shared bool) scalers.SourceKey {
		trigger, _, err := def.Parse(param.Values{
			Metadata: map[string]string{"subscriptionName": "abc"}, Namespace: namespace,
			Identity: param.Identity{Provider: "gcp", Shared: shared},
		})
		if err != nil {
			t.Fatal(err)
		}
		return trigger.Source
	}
	if source("a", false) == source("b", false) || source("a", true) != source("b", true) {
		t.Error("sources are shared across namespaces, or are not")
	}
}
