// Package rabbitmq scales on the messages that wait in RabbitMQ queues, read
// over AMQP 0-9-1 or over the management plugin's HTTP API.
//
// Over AMQP a source is one connection to one virtual host; queues are declared
// passively on several channels at a time. Over HTTP a source is one API under
// one identity; all queues of a virtual host are read with one list where that
// is cheaper than asking for each.
package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/oauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the rabbitmq scaler type.
var Scaler = scalers.Define(scalers.Spec[settings, query]{
	Type:       "rabbitmq",
	Summary:    "Scales on the messages that wait in a RabbitMQ queue, or on the rates at which they come and go.",
	Unit:       "messages",
	Settings:   (*settings).bind,
	Query:      (*query).bind,
	Thresholds: (*query).bindThresholds,
	MetricName: func(_ settings, q query) string { return "rabbitmq-" + url.QueryEscape(q.name) },
	Open:       open,
	Page:       page(),
	Examples:   examples(),
})

// open connects over the protocol that the settings name.
func open(ctx context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
	const op = "connecting to RabbitMQ"
	switch {
	case s.malformed:
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: op, Err: errors.New("the address cannot be used"),
			Hint: `write "host" as amqp://..., amqps://..., http://... or https://..., to fit "protocol"`,
		}
	case s.protocol == protocolAMQP:
		return dial(ctx, env, s)
	}
	return newAPI(env, s)
}

// settings say where to connect and as whom.
type settings struct {
	protocol string // protocolAMQP or protocolHTTP
	// base is scheme, host and port; over HTTP also the path before the virtual
	// host, without a slash at its end.
	base      string
	malformed bool   // base is empty: the address parsed, but cannot be connected to
	vhost     string // AMQP only: over HTTP one source serves all
	heartbeat string // AMQP only: seconds, as the address asks for; may be empty
	external  bool   // AMQP only: log in by the client certificate
	login     login
	secure    secure
	timeout   time.Duration  // HTTP only; zero means the process's
	oauth     oauth.Settings // HTTP only
	identity  identity       // HTTP only; see azure.go
}

// The protocols.
const (
	protocolAuto = "auto"
	protocolAMQP = "amqp"
	protocolHTTP = "http"
)

// login is a user name and password; zero means none.
type login struct{ user, password param.Secret }

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	w := new(written)
	w.bind(p)
	p.Check(func() error {
		*s = w.settings(p.Values())
		return nil
	})
}

// settings leaves out what the protocol does not use, so that sources are shared
// where they can be.
func (w *written) settings(v param.Values) settings {
	s := settings{
		protocol: w.protocol, base: w.base, malformed: w.base == "", secure: w.secure(), login: w.login,
	}
	if !w.parameters.user.IsZero() {
		s.login = w.parameters
	}
	if w.protocol == protocolAMQP {
		s.vhost, s.heartbeat = w.vhost, w.heartbeat
		certificate := s.secure.enabled && !s.secure.tls.Cert.IsZero()
		s.external = certificate && w.parameters.user.IsZero() && w.login.password.IsZero()
		return s
	}
	s.timeout = w.timeout
	if w.oauth.Enabled() {
		s.oauth, s.login = w.oauth, login{}
	}
	s.identity = identityOf(w.resource, v)
	return s
}

// address takes the host apart, as far as it can be connected to. One that
// cannot is accepted with an explicit protocol, for compatibility, and leaves
// base empty: opening says what is wrong.
func (w *written) address() error {
	u, err := url.Parse(w.host)
	switch {
	case err == nil && u.Opaque == "" && w.fits(u.Scheme):
		w.split(u)
	case w.protocol == protocolAuto:
		return param.Wrong("host", `must begin with amqp://, amqps://, http:// or https://, and have reserved characters of the user name and password percent-encoded; or "protocol" must say which one it is`)
	}
	return nil
}

// split takes an address apart. Over AMQP the path is the virtual host; over
// HTTP its last segment is, and what is before belongs to the API's address.
func (w *written) split(u *url.URL) {
	if u.User != nil {
		password, _ := u.User.Password()
		w.login = login{param.NewSecret(u.User.Username()), param.NewSecret(password)}
	}
	w.base = u.Scheme + "://" + u.Host
	if strings.HasPrefix(u.Scheme, protocolAMQP) {
		w.protocol = protocolAMQP
		w.vhost = strings.TrimPrefix(u.Path, "/")
		if v := u.Query().Get("heartbeat"); validHeartbeat(v) {
			w.heartbeat = v
		}
	} else {
		w.protocol = protocolHTTP
		path := u.EscapedPath()
		slash := strings.LastIndexByte(path, '/')
		w.base += path[:max(slash, 0)]
		w.vhost, _ = url.PathUnescape(path[slash+1:]) //nolint:errcheck // net/url escaped it
	}
	w.vhost = cmp.Or(w.vhostName, w.vhost, "/")
}

// validHeartbeat reports whether v is a number of seconds as AMQP carries it.
func validHeartbeat(v string) bool {
	_, err := strconv.ParseUint(v, 10, 16)
	return err == nil
}

// fits reports whether an address with this scheme can serve the protocol.
func (w *written) fits(scheme string) bool {
	switch strings.TrimSuffix(scheme, "s") {
	case protocolAMQP:
		return w.protocol != protocolHTTP
	case protocolHTTP:
		return w.protocol != protocolAMQP
	}
	return false
}
