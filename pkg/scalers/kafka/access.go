package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"

	"github.com/weir-sh/weir/pkg/scalers"
)

// access is how connections are made. Both planes of a source use it.
type access struct {
	settings settings
	env      scalers.Env
	tls      *tls.Config // nil for plain connections
	tokens   *tokens     // nil unless the mechanism needs some
	files    *files      // nil without Kerberos
	leaving  sync.WaitGroup
}

// newAccess prepares to connect as s says. What it returns is to be closed.
func newAccess(ctx context.Context, env scalers.Env, s settings) (*access, error) {
	a := &access{settings: s, env: env}
	if s.useTLS {
		var err error
		if a.tls, err = s.tls.Config(env.RootCAs); err != nil {
			return nil, err
		}
	}
	if err := a.prepare(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// prepare makes what the mechanism needs besides user and password.
func (a *access) prepare(ctx context.Context) error {
	s := a.settings
	var err error
	switch s.mechanism {
	case oauthBearer:
		a.tokens, err = newClientTokens(a.env, s)
	case mskIAM:
		a.tokens, err = newSignedTokens(ctx, a.env, s)
	case gssapi:
		if s.flavour == apache {
			return unusable("this type has no Kerberos", "use the trigger type kafka")
		}
		if err = reachable(ctx, a.env, s.kerberos); err == nil {
			a.files, err = s.kerberos.write()
		}
	case scram256, scram512:
		if s.username.IsZero() || s.password.IsZero() {
			return unusable("there is no user or no password", "give username and password")
		}
	case none, plain:
	}
	return err
}

func unusable(what, hint string) error {
	return &scalers.Error{Kind: scalers.Invalid, Op: "logging in to Kafka", Err: errors.New(what), Hint: hint}
}

// close waits for connections that are being given up, and forgets what login
// needed.
func (a *access) close() error {
	a.leaving.Wait()
	return errors.Join(a.tokens.close(), a.files.close())
}

// config is sarama's for one link, which lives as long as life.
func (a *access) config(life context.Context) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = a.settings.release()
	// Asking brokers for the versions they know came with 0.10.
	c.ApiVersionsRequest = c.Version.IsAtLeast(sarama.V0_10_0_0)
	c.MetricRegistry = uncounted{}
	if a.env.ClientName != "" {
		c.ClientID = a.env.ClientName
	}
	c.Net.DialTimeout, c.Net.WriteTimeout = connectTimeout, answerTimeout
	c.Net.ReadTimeout = answerTimeout + longPoll
	c.Net.MaxOpenRequests = 1
	c.Net.Proxy.Enable = true
	c.Net.Proxy.Dialer = dialer{life: life, reach: a.env.Dial, tls: a.tls}
	a.login(life, c)
	return c
}

// login sets how the link logs in.
func (a *access) login(life context.Context, c *sarama.Config) {
	s, sasl := a.settings, &c.Net.SASL
	if s.mechanism == none {
		return
	}
	sasl.Enable, sasl.User, sasl.Password = true, s.username.Reveal(), s.password.Reveal()
	if !c.Version.IsAtLeast(sarama.V1_0_0_0) { // later releases wrap the login in requests
		sasl.Version, c.ApiVersionsRequest = sarama.SASLHandshakeV0, false
	}
	switch s.mechanism {
	case plain:
		sasl.Mechanism = sarama.SASLTypePlaintext
	case scram256:
		sasl.Mechanism, sasl.SCRAMClientGeneratorFunc = sarama.SASLTypeSCRAMSHA256, newSCRAM256
	case scram512:
		sasl.Mechanism, sasl.SCRAMClientGeneratorFunc = sarama.SASLTypeSCRAMSHA512, newSCRAM512
	case oauthBearer, mskIAM:
		sasl.Mechanism, sasl.TokenProvider = sarama.SASLTypeOAuth, tokensOf{a.tokens, life}
	case gssapi:
		sasl.Mechanism = sarama.SASLTypeGSSAPI
		s.kerberos.configure(a.files, c)
	case none:
	}
}

// uncounted is a registry of metrics that are not kept. The library's meters
// start a goroutine that never ends.
type uncounted struct{ metrics.Registry }

// GetOrRegister implements metrics.Registry.
func (uncounted) GetOrRegister(_ string, make any) any {
	switch make.(type) {
	case func() metrics.Histogram:
		return metrics.NilHistogram{}
	case func() metrics.Counter:
		return metrics.NilCounter{}
	}
	return metrics.NilMeter{}
}

// Unregister implements metrics.Registry.
func (uncounted) Unregister(string) {}
