package vault

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// session is one login. Its token is looked after when something is read: there
// is nothing that runs in between, and nothing to end.
type session struct {
	cfg    Config
	login  secretstore.VaultLogin
	server string      // for errors
	client *api.Client // without a token

	turn sync.Mutex // held while logging in or renewing, so that one read does it for all

	mu        sync.Mutex // guards the rest; never held while asking
	token     *api.Client
	renew     time.Time // when to renew or replace the token; zero means never
	dead      time.Time // when the token ends; zero means never
	renewable bool
}

// authorized returns a client with a token, having logged in or renewed the token
// where that is due.
func (s *session) authorized(ctx context.Context) (*api.Client, error) {
	if c := s.usable(); c != nil {
		return c, nil
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if c := s.usable(); c != nil {
		return c, nil
	}
	old, renewable := s.current()
	if renewable {
		// Without an answer, the token is replaced instead.
		if got, err := old.Auth().Token().RenewSelfWithContext(ctx, 0); err == nil && got != nil && got.Auth != nil {
			s.hold(old, time.Duration(got.Auth.LeaseDuration)*time.Second, got.Auth.Renewable)
			return old, nil
		}
	}
	if s.login.Mount == "" {
		return s.present(ctx)
	}
	c, err := s.logIn(ctx)
	if err != nil && old != nil && !secretstore.Definite(err) {
		return old, nil // which is good for a while yet
	}
	return c, err
}

// current returns the client whose token has not ended, or nil, and whether that
// can be renewed.
func (s *session) current() (c *api.Client, renewable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == nil || !s.dead.IsZero() && !time.Now().Before(s.dead) {
		return nil, false
	}
	return s.token, s.renewable
}

// usable returns the client whose token needs no attention, or nil.
func (s *session) usable() *api.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == nil || !s.renew.IsZero() && !time.Now().Before(s.renew) {
		return nil
	}
	return s.token
}

// again forgets a token that was refused; false when there is none better.
func (s *session) again(refused *api.Client) bool {
	if s.login.Mount == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == refused {
		s.token = nil
	}
	return true
}

// hold keeps a token that lives that long; zero means for ever. It is renewed
// after four fifths of its life.
func (s *session) hold(c *api.Client, life time.Duration, renewable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.renewable, s.renew, s.dead = c, renewable, time.Time{}, time.Time{}
	if life > 0 {
		now := time.Now()
		s.renew, s.dead = now.Add(life/5*4), now.Add(life)
	}
}

// with returns a client with a token.
func (s *session) with(token string) (*api.Client, error) {
	c, err := s.newClient()
	if err != nil {
		return nil, &scalers.Error{Kind: scalers.Invalid, Op: "connecting to Vault", Err: errors.New("the client refuses to be made")}
	}
	c.SetToken(token)
	return c, nil
}

// lookAgain is how long a token is used of which Vault does not say how long it
// lives, before it is asked again.
const lookAgain = time.Hour

// present uses the login's own token. How long it lives is asked, as it can be
// renewed; a token that may not ask is used all the same, and a wrong one is
// refused when something is read.
func (s *session) present(ctx context.Context) (*api.Client, error) {
	c, err := s.with(s.login.Token.Reveal())
	if err != nil {
		return nil, err
	}
	found, err := c.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		if e := s.failed(ctx, "looking up the token of "+s.server, err, ""); !secretstore.Definite(e) {
			return nil, e
		}
		s.hold(c, lookAgain, false)
		return c, nil
	}
	var life time.Duration
	renewable := false
	if ttl, err := found.TokenTTL(); err == nil {
		life = ttl
	}
	if yes, err := found.TokenIsRenewable(); err == nil {
		renewable = yes
	}
	s.hold(c, life, renewable)
	return c, nil
}

// logIn presents the token of a service account to the kubernetes method.
func (s *session) logIn(ctx context.Context) (*api.Client, error) {
	op := fmt.Sprintf("logging in to Vault at %s as role %q of mount %q", s.server, s.login.Role, s.login.Mount)
	jwt, err := s.jwt(ctx)
	if err != nil {
		return nil, err
	}
	got, err := s.client.Logical().WriteWithContext(ctx, "auth/"+strings.Trim(s.login.Mount, "/")+"/login", map[string]any{
		"jwt": jwt.Reveal(), "role": s.login.Role,
	})
	switch {
	case err != nil:
		err = s.failed(ctx, op, err, "bind the role to the service account and its namespace, and check the mount", jwt.Reveal())
		if scalers.KindOf(err) == scalers.NotFound {
			err = &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("there is no such mount"), Hint: "correct mount"}
		}
		return nil, err
	case got == nil || got.Auth == nil || got.Auth.ClientToken == "":
		return nil, &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer holds no token")}
	}
	c, err := s.with(got.Auth.ClientToken)
	if err != nil {
		return nil, err
	}
	s.hold(c, time.Duration(got.Auth.LeaseDuration)*time.Second, got.Auth.Renewable)
	return c, nil
}

// jwt returns the token of the service account to log in as.
func (s *session) jwt(ctx context.Context) (param.Secret, error) {
	if s.login.Account.Name == "" {
		return fromFile(s.login.TokenFile)
	}
	if s.cfg.Token == nil {
		return param.Secret{}, &scalers.Error{Kind: scalers.Invalid, Op: "logging in to Vault", Err: errors.New("no tokens are requested for service accounts here")}
	}
	return s.cfg.Token(ctx, s.login.Account)
}

// fileLimit is the size of a token file, in bytes.
const fileLimit = 1 << 20

// fromFile reads a service account's token. Whoever writes an authentication
// object names the file and the server that is shown what it holds, so that
// nothing else is read from it, and nothing of it is told.
func fromFile(path string) (param.Secret, error) {
	wrong := func(problem string) (param.Secret, error) {
		return param.Secret{}, &scalers.Error{
			Kind: scalers.Invalid, Op: fmt.Sprintf("reading the service account token in file %q of weir's container", path),
			Err: errors.New(problem), Hint: "leave credential.serviceAccount out, or use credential.serviceAccountName",
		}
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > fileLimit {
		return wrong("it cannot be read, or is no regular file of at most 1 MiB")
	}
	f, err := os.Open(path) //nolint:gosec // only the token of a service account is taken from it
	if err != nil {
		return wrong("it cannot be read")
	}
	defer f.Close() //nolint:errcheck // only read from
	raw, err := io.ReadAll(io.LimitReader(f, fileLimit))
	token := strings.TrimSpace(string(raw))
	if err != nil || !ofServiceAccount(token) {
		return wrong("it holds no token of a service account")
	}
	return param.NewSecret(token), nil
}

// ofServiceAccount reports whether a token says that it is one of a Kubernetes
// service account. Whether that is true is Vault's to find out.
func ofServiceAccount(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Subject string `json:"sub"`
	}
	return err == nil && json.Unmarshal(raw, &claims) == nil && strings.HasPrefix(claims.Subject, "system:serviceaccount:")
}
