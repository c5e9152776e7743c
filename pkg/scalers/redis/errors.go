package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/weir-sh/weir/pkg/scalers"
)

// cause is what an error reply that begins with prefix means.
type cause struct {
	prefix string
	kind   scalers.Kind
	hint   string
}

// causes of error replies, in the order they are tried. None is Invalid: the
// server may change where the trigger does not.
func (d deployment) causes() []cause {
	const (
		login = "check username and password"
		wait  = "wait until the server is ready again"
	)
	moved := cause{"MOVED", scalers.BadAnswer, "the server is part of a cluster; use the trigger type with -cluster"}
	if d == cluster {
		moved = cause{"MOVED", scalers.Unreachable, "wait until the cluster has settled"}
	}
	return []cause{
		{"WRONGPASS", scalers.Unauthorized, login},
		{"NOAUTH", scalers.Unauthorized, login},
		{"ERR AUTH", scalers.Unauthorized, login},
		{"ERR Client sent AUTH", scalers.Unauthorized, "the server has no password; remove yours"},
		{"ERR invalid password", scalers.Unauthorized, login},
		{"NOPERM", scalers.Unauthorized, "allow the user the commands and keys that the scaler's page lists"},
		{"WRONGTYPE", scalers.NotFound, "name a key of the kind that this trigger type measures"},
		{"NOGROUP", scalers.NotFound, "create the stream and its consumer group, or correct their names"},
		{"LOADING", scalers.Unreachable, wait},
		{"MASTERDOWN", scalers.Unreachable, wait},
		{"CLUSTERDOWN", scalers.Unreachable, wait},
		{"TRYAGAIN", scalers.Unreachable, wait},
		{"BUSY", scalers.Unreachable, wait},
		{"ERR max number of clients", scalers.Unreachable, "raise maxclients, or close connections that nobody needs"},
		moved,
		{"ASK", scalers.Unreachable, "wait until the cluster has moved the key's slot"},
		{"ERR This instance has cluster support disabled", scalers.BadAnswer, "the server is not part of a cluster; use the trigger type without -cluster"},
		{"ERR DB index", scalers.BadAnswer, "lower databaseIndex, or raise the server's number of databases"},
		{"ERR SELECT is not allowed in cluster mode", scalers.BadAnswer, "the server is part of a cluster; use the trigger type with -cluster"},
	}
}

// failure makes the error of op. Replies are quoted without passwords.
func (s *settings) failure(op string, err error) *scalers.Error {
	if own, ok := errors.AsType[*scalers.Error](err); ok {
		return own
	}
	if reply, ok := replyOf(err); ok {
		quoted := errors.New(scalers.Excerpt(s.redact(reply)))
		for _, c := range s.deployment.causes() {
			if strings.HasPrefix(reply, c.prefix) {
				return &scalers.Error{Kind: c.kind, Op: op, Hint: c.hint, Err: quoted}
			}
		}
		return &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: quoted, Hint: "check that the server supports the command"}
	}
	e := &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: err}
	switch {
	case errors.Is(err, redis.Nil):
		e.Kind, e.Err = scalers.NotFound, errors.New("the sentinels know no master of that name")
		e.Hint = "correct sentinelMaster"
	case errors.Is(err, errMoved):
	case garbled(err):
		e.Kind, e.Err = scalers.BadAnswer, errors.New(scalers.Excerpt(s.redact(err.Error())))
		e.Hint = "check that the address is a Redis server, and whether it needs TLS"
	case certificate(err):
		e.Hint = "give the authority of the server's certificate as ca, or connect by a name that is in the certificate"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Hint = "check that the server answers in time"
	default:
		e.Hint = "check address, network policies and enableTLS"
	}
	return e
}

// replyOf returns the text of an error that the server answered.
func replyOf(err error) (string, bool) {
	if reply, ok := errors.AsType[redis.Error](err); ok && !errors.Is(err, redis.Nil) {
		return reply.Error(), true
	}
	return "", false
}

// lost reports whether err concerns the connection rather than one command.
func (s *settings) lost(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) {
		return false
	}
	reply, ok := replyOf(err)
	if !ok {
		return true
	}
	kind := s.failure("", err).Kind
	return kind == scalers.Unreachable || kind == scalers.Unauthorized && !strings.HasPrefix(reply, "NOPERM")
}

// garbled reports whether the answer was not of the protocol, or not what the
// command is answered with. The client library has no type for the second.
func garbled(err error) bool {
	_, bad := errors.AsType[protocolError](err)
	return bad || strings.Contains(err.Error(), "redis: can't parse")
}

// certificate reports whether a TLS handshake failed for the certificate.
func certificate(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	return unverified || unknown
}
