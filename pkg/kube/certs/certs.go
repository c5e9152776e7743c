// Package certs provides the serving certificate of weir's own HTTPS endpoints
// and keeps the aggregator's trust in it right, all without a restart.
//
// A certificate comes from one of two sources with the same methods:
//
//   - [SelfSigned] makes a certificate authority and a serving certificate and
//     keeps both in a Secret that all replicas share. It renews each when two
//     thirds of its life are over. A new authority enters the bundle a whole
//     certificate life before the old one leaves it, so at no moment does a
//     replica serve what a client with a bundle of the last hours distrusts.
//   - [Files] reads a directory (a mounted Secret of cert-manager, or the
//     user's own files) and follows its changes.
//
// [APIService] and [WebhookConfiguration] write the source's bundle into the
// objects through which the API server reaches weir.
//
// The package knows nothing of who serves with the certificates: consumers
// take PEM from CertKeyPEM and are told of changes by OnChange, or hand
// GetCertificate to a tls.Config.
package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The keys of the Secret and the names of the files, as kubernetes.io/tls
// Secrets and cert-manager have them; ca.key exists only in the Secret of
// [SelfSigned].
const (
	certName  = "tls.crt"
	keyName   = "tls.key"
	caName    = "ca.crt"
	caKeyName = "ca.key"
)

// ErrNotLoaded says that a source has not had a certificate yet.
var ErrNotLoaded = errors.New("no serving certificate has been loaded yet")

// Source is a serving certificate that changes while the program runs.
// [SelfSigned] and [Files] implement it; all methods are safe for concurrent use.
type Source interface {
	Serving
	// Load brings the source up to date once. After an error the source keeps
	// what it had.
	Load(ctx context.Context) error
	// Run loads again and again until ctx ends; it returns nil then.
	Run(ctx context.Context) error
	// CABundle returns the certificates by which clients verify the serving
	// certificate, nil when there are none. The caller must not change it.
	CABundle() []byte
	// OnChange has f called, in the goroutine of Load, after the certificate
	// or the bundle has changed. f must not block.
	OnChange(f func())
}

// Serving is the certificate of a [Source] at this moment.
type Serving interface {
	// CertKeyPEM returns the certificate chain and its key, nil before the
	// first Load that succeeded. The caller must not change them.
	CertKeyPEM() (cert, key []byte)
	// GetCertificate returns the same; it fits tls.Config.GetCertificate. The
	// error is ErrNotLoaded before the first Load that succeeded.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// current is what a source serves now.
type current struct {
	now atomic.Pointer[pair]

	mu        sync.Mutex // guards listeners; never held while one is called
	listeners []func()
}

// pair is one consistent state of a source: PEM, and the same parsed.
type pair struct {
	cert, key, ca []byte
	parsed        tls.Certificate
}

// newPair parses cert and key; they must belong together.
func newPair(cert, key, ca []byte) (*pair, error) {
	parsed, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("parsing %s and %s: %w", certName, keyName, err)
	}
	return &pair{cert: cert, key: key, ca: ca, parsed: parsed}, nil
}

// CertKeyPEM returns the certificate chain and its key as PEM, nil before the
// first load. The caller must not change them.
func (c *current) CertKeyPEM() (cert, key []byte) {
	if p := c.now.Load(); p != nil {
		return p.cert, p.key
	}
	return nil, nil
}

// CABundle returns the PEM bundle by which clients verify the certificate,
// nil when there is none. The caller must not change it.
func (c *current) CABundle() []byte {
	if p := c.now.Load(); p != nil {
		return p.ca
	}
	return nil
}

// GetCertificate returns the certificate of this moment; it fits
// tls.Config.GetCertificate. The error is ErrNotLoaded before the first load.
func (c *current) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p := c.now.Load(); p != nil {
		return &p.parsed, nil
	}
	return nil, ErrNotLoaded
}

// OnChange has f called, in the goroutine of Load, after the certificate or
// the bundle has changed. f must not block.
func (c *current) OnChange(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, f)
}

// set makes p current and reports whether that changed anything.
func (c *current) set(p *pair) bool {
	old := c.now.Swap(p)
	if old != nil && bytes.Equal(old.cert, p.cert) && bytes.Equal(old.key, p.key) && bytes.Equal(old.ca, p.ca) {
		return false
	}
	c.mu.Lock()
	listeners := slices.Clip(c.listeners)
	c.mu.Unlock()
	for _, f := range listeners {
		f()
	}
	return true
}

// Limits of the wait after a step that failed; doubled from the one to the other.
const (
	retryMin = time.Second
	retryMax = time.Minute
)

// repeat calls step until ctx ends: every interval, at once when wake is sent
// to, and sooner after an error. It logs when step begins to fail or fails
// otherwise, and once when it succeeds again.
func repeat(
	ctx context.Context, log *slog.Logger, interval time.Duration, wake <-chan struct{}, step func(context.Context) error,
) {
	retry, last := retryMin, ""
	for {
		wait := interval
		switch err := step(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait, retry = min(retry, interval), min(2*retry, retryMax)
			if text := err.Error(); text != last {
				log.Warn("certificate upkeep failed, trying again", "err", err)
				last = text
			}
		case last != "":
			log.Info("certificate upkeep works again", "after", last)
			fallthrough
		default:
			retry, last = retryMin, ""
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-time.After(wait):
		}
	}
}
