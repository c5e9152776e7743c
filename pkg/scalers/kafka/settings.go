package kafka

import (
	"strings"

	"github.com/IBM/sarama"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// settings are where to connect and as whom. What the way to log in does not
// use is zero, so that it never keeps two triggers from sharing a connection.
type settings struct {
	flavour   flavour
	bootstrap param.List // brokers to begin with, as host:port
	version   string     // newest release of Kafka whose protocol to speak; empty means the newest known
	useTLS    bool
	tls       tlsconf.Settings

	mechanism mechanism
	username  param.Secret // also the OAuth client
	password  param.Secret // also that client's secret
	oauth     oauth
	kerberos  kerberos
	aws       awsauth.Settings
}

// mechanism is a way to log in; empty means none.
type mechanism string

const (
	none        mechanism = ""
	plain       mechanism = "plaintext"
	scram256    mechanism = "scram_sha256"
	scram512    mechanism = "scram_sha512"
	oauthBearer mechanism = "oauthbearer"
	gssapi      mechanism = "gssapi"
	mskIAM      mechanism = "aws_msk_iam"
)

const (
	enable  = "enable"
	disable = "disable"
)

// bind implements Spec.Settings.
func (s *settings) bind(f flavour, p *param.Set) {
	s.flavour = f
	p.List(&s.bootstrap, "bootstrapServers", "Brokers to connect to first, as `host:port` separated by commas. They name the others.",
		param.Required, param.From(param.Metadata, param.Env))
	s.bindTLS(p)
	s.bindLogin(p)
	if f == classic {
		p.String(&s.version, "version", "Newest release of Kafka whose protocol to speak, as `3.6.0`. "+
			"Empty means the newest that the brokers know, which they are asked for.")
		p.Check(func() error {
			if _, err := sarama.ParseKafkaVersion(s.version); s.version != "" && err != nil {
				return param.Wrong("version", "must be a release of Kafka, such as 3.6.0 or 0.11.0.2")
			}
			return nil
		}, "version")
	}
}

func (s *settings) bindTLS(p *param.Set) {
	mode := disable
	p.String(&mode, "tls", "Whether to connect by TLS.", param.OneOf(enable, disable), param.From(param.Metadata, param.Auth))
	if s.flavour == classic {
		s.tls.Bind(p)
	} else {
		onlyOnce(p, "tls")
		p.Secret(&s.tls.CA, "ca", "Certificate authority to trust besides the system's, as PEM text.")
		p.Secret(&s.tls.Cert, "cert", "Client certificate, as PEM text.")
		p.Secret(&s.tls.Key, "key", "Key of the client certificate, as PEM text.")
		p.Secret(&s.tls.KeyPassword, "keyPassword", "Password of the key, when it is encrypted PKCS #8.")
	}
	p.Check(func() error {
		s.useTLS = mode == enable
		given := s.tls
		if !s.useTLS {
			s.tls = tlsconf.Settings{}
		}
		switch {
		case !s.useTLS && (!given.CA.IsZero() || !given.Cert.IsZero() || !given.Key.IsZero()):
			p.Warn("tls", `is not "enable", so that certificates given have no effect and traffic is not encrypted`)
		case s.tls.Cert.IsZero() && !s.tls.Key.IsZero():
			return param.Wrong("cert", `is required when "key" is set`)
		case s.tls.Key.IsZero() && !s.tls.Cert.IsZero():
			return param.Wrong("key", `is required when "cert" is set`)
		}
		return nil
	}, "tls")
}

// onlyOnce refuses a parameter that is both in metadata and in authentication.
func onlyOnce(p *param.Set, name string) {
	p.Check(func() error {
		v := p.Values()
		if strings.TrimSpace(v.Metadata[name]) != "" && strings.TrimSpace(v.Auth[name]) != "" {
			return param.Wrong(name, "is set both in metadata and in authentication; keep one")
		}
		return nil
	})
}

// release is the newest release whose protocol to speak.
func (s *settings) release() sarama.KafkaVersion {
	if v, err := sarama.ParseKafkaVersion(s.version); err == nil {
		return v
	}
	return sarama.MaxVersion
}

// where names the cluster for people.
func (s *settings) where() string { return "Kafka at " + s.bootstrap.String() }
