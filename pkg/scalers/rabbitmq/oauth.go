package rabbitmq

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
)

// tokens keeps an OAuth token fresh. A nil one needs none.
type tokens struct {
	config clientcredentials.Config
	client *http.Client
	now    *oauth2.Token // nil before the first refresh
}

func newTokens(o oauth, client *http.Client) *tokens {
	params, err := url.ParseQuery(o.endpoint.Reveal())
	if err != nil {
		params = nil // refused by bindOAuth already
	}
	return &tokens{client: client, config: clientcredentials.Config{
		ClientID: o.id, ClientSecret: o.secret.Reveal(), TokenURL: o.tokens.WithQuery(),
		Scopes: o.scopes.Items(), EndpointParams: params,
	}}
}

// refresh gets a token when the one at hand is about to expire.
func (t *tokens) refresh(ctx context.Context) error {
	if t == nil || t.now.Valid() {
		return nil
	}
	const op = "fetching an OAuth token"
	got, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err == nil {
		t.now = got
		return nil
	}
	// The error's own text holds the answer's body, which may echo what was sent.
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
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
	if _, ok := errors.AsType[*url.Error](err); ok {
		return httpx.Failed(op, err)
	}
	return &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer holds no token"), Hint: "check oauthTokenURI"}
}

// authorize puts the token on a request.
func (t *tokens) authorize(r *http.Request) { t.now.SetAuthHeader(r) }
