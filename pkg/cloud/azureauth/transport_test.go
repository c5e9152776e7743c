package azureauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
)

// get asks as a client of the SDK does.
func get(t *testing.T, url string) ([]byte, error) {
	t.Helper()
	e := scalers.Env{HTTP: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}, ClientName: strings.Repeat("weir", 10)}
	transport := azureauth.NewTransport(e, 2)
	options := transport.Options(e)
	pipeline := runtime.NewPipeline("test", "v1", runtime.PipelineOptions{}, &options)
	defer func() {
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	}()
	req, err := runtime.NewRequest(t.Context(), http.MethodGet, url)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := pipeline.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, runtime.NewResponseError(resp)
	}
	return runtime.Payload(resp)
}

func TestRefusalsBecomeErrorsWithAKind(t *testing.T) {
	for name, c := range map[string]struct {
		status      int
		retry, body string
		kind        scalers.Kind
		after       time.Duration
		want        string
		asked       int
	}{
		"login refused":      {401, "", canary, scalers.Unauthorized, 0, "status 401 Unauthorized", 1},
		"forbidden":          {403, "", "<Error><Code>AuthorizationFailure</Code><Message>" + canary + "</Message></Error>", scalers.Unauthorized, 0, "status 403 Forbidden (AuthorizationFailure)", 1},
		"missing":            {404, "", "<Error><Code>QueueNotFound</Code></Error>", scalers.NotFound, 0, "status 404 Not Found (QueueNotFound)", 1},
		"gone":               {410, "", "", scalers.NotFound, 0, "status 410 Gone", 1},
		"too many":           {429, "9", "", scalers.Throttled, 9 * time.Second, "status 429 Too Many Requests", 1},
		"absurd wait":        {429, "99999999", "", scalers.Throttled, time.Hour, "status 429 Too Many Requests", 1},
		"storage busy":       {503, "", "<Error><Code>ServerBusy</Code></Error>", scalers.Throttled, 0, "status 503 Service Unavailable (ServerBusy)", 1},
		"service bus busy":   {503, "", "<Error><Code>503</Code><Detail>SubCode=50009. busy</Detail></Error>", scalers.Throttled, 0, "status 503 Service Unavailable", 1},
		"asked to wait":      {503, "2", "", scalers.Throttled, 2 * time.Second, "status 503 Service Unavailable", 1},
		"down":               {503, "", "", scalers.Unreachable, 0, "status 503 Service Unavailable", 1},
		"broken, and again":  {500, "", "", scalers.Unreachable, 0, "status 500 Internal Server Error", 2},
		"gateway, and again": {502, "", "", scalers.Unreachable, 0, "status 502 Bad Gateway", 2},
		"a bad request":      {400, "", `{"error":{"code":"InvalidQuery","message":"` + canary + `"}}`, scalers.BadAnswer, 0, "status 400 Bad Request (InvalidQuery)", 1},
		"a code that is not": {400, "", `{"code":"` + canary + `"}`, scalers.BadAnswer, 0, "status 400 Bad Request", 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				if !strings.HasPrefix(r.UserAgent(), "weirweirweirweirweirweir azsdk-go-test/v1") {
					t.Errorf("user agent %q", r.UserAgent())
				}
				w.Header().Set("Retry-After", c.retry)
				w.WriteHeader(c.status)
				if _, err := io.WriteString(w, c.body); err != nil {
					t.Error(err)
				}
			}))
			defer srv.Close()
			_, err := get(t, srv.URL+"/path?sig="+canary)
			err = azureauth.Failed("asking", err)
			e, ok := errors.AsType[*scalers.Error](err)
			if want := "asking: " + c.want; !ok || err.Error() != want || e.Kind != c.kind || e.RetryAfter != c.after {
				t.Errorf("error %v after %v\nwant  %s of kind %s", err, e.RetryAfter, want, c.kind)
			}
			if asked != c.asked {
				t.Errorf("asked %d times, want %d", asked, c.asked)
			}
		})
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 65 {
			if _, err := w.Write(chunk); err != nil {
				return // the client has had enough
			}
		}
	}))
	defer srv.Close()
	_, err := get(t, srv.URL)
	if err := azureauth.Failed("asking", err); fmt.Sprint(err) != "asking: the answer is larger than 64 MiB" || scalers.KindOf(err) != scalers.BadAnswer {
		t.Errorf("error %v", err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other server was asked") }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	_, err := get(t, srv.URL)
	const want = "asking: following the server's redirect: status 307 Temporary Redirect; credentials are not sent elsewhere; give the final address"
	if err := azureauth.Failed("asking", err); fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.BadAnswer {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestACutOffAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		if _, err := io.WriteString(w, "x"); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	_, err := get(t, srv.URL)
	if err := azureauth.Failed("asking", err); fmt.Sprint(err) != "asking: the answer is cut off" || scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("error %v", err)
	}
}

func TestTheProcessesAuthoritiesAreTrusted(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of handshakes that fail as they should
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	for _, c := range []struct {
		base  *http.Transport
		roots *x509.CertPool
		want  string
	}{
		{&http.Transport{}, roots, ""},
		{&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, roots, ""},
		{&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}}, roots, "trust the server's certificate authority"},
		{&http.Transport{}, nil, "trust the server's certificate authority"},
	} {
		transport := azureauth.NewTransport(scalers.Env{HTTP: &http.Client{Transport: c.base}, RootCAs: c.roots}, 1)
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
		req.RequestURI = ""
		resp, err := transport.Do(req)
		if err == nil {
			err = errors.Join(resp.Body.Close(), transport.Close())
		} else {
			err = azureauth.Failed("asking", err)
		}
		if got := scalers.HintOf(err); got != c.want || (err == nil) != (c.want == "") {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
