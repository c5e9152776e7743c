package postgresql

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// settings are where the database is and as whom to ask it: a connection string,
// or what one is made of.
type settings struct {
	connection param.Secret
	host       string
	port       string
	user       string
	database   string
	sslmode    string
	password   param.Secret
	azure      azureauth.Identity
	tls        tlsconf.Settings
}

// maxMessage bounds what a server may send at a time, such as a row, in bytes.
const maxMessage = 16 << 20

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	secret, ordinary := param.From(param.Auth, param.Env), param.From(param.Auth, param.Metadata)
	p.Secret(&s.connection, "connection", "Connection string: `postgres://user:password@host:port/database?sslmode=...`, or the same as `key=value` pairs.", secret)
	p.String(&s.host, "host", "Host of the server, where there is no connection string; then the four parameters after it are needed too.", ordinary)
	p.String(&s.port, "port", "Port of the server.", ordinary)
	p.String(&s.user, "userName", "User to connect as.", ordinary)
	p.String(&s.database, "dbName", "Database to connect to.", ordinary)
	p.String(&s.sslmode, "sslmode", "When to use TLS and what to verify: disable, allow, prefer, require, verify-ca or verify-full.", ordinary)
	p.Secret(&s.password, "password", "Password of the user. Not used with podIdentity azure-workload.", secret)
	sqlquery.BindTLS(&s.tls, p)
	p.Check(func() error {
		s.azure = azureauth.OfWorkload(p.Values())
		if !s.azure.IsZero() {
			s.connection, s.password = param.Secret{}, param.Secret{} // tokens take their place
		}
		if !s.connection.IsZero() {
			s.host, s.port, s.user, s.database, s.sslmode, s.password = "", "", "", "", "", param.Secret{}
			return nil
		}
		for _, f := range []struct{ name, value string }{
			{"host", s.host}, {"port", s.port}, {"userName", s.user}, {"dbName", s.database}, {"sslmode", s.sslmode},
		} {
			if f.value == "" {
				return param.Wrong(f.name, `is required without "connection"`)
			}
		}
		if !s.azure.IsZero() && (!azures(s.host) || s.sslmode == "disable") {
			p.Warn("host", "can never be connected to: with podIdentity azure-workload it must be a host of Azure Database for PostgreSQL, by TLS")
		}
		return nil
	}, "host", "port", "userName", "dbName", "sslmode")
}

// config makes what the client library wants. Its own parser reads the
// environment, files of the home directory and files that a connection string
// names: none of these is a trigger's to use, so that all are overridden.
func (s *settings) config(name string, roots *x509.CertPool) (*pgxpool.Config, error) {
	text := s.connection.Reveal()
	if regexp.MustCompile(`(?i)\b(passfile|service|servicefile|sslcert|sslkey|sslrootcert)\s*=`).MatchString(text) {
		return nil, sqlquery.Refuse("the connection string names files of the process, which no trigger may read",
			"give certificates as ca, cert and key, and the password in the connection string")
	}
	if s.connection.IsZero() {
		text = s.pairs()
	}
	if !s.azure.IsZero() && (!azures(s.host) || s.sslmode == "disable") {
		return nil, sqlquery.Refuse("the process's own token goes to hosts of Azure Database for PostgreSQL only, and by TLS",
			"name such a host, such as NAME.postgres.database.azure.com, and another sslmode than disable")
	}
	c, err := pgxpool.ParseConfig(isolated(text))
	if err != nil { // it quotes the connection string
		return nil, sqlquery.Refuse("the connection string cannot be used", "check its syntax, the port and sslmode; write special characters of a URL percent-encoded")
	}
	conn := &c.ConnConfig.Config
	if conn.RuntimeParams["application_name"] == "" && name != "" {
		conn.RuntimeParams["application_name"] = name
	}
	conn.MaxProtocolMessageBodyLen = maxMessage
	over, err := s.tls.Config(roots)
	if err != nil {
		return nil, err
	}
	s.secure(conn.TLSConfig, conn.Host, over)
	for _, f := range conn.Fallbacks {
		s.secure(f.TLSConfig, f.Host, over)
	}
	if strings.HasPrefix(conn.Host, "/") {
		return nil, sqlquery.Refuse("there is no host", "name one: sockets are of this machine only")
	}
	return c, nil
}

// azures reports whether a host is one of Azure's own: whoever receives the
// process's token can use it.
func azures(host string) bool {
	return !strings.ContainsAny(host, ",/") && slices.ContainsFunc([]string{
		".postgres.database.azure.com", ".postgres.cosmos.azure.com", ".postgres.database.usgovcloudapi.net", ".postgres.database.chinacloudapi.cn",
	}, func(suffix string) bool { return strings.HasSuffix(strings.ToLower(host), suffix) })
}

// pairs is the connection string of single parameters. A token is only sent to a
// server that is verified, whatever sslmode says.
func (s *settings) pairs() string {
	var b strings.Builder
	sslmode := s.sslmode
	if !s.azure.IsZero() {
		sslmode = "verify-full"
	}
	for _, f := range []struct{ key, value string }{
		{"host", s.host}, {"port", s.port}, {"user", s.user}, {"dbname", s.database}, {"sslmode", sslmode}, {"password", s.password.Reveal()},
	} {
		b.WriteString(" " + f.key + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(f.value) + "'")
	}
	return b.String()
}

// isolated gives a connection string defaults of its own for everything that the
// library else takes from the environment or from files.
func isolated(text string) string {
	ours := []struct{ key, value string }{
		{"host", "/none"},
		{"port", "5432"},
		{"user", "postgres"},
		{"password", ""},
		{"dbname", ""},
		{"passfile", ""},
		{"servicefile", ""},
		{"sslmode", "prefer"},
		{"sslcert", ""},
		{"sslkey", ""},
		{"sslrootcert", ""},
		{"sslpassword", ""},
		{"sslsni", "1"},
		{"sslnegotiation", "postgres"},
		{"sslcertmode", "allow"},
		{"target_session_attrs", "any"},
		{"channel_binding", "prefer"},
		{"require_auth", ""},
		{"application_name", ""},
		{"connect_timeout", "5"},
		{"min_protocol_version", ""},
		{"max_protocol_version", ""},
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		var b strings.Builder
		for _, o := range ours {
			b.WriteString(o.key + "='" + o.value + "' ")
		}
		return b.String() + text // what comes later counts
	}
	query := u.Query()
	_, password := u.User.Password()
	there := map[string]bool{
		"host": u.Host != "", "port": u.Port() != "" || strings.Contains(u.Host, ","), "user": u.User.Username() != "", "password": password, "dbname": strings.Trim(u.Path, "/") != "",
	}
	for _, o := range ours {
		if !there[o.key] && !query.Has(o.key) {
			query.Set(o.key, o.value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// secure puts our authorities and client certificate into what sslmode made; nil
// is plain text. With an authority of its own a server is always verified.
func (s *settings) secure(c *tls.Config, host string, over *tls.Config) {
	if c == nil {
		return
	}
	c.RootCAs, c.Certificates, c.MinVersion = over.RootCAs, over.Certificates, over.MinVersion
	if !s.tls.CA.IsZero() && c.VerifyPeerCertificate == nil {
		c.InsecureSkipVerify, c.ServerName = false, host
	}
}
