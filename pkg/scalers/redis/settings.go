package redis

import (
	"crypto/tls"
	"crypto/x509"
	"math"
	"net"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// deployment is how the servers are arranged.
type deployment string

const (
	standalone deployment = ""
	cluster    deployment = "cluster"
	sentinel   deployment = "sentinel"
)

// settings are where to connect and as whom. What a deployment does not use is
// zero, so that it never keeps two triggers from sharing a connection.
type settings struct {
	deployment deployment
	addresses  param.List // seeds of a cluster, sentinels, or the one server
	database   int64      // >= 0

	username string
	password param.Secret

	sentinelUsername string
	sentinelPassword param.Secret
	sentinelMaster   string

	useTLS bool
	tls    tlsconf.Settings
}

// bind declares the parameters that all six types share. The order of places
// differs between them; users' manifests depend on it.
func (s *settings) bind(p *param.Set) {
	var hosts, ports param.List
	var enable bool
	var mode string
	ordinary := param.From(param.Metadata, param.Env, param.Auth)
	secret := param.From(param.Metadata, param.Auth, param.Env)

	address, database, onlySentinel := s.deployment.notes()
	p.List(&s.addresses, "address", address, secret, param.Alias("addresses"))
	p.List(&hosts, "host", "Hosts, separated by commas; used together with `port`.", ordinary, param.Alias("hosts"))
	p.List(&ports, "port", "Ports, one for each host.", ordinary, param.Alias("ports"))
	p.Check(func() error { return s.completeAddresses(p, hosts.Items(), ports.Items()) }, "address", "host", "port")

	p.Int(&s.database, math.MinInt64, math.MaxInt64, "databaseIndex", database)
	p.String(&s.username, "username", "ACL user to connect as; empty means the default user.", ordinary)
	p.Secret(&s.password, "password", "Password of the user.", ordinary)
	p.String(&s.sentinelUsername, "sentinelUsername", "ACL user to ask the sentinels as."+onlySentinel, secret)
	p.Secret(&s.sentinelPassword, "sentinelPassword", "Password for the sentinels."+onlySentinel, secret)
	p.String(&s.sentinelMaster, "sentinelMaster", "What the sentinels call the master."+onlySentinel, secret)
	p.Check(func() error {
		s.forget(p)
		return nil
	})

	p.Bool(&enable, "enableTLS", "Connect by TLS.")
	p.String(&mode, "tls", "Connect by TLS; the same as `enableTLS`, for authentication objects.",
		param.From(param.Auth), param.OneOf("enable", "disable"))
	p.Exclusive("enableTLS", "tls")
	s.tls.Bind(p)
	p.Check(func() error {
		if s.useTLS = enable || mode == "enable"; !s.useTLS {
			s.tls = tlsconf.Settings{}
		}
		return nil
	})
}

// notes are the words of the reference pages that differ between deployments.
func (d deployment) notes() (address, database, master string) {
	database, master = "Number of the database.", " Ignored: there are no sentinels."
	switch d {
	case cluster:
		database = "Ignored: a cluster has one database."
		address = "Nodes of the cluster as `host:port`, separated by commas. The others are found by asking them."
	case sentinel:
		address, master = "Sentinels as `host:port`, separated by commas.", ""
	case standalone:
		address = "Server as `host:port`. Only the first of several is used."
	}
	return address, database, master
}

// completeAddresses appends host and port pairs to the addresses.
func (s *settings) completeAddresses(p *param.Set, hosts, ports []string) error {
	all := s.addresses.Items()
	switch {
	case len(hosts) > 0 && len(ports) > 0:
		if len(hosts) != len(ports) {
			return param.Wrong("port", "must have as many items as %q", "host")
		}
		for i := range hosts {
			all = append(all, hosts[i]+":"+ports[i])
		}
	case len(hosts) > 0:
		p.Warn("host", "is ignored without %q", "port")
	case len(ports) > 0:
		p.Warn("port", "is ignored without %q", "host")
	}
	if len(all) == 0 || all[0] == "" {
		return param.Wrong("address", `is required, or "host" and "port"; the first address must not be empty`)
	}
	if s.deployment == standalone && len(all) > 1 {
		p.Warn("address", "names several servers; this type uses the first only")
		all = all[:1]
	}
	s.addresses = param.NewList(all...)
	return nil
}

// forget drops what the deployment does not use.
func (s *settings) forget(p *param.Set) {
	if s.deployment != sentinel {
		s.sentinelUsername, s.sentinelPassword, s.sentinelMaster = "", param.Secret{}, ""
	} else if s.sentinelMaster == "" {
		p.Warn("sentinelMaster", "is needed to find the master; connecting fails without it")
	}
	switch {
	case s.deployment == cluster:
		s.database = 0
	case s.database < 0:
		p.Warn("databaseIndex", "is negative; database 0 is used")
		s.database = 0
	}
}

// tlsConfig returns nil when TLS is off.
func (s *settings) tlsConfig(roots *x509.CertPool) (*tls.Config, error) {
	if !s.useTLS {
		return nil, nil
	}
	return s.tls.Config(roots)
}

// redact removes the passwords from what a server said: servers quote commands
// they do not know, AUTH with its arguments included.
func (s *settings) redact(text string) string {
	for _, secret := range []param.Secret{s.password, s.sentinelPassword} {
		if !secret.IsZero() {
			text = strings.ReplaceAll(text, secret.Reveal(), secret.String())
		}
	}
	return text
}

// where names the servers for people.
func (s *settings) where() string {
	name := map[deployment]string{standalone: "Redis at ", cluster: "the Redis cluster at ", sentinel: "the Redis sentinels at "}
	return name[s.deployment] + s.addresses.String()
}

// hostOnly is the name to verify a server's certificate against.
func hostOnly(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}
