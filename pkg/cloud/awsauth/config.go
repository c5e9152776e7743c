package awsauth

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/logging"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Config makes the configuration of service clients. Its credentials refresh by
// themselves; getting them is left to the first call. Connections are those of
// env.HTTP. The error is a *scalers.Error.
func (s Settings) Config(ctx context.Context, env scalers.Env) (aws.Config, error) {
	return s.configure(ctx, env, serviceClient(env.HTTP))
}

// Connect is Config for a source that keeps a client: with connections of its
// own, at most conns, which stay open between calls. CloseAll ends requests that
// are under way and closes the connections. The error is a *scalers.Error.
func (s Settings) Connect(ctx context.Context, env scalers.Env, conns int) (cfg aws.Config, closeAll func() error, err error) {
	client := serviceClient(env.HTTP)
	closeAll = client.own(conns)
	if cfg, err = s.configure(ctx, env, client); err != nil {
		return aws.Config{}, nil, errors.Join(err, closeAll())
	}
	return cfg, closeAll, nil
}

// configure loads what the SDK reads of the process: files, environment and the
// default chain of credentials.
func (s Settings) configure(ctx context.Context, env scalers.Env, client *client) (aws.Config, error) {
	if s.way == unknown || s.way == inRole && s.role == "" {
		return aws.Config{}, &scalers.Error{
			Kind: scalers.Invalid, Op: "choosing an AWS identity", Err: errors.New("there is no role to assume"),
			Hint: "annotate the workload's service account with eks.amazonaws.com/role-arn, or name a role in the authentication object",
		}
	}
	options := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}),
		config.WithHTTPClient(chainClient(env)),
		config.WithRetryer(retryer),
	}
	if s.region != "" {
		options = append(options, config.WithRegion(s.region))
	}
	if s.way == byKeys {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(s.keys.ID.Reveal(), s.keys.Secret.Reveal(), s.keys.Token.Reveal())))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil { // its text may quote a file of the process
		return aws.Config{}, &scalers.Error{
			Kind: scalers.Invalid, Op: "loading the AWS configuration of the process", Err: errors.New("the SDK refuses it"),
			Hint: "check Weir's AWS_ environment variables and the files they name",
		}
	}
	cfg.ClientLogMode, cfg.AppID, cfg.HTTPClient = 0, env.ClientName, client
	switch s.way {
	case asSelf:
		cfg.Credentials = told{cfg.Credentials, false}
	case inRole:
		cfg.Credentials = told{s.assume(cfg), true}
	case byKeys, unknown:
	}
	if !s.endpoint.IsZero() {
		// Else AWS_ENDPOINT_URL_<SERVICE> of the process would win.
		cfg.BaseEndpoint, cfg.ConfigSources = aws.String(s.endpoint.Base), nil
	}
	return cfg, nil
}

// Retries are short and few: the engine asks again anyway, and its deadline
// counts all attempts.
const (
	attempts   = 2
	retryDelay = 200 * time.Millisecond
)

// retryer repeats what the network or the server broke. Throttled requests are
// not repeated; the requests after one are slowed down until AWS accepts them.
func retryer() aws.Retryer {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = attempts, retryDelay, ratelimit.None
			o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				if throttled(err) {
					return aws.FalseTernary
				}
				return aws.UnknownTernary
			})}, o.Retryables...)
		})
	})
}

// chainTimeout bounds one request of the default chain.
const chainTimeout = 5 * time.Second

// chainClient is the SDK's client for the default chain. It is used a few times
// an hour, and keeps no connection.
func chainClient(env scalers.Env) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(chainTimeout).WithTransportOptions(func(t *http.Transport) {
		t.DisableKeepAlives = true
		if env.RootCAs != nil {
			if t.TLSClientConfig == nil {
				t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			t.TLSClientConfig.RootCAs = env.RootCAs
		}
	})
}
