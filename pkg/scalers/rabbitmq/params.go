package rabbitmq

import (
	"slices"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/scalers/internal/oauth"
	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// secure is how TLS is done.
type secure struct {
	enabled bool // a configuration of one's own, for addresses that use TLS
	tls     tlsconf.Settings
}

// written is the address and identity as the user wrote them, and what follows
// from that. The query needs some of it too: over HTTP the virtual host is a
// part of what is measured.
type written struct {
	host, vhostName, protocol, tls string
	parameters                     login // username and password
	timeout                        time.Duration
	certificates                   tlsconf.Settings
	oauth                          oauth.Settings
	resource                       string // of the workload identity

	// Set by address.
	base, vhost, heartbeat string
	login                  login // in the address
}

// bind declares what is about the connection. After the checks protocol is
// never protocolAuto, unless the address was refused.
func (w *written) bind(p *param.Set) {
	w.protocol, w.tls = protocolAuto, "disable"
	p.String(&w.host, "host", `Address of the broker, as "amqp://user:password@host:5672/vhost", or of its management API, as "http://user:password@host:15672/vhost". Reserved characters must be percent-encoded; "/" alone means the default virtual host.`,
		param.Required, param.From(param.Metadata, param.Auth, param.Env))
	p.String(&w.protocol, "protocol", "How to ask. By default the address decides.",
		param.OneOf(protocolAuto, protocolAMQP, protocolHTTP), param.From(param.Metadata, param.Auth))
	p.String(&w.vhostName, "vhostName", "Virtual host, not percent-encoded; replaces the one in the address.", param.From(param.Metadata, param.Auth))
	w.bindLogin(p)
	w.bindTLS(p)
	p.Duration(&w.timeout, "timeout", "How long one request over HTTP may take. By default what the process is set to.")
	w.bindOAuth(p)
	p.Check(w.address, "host", "protocol", "vhostName")
	p.Check(func() error {
		if w.protocol == protocolAuto {
			return nil // the address was refused
		}
		w.warn(p)
		return w.check(p)
	}, "host", "protocol")
}

func (w *written) bindLogin(p *param.Set) {
	var user string
	p.String(&user, "username", "User name; replaces the one in the address.", param.From(param.Auth, param.Env))
	p.Secret(&w.parameters.password, "password", "Password of that user.", param.From(param.Auth, param.Env))
	p.Together("username", "password")
	p.Check(func() error {
		w.parameters.user = param.NewSecret(user)
		return nil
	})
}

func (w *written) bindTLS(p *param.Set) {
	p.String(&w.tls, "tls", `Whether "ca", "cert" and "key" apply to an address that begins with amqps:// or https://.`,
		param.OneOf("enable", "disable"), param.From(param.Auth))
	w.certificates.Bind(p)
	p.Together("cert", "key")
}

// secure returns the TLS settings that apply. Over HTTP skipping verification
// needs no "tls".
func (w *written) secure() secure {
	if w.tls == "enable" {
		return secure{true, w.certificates}
	}
	if w.protocol == protocolHTTP {
		return secure{tls: tlsconf.Settings{SkipVerify: w.certificates.SkipVerify}}
	}
	return secure{}
}

func (w *written) bindOAuth(p *param.Set) {
	p.String(&w.resource, "workloadIdentityResource", "Resource to get a token for with an Azure workload identity. HTTP only.", param.From(param.Auth))
	w.oauth.Bind(p, "HTTP only.")
	p.Together("oauthTokenURI", "clientID", "clientSecret")
}

// warn tells what is easily got wrong.
func (w *written) warn(p *param.Set) {
	switch {
	case w.base == "":
		p.Warn("host", "cannot be connected to: it does not begin with a scheme that fits the protocol")
	case w.tls == "enable" && !w.overTLS():
		p.Warn("tls", "has no effect: the address does not begin with amqps:// or https://")
	}
	if !w.login.password.IsZero() && strings.TrimSpace(p.Values().Metadata["host"]) != "" {
		p.Warn("host", "holds a password in plain text; move it to an authentication object")
	}
}

func (w *written) overTLS() bool {
	return strings.HasPrefix(w.base, "amqps:") || strings.HasPrefix(w.base, "https:")
}

// check holds the rules about ways to log in.
func (w *written) check(p *param.Set) error {
	withOAuth := slices.ContainsFunc([]string{"oauthTokenURI", "clientID", "clientSecret"}, p.Given)
	if w.protocol == protocolAMQP {
		switch {
		case p.Given("workloadIdentityResource"):
			return param.Wrong("workloadIdentityResource", "needs the management API; give its http address")
		case withOAuth:
			return param.Wrong("oauthTokenURI", "needs the management API; give its http address")
		}
		return nil
	}
	switch {
	case !withOAuth:
	case p.Given("username"):
		return param.Wrong("oauthTokenURI", "cannot be combined with username and password; keep one way to log in")
	case p.Given("workloadIdentityResource"):
		return param.Wrong("oauthTokenURI", "cannot be combined with a workload identity; keep one way to log in")
	}
	return nil
}
