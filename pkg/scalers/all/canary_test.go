package all_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// canary is put wherever a secret may be, and looked for in everything that people
// get to see.
const canary = "c4n4ry-7f3a9b5e2d"

// TestNoSecretIsEverShown takes every scaler through every way to fail: its
// upstream is one that does harm, whatever its address says.
func TestNoSecretIsEverShown(t *testing.T) {
	t.Parallel()
	for _, d := range all.Scalers() {
		t.Run(d.Type, func(t *testing.T) {
			t.Parallel()
			for _, e := range d.Examples {
				if e.Identity != "" {
					continue // its credentials are not the trigger's
				}
				for _, h := range harms() {
					suffer(t, d, h, planted(d, e, ""))
				}
				for _, p := range d.Params {
					if secret(p) {
						suffer(t, d, harm{"repeats what it was sent", parrot}, planted(d, e, p.Name))
					}
				}
			}
		})
	}
}

// secret reports whether a parameter's value must not be shown: that is what it is
// declared as, or it can come from nowhere but an authentication object. Addresses
// and names of users that may stand in the metadata are none.
func secret(p param.Info) bool { return p.Secret || slices.Equal(p.From, []param.Place{param.Auth}) }

// planted is an example with the canary as its secrets, in their shape; and as the
// raw value of one parameter more, if it is named.
func planted(d *scalers.Definition, e scalers.Example, more string) param.Values {
	v := e.Values()
	auth := map[string]string{}
	for k, s := range v.Auth {
		i := slices.IndexFunc(d.Params, func(p param.Info) bool { return p.Name == k || slices.Contains(p.Aliases, k) })
		if auth[k] = s; i < 0 || secret(d.Params[i]) {
			auth[k] = spoil(s)
		}
	}
	if more != "" {
		auth[more] = canary
	}
	v.Auth = auth
	v.Namespace, v.Name = "shop", "worker"
	return v
}

// spoil puts the canary into a secret so that it can still be parsed.
func spoil(s string) string {
	if u, err := url.Parse(s); err == nil && u.User != nil {
		u.User = url.UserPassword(u.User.Username(), canary)
		return u.String()
	}
	keys := regexp.MustCompile(`(?i)((?:Key|Password|Signature)=)[^;& ]*`)
	switch {
	case strings.HasPrefix(s, "-----BEGIN"), strings.HasPrefix(s, "{"):
		return s // would be refused before anything is sent
	case keys.MatchString(s):
		return keys.ReplaceAllString(s, "${1}"+base64.StdEncoding.EncodeToString([]byte(canary)))
	case strings.Contains(s, "://"):
		return s
	}
	return canary
}

// suffer parses, opens, measures and closes, and looks for the canary in all that
// comes of it.
func suffer(t *testing.T, d *scalers.Definition, h harm, v param.Values) {
	t.Helper()
	var log lines
	seen := []string{}
	tr, warnings, err := d.Parse(v)
	seen = append(seen, fmt.Sprint(err), fmt.Sprint(warnings))
	if err == nil && !d.ReadByHPA {
		seen = append(seen, tr.MetricName(0), tr.String(), fmt.Sprintf("%v %+v", tr, tr))
		seen = append(seen, measured(t, tr, h, &log)...)
	}
	seen = append(seen, log.String())
	for _, text := range seen {
		for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("user:" + canary))} {
			if strings.Contains(text, strings.TrimRight(form, "=")) {
				t.Errorf("an upstream that %s makes the scaler show a secret:\n%s", h.does, text)
			}
		}
	}
}

