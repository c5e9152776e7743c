package kafka

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
)

// tokens keeps a token for OAUTHBEARER fresh. Sarama asks for it when it
// connects, and again before the broker ends the session.
type tokens struct {
	fetch      func(context.Context) (*oauth2.Token, error)
	extensions map[string]string
	stop       func() error

	mu  sync.Mutex
	now *oauth2.Token // nil before the first; guarded by mu
}

func (t *tokens) close() error {
	if t == nil {
		return nil
	}
	return t.stop()
}

// tokensOf are the tokens for one link.
type tokensOf struct {
	*tokens
	life context.Context //nolint:containedctx // sarama's interface has none; it is that of the link
}

// Token implements sarama.AccessTokenProvider.
func (t tokensOf) Token() (*sarama.AccessToken, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.now.Valid() {
		ctx, cancel := context.WithTimeout(t.life, answerTimeout)
		defer cancel()
		fresh, err := t.fetch(ctx)
		if err != nil {
			return nil, err
		}
		t.now = fresh
	}
	return &sarama.AccessToken{Token: t.now.AccessToken, Extensions: t.extensions}, nil
}

const fetchingToken = "fetching an OAuth token" //nolint:gosec // words of an error

// newClientTokens gets tokens by OAuth client credentials.
func newClientTokens(env scalers.Env, s settings) (*tokens, error) {
	client, err := httpx.New(env.HTTP, httpx.Options{Timeout: answerTimeout, Name: env.ClientName})
	if err != nil {
		return nil, err
	}
	config := clientcredentials.Config{
		ClientID: s.username.Reveal(), ClientSecret: s.password.Reveal(),
		TokenURL: s.oauth.tokens.WithQuery(), Scopes: s.oauth.scopes.Items(),
	}
	t := &tokens{extensions: map[string]string{}, stop: client.Close}
	for _, e := range s.oauth.extensions.Items() {
		name, value, _ := strings.Cut(e, "=")
		t.extensions[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	t.fetch = func(ctx context.Context) (*oauth2.Token, error) {
		got, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, client.HTTP()))
		if err != nil {
			return nil, untold(err)
		}
		return got, nil
	}
	return t, nil
}

// untold makes an error without what the endpoint said, which may echo what was
// sent.
func untold(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch _, network := errors.AsType[*url.Error](err); {
	case !ok && network:
		return httpx.Failed(fetchingToken, err)
	case !ok || refused.Response == nil:
		return &scalers.Error{Kind: scalers.BadAnswer, Op: fetchingToken, Err: errors.New("the answer holds no token"), Hint: "check " + oauthID}
	}
	status := refused.Response.StatusCode
	e := &scalers.Error{
		Kind: scalers.BadAnswer, Op: fetchingToken, Err: fmt.Errorf("status %d %s", status, http.StatusText(status)),
		Hint: "check username, password and scopes",
	}
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

// newSignedTokens signs tokens with AWS credentials, as MSK wants them.
func newSignedTokens(ctx context.Context, env scalers.Env, s settings) (*tokens, error) {
	config, stop, err := s.aws.Connect(ctx, env, 1)
	if err != nil {
		return nil, err
	}
	const op = "signing a token for MSK"
	return &tokens{stop: stop, fetch: func(ctx context.Context) (*oauth2.Token, error) {
		if err := awsauth.Ready(ctx, config); err != nil {
			return nil, err
		}
		text, ends, err := signer.GenerateAuthTokenFromCredentialsProvider(ctx, config.Region, config.Credentials)
		if err != nil {
			return nil, awsauth.Failed(op, err, "")
		}
		return &oauth2.Token{AccessToken: text, Expiry: time.UnixMilli(ends)}, nil
	}}, nil
}
