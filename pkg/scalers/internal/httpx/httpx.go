// Package httpx holds what scalers that speak HTTP share: a client of their own
// derived from the process's, bounded answers, and errors with a kind.
//
// Credentials are put on a request by the scaler, never into its URL, and a
// redirect never carries them to another server.
package httpx

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Options refine what the process's client does.
type Options struct {
	// TLS replaces the client's TLS settings where it says something: roots,
	// certificates, verification. Nil keeps them. It is not kept.
	TLS *tls.Config
	// Timeout bounds one request with its answer; zero keeps the client's.
	Timeout time.Duration
	// Conns is how many requests run at a time. As many connections to a server are
	// opened at most, and stay open; zero keeps the client's limits.
	Conns int
	// MaxBytes bounds one answer; zero means 64 MiB.
	MaxBytes int64
	// Name is the User-Agent; empty keeps Go's.
	Name string
	// Authorize puts credentials on every request, after what the call itself
	// puts on it. Its error ends the call and should be a *scalers.Error. It may
	// be nil.
	Authorize func(*http.Request) error
	// Hide are texts that no error repeats from an answer, such as a password.
	Hide []string
	// Explain picks what is worth quoting from the first 4 KiB of an answer that
	// refuses; nil quotes from its beginning.
	Explain func(body []byte) string
}

// Client makes requests for one source. It is safe for use by several
// goroutines.
type Client struct {
	http *http.Client
	own  *http.Transport // nil when the base client's transport is not a *http.Transport
	o    Options         // MaxBytes is set, TLS is not
}

const (
	defaultMaxBytes = 64 << 20
	maxRedirects    = 5
)

// New derives a client from base, whose connections are not shared. The error
// is of kind Invalid when base's transport cannot take TLS settings.
func New(base *http.Client, o Options) (*Client, error) {
	derived := *base
	derived.CheckRedirect = sameServer
	if o.Timeout > 0 {
		derived.Timeout = o.Timeout
	}
	c := &Client{http: &derived, o: o}
	c.o.MaxBytes, c.o.TLS = cmp.Or(o.MaxBytes, defaultMaxBytes), nil
	own, around := scalers.OwnTransport(base)
	if own == nil {
		if o.TLS != nil {
			return nil, &scalers.Error{
				Kind: scalers.Invalid, Op: "applying TLS settings to the HTTP client",
				Err: fmt.Errorf("its transport is a %T", base.Transport), Hint: "give the process a client with a *http.Transport",
			}
		}
		return c, nil
	}
	c.own = own
	if o.Conns > 0 {
		c.own.MaxIdleConnsPerHost, c.own.MaxConnsPerHost = o.Conns, o.Conns
	}
	if o.TLS != nil {
		c.own.TLSClientConfig = overlay(c.own.TLSClientConfig, o.TLS)
	}
	if config := c.own.TLSClientConfig; config != nil && slices.Contains(config.NextProtos, "h2") {
		c.own.ForceAttemptHTTP2 = true // a clone offers it as its original did, but would not speak it
	}
	derived.Transport = around(c.own)
	return c, nil
}

// overlay returns the process's TLS settings with the scaler's on top.
func overlay(base, over *tls.Config) *tls.Config {
	if base == nil {
		return over.Clone()
	}
	out := base.Clone()
	out.MinVersion = max(base.MinVersion, over.MinVersion)
	out.InsecureSkipVerify = base.InsecureSkipVerify || over.InsecureSkipVerify
	if over.RootCAs != nil {
		out.RootCAs = over.RootCAs
	}
	if len(over.Certificates) > 0 {
		out.Certificates = over.Certificates
	}
	return out
}

