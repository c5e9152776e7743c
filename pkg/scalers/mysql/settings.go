package mysql

import (
	"context"
	"crypto/x509"
	"net"

	driver "github.com/go-sql-driver/mysql"

	"github.com/weir-sh/weir/pkg/scalers"
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
	database   string
	user       string
	password   param.Secret
	tls        tlsconf.Settings
}

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	ordinary := param.From(param.Metadata, param.Auth)
	p.Secret(&s.connection, "connectionString", "Connection string: `user:password@tcp(host:port)/database?tls=true`.", param.From(param.Auth, param.Env))
	p.String(&s.host, "host", "Host of the server, where there is no connection string.", ordinary)
	p.String(&s.port, "port", "Port of the server.", ordinary)
	p.String(&s.database, "dbName", "Database to connect to.", ordinary)
	p.String(&s.user, "username", "User to connect as.", param.From(param.Metadata, param.Auth, param.Env))
	p.Secret(&s.password, "password", "Password of the user.", param.From(param.Auth, param.Env))
	sqlquery.BindTLS(&s.tls, p)
	p.Check(func() error {
		if !s.connection.IsZero() {
			s.host, s.port, s.database, s.user, s.password = "", "", "", "", param.Secret{}
		} else if s.host == "" {
			p.Warn("host", "is missing, and so is a connection string: connecting fails without one of them")
		}
		return nil
	})
}

// quiet drops what the client library logs; it comes back as errors, too.
type quiet struct{}

// Print implements the library's logger.
func (quiet) Print(...any) {}

// config makes what the client library wants.
func (s *settings) config(env scalers.Env) (*driver.Config, error) {
	c := driver.NewConfig()
	if s.connection.IsZero() {
		if s.host == "" {
			return nil, sqlquery.Refuse("there is no host", "set host, or a connection string")
		}
		port := s.port
		if port == "" {
			port = "3306"
		}
		c.Net, c.Addr, c.DBName, c.User, c.Passwd = "tcp", net.JoinHostPort(s.host, port), s.database, s.user, s.password.Reveal()
	} else {
		parsed, err := driver.ParseDSN(s.connection.Reveal())
		if err != nil { // it may quote the connection string
			return nil, sqlquery.Refuse("the connection string cannot be used", "write it as user:password@tcp(host:port)/database")
		}
		c = parsed
	}
	if c.Net != "tcp" && c.Net != "tcp4" && c.Net != "tcp6" {
		return nil, sqlquery.Refuse("the connection string names no host", "write it as user:password@tcp(host:port)/database: sockets are of this machine only")
	}
	c.AllowAllFiles = false // or a server could read files of this process
	c.Logger = quiet{}
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return env.Dial(ctx, network, address)
	}
	if c.Timeout == 0 {
		c.Timeout = connectTimeout
	}
	return c, s.secure(c, env.RootCAs)
}

// secure puts our authorities and client certificate into the TLS settings; with
// either of them there is TLS, and the server is verified.
func (s *settings) secure(c *driver.Config, roots *x509.CertPool) error {
	own := !s.tls.CA.IsZero() || !s.tls.Cert.IsZero()
	if c.TLS == nil && !own {
		return nil
	}
	over, err := s.tls.Config(roots)
	if err != nil {
		return err
	}
	if c.TLS != nil && !own { // the user may have asked for it by tls=skip-verify
		over.InsecureSkipVerify = c.TLS.InsecureSkipVerify
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		host = c.Addr
	}
	over.ServerName = host
	c.TLS = over
	c.AllowFallbackToPlaintext = c.AllowFallbackToPlaintext && !own
	return nil
}
