// Package grpcx holds what scalers that speak gRPC share: a connection that is
// bounded and goes through the process's dialer, and errors with a kind.
package grpcx

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// InFlight is how many calls a source makes at a time. Servers take 100
	// streams per connection by the recommendation of HTTP/2 (RFC 9113, 6.5.2),
	// and some no more.
	InFlight = 64
	// callTimeout bounds one unary call.
	callTimeout = 5 * time.Second
	// maxAnswer bounds one message. A source has up to InFlight of them in memory.
	maxAnswer = 1 << 20
	// maxHeader bounds the headers and trailers of a call, which hold the text of
	// an error.
	maxHeader = 64 << 10
)

// Endpoint returns host and port of an address as users write it: host:port,
// or the same behind "dns:///" or "passthrough:///". The port is 443 where it is
// missing. Ok is false for anything else, such as a Unix socket.
func Endpoint(address string) (endpoint string, ok bool) {
	for _, prefix := range []string{"dns:///", "passthrough:///"} {
		address = strings.TrimPrefix(address, prefix)
	}
	if address == "" || strings.ContainsAny(address, "/@?# ") {
		return "", false
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		return address, host != "" && port != "" && strings.Trim(port, "0123456789") == ""
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if strings.Contains(bare, ":") && net.ParseIP(bare) == nil {
		return "", false
	}
	return net.JoinHostPort(bare, "443"), true
}

// Connect returns a connection that is made when it is first used, and made
// again when it broke. A name that stands for several servers is connected to one
// of them. Secure is nil for plain text. The error is of kind Invalid.
func Connect(env scalers.Env, address string, secure *tls.Config) (*grpc.ClientConn, error) {
	endpoint, ok := Endpoint(address)
	if !ok {
		return nil, unusable(errors.New("the address cannot be used"))
	}
	transport := insecure.NewCredentials()
	if secure != nil {
		transport = credentials.NewTLS(secure)
	}
	conn, err := grpc.NewClient("passthrough:///"+endpoint,
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return env.Dial(ctx, "tcp", addr) }),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent(env.ClientName),
		grpc.WithMaxHeaderListSize(maxHeader),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithUnaryInterceptor(bounded),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: callTimeout,
		}),
		// Servers hang up on clients that ping more often than every five minutes,
		// unless they are told otherwise. Within a call the deadline is sooner; on
		// a stream a lost server costs wakes, which polls make up for.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5*time.Minute + 10*time.Second, Timeout: 20 * time.Second}),
	)
	if err != nil {
		return nil, unusable(err)
	}
	return conn, nil
}

func unusable(err error) error {
	return &scalers.Error{
		Kind: scalers.Invalid, Op: "preparing the gRPC connection", Err: err, Hint: "give the address as host:port",
	}
}

// bounded gives each unary call a deadline.
func bounded(
	ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return invoke(ctx, method, req, reply, conn, opts...)
}

// Failed makes an error with a kind of what a call returned. Redact is applied to
// what the server said; nil changes nothing.
func Failed(op string, err error, redact func(string) string) error {
	s, ok := status.FromError(err)
	if !ok {
		return &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: err}
	}
	said := s.Message()
	if redact != nil {
		said = redact(said)
	}
	e := &scalers.Error{Kind: kindOf(s), Op: op}
	switch s.Code() {
	case codes.Unavailable:
		said = plain(said)
		if strings.Contains(said, "x509: ") {
			e.Hint = "trust the server's certificate authority"
		}
		e.Err = errors.New(scalers.Excerpt(said))
	case codes.DeadlineExceeded:
		e.Err = errors.New("no answer in time")
	case codes.Canceled:
		e.Err = errors.New("the call was given up")
	default:
		e.Err = errors.New(strings.TrimSuffix("the server answered "+s.Code().String()+": "+scalers.Excerpt(said), ": "))
	}
	return e
}

// Lost returns the first error when no query could be measured because of the
// server or the login, so that it is the error of the whole source; else nil.
func Lost(readings []scalers.Reading) error {
	for _, r := range readings {
		if kind := scalers.KindOf(r.Err); kind != scalers.Unreachable && kind != scalers.Unauthorized {
			return nil
		}
	}
	if len(readings) == 0 {
		return nil
	}
	return readings[0].Err
}

// kindOf sorts the codes of gRPC. What a server says of itself is BadAnswer where
// nothing else is known to fit.
func kindOf(s *status.Status) scalers.Kind {
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return scalers.Unreachable
	case codes.Unauthenticated, codes.PermissionDenied:
		return scalers.Unauthorized
	case codes.NotFound:
		return scalers.NotFound
	case codes.ResourceExhausted:
		if strings.HasPrefix(s.Message(), "grpc: ") { // the client's own limit
			return scalers.BadAnswer
		}
		return scalers.Throttled
	default:
		return scalers.BadAnswer
	}
}

// plain takes the wrappings off the text of a failed connection, so that the
// cause is within an excerpt.
func plain(said string) string {
	const mark = `desc = "transport: `
	if i := strings.LastIndex(said, mark); i >= 0 {
		said = strings.TrimSuffix(said[i+len(mark):], `"`)
	}
	return strings.TrimPrefix(said, "Error while dialing: ")
}
