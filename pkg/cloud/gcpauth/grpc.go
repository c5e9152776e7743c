package gcpauth

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Endpoint is where an API listens.
type Endpoint struct {
	Address string // host:port
	Plain   bool   // without TLS; no credentials are sent
}

// BindEndpoint declares a parameter called name that replaces an API's address;
// the address already in e is the default. Settings s, bound before, decide which
// addresses are accepted: tokens of the process itself go to Google's hosts only.
func (e *Endpoint) BindEndpoint(p *param.Set, name, doc string, s *Settings) {
	var raw string
	p.String(&raw, name, doc)
	p.Check(func() error {
		if raw == "" {
			return nil
		}
		got, ok := parseEndpoint(raw)
		if !ok {
			return param.Wrong(name, `must be "host:port", or begin with "http://" for an emulator that speaks plain text`)
		}
		*e = got
		if s.own && !got.safe() {
			return param.Wrong(name, "must be a host below googleapis.com with podIdentity gcp: the process's own tokens go nowhere else")
		}
		if got.Plain {
			p.Warn(name, "speaks plain text, and sends no credentials; use it for emulators only")
		}
		return nil
	}, name)
}

// parseEndpoint takes host:port or host, with or without a scheme.
func parseEndpoint(raw string) (Endpoint, bool) {
	scheme, rest, has := strings.Cut(raw, "://")
	if !has {
		scheme, rest = "https", raw
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.ContainsAny(rest, "/@?# ") || scheme != "http" && scheme != "https" {
		return Endpoint{}, false
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.Trim(rest, "[]"), map[string]string{"http": "80", "https": "443"}[scheme]
	}
	if host == "" || port == "" || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return Endpoint{}, false
	}
	return Endpoint{net.JoinHostPort(host, port), scheme == "http"}, true
}

// safe reports whether the process's own tokens may go there, or none do.
func (e Endpoint) safe() bool {
	host, _, err := net.SplitHostPort(e.Address)
	return e.Plain || err == nil && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".googleapis.com")
}

// maxAnswer bounds one answer, in bytes.
const maxAnswer = 64 << 20

// Dial makes a connection to an API which carries a token on every unary call.
// It connects when it is first used; the caller closes it. Calls do not wait for
// a server that cannot be reached.
func (c *Credentials) Dial(env scalers.Env, e Endpoint) (*grpc.ClientConn, error) {
	const op = "connecting to Google Cloud"
	if c.own && !e.safe() {
		return nil, &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("the process's own tokens go to hosts below googleapis.com only")}
	}
	transport := insecure.NewCredentials()
	if !e.Plain {
		transport = credentials.NewTLS(&tls.Config{RootCAs: env.RootCAs, MinVersion: tls.VersionTLS12})
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return env.Dial(ctx, "tcp", address) }),
		grpc.WithNoProxy(), // env.Dial decides how addresses are reached
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent(env.ClientName),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 10 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	if !e.Plain {
		options = append(options, grpc.WithUnaryInterceptor(c.authorize))
	}
	conn, err := grpc.NewClient("passthrough:///"+e.Address, options...)
	if err != nil {
		return nil, &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("the address cannot be used"), Hint: "check the endpoint"}
	}
	return conn, nil
}

// authorize implements grpc.UnaryClientInterceptor. Unlike credentials per call
// it keeps the error of a token that cannot be had.
func (c *Credentials) authorize(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	token, err := c.Token(ctx)
	if err != nil {
		return err
	}
	return invoke(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), method, req, reply, conn, opts...)
}

// Failed makes a *scalers.Error of what a call to an API returned. Op is what was
// tried, as a gerund; grant is the hint when a permission is missing.
func (c *Credentials) Failed(ctx context.Context, op, grant string, err error) error {
	if e, ok := errors.AsType[*scalers.Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: context.Cause(ctx)}
	}
	s, ok := status.FromError(err)
	if !ok {
		return &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: errors.New(scalers.Excerpt(c.redact(err.Error())))}
	}
	kind, hint := verdict(s.Code())
	if s.Code() == codes.PermissionDenied {
		hint = grant
	}
	text := s.Code().String()
	if said := scalers.Excerpt(c.redact(s.Message())); said != "" {
		text += ": " + said
	}
	if strings.Contains(s.Message(), "x509:") {
		hint = "trust the server's certificate authority"
	}
	return &scalers.Error{Kind: kind, Op: op, Err: errors.New(text), Hint: hint, RetryAfter: retryAfter(s)}
}

// verdict says what a status code means for a trigger.
func verdict(code codes.Code) (kind scalers.Kind, hint string) {
	switch code {
	case codes.Unauthenticated:
		return scalers.Unauthorized, "check that the key is not deleted and that its account is enabled"
	case codes.PermissionDenied:
		return scalers.Unauthorized, ""
	case codes.NotFound:
		return scalers.NotFound, ""
	case codes.ResourceExhausted:
		return scalers.Throttled, ""
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition, codes.Unimplemented:
		return scalers.Invalid, ""
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted, codes.Internal, codes.Unknown:
		return scalers.Unreachable, ""
	case codes.OK, codes.AlreadyExists, codes.DataLoss:
	}
	return scalers.BadAnswer, ""
}

// retryAfter is how long the server asked to be left alone; zero when it did not,
// an hour at most.
func retryAfter(s *status.Status) time.Duration {
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return min(max(0, r.GetRetryDelay().AsDuration()), time.Hour)
		}
	}
	return 0
}