// sameServer refuses to follow a redirect to another server, and from https to
// http. The answer that asked for it is then the last one.
func sameServer(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	moved := req.URL.Hostname() != first.Hostname() ||
		req.URL.Scheme == first.Scheme && req.URL.Port() != first.Port() ||
		req.URL.Scheme != first.Scheme && req.URL.Scheme != "https"
	if moved || len(via) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// HTTP is the derived client, for libraries that fetch tokens with it.
func (c *Client) HTTP() *http.Client { return c.http }

// Close closes the connections that are idle. Requests that run go on.
func (c *Client) Close() error {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	return nil
}

// GetJSON asks for address and decodes the answer into into. Op says what is
// tried and begins the error's text; authorize puts credentials on the request
// and may be nil. The error is a *scalers.Error without any part of the
// address; a StatusError in its chain tells the status where there was one.
func (c *Client) GetJSON(ctx context.Context, op, address string, authorize func(*http.Request), into any) error {
	prepare := func(r *http.Request) {
		r.Header.Set("Accept", "application/json")
		if authorize != nil {
			authorize(r)
		}
	}
	return c.get(ctx, op, address, prepare, func(body *io.LimitedReader) error {
		if err := decode(body, into); err != nil {
			return c.unread(op, err, body)
		}
		return nil
	})
}

// Get asks for address and returns the answer's body. The error is as that of
// GetJSON.
func (c *Client) Get(ctx context.Context, op, address string) (body []byte, err error) {
	err = c.get(ctx, op, address, nil, func(r *io.LimitedReader) error {
		var err error
		body, err = io.ReadAll(r)
		switch {
		case err != nil:
			return Failed(op, err)
		case r.N <= 0:
			return c.tooLarge(op)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// get asks for address and has read take the body of an answer with status 200,
// of which it gets one byte more than is allowed.
func (c *Client) get(ctx context.Context, op, address string, prepare func(*http.Request), read func(*io.LimitedReader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("the address cannot be used"), Hint: "check the address"}
	}
	if c.o.Name != "" {
		req.Header.Set("User-Agent", c.o.Name)
	}
	if prepare != nil {
		prepare(req)
	}
	if c.o.Authorize != nil {
		if err := c.o.Authorize(req); err != nil {
			return err
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Failed(op, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if resp.StatusCode != http.StatusOK {
		return c.refused(op, resp)
	}
	return read(&io.LimitedReader{R: resp.Body, N: c.o.MaxBytes + 1})
}

// errMore says that the body is not one JSON value.
var errMore = errors.New("more follows the JSON value")

// decode reads exactly one JSON value, to the end of the body so that the
// connection can be used again.
func decode(body io.Reader, into any) error {
	d := json.NewDecoder(body)
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return errMore
	}
	return nil
}

// unread explains an answer with status 200 that could not be decoded.
func (c *Client) unread(op string, err error, body *io.LimitedReader) error {
	if body.N <= 0 {
		return c.tooLarge(op)
	}
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	wrong, isType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case isSyntax:
		err = fmt.Errorf("the answer is not JSON: %w", syntax)
	case isType:
		err = fmt.Errorf("the answer holds a JSON %s where it should not: %s", wrong.Value, scalers.Excerpt(wrong.Field))
	case errors.Is(err, errMore):
		// It says all there is to say.
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the answer is cut off")
	default:
		return Failed(op, err)
	}
	return &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: err, Hint: "check that the address is the API's and not a proxy's or a page's"}
}

func (c *Client) tooLarge(op string) error {
	return &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: fmt.Errorf("the answer is larger than %d bytes", c.o.MaxBytes)}
}

// Failed makes an Unreachable error of what http.Client returned, without the
// URL that net/http puts into its text.
func Failed(op string, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() && errors.Is(e.Err, context.DeadlineExceeded) {
			return &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)}
		}
		err = e.Err
	}
	hint := ""
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		hint = "trust the server's certificate authority"
	}
	return &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: err, Hint: hint}
}

// StatusError is an answer whose status was not 200.
type StatusError struct {
	Status int
	Body   string // an excerpt
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("status %d %s", e.Status, http.StatusText(e.Status))
	if e.Body != "" {
		text += ": " + e.Body
	}
	return text
}

// refused makes an error of an answer whose status is not 200.
func (c *Client) refused(op string, resp *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return Failed(op, err)
	}
	e := &scalers.Error{Kind: kindOf(resp.StatusCode), Op: op, Err: &StatusError{resp.StatusCode, c.excerpt(raw, resp.Request)}}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		e.Hint = "the server redirects elsewhere, where credentials are not sent; give the final address"
	case e.Kind == scalers.Unreachable && e.RetryAfter > 0:
		e.Kind = scalers.Throttled
	}
	return e
}

// excerpt is what an error quotes of a body: nothing that req was authorized by,
// which some servers and proxies repeat.
func (c *Client) excerpt(body []byte, req *http.Request) string {
	text := string(body)
	if c.o.Explain != nil {
		text = c.o.Explain(body)
	}
	_, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	for _, secret := range append([]string{token, req.Header.Get("X-Amz-Security-Token")}, c.o.Hide...) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return scalers.Excerpt(text)
}

func kindOf(status int) scalers.Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return scalers.Unauthorized
	case http.StatusNotFound:
		return scalers.NotFound
	case http.StatusTooManyRequests:
		return scalers.Throttled
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return scalers.Unreachable
	}
	return scalers.BadAnswer
}

// retryAfter reads the header of that name, which holds seconds or a date; zero
// when it holds neither or the past.
func retryAfter(v string, now time.Time) time.Duration {
	const most = time.Hour
	if s, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
		return min(max(0, time.Duration(min(s, int(most/time.Second)))*time.Second), most)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(now)), most)
	}
	return 0
}
