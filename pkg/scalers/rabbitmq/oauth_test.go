package rabbitmq_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
)

func TestOAuthClientCredentials(t *testing.T) {
	var tokens int
	auth := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens++
		id, secret, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil || id != "weir" || secret != "s3cret" ||
			r.Form.Get("scope") != "mq.read mq.tag" || r.Form.Get("audience") != "mq" || r.Form.Get("grant_type") != "client_credentials" {
			t.Errorf("token request %v as %s, %v", r.Form, id, err)
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := io.WriteString(w, `{"access_token":"t0ken","token_type":"bearer","expires_in":3600}`); err != nil {
			t.Error(err)
		}
	})
	idp := httptest.NewServer(auth)
	defer idp.Close()
	mq := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer t0ken" {
			t.Errorf("authorization %q", got)
		}
		if _, err := io.WriteString(w, queueJSON(3, 0, 0, 0)); err != nil {
			t.Error(err)
		}
	}))
	defer mq.Close()
	v := values(map[string]string{
		"oauthTokenURI": idp.URL + "/token", "clientID": "weir", "clientSecret": "s3cret", "scope": "mq.read, mq.tag", "endpointParams": "audience=mq",
	}, "host", strings.Replace(mq.URL, "http://", "http://u:p@", 1))
	conn := connect(t, v, env(nil))
	for range 3 {
		if r := fetch(t, conn, v)[0]; r.Err != nil || r.Value != 3 {
			t.Errorf("got %v, %v", r.Value, r.Err)
		}
	}
	if tokens != 1 {
		t.Errorf("%d tokens were fetched for 3 measurements", tokens)
	}
}

func TestOAuthErrorsDoNotRepeatWhatWasSent(t *testing.T) {
	good := map[string]string{"clientID": "c4n4ry", "clientSecret": "c4n4ry"}
	for name, c := range map[string]struct {
		status int
		body   string
		kind   scalers.Kind
		want   string
	}{
		"refused":  {401, `{"error":"invalid_client","error_description":"c4n4ry"}`, scalers.Unauthorized, "fetching an OAuth token: status 401 invalid_client; check clientID, clientSecret, scopes and endpointParams"},
		"broken":   {500, "c4n4ry", scalers.Unreachable, "fetching an OAuth token: status 500 "},
		"no token": {200, `{"c4n4ry":1}`, scalers.BadAnswer, "fetching an OAuth token: the answer holds no token; check oauthTokenURI"},
		"moved":    {302, "", scalers.BadAnswer, "fetching an OAuth token: status 302 ; check clientID, clientSecret, scopes and endpointParams"},
	} {
		t.Run(name, func(t *testing.T) {
			idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Location", "http://elsewhere.invalid/c4n4ry")
				w.WriteHeader(c.status)
				if _, err := io.WriteString(w, c.body); err != nil {
					t.Error(err)
				}
			}))
			defer idp.Close()
			auth := maps.Clone(good)
			auth["oauthTokenURI"] = idp.URL
			v := values(auth, "host", httpHost)
			_, err := connect(t, v, env(nil)).Fetch(t.Context(), queries(t, v))
			if text(err) != c.want || scalers.KindOf(err) != c.kind {
				t.Errorf("%s: %v", scalers.KindOf(err), err)
			}
		})
	}
}
