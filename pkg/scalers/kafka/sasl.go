package kafka

import (
	"errors"
	"strings"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// oauth is where tokens come from, and what is sent with them.
type oauth struct {
	tokens     param.URL
	scopes     param.List
	extensions param.List // "name=value"
}

// kerberos is what gssapi needs besides username and password.
type kerberos struct {
	keytab  param.Secret
	realm   param.Secret
	config  param.Secret // contents of krb5.conf
	service string       // what the brokers' principals begin with
	noFAST  bool
}

// How a token for oauthbearer is made.
const (
	bearer  = "bearer"
	byMSK   = "aws_msk_iam"
	oauthID = "oauthTokenEndpointUri"
)

// bindLogin declares the ways to log in. Each type has its own.
func (s *settings) bindLogin(p *param.Set) {
	way, provider := "none", bearer
	ways := []string{"none", string(plain), string(scram256), string(scram512)}
	if s.flavour == classic {
		ways = append(ways, string(oauthBearer), string(gssapi))
	} else {
		ways = append(ways, string(gssapi), string(mskIAM))
	}
	p.String(&way, "sasl", "How to log in.", param.OneOf(ways...), param.From(param.Metadata, param.Auth))
	p.Secret(&s.username, "username", "User to log in as, or OAuth client.")
	p.Secret(&s.password, "password", "Password of the user, or secret of the OAuth client.")
	needs := []string{"sasl"}
	if s.flavour == classic {
		s.bindOAuth(p, &provider)
		s.bindKerberos(p)
		needs = append(needs, "saslTokenProvider", "oauthExtensions")
	} else {
		onlyOnce(p, "sasl")
	}
	s.aws.Bind(p, awsauth.Options{Optional: true})
	p.Check(func() error {
		if s.mechanism = mechanism(way); way == "none" {
			s.mechanism = none
		} else if s.mechanism == oauthBearer && provider == byMSK {
			s.mechanism = mskIAM
		}
		err := s.checkLogin()
		s.warn(p)
		s.forget()
		return err
	}, needs...)
}

func (s *settings) bindOAuth(p *param.Set, provider *string) {
	p.String(provider, "saslTokenProvider", "With `sasl: oauthbearer`, who makes the token: `bearer` by OAuth client credentials, `aws_msk_iam` by signing with AWS credentials.",
		param.OneOf(bearer, byMSK), param.From(param.Metadata, param.Auth))
	p.URL(&s.oauth.tokens, oauthID, "Token endpoint of the OAuth client-credentials flow.", param.From(param.Auth))
	p.List(&s.oauth.scopes, "scopes", "Scopes to ask for, separated by commas.", param.From(param.Auth))
	p.List(&s.oauth.extensions, "oauthExtensions", "SASL extensions to send with the token, as `name=value` separated by commas.", param.From(param.Auth), param.Hidden)
	p.Check(func() error {
		for _, e := range s.oauth.extensions.Items() {
			if strings.Count(e, "=") != 1 {
				return param.Wrong("oauthExtensions", "must be name=value, joined by commas, with one = each")
			}
		}
		return nil
	}, "oauthExtensions")
}

func (s *settings) bindKerberos(p *param.Set) {
	s.kerberos.service = "kafka"
	p.Secret(&s.kerberos.keytab, "keytab", "With `sasl: gssapi`, contents of the user's keytab; replaces the password.")
	p.Secret(&s.kerberos.realm, "realm", "Kerberos realm of the user.")
	p.Secret(&s.kerberos.config, "kerberosConfig", "Contents of krb5.conf.")
	p.String(&s.kerberos.service, "kerberosServiceName", "What the principals of the brokers begin with.", param.From(param.Auth))
	p.Bool(&s.kerberos.noFAST, "kerberosDisableFAST", "Do not use FAST, which some Active Directory servers refuse.", param.From(param.Auth))
}

// checkLogin returns what is missing for the mechanism, all of it.
func (s *settings) checkLogin() error {
	switch s.mechanism {
	case plain:
		return s.needs("username", "password")
	case scram256, scram512:
		if s.flavour == apache {
			return nil // refused when it is opened
		}
		return s.needs("username", "password")
	case oauthBearer:
		return s.needs("username", "password", oauthID)
	case gssapi:
		if s.flavour == apache {
			return nil // refused when it is opened
		}
		return s.checkKerberos()
	case mskIAM:
		var err error
		if !s.useTLS {
			err = param.Wrong("tls", `must be "enable" to log in by AWS IAM`)
		}
		return errors.Join(err, s.aws.Missing())
	case none:
	}
	return nil
}

// needs returns an error for each of the parameters that is missing.
func (s *settings) needs(names ...string) error {
	missing := map[string]bool{
		"username": s.username.IsZero(), "password": s.password.IsZero(), oauthID: s.oauth.tokens.IsZero(),
		"realm": s.kerberos.realm.IsZero(), "kerberosConfig": s.kerberos.config.IsZero(),
	}
	var errs []error
	for _, name := range names {
		if missing[name] {
			errs = append(errs, param.Wrong(name, "is required as an authentication parameter for this way to log in"))
		}
	}
	return errors.Join(errs...)
}

func (s *settings) checkKerberos() error {
	err := s.needs("username", "realm", "kerberosConfig")
	if s.password.IsZero() == s.kerberos.keytab.IsZero() {
		err = errors.Join(err, param.Wrong("keytab", `or "password" is required to log in by Kerberos, and not both`))
	}
	return err
}

// warn tells what is accepted and cannot work, or is not safe.
func (s *settings) warn(p *param.Set) {
	switch {
	case s.flavour == apache && s.mechanism == gssapi:
		p.Warn("sasl", `is "gssapi", which this type accepts and cannot connect by; use the type kafka`)
	case s.flavour == apache && (s.mechanism == scram256 || s.mechanism == scram512) && s.needs("username", "password") != nil:
		p.Warn("username", "and password are needed; connecting fails without them")
	case s.mechanism == none && !s.username.IsZero():
		p.Warn("username", `has no effect without "sasl"`)
	}
	if !s.useTLS && (s.mechanism == plain || s.mechanism == oauthBearer) {
		p.Warn("sasl", `sends the credentials in plain text without TLS; set "tls" to "enable"`)
	}
}

// forget drops what the mechanism does not use.
func (s *settings) forget() {
	if s.mechanism != oauthBearer {
		s.oauth = oauth{}
	}
	if s.mechanism != gssapi {
		s.kerberos = kerberos{}
	}
	if s.mechanism != mskIAM {
		s.aws = awsauth.Settings{}
	} else {
		s.username, s.password = param.Secret{}, param.Secret{}
	}
	if s.mechanism == none {
		s.username, s.password = param.Secret{}, param.Secret{}
	}
}
