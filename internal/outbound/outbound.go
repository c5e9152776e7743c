// Package outbound builds what scalers reach their upstreams with: a dialer, an
// HTTP client and the authorities to trust.
//
// Whoever may write a ScaledObject chooses the address that weir connects to, with
// weir's place in the network. So addresses that answer with credentials of the
// machine or pod to whoever connects are refused, whatever name leads there.
package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Config says how upstreams may be reached. The zero Config works.
type Config struct {
	// AllowLinkLocal permits link-local addresses and the metadata services of
	// clouds.
	AllowLinkLocal bool
	// CADirs hold certificate authorities to trust besides the system's: every
	// regular file in them is read as PEM. A directory that does not exist is
	// skipped.
	CADirs []string
	// Timeout bounds one HTTP request with its answer; zero means 3 s.
	Timeout time.Duration
	// MinTLS is the lowest version of TLS; zero means TLS 1.2.
	MinTLS uint16
	// CipherSuites are allowed up to TLS 1.2; nil means Go's choice.
	CipherSuites []uint16
	// DisableKeepAlives makes a connection per HTTP request.
	DisableKeepAlives bool
	MaxIdle           int           // idle HTTP connections that are kept in all; zero means no bound
	MaxIdlePerHost    int           // ... to one server; zero means 64
	IdleTimeout       time.Duration // how long an idle one is kept; zero means 90 s
}

// Network is how upstreams are reached. Its parts are safe for concurrent use.
type Network struct {
	HTTP  *http.Client
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Roots *x509.CertPool // nil means the system's
}

const (
	defaultTimeout = 3 * time.Second
	// dialTimeout bounds a connection attempt that its context does not.
	dialTimeout = 30 * time.Second
	// idlePerHost is how many idle HTTP connections to one server are kept.
	idlePerHost = 64
	idleTimeout = 90 * time.Second
)

// New builds a Network. The error names a CA file that cannot be used.
func New(c Config) (*Network, error) {
	roots, err := authorities(c.CADirs)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	proxy := http.ProxyFromEnvironment
	if !c.AllowLinkLocal {
		dialer.Control = refuseForbidden
		proxy = guarded(proxy)
	}
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("making an HTTP client: http.DefaultTransport is a %T", http.DefaultTransport)
	}
	transport := base.Clone()
	transport.DialContext, transport.Proxy = dialer.DialContext, proxy
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = c.MaxIdle, cmp.Or(c.MaxIdlePerHost, idlePerHost)
	transport.IdleConnTimeout = cmp.Or(c.IdleTimeout, idleTimeout)
	transport.DisableKeepAlives = c.DisableKeepAlives
	transport.TLSClientConfig = &tls.Config{MinVersion: cmp.Or(c.MinTLS, tls.VersionTLS12), CipherSuites: c.CipherSuites, RootCAs: roots}
	return &Network{
		HTTP:  &http.Client{Timeout: cmp.Or(c.Timeout, defaultTimeout), Transport: transport},
		Dial:  dialer.DialContext,
		Roots: roots,
	}, nil
}

// errForbidden is why an address is refused.
var errForbidden = errors.New("the address is link-local or a cloud's metadata service, which triggers may not reach; " +
	"if it must be reached, start weir with --allow-link-local")

// refuseForbidden is asked before each connection is made, when names are
// resolved.
func refuseForbidden(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address to connect to: %w", err)
	}
	if forbidden(at.Addr()) {
		return errForbidden
	}
	return nil
}

// guarded refuses requests for forbidden addresses that a proxy would make.
func guarded(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		host := strings.ToLower(strings.TrimSuffix(req.URL.Hostname(), "."))
		at, err := netip.ParseAddr(host)
		if err == nil && forbidden(at) || slices.Contains(metadataNames(), host) {
			return nil, errForbidden
		}
		return proxy(req)
	}
}

// forbidden reports whether no trigger may connect to at.
func forbidden(at netip.Addr) bool {
	at = at.Unmap().WithZone("")
	return at.IsLinkLocalUnicast() || at.IsLinkLocalMulticast() || slices.Contains(metadataAddresses(), at.String())
}

// metadataAddresses are metadata services outside the link-local ranges: of AWS
// over IPv6, of Azure (which also serves keys of the machine), of Alibaba Cloud
// and of Oracle Cloud.
func metadataAddresses() []string {
	return []string{"fd00:ec2::254", "fd00:ec2::23", "168.63.129.16", "100.100.100.200", "192.0.0.192"}
}

// metadataNames are names of metadata services, for proxies that resolve names
// themselves.
func metadataNames() []string {
	return []string{"metadata.google.internal", "metadata", "instance-data", "metadata.goog"}
}

// authorities adds those in dirs to the system's; nil when there are none.
func authorities(dirs []string) (*x509.CertPool, error) {
	var pool *x509.CertPool
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("reading certificate authorities: %w", err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			// Mounted Secrets and ConfigMaps are links to files.
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				continue
			}
			text, err := os.ReadFile(path) //nolint:gosec // the operator named the directory
			if err != nil {
				return nil, fmt.Errorf("reading certificate authorities: %w", err)
			}
			if pool == nil {
				if pool, err = x509.SystemCertPool(); err != nil {
					pool = x509.NewCertPool()
				}
			}
			if !pool.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("reading certificate authorities: %s holds no PEM certificate; remove it or correct it", path)
			}
		}
	}
	return pool, nil
}