// measured returns the errors of one round.
func measured(t *testing.T, tr scalers.Trigger, h harm, log *lines) (seen []string) {
	t.Helper()
	server := h.start(t)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server)
	}
	transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	conn, err := tr.Source.Open(ctx, scalers.Env{
		Log:  slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		HTTP: &http.Client{Transport: transport, Timeout: time.Second}, Dial: dial, ClientName: "weir",
	})
	seen = append(seen, fmt.Sprintf("opening: %v %+v %s", err, err, scalers.HintOf(err)))
	if err != nil {
		return seen
	}
	readings, err := conn.Fetch(ctx, []scalers.Query{tr.Query})
	seen = append(seen, fmt.Sprintf("measuring: %v %+v %s", err, err, scalers.HintOf(err)))
	for _, r := range readings {
		seen = append(seen, fmt.Sprintf("reading: %v %+v %s", r.Err, r.Err, scalers.HintOf(r.Err)))
	}
	if tr.Source.Definition().Watches {
		err := conn.Watch(ctx, []scalers.Query{tr.Query}, func() {}, func(scalers.Query) {})
		seen = append(seen, fmt.Sprintf("watching: %v %+v", err, err))
	}
	err = conn.Close()
	return append(seen, fmt.Sprintf("closing: %v %+v", err, err))
}

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns what was written so far.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// harm is a way in which an upstream misbehaves.
type harm struct {
	does  string
	serve func(net.Conn)
}

func harms() []harm {
	return []harm{
		{"is not there", nil},
		{"hangs up", func(net.Conn) {}},
		{"hangs up after the first bytes", func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }},                           //nolint:errcheck // the worse, the better
		{"speaks another protocol", func(c net.Conn) { _, _ = c.Write([]byte("220 mail.example.com ESMTP\r\n")); stall(c) }}, //nolint:errcheck // as above
		{"says nothing", stall},
		{"repeats what it was sent", parrot},
		{"answers HTTP with what it was sent", func(c net.Conn) { mirror(c, "500 Internal Server Error") }},
		{"refuses with what it was sent", func(c net.Conn) { mirror(c, "401 Unauthorized") }},
		{"accepts with what it was sent", func(c net.Conn) { mirror(c, "200 OK") }},
		{"redirects to what it was sent", func(c net.Conn) { mirror(c, "302 Found") }},
	}
}

// start returns the address of a server that does the harm, over TLS to whoever
// speaks it.
func (h harm) start(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) //nolint:errcheck // closed before, by a server that is not there
	if h.serve == nil {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	secure := httptest.NewUnstartedServer(nil)
	secure.StartTLS()
	config := secure.TLS.Clone()
	secure.Close()
	config.NextProtos = []string{"http/1.1"}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // the worse, the better
				h.serve(&peeked{Conn: c, config: config})
			}()
		}
	}()
	return l.Addr().String()
}

// peeked is a connection that turns to TLS when the client does.
type peeked struct {
	net.Conn
	config *tls.Config
	inner  net.Conn
}

// Read implements net.Conn.
func (p *peeked) Read(b []byte) (int, error) {
	if p.inner != nil {
		return p.inner.Read(b)
	}
	n, err := p.Conn.Read(b)
	if n > 0 && b[0] == 0x16 { // a TLS handshake begins
		p.inner = tls.Server(&replayed{p.Conn, bytes.Clone(b[:n])}, p.config)
		return p.inner.Read(b)
	}
	p.inner = p.Conn
	return n, err
}

// Write implements net.Conn.
func (p *peeked) Write(b []byte) (int, error) {
	if p.inner != nil {
		return p.inner.Write(b)
	}
	return p.Conn.Write(b)
}

// replayed is a connection some of whose bytes were read before.
type replayed struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (r *replayed) Read(b []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(b, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(b)
}

// stall reads and never answers.
func stall(c net.Conn) {
	buf := make([]byte, 4096)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// parrot sends everything back.
func parrot(c net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err == nil {
			_, err = c.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// mirror answers every HTTP request with its own text, as the body and in headers.
func mirror(c net.Conn, status string) {
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		flat := strings.Join(strings.Fields(string(buf[:n])), " ")
		_, err = fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nLocation: http://elsewhere.example.com/?%s\r\nX-Error: %s\r\nContent-Length: %d\r\n\r\n%s",
			status, url.QueryEscape(flat), flat, n, buf[:n])
		if errors.Is(err, net.ErrClosed) || err != nil {
			return
		}
	}
}
