package httpauth_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpauth"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type kv = map[string]string

// parse binds metadata and authentication parameters as a scaler would.
func parse(metadata, auth kv) (s httpauth.Settings, path httpauth.Path, warnings []param.Warning, err error) {
	warnings, err = param.Parse(param.Values{Metadata: metadata, Auth: auth}, func(p *param.Set) {
		s.Bind(p, "url", "Address to ask.")
		path.Bind(p, "url")
	})
	return s, path, warnings, err
}

func TestRefusedParameters(t *testing.T) {
	needs := func(name, mode string) string {
		return fmt.Sprintf("parameter %q is required as an authentication parameter when authModes lists %s", name, mode)
	}
	for _, c := range []struct {
		metadata, auth kv
		want           string
	}{
		{kv{"authModes": "digest"}, nil, `parameter "authModes" must be one of apiKey, basic, tls, bearer, custom, oauth`},
		{kv{"authModes": "basic,"}, nil, `parameter "authModes" must be one of apiKey, basic, tls, bearer, custom, oauth`},
		{kv{"method": "POST"}, nil, `parameter "method" must be one of header, query`},
		{nil, kv{"endpointParams": "%zz"}, `parameter "endpointParams" must be URL-encoded parameters: name=value, joined by &`},
		{kv{"authModes": "bearer, basic"}, kv{"token": "t", "username": "u"}, `parameter "authModes" can hold only one of basic, bearer and oauth`},
		{kv{"authModes": "bearer"}, nil, needs("bearerToken", "bearer")},
		{kv{"authModes": "basic", "username": "u"}, nil, needs("username", "basic")},
		{kv{"authMode": "tls"}, kv{"cert": "c"}, needs("key", "tls")},
		{nil, kv{"authModes": "custom"}, needs("customAuthHeader", "custom") + "\n" + needs("customAuthValue", "custom")},
		{kv{"authModes": "oauth"}, nil, needs("clientID", "oauth") + "\n" + needs("oauthTokenURI", "oauth")},
		{kv{"authModes": "apiKey"}, nil, needs("apiKey", "apiKey")},
	} {
		metadata := kv{"url": "http://h"}
		maps.Copy(metadata, c.metadata)
		if _, _, _, err := parse(metadata, c.auth); fmt.Sprint(err) != c.want {
			t.Errorf("%v %v: %v\nwant %s", c.metadata, c.auth, err, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		metadata, auth kv
		want           string
	}{
		{kv{"url": "http://h"}, nil, "[]"},
		{kv{"url": "http://h"}, kv{"bearerToken": "t"}, `[parameter "bearerToken" is ignored: authModes does not list bearer]`},
		{kv{"url": "http://h", "authModes": "basic"}, kv{"username": "u", "bearerToken": "t"}, "[]"},
		{kv{"url": "http://h", "authModes": "apiKey", "apiKey": "k"}, nil, `[parameter "apiKey" is a secret written in plain text; move it to an authentication object]`},
		{kv{"url": "http://h", "authModes": "tls"}, kv{"cert": "c", "key": "k"}, `[parameter "authModes" lists tls, which has no effect: the address begins with http://]`},
		{kv{"url": "http://h", "authModes": "oauth"}, kv{"oauthTokenURI": "x", "clientID": "y"}, `[parameter "oauthTokenURI" cannot be used: it is not an absolute URL]`},
		{kv{"url": "http://h", "authModes": "custom"}, kv{"customAuthHeader": "a b", "customAuthValue": "v"}, `[parameter "customAuthHeader" cannot be sent: HTTP does not allow some of its characters]`},
		{kv{"url": "http://h", "authModes": "bearer"}, kv{"token": "a\nb"}, `[parameter "bearerToken" cannot be sent: HTTP does not allow some of its characters]`},
		{kv{"url": "ftp://h"}, nil, `[parameter "url" cannot be asked: it must begin with http:// or https:// and have reserved characters percent-encoded]`},
	} {
		if _, _, warnings, err := parse(c.metadata, c.auth); err != nil || fmt.Sprint(warnings) != c.want {
			t.Errorf("%v: %v, %v\nwant %s", c.metadata, warnings, err, c.want)
		}
	}
}

func TestWhatCanNeverWorkFailsToOpen(t *testing.T) {
	const allowed = "preparing requests: HTTP does not allow some characters of "
	for _, c := range []struct {
		metadata, auth kv
		want           string
	}{
		{kv{"url": "c4n4ry"}, nil, "preparing requests: the address cannot be used; begin it with http:// or https://, and percent-encode reserved characters"},
		{kv{"authModes": "bearer"}, kv{"token": "c4n4ry\nb"}, allowed + "bearerToken; correct bearerToken"},
		{kv{"authModes": "custom"}, kv{"customAuthHeader": "c4n4ry b", "customAuthValue": "v"}, allowed + "customAuthHeader; correct customAuthHeader"},
		{kv{"authModes": "custom"}, kv{"customAuthHeader": "a", "customAuthValue": "c4n4ry\nb"}, allowed + "customAuthValue; correct customAuthValue"},
		{kv{"authModes": "apiKey"}, kv{"apiKey": "c4n4ry\nb"}, allowed + "apiKey; correct apiKey"},
		{kv{"authModes": "apiKey", "keyParamName": "c4n4ry:"}, kv{"apiKey": "b"}, allowed + "keyParamName; correct keyParamName"},
		{kv{"authModes": "tls"}, kv{"cert": "c4n4ry", "key": "c4n4ry"}, "reading TLS parameter cert: it cannot be used; give a certificate and its own key as PEM text"},
		{nil, kv{"ca": "c4n4ry"}, "reading TLS parameter ca: it cannot be used; give the certificate authority as PEM text"},
		{kv{"authModes": "oauth"}, kv{"oauthTokenURI": "c4n4ry", "clientID": "y"}, "fetching an OAuth token: the address of the token endpoint cannot be used; give oauthTokenURI as an absolute URL"},
	} {
		metadata := kv{"url": "https://h"}
		maps.Copy(metadata, c.metadata)
		s, _, _, err := parse(metadata, c.auth)
		if err != nil {
			t.Errorf("%v: %v", c.metadata, err)
			continue
		}
		if _, err := s.Open(scalers.Env{HTTP: &http.Client{}}, httpx.Options{}); fmt.Sprint(err) != c.want || scalers.KindOf(err) != scalers.Invalid {
			t.Errorf("%v: %v\nwant %s", c.metadata, err, c.want)
		}
	}
}

// get asks once, and returns what the server wrote.
func get(t *testing.T, metadata, auth kv, o httpx.Options) (string, error) {
	t.Helper()
	s, path, _, err := parse(metadata, auth)
	if err != nil {
		t.Fatal(err)
	}
	client, err := s.Open(scalers.Env{HTTP: &http.Client{Transport: &http.Transport{}}, ClientName: "weir"}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := client.Refresh(t.Context()); err != nil {
		return "", err
	}
	body, err := client.Get(t.Context(), "asking", path.Join(s, ""))
	return string(body), err
}

// echo serves what identifies a request, as net/http sees it.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			if _, err := io.WriteString(w, `{"access_token":"fre5h","token_type":"bearer","expires_in":3600}`); err != nil {
				t.Error(err)
			}
			return
		}
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusForbidden)
		}
		user, password, _ := r.BasicAuth()
		if _, err := fmt.Fprint(w, strings.Join([]string{
			r.Header.Get("Authorization"), user, password, r.Header.Get("X-Api-Key"), r.Header.Get("Mine"), r.URL.RawQuery,
		}, "|")); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestModes(t *testing.T) {
	srv := echo(t)
	withLogin := strings.Replace(srv.URL, "http://", "http://u:p@", 1)
	for name, c := range map[string]struct {
		metadata, auth kv
		want           string
	}{
		"none":                     {nil, nil, "|||||"},
		"credentials that no mode": {nil, kv{"bearerToken": "t", "username": "u", "apiKey": "k"}, "|||||"},
		"bearer":                   {kv{"authModes": "bearer"}, kv{"bearerToken": "t", "token": "other"}, "Bearer t|||||"},
		"bearer by its alias":      {nil, kv{"authMode": "bearer", "token": "t"}, "Bearer t|||||"},
		"basic":                    {kv{"authModes": "basic"}, kv{"username": "a", "password": "b"}, "Basic YTpi|a|b|||"},
		"basic without password":   {kv{"authModes": "basic"}, kv{"username": "a"}, "Basic YTo=|a||||"},
		"custom":                   {kv{"authModes": "custom"}, kv{"customAuthHeader": "Mine", "customAuthValue": "x y"}, "||||x y|"},
		"custom and bearer":        {kv{"authModes": "custom,bearer"}, kv{"customAuthHeader": "Mine", "customAuthValue": "x", "token": "t"}, "Bearer t||||x|"},
		"bearer wins over custom":  {kv{"authModes": "custom,bearer"}, kv{"customAuthHeader": "authorization", "customAuthValue": "x", "token": "t"}, "Bearer t|||||"},
		"key in a header":          {kv{"authModes": "apiKey"}, kv{"apiKey": "k"}, "|||k||"},
		"key in another header":    {kv{"authModes": "apiKey", "keyParamName": "mine"}, kv{"apiKey": "k"}, "||||k|"},
		"key in the query":         {kv{"authModes": "apiKey", "method": "query"}, kv{"apiKey": "k k"}, "|||||api_key=k+k"},
		"key in another parameter": {kv{"authModes": "apiKey", "method": "query", "keyParamName": "x"}, kv{"apiKey": "k"}, "|||||x=k"},
		"key and basic":            {kv{"authModes": "apiKey,basic"}, kv{"apiKey": "k", "username": "a"}, "Basic YTo=|a||k||"},
		"oauth":                    {kv{"authModes": "oauth"}, kv{"oauthTokenURI": srv.URL + "/token", "clientID": "c"}, "Bearer fre5h|||||"},
		"login in the address":     {kv{"url": withLogin}, nil, "Basic dTpw|u|p|||"},
		"bearer wins over that":    {kv{"url": withLogin, "authModes": "bearer"}, kv{"token": "t"}, "Bearer t|||||"},
		"so does a custom header":  {kv{"url": withLogin, "authModes": "custom"}, kv{"customAuthHeader": "Authorization", "customAuthValue": "x"}, "x|||||"},
	} {
		metadata := kv{"url": srv.URL}
		maps.Copy(metadata, c.metadata)
		if got, err := get(t, metadata, c.auth, httpx.Options{}); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
	also := httpx.Options{Authorize: func(r *http.Request) error {
		r.Header.Set("Mine", "also")
		return nil
	}}
	if got, err := get(t, kv{"url": srv.URL, "authModes": "bearer"}, kv{"token": "t"}, also); err != nil || got != "Bearer t||||also|" {
		t.Errorf("with more: %s, %v", got, err)
	}
}

func TestAServerThatEchoesCredentialsMakesNoErrorThatHoldsThem(t *testing.T) {
	srv := echo(t)
	for mode, auth := range map[string]kv{
		"bearer":       {"token": "c4n4ry"},
		"basic":        {"username": "u", "password": "c4n4ry"},
		"custom":       {"customAuthHeader": "mine", "customAuthValue": "c4n4ry"},
		"apiKey":       {"apiKey": "c4n4ry&"},
		"apiKey,basic": {"apiKey": "c4n4ry", "method": "query", "username": "u", "password": "c4n4ry2"},
	} {
		_, err := get(t, kv{"url": srv.URL + "/refuse", "authModes": mode}, auth, httpx.Options{})
		if scalers.KindOf(err) != scalers.Unauthorized || strings.Contains(err.Error(), "c4n4ry") || !strings.Contains(err.Error(), "[redacted]") {
			t.Errorf("%s: %v", mode, err)
		}
	}
	withLogin := strings.Replace(srv.URL, "http://", "http://u:c4n4ry@", 1) + "/refuse"
	if _, err := get(t, kv{"url": withLogin}, nil, httpx.Options{}); err == nil || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("login in the address: %v", err)
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := fmt.Fprintf(w, "%d certificates", len(r.TLS.PeerCertificates)); err != nil {
			t.Error(err)
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	defer srv.Close()
	der, err := x509.MarshalPKCS8PrivateKey(srv.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, c := range map[string]struct {
		metadata, auth kv
		want, hint     string
	}{
		"an unknown authority":              {nil, nil, "", "trust the server's certificate authority"},
		"the authority, without a mode":     {nil, kv{"ca": ca}, "0 certificates", ""},
		"the authority, with a mode":        {kv{"authModes": "bearer"}, kv{"ca": ca, "token": "t"}, "0 certificates", ""},
		"any certificate":                   {kv{"unsafeSsl": "true"}, nil, "0 certificates", ""},
		"a client certificate":              {kv{"authModes": "tls"}, kv{"ca": ca, "cert": ca, "key": key}, "1 certificates", ""},
		"a client certificate without mode": {nil, kv{"ca": ca, "cert": "not used", "key": "not used"}, "0 certificates", ""},
	} {
		metadata := kv{"url": srv.URL}
		maps.Copy(metadata, c.metadata)
		body, err := get(t, metadata, c.auth, httpx.Options{})
		if body != c.want || scalers.HintOf(err) != c.hint {
			t.Errorf("%s: %s, %v", name, body, err)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, c := range []struct {
		url, more string
		params    []string
		want      string
	}{
		{"http://h:1", "", nil, "http://h:1"},
		{"https://h/a%2Fb/", "", nil, "https://h/a%2Fb/"},
		{"http://u:p@h/a/?x=1&y", "", nil, "http://h/a/?x=1&y"},
		{"http://h", "/api", []string{"q", "a b&c", "r s", ""}, "http://h/api?q=a+b%26c&r+s="},
		{"http://h/a//", "/api", []string{"q", "1"}, "http://h/a/api?q=1"},
		{" http://h/a?x=1 ", "/api", []string{"q", "1"}, "http://h/a/api?x=1&q=1"},
	} {
		s, path, _, err := parse(kv{"url": c.url}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := path.Join(s, c.more, c.params...); got != c.want {
			t.Errorf("%s: %s, want %s", c.url, got, c.want)
		}
	}
}

func TestAnEndedContextEndsRefresh(t *testing.T) {
	s, _, _, err := parse(kv{"url": "http://h", "authModes": "oauth"}, kv{"oauthTokenURI": "http://127.0.0.1:1/", "clientID": "c"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := s.Open(scalers.Env{HTTP: &http.Client{Transport: &http.Transport{}}}, httpx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.Refresh(ctx); !errors.Is(err, context.Canceled) || scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("got %v", err)
	}
}
