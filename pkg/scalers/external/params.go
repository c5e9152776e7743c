package external

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	pb "github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
	"github.com/weir-sh/weir/pkg/scalers/internal/grpcx"
	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// settings say where the server is and as whom to connect.
type settings struct {
	address string
	useTLS  bool
	tls     tlsconf.Settings // zero without TLS
}

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	p.String(&s.address, "scalerAddress", "The server, as `host:port`. A name that stands for several servers is connected to one of them.", param.Required)
	p.Bool(&s.useTLS, "enableTLS", "Connect by TLS. `caCert`, and `tlsClientCert` with `tlsClientKey`, imply it.")
	p.Bool(&s.tls.SkipVerify, "unsafeSsl", "Accept any certificate of the server. Traffic can then be read and changed on the way.")
	p.Secret(&s.tls.CA, "caCert", "Certificate authority to trust besides the system's, as PEM text.")
	p.Secret(&s.tls.Cert, "tlsClientCert", "Client certificate, as PEM text.")
	p.Secret(&s.tls.Key, "tlsClientKey", "Key of the client certificate, as PEM text.")
	p.Check(func() error {
		s.complete(p)
		return nil
	}, "enableTLS", "unsafeSsl")
	p.Check(func() error {
		if _, ok := grpcx.Endpoint(s.address); !ok && s.address != "" {
			p.Warn("scalerAddress", "cannot be connected to; give it as host:port")
		}
		return nil
	}, "scalerAddress")
}

// complete decides on TLS and drops what has no effect.
func (s *settings) complete(p *param.Set) {
	switch {
	case s.tls.Cert.IsZero() == s.tls.Key.IsZero():
	case s.tls.Key.IsZero():
		p.Warn("tlsClientCert", "has no effect without %q", "tlsClientKey")
	default:
		p.Warn("tlsClientKey", "has no effect without %q", "tlsClientCert")
	}
	if s.tls.Cert.IsZero() || s.tls.Key.IsZero() {
		s.tls.Cert, s.tls.Key = param.Secret{}, param.Secret{}
	}
	s.useTLS = s.useTLS || !s.tls.CA.IsZero() || !s.tls.Cert.IsZero()
	switch {
	case !s.tls.SkipVerify:
	case s.useTLS:
		p.Warn("unsafeSsl", "accepts any certificate: whoever is on the way can read and change the traffic; give the authority as caCert instead")
	default:
		p.Warn("unsafeSsl", "has no effect without %q", "enableTLS")
	}
	if !s.useTLS {
		s.tls = tlsconf.Settings{}
	}
}

// config returns nil when TLS is off.
func (s *settings) config(roots *x509.CertPool) (*tls.Config, error) {
	if !s.useTLS {
		return nil, nil
	}
	config, err := s.tls.Config(roots)
	if err != nil {
		// It names the parameters as other scalers do.
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: "reading caCert, tlsClientCert and tlsClientKey", Err: errors.New("one of them cannot be used"),
			Hint: scalers.HintOf(err),
		}
	}
	return config, nil
}

// query is one trigger of one object: the server may answer each differently.
type query struct {
	namespace, name string
	// metadata is what the server gets of the trigger, as a JSON object. It may
	// hold secrets, which the environment of the workload gave.
	metadata param.Secret
}

// fromEnv ends the names of metadata whose values name an environment variable.
const fromEnv = "FromEnv"

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	p.AllowOther()
	p.Check(func() error {
		v := p.Values()
		encoded, err := json.Marshal(forwarded(v, p.Warn))
		if err != nil {
			return fmt.Errorf("encoding the metadata: %w", err)
		}
		*q = query{namespace: v.Namespace, name: v.Name, metadata: param.NewSecret(string(encoded))}
		return nil
	})
}

// forwarded returns what the server gets: all metadata as it is, and under the
// names that end in FromEnv what the environment holds. Nothing of it comes from
// an authentication object.
func forwarded(v param.Values, warn func(name, format string, args ...any)) map[string]string {
	out := maps.Clone(v.Metadata)
	for key, variable := range v.Metadata {
		if !strings.HasSuffix(key, fromEnv) {
			continue
		}
		out[key] = v.Env[strings.TrimSpace(variable)]
		if out[key] == "" {
			delete(out, key)
			warn(key, "names a variable that the workload's container does not set; it is not handed on")
		}
	}
	return out
}

// ref returns q as the server gets it, and what takes the values of the
// environment out of a text.
func (q query) ref() (*pb.ScaledObjectRef, func(string) string, error) {
	metadata := map[string]string{}
	if err := json.Unmarshal([]byte(q.metadata.Reveal()), &metadata); err != nil {
		return nil, nil, errors.New("decoding the metadata")
	}
	var secrets []string
	for key, value := range metadata {
		if strings.HasSuffix(key, fromEnv) {
			secrets = append(secrets, value)
		}
	}
	// A secret that holds another one must be replaced first.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	redact := func(text string) string {
		for _, s := range secrets {
			text = strings.ReplaceAll(text, s, param.Secret{}.String())
		}
		return text
	}
	return &pb.ScaledObjectRef{Name: q.name, Namespace: q.namespace, ScalerMetadata: metadata}, redact, nil
}
