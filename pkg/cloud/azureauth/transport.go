package azureauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	maxAnswer  = 64 << 20               // bytes
	maxRetries = 1                      // the engine has a back-off of its own
	retryDelay = 200 * time.Millisecond // before the retry
	maxName    = 24                     // bytes of a client's name that the SDK sends
)

// errTooLarge says that an answer was cut.
var errTooLarge = errors.New("the answer is larger than 64 MiB")

// Transport carries the requests of the clients of one source. It uses the
// process's HTTP client, with its proxy, its time limit and its guards, bounds
// the answers and follows no redirect. It implements policy.Transporter.
type Transport struct {
	client *http.Client
	own    *http.Transport // nil when the process's transport is not a *http.Transport
}

// NewTransport derives a transport from env. Conns is how many requests run at a
// time, so that as many connections stay open.
func NewTransport(env scalers.Env, conns int) *Transport {
	client := *env.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t := &Transport{client: &client}
	if own, around := scalers.OwnTransport(env.HTTP); own != nil {
		t.own = own
		t.own.MaxIdleConnsPerHost = max(t.own.MaxIdleConnsPerHost, conns)
		t.own.TLSClientConfig = trusting(t.own.TLSClientConfig, env.RootCAs)
		client.Transport = around(own)
	}
	return t
}

// trusting returns TLS settings that trust roots unless they say whom to trust. It
// may change config.
func trusting(config *tls.Config, roots *x509.CertPool) *tls.Config {
	if roots == nil || config != nil && config.RootCAs != nil {
		return config
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config.RootCAs = roots
	return config
}

// Options are what every client of the Azure SDK gets. Throttling is not retried:
// the engine then leaves the whole source alone.
func (t *Transport) Options(env scalers.Env) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: t,
		Telemetry: policy.TelemetryOptions{ApplicationID: env.ClientName[:min(len(env.ClientName), maxName)]},
		Retry: policy.RetryOptions{
			MaxRetries: maxRetries, RetryDelay: retryDelay, MaxRetryDelay: time.Second,
			StatusCodes: []int{http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout},
		},
	}
}

// Do implements policy.Transporter.
func (t *Transport) Do(req *http.Request) (*http.Response, error) {
	resp, err := t.client.Do(req) //nolint:gosec // G704: the client's dialer refuses what no trigger may reach
	if err == nil && resp.Header.Get("Location") != "" && resp.StatusCode/100 == 3 {
		err = errors.Join(redirected(resp.StatusCode), resp.Body.Close())
	}
	if err != nil {
		if note, ok := req.Context().Value(noteKey{}).(*note); ok {
			note.err = err
		}
		return nil, err
	}
	resp.Body = &bounded{resp.Body, maxAnswer}
	return resp, nil
}

// redirected says that a server wants to be asked elsewhere.
func redirected(status int) error {
	return final{&scalers.Error{
		Kind: scalers.BadAnswer, Op: "following the server's redirect", Err: &StatusError{Status: status},
		Hint: "credentials are not sent elsewhere; give the final address",
	}}
}

// Close closes the connections that are idle.
func (t *Transport) Close() error {
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	return nil
}

// bounded is a body that fails after left bytes.
type bounded struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

// note keeps the error of a request whose caller turns it into text.
type note struct{ err error }

type noteKey struct{}

// credential gives errors a kind. Azidentity keeps nothing but the text of what
// the network said, so that the transport notes it by the way.
type credential struct{ azcore.TokenCredential }

// GetToken implements azcore.TokenCredential. It returns soon after ctx ends.
func (c *credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	var seen note
	token, err := c.TokenCredential.GetToken(context.WithValue(ctx, noteKey{}, &seen), o)
	if err == nil {
		return token, nil
	}
	const op = "getting a token of Microsoft Entra ID"
	switch {
	case ctx.Err() != nil:
		err = Failed(op, ctx.Err())
	case seen.err != nil:
		err = Failed(op, seen.err)
	default:
		err = Failed(op, err)
	}
	return token, final{err}
}

// final keeps a pipeline from trying again what a credential has tried.
type final struct{ error }

// Unwrap returns the cause.
func (f final) Unwrap() error { return f.error }

// NonRetriable marks the error for the pipelines of the Azure SDK.
func (final) NonRetriable() {}
