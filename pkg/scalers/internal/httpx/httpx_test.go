package httpx_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnswersBecomeErrorsWithAKind(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header string // Retry-After
		body   string
		kind   scalers.Kind
		retry  time.Duration
		want   string
	}{
		"login refused":   {401, "", `{"error":"x"}`, scalers.Unauthorized, 0, `asking: status 401 Unauthorized: {"error":"x"}`},
		"forbidden":       {403, "", "", scalers.Unauthorized, 0, "asking: status 403 Forbidden"},
		"missing":         {404, "", "", scalers.NotFound, 0, "asking: status 404 Not Found"},
		"too many":        {429, "7", "", scalers.Throttled, 7 * time.Second, "asking: status 429 Too Many Requests"},
		"unavailable":     {503, "", "", scalers.Unreachable, 0, "asking: status 503 Service Unavailable"},
		"asked to wait":   {503, "2", "", scalers.Throttled, 2 * time.Second, "asking: status 503 Service Unavailable"},
		"gateway":         {502, "", "", scalers.Unreachable, 0, "asking: status 502 Bad Gateway"},
		"broken":          {500, "", "a\nb", scalers.BadAnswer, 0, "asking: status 500 Internal Server Error: a b"},
		"absurd wait":     {429, "99999999999999999", "", scalers.Throttled, time.Hour, "asking: status 429 Too Many Requests"},
		"not JSON":        {200, "", "<html>", scalers.BadAnswer, 0, "asking: the answer is not JSON: invalid character '<' looking for beginning of value; check that the address is the API's and not a proxy's or a page's"},
		"cut off":         {200, "", `{"n":`, scalers.BadAnswer, 0, "asking: the answer is cut off; check that the address is the API's and not a proxy's or a page's"},
		"empty":           {200, "", "", scalers.BadAnswer, 0, "asking: the answer is cut off; check that the address is the API's and not a proxy's or a page's"},
		"wrong type":      {200, "", `{"n":"x"}`, scalers.BadAnswer, 0, "asking: the answer holds a JSON string where it should not: n; check that the address is the API's and not a proxy's or a page's"},
		"something after": {200, "", `{"n":1} {}`, scalers.BadAnswer, 0, "asking: more follows the JSON value; check that the address is the API's and not a proxy's or a page's"},
		"too large":       {200, "", `{"pad":"` + strings.Repeat("x", 2000) + `"}`, scalers.BadAnswer, 0, "asking: the answer is larger than 1000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", c.header)
				w.WriteHeader(c.status)
				if _, err := io.WriteString(w, c.body); err != nil {
					t.Error(err)
				}
			}))
			defer srv.Close()
			client := open(t, srv.Client(), httpx.Options{MaxBytes: 1000})
			var into struct {
				N int `json:"n"`
			}
			err := client.GetJSON(t.Context(), "asking", srv.URL, nil, &into)
			if fmt.Sprint(err) != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
			e, ok := errors.AsType[*scalers.Error](err)
			if !ok || e.Kind != c.kind || e.RetryAfter != c.retry {
				t.Errorf("error %#v, want kind %s and retry after %v", err, c.kind, c.retry)
			}
		})
	}
}

func TestGetJSONSendsNameAndCredentials(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok || user != "u" || password != "p" || r.UserAgent() != "weir" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("headers %v", r.Header)
		}
		if _, err := io.WriteString(w, `{"n":7}`); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	client := open(t, srv.Client(), httpx.Options{Name: "weir"})
	var into struct{ N int }
	if err := client.GetJSON(t.Context(), "asking", srv.URL, func(r *http.Request) { r.SetBasicAuth("u", "p") }, &into); err != nil || into.N != 7 {
		t.Errorf("got %d, %v", into.N, err)
	}
}

func TestARedirectNeverReachesAnotherServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other server was asked") }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/final", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			if _, _, ok := r.BasicAuth(); !ok {
				t.Error("a redirect on the same server lost the credentials")
			}
			if _, err := io.WriteString(w, `{"n":1}`); err != nil {
				t.Error(err)
			}
		}
	}))
	defer srv.Close()
	client := open(t, srv.Client(), httpx.Options{})
	var into struct{ N int }
	get := func(path string) error {
		return client.GetJSON(t.Context(), "asking", srv.URL+path, func(r *http.Request) { r.SetBasicAuth("u", "p") }, &into)
	}
	if err := get("/here"); err != nil || into.N != 1 {
		t.Errorf("on the same server: %d, %v", into.N, err)
	}
	for _, path := range []string{"/away", "/loop"} {
		if err := get(path); scalers.KindOf(err) != scalers.BadAnswer || !strings.HasPrefix(scalers.HintOf(err), "the server redirects elsewhere") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestErrorsOfTheNetworkDoNotShowTheAddress(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	address := srv.URL + "/c4n4ry"
	srv.Close()
	client := open(t, &http.Client{}, httpx.Options{})
	err := client.GetJSON(t.Context(), "asking", address, nil, nil)
	if scalers.KindOf(err) != scalers.Unreachable || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("got %v", err)
	}
	err = client.GetJSON(t.Context(), "asking", "http://h:c4n4ry/", nil, nil)
	if scalers.KindOf(err) != scalers.Invalid || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("got %v", err)
	}
}

