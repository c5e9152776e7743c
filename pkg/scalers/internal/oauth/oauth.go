// Package oauth gets tokens by the OAuth 2.0 client-credentials flow, for scalers
// that speak HTTP.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Settings are client credentials. They are comparable, so a scaler's settings
// can hold them. The zero value is none.
type Settings struct {
	server param.URL // zero when what was given is no address
	id     string
	secret param.Secret
	scopes param.List
	params param.Secret // further parameters of the token request, URL-encoded
}

// Enabled reports whether there are credentials.
func (s Settings) Enabled() bool { return s.id != "" }

// Bind declares the parameters under the names that all scalers use. Note is a
// sentence about when they apply; it may be empty.
func (s *Settings) Bind(p *param.Set, note string) {
	var server string
	doc := "Token endpoint of the OAuth client-credentials flow."
	if note != "" {
		doc += " " + note
	}
	p.String(&server, "oauthTokenURI", doc, param.From(param.Auth))
	p.String(&s.id, "clientID", "OAuth client.", param.From(param.Auth))
	p.Secret(&s.secret, "clientSecret", "Secret of the OAuth client.")
	p.List(&s.scopes, "scopes", "Scopes to ask for, separated by commas.", param.From(param.Auth), param.Alias("scope"))
	p.Secret(&s.params, "endpointParams", `Further parameters of the token request, URL-encoded: "audience=mq&resource=x".`)
	p.Check(func() error {
		var err error
		if s.server, err = param.ParseURL(server); err != nil && server != "" {
			p.Warn("oauthTokenURI", "cannot be used: it is not an absolute URL")
		}
		return nil
	}, "oauthTokenURI")
	p.Check(func() error {
		if _, err := url.ParseQuery(s.params.Reveal()); err != nil {
			return param.Wrong("endpointParams", "must be URL-encoded parameters: name=value, joined by &")
		}
		return nil
	}, "endpointParams")
}

// Tokens keeps a token fresh. A nil one needs none. Refresh must not run beside
// Authorize or itself.
type Tokens struct {
	config clientcredentials.Config
	client *http.Client
	now    *oauth2.Token // nil before the first refresh
}

const op = "fetching an OAuth token"

// New makes Tokens that are fetched with client. The error is of kind Invalid.
func New(s Settings, client *http.Client) (*Tokens, error) {
	if s.server.IsZero() {
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: op, Err: errors.New("the address of the token endpoint cannot be used"),
			Hint: "give oauthTokenURI as an absolute URL",
		}
	}
	params, err := url.ParseQuery(s.params.Reveal())
	if err != nil {
		params = nil // refused by Bind already
	}
	return &Tokens{client: client, config: clientcredentials.Config{
		ClientID: s.id, ClientSecret: s.secret.Reveal(), TokenURL: s.server.WithQuery(),
		Scopes: s.scopes.Items(), EndpointParams: params,
	}}, nil
}

// Refresh gets a token when the one at hand is about to expire. The error is a
// *scalers.Error that repeats nothing of what was sent.
func (t *Tokens) Refresh(ctx context.Context) error {
	if t == nil || t.now.Valid() {
		return nil
	}
	got, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err == nil {
		t.now = got
		return nil
	}
	// The error's own text holds the answer's body, which may echo what was sent.
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return refusal(refused)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return httpx.Failed(op, err)
	}
	return &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer holds no token"), Hint: "check oauthTokenURI"}
}

func refusal(refused *oauth2.RetrieveError) error {
	e := &scalers.Error{Kind: scalers.BadAnswer, Op: op, Hint: "check clientID, clientSecret, scopes and endpointParams"}
	if refused.Response == nil {
		e.Err = errors.New("the answer holds no token")
		return e
	}
	status := refused.Response.StatusCode
	e.Err = fmt.Errorf("status %d %s", status, scalers.Excerpt(refused.ErrorCode))
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind = scalers.Throttled
	case status >= http.StatusInternalServerError:
		e.Kind, e.Hint = scalers.Unreachable, ""
	case status >= http.StatusBadRequest:
		e.Kind = scalers.Unauthorized
	}
	return e
}

// Authorize puts the token on a request, after a Refresh that succeeded.
func (t *Tokens) Authorize(r *http.Request) { t.now.SetAuthHeader(r) }
