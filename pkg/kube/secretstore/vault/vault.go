// Package vault reads secrets of HashiCorp Vault: key/value stores of both
// versions, certificates that the pki engine issues, and whatever else answers a
// read.
package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Config is what a Store needs.
type Config struct {
	// HTTP makes the requests. Its transport should be guarded: whoever writes an
	// authentication object chooses the address.
	HTTP *http.Client
	// Token returns a token of a service account, for the kubernetes method.
	Token func(context.Context, secretstore.ServiceAccount) (param.Secret, error)
}

// Store opens sessions with Vault servers.
type Store struct{ cfg Config }

// New makes a Store.
func New(c Config) *Store { return &Store{c} }

const addressHint = "give the server's URL, such as https://vault.example.com:8200"

// Open implements secretstore.Store.
func (s *Store) Open(l secretstore.VaultLogin) (secretstore.Session[secretstore.VaultItem], error) {
	u, err := url.Parse(l.Address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, &scalers.Error{Kind: scalers.Invalid, Op: "connecting to Vault", Err: errors.New("the address is no URL of a server"), Hint: addressHint}
	}
	session := &session{cfg: s.cfg, login: l, server: u.Scheme + "://" + u.Host}
	if session.client, err = session.newClient(); err != nil {
		return nil, &scalers.Error{Kind: scalers.Invalid, Op: "connecting to Vault", Err: errors.New("the client refuses to be made"), Hint: "check weir's VAULT_ environment variables"}
	}
	return session, nil
}

// newClient makes a client that uses of the process's environment nothing that
// must not reach a server of a user's choice: no token, namespace or header.
func (s *session) newClient() (*api.Client, error) {
	client := *s.cfg.HTTP
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = bounded{client.Transport}
	c, err := api.NewClient(&api.Config{Address: s.login.Address, HttpClient: &client, DisableRedirects: true})
	if err != nil {
		return nil, err
	}
	c.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	if s.login.Namespace != "" {
		c.SetNamespace(s.login.Namespace)
	}
	c.ClearToken()
	return c, nil
}

// Close implements secretstore.Session. The token of a login ends by itself.
func (*session) Close() error { return nil }

// Read implements secretstore.Session.
func (s *session) Read(ctx context.Context, item secretstore.VaultItem) (secretstore.Secret, error) {
	op := fmt.Sprintf("reading Vault secret %q from %s", item.Path, s.server)
	if clean := strings.Trim(item.Path, "/"); clean == "" || path.Clean(clean) != clean {
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("the path is not one of a secret"), Hint: `give it without "..", as in secret/data/name`}
	}
	client, err := s.authorized(ctx)
	if err != nil {
		return secretstore.Secret{}, err
	}
	answer, err := request(ctx, client, item)
	if statusOf(err) == http.StatusForbidden && s.again(client) {
		// The token may have been revoked, or ended before its time.
		if client, err = s.authorized(ctx); err != nil {
			return secretstore.Secret{}, err
		}
		answer, err = request(ctx, client, item)
	}
	if err != nil {
		return secretstore.Secret{}, s.failed(ctx, op, err, "let a policy of the login allow it", client.Token())
	}
	secret, err := decode(answer, item.Type)
	if err != nil {
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.NotFound, Op: op, Err: err, Hint: "create it, or correct path and type; of key/value version 2 the path has data after the mount"}
	}
	return secret, nil
}

// request reads, or has a certificate issued.
func request(ctx context.Context, c *api.Client, item secretstore.VaultItem) (*api.Secret, error) {
	if item.Type != "pki" {
		return c.Logical().ReadWithContext(ctx, item.Path)
	}
	body := map[string]any{
		"common_name": item.PKI.CommonName, "alt_names": item.PKI.AltNames, "ip_sans": item.PKI.IPSans, "uri_sans": item.PKI.URISans,
		"other_sans": item.PKI.OtherSans, "ttl": item.PKI.TTL, "format": item.PKI.Format,
	}
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == "" })
	return c.Logical().WriteWithContext(ctx, item.Path, body)
}

// failed makes an error of what the client returned. It says nothing of the
// request's address, and repeats no token.
func (s *session) failed(ctx context.Context, op string, err error, hint string, tokens ...string) error {
	e := &scalers.Error{Kind: scalers.Unreachable, Op: op}
	sent := []param.Secret{s.login.Token}
	for _, t := range tokens {
		sent = append(sent, param.NewSecret(t))
	}
	answer, answered := errors.AsType[*api.ResponseError](err)
	switch {
	case errors.Is(err, errRedirected):
		e.Kind, e.Err, e.Hint = scalers.BadAnswer, errRedirected, "give the address of the active server: redirects are not followed, as they would take the token along"
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case answered:
		said := strings.Join(answer.Errors, ", ")
		if answer.RawError || said == "" {
			said = http.StatusText(answer.StatusCode) // the body is no answer of Vault
		}
		e.Err = fmt.Errorf("status %d: %w", answer.StatusCode, secretstore.Refusal(said, sent...))
		if e.Kind = kindOf(answer.StatusCode); e.Kind == scalers.Unauthorized {
			e.Hint = hint
		}
	default:
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // its text holds the whole address
		}
		e.Err = secretstore.Refusal(err.Error(), sent...)
	}
	return e
}

// kindOf says what a status of Vault's means.
func kindOf(status int) scalers.Kind {
	switch {
	case status == http.StatusBadRequest:
		return scalers.Invalid
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return scalers.Unauthorized
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return scalers.NotFound
	case status == http.StatusTooManyRequests:
		return scalers.Throttled
	case status < http.StatusInternalServerError:
		return scalers.BadAnswer
	}
	return scalers.Unreachable // 503 is sealed, 472 and 473 are standby
}

// statusOf returns the status of an answer that is an error, or 0.
func statusOf(err error) int {
	if e, ok := errors.AsType[*api.ResponseError](err); ok {
		return e.StatusCode
	}
	return 0
}
