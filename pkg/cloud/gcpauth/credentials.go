package gcpauth

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"github.com/weir-sh/weir/pkg/scalers"
)

// ReadMetrics is the scope that reading metrics needs.
const ReadMetrics = "https://www.googleapis.com/auth/monitoring.read"

// Credentials give tokens. They are safe for use by several goroutines and hold
// nothing that needs to be closed.
type Credentials struct {
	found *auth.Credentials
	own   bool

	mu   sync.Mutex // guards last; never held while asking for a token
	last *auth.Token
}

const opening = "preparing the Google Cloud credentials"

// Open makes credentials for the scopes. It asks nobody, except that finding the
// process's own identity may ask the metadata server; it returns soon after ctx
// ends. The error is of kind Invalid when the settings can never work.
func (s Settings) Open(ctx context.Context, env scalers.Env, scopes ...string) (*Credentials, error) {
	switch {
	case s.own:
		return openOwn(ctx, env, scopes)
	case !s.key.IsZero():
		return openKey([]byte(s.key.Reveal()), scopes)
	case s.fault == file:
		return nil, invalid("the key is in a file of the process, which no trigger may read", "use credentialsFromEnv, or an authentication object")
	case s.fault == unset:
		return nil, invalid("the variable that credentialsFromEnv names holds nothing", "set it in the workload's container")
	}
	return nil, invalid("there are none", "set "+keyParam+" as an authentication parameter")
}

// openKey takes a service account's key. Other types of JSON are refused: they
// make the library run programs, or ask servers that the JSON names.
func openKey(key []byte, scopes []string) (*Credentials, error) {
	const hint = "give the JSON of a service account's key, as Google made it"
	var kind struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(key, &kind) != nil { // what it says may quote the key
		return nil, invalid("the key is not JSON", hint)
	}
	if kind.Type != string(credentials.ServiceAccount) {
		return nil, invalid("the key's type is not service_account", hint)
	}
	found, err := credentials.NewCredentialsFromJSON(credentials.ServiceAccount, key, &credentials.DetectOptions{
		Scopes: scopes, UseSelfSignedJWT: true, DisableAsyncRefresh: true,
	})
	if err != nil {
		return nil, invalid("the key cannot be read", hint)
	}
	return &Credentials{found: found}, nil
}

// openOwn finds the process's identity. The library takes no context for that: a
// search that outlasts ctx goes on by itself for a few seconds.
func openOwn(ctx context.Context, env scalers.Env, scopes []string) (*Credentials, error) {
	type outcome struct {
		found *auth.Credentials
		err   error
	}
	// These requests go where the process's environment says, not where a trigger
	// does, the metadata server among them; env.HTTP may refuse that one.
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: env.RootCAs, MinVersion: tls.VersionTLS12},
	}}
	done := make(chan outcome, 1)
	go func() {
		found, err := credentials.DetectDefault(&credentials.DetectOptions{
			Scopes: scopes, UseSelfSignedJWT: true, DisableAsyncRefresh: true, Client: client,
		})
		done <- outcome{found, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, &scalers.Error{
				Kind: scalers.Unauthorized, Op: "finding the process's Google Cloud identity",
				Err:  errors.New(scalers.Excerpt(o.err.Error())),
				Hint: "give the process's service account an identity of Google Cloud, or the trigger a key",
			}
		}
		return &Credentials{found: o.found, own: true}, nil
	case <-ctx.Done():
		return nil, &scalers.Error{Kind: scalers.Unreachable, Op: "finding the process's Google Cloud identity", Err: context.Cause(ctx)}
	}
}

func invalid(problem, hint string) error {
	return &scalers.Error{Kind: scalers.Invalid, Op: opening, Err: errors.New(problem), Hint: hint}
}

// Token returns a token that is valid for a while, for a header "Authorization:
// Bearer". It asks for a new one when the last is about to expire, and keeps to
// the last one when that fails before it has. The error is of kind Unauthorized,
// or Unreachable when ctx ended.
func (c *Credentials) Token(ctx context.Context) (string, error) {
	t, err := c.found.Token(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last = t
		return t.Value, nil
	}
	if c.last != nil && time.Until(c.last.Expiry) > 0 {
		return c.last.Value, nil
	}
	e := &scalers.Error{Kind: scalers.Unauthorized, Op: "getting a Google Cloud token", Err: cause(err), Hint: "check that the account exists and that the identity may act as it"}
	if ctx.Err() != nil {
		e.Kind, e.Err, e.Hint = scalers.Unreachable, context.Cause(ctx), ""
	}
	return "", e
}

// cause is what a token endpoint or the metadata server said. An answer with a
// body may hold anything, so that only its status is kept.
func cause(err error) error {
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Response != nil {
		return errors.New("the token endpoint answered with status " + e.Response.Status)
	}
	return errors.New(scalers.Excerpt(err.Error()))
}

// Project returns the project that the credentials belong to: that of the key;
// for the process's identity the environment's GOOGLE_CLOUD_PROJECT or what the
// metadata server says. The error is of kind Invalid when nothing says it.
func (c *Credentials) Project(ctx context.Context) (string, error) {
	const op = "finding the project of the credentials"
	id, err := c.found.ProjectID(ctx)
	switch {
	case ctx.Err() != nil:
		return "", &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: context.Cause(ctx)}
	case err != nil:
		return "", &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: errors.New(scalers.Excerpt(err.Error()))}
	case id == "":
		return "", &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("they name none"), Hint: "name the project in the trigger"}
	}
	return id, nil
}

// redact removes the token from what a server said.
func (c *Credentials) redact(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		return text
	}
	return strings.ReplaceAll(text, c.last.Value, "[redacted]")
}
