package httpauth

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
	"github.com/weir-sh/weir/pkg/scalers/internal/oauth"
)

// Client asks one server as one identity. It is safe for use by several
// goroutines, except that Refresh must not run beside anything else.
type Client struct {
	*httpx.Client

	s      Settings
	tokens *oauth.Tokens             // nil without OAuth
	more   func(*http.Request) error // may be nil
}

// Open makes a client. Of o, Timeout, TLS, Name and Hide are set here;
// o.Authorize comes after what the settings say. Open asks nobody. The error is of
// kind Invalid.
func (s Settings) Open(env scalers.Env, o httpx.Options) (*Client, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	c := &Client{s: s, more: o.Authorize}
	o.Timeout, o.Name, o.Hide, o.Authorize = s.timeout, env.ClientName, s.secrets(), c.authorize
	if s.ownTLS() {
		config, err := s.tls.Config(env.RootCAs)
		if err != nil {
			return nil, err
		}
		o.TLS = config
	}
	var err error
	if c.Client, err = httpx.New(env.HTTP, o); err != nil {
		return nil, err
	}
	if s.oauth.Enabled() {
		if c.tokens, err = oauth.New(s.oauth, c.HTTP()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// ownTLS reports whether the process's TLS settings do not suffice.
func (s Settings) ownTLS() bool {
	return s.tls.SkipVerify || !s.tls.CA.IsZero() || !s.tls.Cert.IsZero()
}

// secrets are what no error may repeat from an answer, as they are on the wire.
// What is in the header Authorization is known to httpx.
func (s Settings) secrets() []string {
	key, password := s.key.value.Reveal(), s.basic.password.Reveal()
	return []string{
		password, s.login.password.Reveal(), key, url.QueryEscape(key), s.custom.value.Reveal(), s.bearer.Reveal(),
		base64.StdEncoding.EncodeToString([]byte(password)),
	}
}

// Refresh gets a token where the settings need one and it is about to expire.
// Call it before a round of requests.
func (c *Client) Refresh(ctx context.Context) error { return c.tokens.Refresh(ctx) }

// authorize implements httpx.Options.Authorize. The three ways that share the
// header Authorization win over a custom header of that name.
func (c *Client) authorize(r *http.Request) error {
	s := &c.s
	if s.custom.name != "" {
		r.Header.Set(s.custom.name, s.custom.value.Reveal())
	}
	if !s.key.value.IsZero() {
		s.key.put(r)
	}
	switch {
	case !s.bearer.IsZero():
		r.Header.Set("Authorization", "Bearer "+s.bearer.Reveal())
	case s.basic != login{}:
		r.SetBasicAuth(s.basic.user.Reveal(), s.basic.password.Reveal())
	case c.tokens != nil:
		c.tokens.Authorize(r)
	case s.login != login{} && r.Header.Get("Authorization") == "":
		r.SetBasicAuth(s.login.user.Reveal(), s.login.password.Reveal())
	}
	if c.more != nil {
		return c.more(r)
	}
	return nil
}

func (k apiKey) put(r *http.Request) {
	name := k.name
	if !k.query {
		if name == "" {
			name = "X-API-KEY"
		}
		r.Header.Set(name, k.value.Reveal())
		return
	}
	if name == "" {
		name = "api_key"
	}
	params := r.URL.Query()
	params.Set(name, k.value.Reveal())
	r.URL.RawQuery = params.Encode()
}
