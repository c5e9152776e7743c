package gcpauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weir-sh/weir/pkg/cloud/gcpauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type kv = map[string]string

// bound binds settings, and gives errors or warnings as text.
func bound(v param.Values, bind func(*gcpauth.Settings, *param.Set)) (gcpauth.Settings, string) {
	var s gcpauth.Settings
	warnings, err := param.Parse(v, func(p *param.Set) { bind(&s, p) })
	if err != nil {
		return s, err.Error()
	}
	return s, fmt.Sprint(warnings)
}

func TestTheOrderOfCredentials(t *testing.T) {
	open := func(v param.Values) (gcpauth.Settings, error) {
		s, text := bound(v, (*gcpauth.Settings).Bind)
		if strings.HasPrefix(text, "parameter") {
			return s, errors.New(text)
		}
		if s.Own() {
			return s, errors.New("own")
		}
		_, err := s.Open(t.Context(), scalers.Env{}, gcpauth.ReadMetrics)
		return s, err
	}
	const op = "preparing the Google Cloud credentials: "
	const bad = op + "the key is not JSON; give the JSON of a service account's key, as Google made it"
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"identity comes first":           {param.Values{Auth: kv{"GoogleApplicationCredentials": "x"}, Identity: param.Identity{Provider: "gcp"}}, "own"},
		"another identity does not":      {param.Values{Auth: kv{"GoogleApplicationCredentials": "x"}, Identity: param.Identity{Provider: "aws"}}, bad},
		"then the authentication object": {param.Values{Auth: kv{"GoogleApplicationCredentials": "x"}, Metadata: kv{"credentialsFromEnv": "V"}, Env: kv{"V": "{}"}}, bad},
		"then the environment":           {param.Values{Metadata: kv{"credentialsFromEnv": "V", "credentialsFromEnvFile": "F"}, Env: kv{"V": "x"}}, bad},
		"a variable that is not set":     {param.Values{Metadata: kv{"credentialsFromEnv": "V"}}, op + "the variable that credentialsFromEnv names holds nothing; set it in the workload's container"},
		"then the file":                  {param.Values{Metadata: kv{"credentialsFromEnvFile": "F"}}, op + "the key is in a file of the process, which no trigger may read; use credentialsFromEnv, or an authentication object"},
		"a literal is ignored":           {param.Values{Metadata: kv{"credentials": "{}"}}, `parameter "GoogleApplicationCredentials" is required as an authentication parameter, or through credentialsFromEnv, unless the authentication object has podIdentity gcp`},
	} {
		if _, err := open(c.v); fmt.Sprint(err) != c.want {
			t.Errorf("%s: got %v\nwant %s", name, err, c.want)
		}
	}
	if s, text := bound(param.Values{}, (*gcpauth.Settings).BindOptional); text != "[]" || !s.IsZero() {
		t.Errorf("optional: %v, %s", s, text)
	}
}

func TestEqualSettingsAreEqual(t *testing.T) {
	own := func(namespace string) gcpauth.Settings {
		s, _ := bound(param.Values{Namespace: namespace, Identity: param.Identity{Provider: "gcp"}}, (*gcpauth.Settings).Bind)
		return s
	}
	withKey := func(namespace, text string) gcpauth.Settings {
		s, _ := bound(param.Values{Namespace: namespace, Auth: kv{"GoogleApplicationCredentials": text}}, (*gcpauth.Settings).Bind)
		return s
	}
	if own("a") == own("b") || withKey("a", "x") != withKey("b", "x") || withKey("a", "x") == withKey("a", "y") {
		t.Error("settings are equal that should not be, or the other way round")
	}
}

// metadata is the metadata server of a machine.
func metadata(t *testing.T, token func() (int, string)) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		code, body := http.StatusNotFound, ""
		switch r.URL.Path {
		case "/computeMetadata/v1/project/project-id":
			code, body = http.StatusOK, "shop"
		case "/computeMetadata/v1/instance/service-accounts/default/token":
			if code, body = token(); r.URL.Query().Get("scopes") != gcpauth.ReadMetrics {
				t.Errorf("asked for %s", r.URL)
			}
		}
		w.WriteHeader(code)
		if _, err := fmt.Fprint(w, body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(srv.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("GOOGLE_CLOUD_PROJECT", "")
	t.Setenv("HOME", t.TempDir())
}

func TestTokensOfTheProcessRefresh(t *testing.T) {
	var calls, broken atomic.Int32
	metadata(t, func() (int, string) {
		if broken.Load() == 1 {
			return http.StatusForbidden, "c4n4ry"
		}
		return http.StatusOK, fmt.Sprintf(`{"access_token":"t%d","expires_in":100,"token_type":"Bearer"}`, calls.Add(1))
	})
	s, _ := bound(param.Values{Identity: param.Identity{Provider: "gcp"}}, (*gcpauth.Settings).Bind)
	c, err := s.Open(t.Context(), scalers.Env{}, gcpauth.ReadMetrics)
	if err != nil {
		t.Fatal(err)
	}
	want := func(token string) {
		t.Helper()
		if got, err := c.Token(t.Context()); got != token || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, token)
		}
	}
	want("t1")
	want("t2") // the first is about to expire
	broken.Store(1)
	want("t2") // and is valid until then
	if id, err := c.Project(t.Context()); id != "shop" || err != nil {
		t.Errorf("project %q, %v", id, err)
	}

	fresh, err := s.Open(t.Context(), scalers.Env{}, gcpauth.ReadMetrics)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Token(t.Context()); scalers.KindOf(err) != scalers.Unauthorized {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fresh.Token(ctx); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("after the end of its context: %v", err)
	}
}

func TestOwnTokensGoToGoogleOnly(t *testing.T) {
	metadata(t, func() (int, string) { return http.StatusForbidden, "" })
	s, _ := bound(param.Values{Identity: param.Identity{Provider: "gcp"}}, (*gcpauth.Settings).Bind)
	c, err := s.Open(t.Context(), scalers.Env{}, gcpauth.ReadMetrics)
	if err != nil {
		t.Fatal(err)
	}
	for address, ok := range map[string]bool{
		"monitoring.googleapis.com:443": true, "x.p.GOOGLEAPIS.com.:443": true, "evilgoogleapis.com:443": false, "10.0.0.1:443": false, "googleapis.com": false,
	} {
		conn, err := c.Dial(scalers.Env{}, gcpauth.Endpoint{Address: address})
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err == nil {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestFailedKeepsErrorsThatHaveAKind(t *testing.T) {
	c := new(gcpauth.Credentials)
	mine := &scalers.Error{Kind: scalers.Unauthorized, Op: "x"}
	if err := c.Failed(t.Context(), "op", "", fmt.Errorf("wrapped: %w", mine)); !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Nanosecond, errors.New("time is up"))
	defer cancel()
	<-ctx.Done()
	if err := c.Failed(ctx, "op", "", status.Error(codes.PermissionDenied, "")); scalers.KindOf(err) != scalers.Unreachable || err.Error() != "op: time is up" {
		t.Errorf("got %v", err)
	}
	if err := c.Failed(t.Context(), "op", "grant it", status.Error(codes.PermissionDenied, "no")); err.Error() != "op: PermissionDenied: no; grant it" {
		t.Errorf("got %v", err)
	}
	if err := c.Failed(t.Context(), "op", "", errors.New("odd")); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("got %v", err)
	}
}
