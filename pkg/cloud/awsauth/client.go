package awsauth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// maxBytes bounds one answer. 500 metrics with all the data points a page may
	// have are about 2 MiB.
	maxBytes = 64 << 20
	// requestTimeout bounds a request when the process's client does not.
	requestTimeout = 30 * time.Second
)

// errTooLarge says that an answer was cut off.
var errTooLarge = errors.New("the answer is larger than 64 MiB")

// client makes requests to services. It follows no redirect, since a signature
// and a session token are for one server only.
type client struct {
	http.Client
	life context.Context //nolint:containedctx // that of the source: the SDK's cache of credentials goes on when a caller gives up
}

// serviceClient derives a client from the process's; nil means a plain one.
func serviceClient(base *http.Client) *client {
	c := &client{life: context.Background()}
	if base != nil {
		c.Client = *base
	}
	c.Timeout = cmp.Or(c.Timeout, requestTimeout)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// own gives c connections and a life of its own. What it returns ends both.
func (c *client) own(conns int) func() error {
	life, end := context.WithCancel(context.Background())
	c.life = life
	t, around := scalers.OwnTransport(&c.Client)
	if t != nil {
		t.MaxIdleConnsPerHost = max(t.MaxIdleConnsPerHost, conns)
		if t.MaxConnsPerHost == 0 {
			t.MaxConnsPerHost = conns // else the transport opens more than it keeps
		}
		c.Transport = around(t)
	}
	return func() error {
		end()
		if t != nil {
			t.CloseIdleConnections()
		}
		return nil
	}
}

// Do implements the SDK's client.
func (c *client) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	release := context.AfterFunc(c.life, cancel) //nolint:contextcheck // a request ends with its source too, whatever its own context
	done := func() {
		release()
		cancel()
	}
	req = req.WithContext(ctx)
	if err := detach(req); err != nil {
		done()
		return nil, err
	}
	resp, err := c.Client.Do(req) //nolint:gosec // the process's client refuses addresses that no trigger may reach
	if err != nil {
		done()
		return resp, err
	}
	resp.Body = &body{resp.Body, maxBytes, done}
	return resp, nil
}

// detach gives the request a body of its own. The SDK closes its body once there
// is an answer; when that comes before the transport has looked for the body's
// end, the connection is lost.
func detach(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	req.Body, err = req.GetBody()
	return err
}

// body is an answer of limited size.
type body struct {
	io.ReadCloser
	left int64
	done func()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
