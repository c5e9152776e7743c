// Package httpauth holds what scalers that ask an HTTP server share: which server
// it is, as whom to ask, and how long that may take.
//
// A trigger's address is split. The server and all that identifies the asker are
// Settings, the part that decides who shares connections; path and query string
// are a Path, which belongs to what is measured. Hundreds of addresses on one
// server therefore share one client.
//
// The ways to identify oneself are those that "authModes" lists, and all of them
// take effect wherever this package is used. Credentials of a mode that is not
// listed are dropped while parsing, so that they neither get on the wire nor keep
// two triggers from sharing.
package httpauth

import (
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/oauth"
	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// The modes.
const (
	byKey    = "apiKey"
	byBasic  = "basic"
	byTLS    = "tls"
	byBearer = "bearer"
	byCustom = "custom"
	byOAuth  = "oauth"
)

// Settings say which server to ask and as whom. They are comparable; the zero
// value has no server. A scaler keeps them in its own settings.
type Settings struct {
	origin  string // scheme, host and port; empty when the address cannot be used
	timeout time.Duration
	tls     tlsconf.Settings

	bearer param.Secret
	basic  login
	oauth  oauth.Settings
	custom header
	key    apiKey
	login  login // of the address; for servers that are given no Authorization otherwise
}

// login is a user name and password; zero means none.
type login struct{ user, password param.Secret }

// header is a header of the user's own; zero means none.
type header struct {
	name  string
	value param.Secret
}

// apiKey is a key in a header or in the query string; zero means none.
type apiKey struct {
	value param.Secret
	name  string
	query bool
}

// Bind declares the parameters. Address names the one that holds the address,
// which is required; doc describes it.
func (s *Settings) Bind(p *param.Set, address, doc string) {
	var raw string
	p.String(&raw, address, doc, param.Required)
	p.Check(func() error {
		s.locate(p, address, raw)
		return nil
	}, address)
	p.Duration(&s.timeout, "timeout", "How long one request may take. By default what the process is set to.")
	s.tls.Bind(p)

	var given Settings // of all modes, whether listed or not
	var modes param.List
	var user, method string
	method = "header"
	p.List(&modes, "authModes", "How to identify oneself: any of `apiKey`, `basic`, `bearer`, `custom`, `oauth` and `tls`, separated by commas, but only one of `basic`, `bearer` and `oauth`.",
		param.OneOf(byKey, byBasic, byTLS, byBearer, byCustom, byOAuth), param.From(param.Metadata, param.Auth), param.Alias("authMode"))
	p.Secret(&given.bearer, "bearerToken", "Token, for `bearer`.", param.Alias("token"))
	p.String(&user, "username", "User name, for `basic`.", param.From(param.Auth))
	p.Secret(&given.basic.password, "password", "Password, for `basic`; may be empty.")
	p.String(&given.custom.name, "customAuthHeader", "Name of a header, for `custom`.", param.From(param.Auth))
	p.Secret(&given.custom.value, "customAuthValue", "Value of that header.")
	p.Secret(&given.key.value, "apiKey", "Key, for `apiKey`.", param.From(param.Metadata, param.Auth))
	p.String(&method, "method", "Where the key goes: into a header, or into the query string.",
		param.OneOf("header", "query"), param.From(param.Metadata, param.Auth))
	p.String(&given.key.name, "keyParamName", "Name of that header, X-API-KEY by default, or of the query parameter, api_key by default.",
		param.From(param.Metadata, param.Auth))
	given.oauth.Bind(p, "For `oauth`.")
	p.Check(func() error {
		given.basic.user, given.key.query = param.NewSecret(user), method == "query"
		return s.choose(p, modes.Items(), given)
	}, "authModes", "username", "customAuthHeader", "method", "keyParamName")
}

// locate takes the address apart.
func (s *Settings) locate(p *param.Set, name, raw string) {
	u, ok := split(raw)
	if !ok {
		p.Warn(name, "cannot be asked: it must begin with http:// or https:// and have reserved characters percent-encoded")
		return
	}
	s.origin, s.login = u.origin, u.login
	if !u.login.password.IsZero() {
		p.Warn(name, `holds a password in plain text; use authModes "basic" and an authentication object`)
	}
}

// choose keeps what the modes ask for.
func (s *Settings) choose(p *param.Set, modes []string, given Settings) error {
	has := func(mode string) bool { return slices.Contains(modes, mode) }
	var errs []error
	if n := len(slices.DeleteFunc([]string{byBasic, byBearer, byOAuth}, func(m string) bool { return !has(m) })); n > 1 {
		errs = append(errs, param.Wrong("authModes", "can hold only one of basic, bearer and oauth"))
	}
	for _, m := range []struct {
		mode string
		keep func()
		need []string // in the order they are told
	}{
		{byBearer, func() { s.bearer = given.bearer }, []string{"bearerToken"}},
		{byBasic, func() { s.basic = given.basic }, []string{"username"}},
		{byOAuth, func() { s.oauth = given.oauth }, []string{"oauthTokenURI", "clientID"}},
		{byCustom, func() { s.custom = given.custom }, []string{"customAuthHeader", "customAuthValue"}},
		{byKey, func() { s.key = given.key }, []string{"apiKey"}},
		{byTLS, func() {}, []string{"cert", "key"}},
	} {
		for _, name := range m.need {
			switch {
			case has(m.mode) && !p.Given(name):
				errs = append(errs, param.Wrong(name, "is required as an authentication parameter when authModes lists %s", m.mode))
			case len(modes) == 0 && p.Given(name):
				p.Warn(name, "is ignored: authModes does not list %s", m.mode)
			}
		}
		if has(m.mode) {
			m.keep()
		}
	}
	if !has(byTLS) {
		s.tls.Cert, s.tls.Key, s.tls.KeyPassword = param.Secret{}, param.Secret{}, param.Secret{}
	} else if strings.HasPrefix(s.origin, "http:") {
		p.Warn("authModes", "lists tls, which has no effect: the address begins with http://")
	}
	if name, bad := s.badHeader(); bad {
		p.Warn(name, "cannot be sent: HTTP does not allow some of its characters")
	}
	return errors.Join(errs...)
}

// badHeader returns the parameter that cannot be a part of a header.
func (s Settings) badHeader() (name string, bad bool) {
	switch {
	case !httpguts.ValidHeaderFieldValue(s.bearer.Reveal()):
		return "bearerToken", true
	case s.custom.name != "" && !httpguts.ValidHeaderFieldName(s.custom.name):
		return "customAuthHeader", true
	case !httpguts.ValidHeaderFieldValue(s.custom.value.Reveal()):
		return "customAuthValue", true
	case s.key.query:
		return "", false
	case s.key.name != "" && !httpguts.ValidHeaderFieldName(s.key.name):
		return "keyParamName", true
	}
	return "apiKey", !httpguts.ValidHeaderFieldValue(s.key.value.Reveal())
}

// check says why no request can be made with s: an error of kind Invalid, or nil.
func (s Settings) check() error {
	const op = "preparing requests"
	if s.origin == "" {
		return &scalers.Error{
			Kind: scalers.Invalid, Op: op, Err: errors.New("the address cannot be used"),
			Hint: "begin it with http:// or https://, and percent-encode reserved characters",
		}
	}
	if name, bad := s.badHeader(); bad {
		return &scalers.Error{
			Kind: scalers.Invalid, Op: op, Err: errors.New("HTTP does not allow some characters of " + name), Hint: "correct " + name,
		}
	}
	return nil
}
