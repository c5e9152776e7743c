package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/oauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

type kv = map[string]string

// settings binds authentication parameters as a scaler would.
func settings(t *testing.T, auth kv) oauth.Settings {
	t.Helper()
	var s oauth.Settings
	if _, err := param.Parse(param.Values{Auth: auth}, func(p *param.Set) { s.Bind(p, "") }); err != nil {
		t.Fatal(err)
	}
	return s
}

// tokens makes tokens that are fetched from handler.
func tokens(t *testing.T, more kv, handler http.HandlerFunc) *oauth.Tokens {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	auth := kv{"oauthTokenURI": srv.URL + "/token?v=1", "clientID": "weir", "clientSecret": "c4n4ry"}
	maps.Copy(auth, more)
	got, err := oauth.New(settings(t, auth), srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTokensAreKeptUntilTheyExpire(t *testing.T) {
	fetched, lives := 0, 3600
	got := tokens(t, kv{"scope": "a, b", "endpointParams": "audience=mq"}, func(w http.ResponseWriter, r *http.Request) {
		fetched++
		id, secret, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil || id != "weir" || secret != "c4n4ry" || r.URL.RawQuery != "v=1" ||
			r.PostForm.Get("scope") != "a b" || r.PostForm.Get("audience") != "mq" || r.PostForm.Get("grant_type") != "client_credentials" {
			t.Errorf("token request %s %v as %s, %v", r.URL, r.PostForm, id, err)
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":%d}`, fetched, lives); err != nil {
			t.Error(err)
		}
	})
	authorization := func() string {
		if err := got.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		got.Authorize(r)
		return r.Header.Get("Authorization")
	}
	lives = 5 // less than what counts as about to expire
	if a := authorization(); a != "Bearer t1" {
		t.Errorf("first %s", a)
	}
	lives = 3600
	for range 3 {
		if a := authorization(); a != "Bearer t2" {
			t.Errorf("then %s", a)
		}
	}
}

func TestErrorsDoNotRepeatWhatWasSent(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		kind   scalers.Kind
		want   string
	}{
		"refused":   {401, `{"error":"invalid_client","error_description":"c4n4ry"}`, scalers.Unauthorized, "fetching an OAuth token: status 401 invalid_client; check clientID, clientSecret, scopes and endpointParams"},
		"too often": {429, "c4n4ry", scalers.Throttled, "fetching an OAuth token: status 429 ; check clientID, clientSecret, scopes and endpointParams"},
		"broken":    {500, "c4n4ry", scalers.Unreachable, "fetching an OAuth token: status 500 "},
		"no token":  {200, `{"c4n4ry":1}`, scalers.BadAnswer, "fetching an OAuth token: the answer holds no token; check oauthTokenURI"},
		"no JSON":   {200, "c4n4ry", scalers.BadAnswer, "fetching an OAuth token: the answer holds no token; check oauthTokenURI"},
	} {
		got := tokens(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.status)
			if _, err := io.WriteString(w, c.body); err != nil {
				t.Error(err)
			}
		})
		if err := got.Refresh(t.Context()); fmt.Sprint(err) != c.want || scalers.KindOf(err) != c.kind {
			t.Errorf("%s: %s: %v", name, scalers.KindOf(err), err)
		}
	}
}

func TestAServerThatHangsEndsWithItsContext(t *testing.T) {
	got := tokens(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := got.Refresh(ctx); scalers.KindOf(err) != scalers.Unreachable || !errors.Is(err, ctx.Err()) {
		t.Errorf("got %v", err)
	}
}

func TestNoCredentials(t *testing.T) {
	if (oauth.Settings{}).Enabled() || settings(t, kv{"scopes": "a"}).Enabled() || !settings(t, kv{"clientID": "c"}).Enabled() {
		t.Error("credentials are there when, and only when, there is a client")
	}
	if err := (*oauth.Tokens)(nil).Refresh(t.Context()); err != nil {
		t.Errorf("no tokens: %v", err)
	}
	_, err := oauth.New(settings(t, kv{"clientID": "c", "oauthTokenURI": "x"}), http.DefaultClient)
	if scalers.KindOf(err) != scalers.Invalid {
		t.Errorf("an address that is none: %v", err)
	}
}
