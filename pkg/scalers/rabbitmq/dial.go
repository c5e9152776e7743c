package rabbitmq

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	heartbeat   = 10 * time.Second // unless the address asks for another
	dialTimeout = 30 * time.Second // without a deadline of the caller's
)

// dial opens the one connection of a source. Everything is passed on in parts:
// given the user's address, the library would read files that it names.
func dial(ctx context.Context, env scalers.Env, s settings) (*broker, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	config := amqp.Config{
		Vhost: s.vhost, Heartbeat: heartbeat, Locale: "en_US",
		Properties: amqp.Table{"connection_name": cmp.Or(env.ClientName, "weir"), "product": cmp.Or(env.ClientName, "weir")},
	}
	config.SASL = []amqp.Authentication{s.authentication(config.Properties)}
	if strings.HasPrefix(s.base, "amqps") {
		config.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: env.RootCAs}
		if s.secure.enabled {
			c, err := s.secure.tls.Config(env.RootCAs)
			if err != nil {
				return nil, err
			}
			config.TLSClientConfig = c
		}
	}
	b := &broker{missing: map[string]time.Time{}}
	disarm := func() bool { return true }
	config.Dial = func(network, addr string) (net.Conn, error) {
		var err error
		if b.socket, err = env.Dial(ctx, network, addr); err == nil {
			disarm = context.AfterFunc(ctx, b.sever)
		}
		return b.socket, err
	}
	address := s.base
	if s.heartbeat != "" {
		address += "?heartbeat=" + url.QueryEscape(s.heartbeat)
	}
	var err error
	b.conn, err = amqp.DialConfig(address, config)
	if !disarm() || err != nil {
		if b.socket != nil {
			b.sever()
		}
		return nil, refusedDial(cmp.Or(ctx.Err(), err))
	}
	return b, nil
}

// authentication is EXTERNAL where the client certificate says who is
// connecting. Otherwise the broker's default user stands in for what is not
// given, as all AMQP clients have it.
func (s settings) authentication(properties amqp.Table) amqp.Authentication {
	if s.external {
		return &amqp.ExternalAuth{}
	}
	const user = "guest"
	return &plainLogin{
		PlainAuth:  amqp.PlainAuth{Username: cmp.Or(s.login.user.Reveal(), user), Password: cmp.Or(s.login.password.Reveal(), user)},
		properties: properties,
	}
}

// plainLogin asks the broker to say when it refuses the login. The library does
// not, and the broker then hangs up after 3 seconds without a word.
type plainLogin struct {
	amqp.PlainAuth

	properties amqp.Table
}

// Response implements amqp.Authentication. It is called after the library set
// the client's capabilities and before it sends them.
func (l *plainLogin) Response() string {
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return l.PlainAuth.Response()
}

// refusedDial gives a failure to connect its kind. What the broker says is not
// repeated: it names the user.
func refusedDial(err error) error {
	out := &scalers.Error{Kind: scalers.Unreachable, Op: "connecting to the broker", Err: err}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		out.Hint = `trust the broker's certificate authority with "tls" and "ca"`
		return out
	}
	said, ok := errors.AsType[*amqp.Error](err)
	switch {
	case errors.Is(err, amqp.ErrSASL):
		out.Kind, out.Err, out.Hint = scalers.Unauthorized, errors.New("the broker does not offer this way to log in"), "enable PLAIN, or EXTERNAL for client certificates"
	case !ok:
	case errors.Is(err, amqp.ErrVhost) || said.Code == amqp.NotAllowed:
		refusedVhost(out, said.Reason)
	case said.Code == amqp.AccessRefused:
		out.Kind, out.Err, out.Hint = scalers.Unauthorized, errors.New("the broker refused the login"), "check user name and password"
	default:
		out.Err = fmt.Errorf("the broker answered %d %s", said.Code, scalers.Excerpt(said.Reason))
	}
	return out
}

// refusedVhost tells the three reasons apart that share one code.
func refusedVhost(out *scalers.Error, reason string) {
	switch {
	case strings.Contains(reason, "limit"):
		out.Err, out.Hint = errors.New("the broker's limit of connections is reached"), "raise the limit of the user or the virtual host"
	case strings.Contains(reason, "not found"):
		out.Kind, out.Err, out.Hint = scalers.NotFound, errors.New("the virtual host does not exist"), noVhost
	default:
		out.Kind, out.Err, out.Hint = scalers.Unauthorized, errors.New("the broker refused the virtual host"), "grant the user access to it"
	}
}