func TestTimeoutAndContextEndARequest(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(release)
	err := open(t, srv.Client(), httpx.Options{Timeout: 20 * time.Millisecond}).GetJSON(t.Context(), "asking", srv.URL, nil, nil)
	if scalers.KindOf(err) != scalers.Unreachable || err.Error() != "asking: no answer in time: context deadline exceeded" {
		t.Errorf("timeout: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, srv.Client(), httpx.Options{}).GetJSON(ctx, "asking", srv.URL, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: %v", err)
	}
}

func TestTLSSettingsAreLaidOverTheProcess(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, `{}`); err != nil {
			t.Error(err)
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	base := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}}
	var into struct{}

	err := open(t, base, httpx.Options{}).GetJSON(t.Context(), "asking", srv.URL, nil, &into)
	if scalers.KindOf(err) != scalers.Unreachable || scalers.HintOf(err) != "trust the server's certificate authority" {
		t.Errorf("unknown authority: %v", err)
	}
	for name, c := range map[string]*tls.Config{
		"roots": {RootCAs: roots, MinVersion: tls.VersionTLS12},
		"skip":  {InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	} {
		client := open(t, base, httpx.Options{TLS: c})
		if err := client.GetJSON(t.Context(), "asking", srv.URL, nil, &into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := client.HTTP().Transport.(*http.Transport).TLSClientConfig.MinVersion; got != tls.VersionTLS13 {
			t.Errorf("%s: minimum version %x lost the process's", name, got)
		}
	}
	if base.Transport.(*http.Transport).TLSClientConfig.RootCAs != nil {
		t.Error("the process's client was changed")
	}
	_, err = httpx.New(&http.Client{Transport: foreign{}}, httpx.Options{TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
	if scalers.KindOf(err) != scalers.Invalid {
		t.Errorf("a foreign transport took TLS settings: %v", err)
	}
}

type foreign struct{ http.RoundTripper }

// open derives a client that is closed with the test.
func open(t *testing.T, base *http.Client, o httpx.Options) *httpx.Client {
	t.Helper()
	c, err := httpx.New(base, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestGetReturnsTheBody(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusTeapot)
		}
		if _, err := io.WriteString(w, strings.Repeat("x", len(r.URL.Path))); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	client := open(t, srv.Client(), httpx.Options{MaxBytes: 10})
	for path, want := range map[string]string{
		"/1234":       "xxxxx <nil>",
		"/123456789":  "xxxxxxxxxx <nil>",
		"/1234567890": " asking: the answer is larger than 10 bytes",
		"/refused":    " asking: status 418 I'm a teapot: xxxxxxxx",
	} {
		body, err := client.Get(t.Context(), "asking", srv.URL+path)
		if got := fmt.Sprintf("%s %v", body, err); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestErrorsRepeatNoCredentials(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		if _, err := fmt.Fprintf(w, "you sent %s, %s and pa55", r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	client := open(t, srv.Client(), httpx.Options{Hide: []string{"", "pa55"}, Authorize: func(r *http.Request) error {
		r.Header.Set("Authorization", "Bearer t0ken")
		r.Header.Set("X-Amz-Security-Token", "s3ssion")
		return nil
	}})
	_, err := client.Get(t.Context(), "asking", srv.URL)
	if want := "asking: status 403 Forbidden: you sent Bearer [redacted], [redacted] and [redacted]"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	client = open(t, srv.Client(), httpx.Options{Explain: func(body []byte) string { return string(body[:8]) }})
	if _, err := client.Get(t.Context(), "asking", srv.URL); fmt.Sprint(err) != "asking: status 403 Forbidden: you sent" {
		t.Errorf("explained: %v", err)
	}
}

func TestARequestThatCannotBeAuthorizedIsNotMade(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	defer srv.Close()
	refused := errors.New("no token")
	client := open(t, srv.Client(), httpx.Options{Authorize: func(*http.Request) error { return refused }})
	if err := client.GetJSON(t.Context(), "asking", srv.URL, nil, nil); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

// TestHTTP2 is for clients made of a plain transport, whose clone offers HTTP/2
// without speaking it unless told to.
func TestHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.WriteString(w, r.Proto); err != nil {
			t.Error(err)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	for name, transport := range map[string]*http.Transport{"plain": {}, "that forces it": {ForceAttemptHTTP2: true}} {
		client := open(t, &http.Client{Transport: transport}, httpx.Options{TLS: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}})
		if body, err := client.Get(t.Context(), "asking", srv.URL); err != nil || string(body) != "HTTP/2.0" {
			t.Errorf("a transport %s: %s, %v", name, body, err)
		}
	}
}
