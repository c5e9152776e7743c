// Package metricsapi serves external.metrics.k8s.io/v1beta1, the API from
// which the HorizontalPodAutoscaler reads how much work there is.
//
// A read names a namespace, a metric and, as label selector, the ScaledObject:
//
//	GET /apis/external.metrics.k8s.io/v1beta1/namespaces/NS/METRIC?labelSelector=scaledobject.keda.sh/name=NAME
//
// It is answered from memory through [Readings]; nothing here ever asks an
// upstream. A value that is not known is an error, which makes the autoscaler
// keep the replicas it has, never a zero, which would take them away.
//
// Callers are authenticated and authorised by the API server: the aggregator by
// its client certificate and the identity it forwards, everybody else by
// bearer token. Only the health endpoints are open.
package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"k8s.io/client-go/kubernetes"
)

// Metric is one number for the autoscaler.
type Metric struct {
	Value float64   // in the trigger's unit; [Quantity] says how it is exposed
	At    time.Time // when it was true upstream
}

// Readings answers what is known about a trigger.
type Readings interface {
	// ExternalMetric returns the newest value of a metric of the ScaledObject
	// object in namespace. It answers from memory within 250 ms, whatever the
	// upstream does, and must be safe for concurrent use.
	//
	// metric is in lower case: metric names are matched without regard to
	// case, and this package does the folding, with strings.ToLower. An
	// implementation has to keep its names folded the same way.
	//
	// The error is a *NotFoundError when there is no such object or metric.
	// Any other error says why there is no value to rely on; its text is shown
	// in the conditions of the autoscaler, so it must hold no secret.
	ExternalMetric(ctx context.Context, namespace, object, metric string) (Metric, error)
}

// NotFoundError says that an object or a metric does not exist.
type NotFoundError struct {
	What string // as in: metric "s0-x" of ScaledObject "shop/orders"
}

// Error says what does not exist.
func (e *NotFoundError) Error() string { return e.What + " not found" }

// Certificate is the serving certificate; it may change at any time.
type Certificate interface {
	// CertKeyPEM returns the chain and its key, nil while there is none yet.
	CertKeyPEM() (cert, key []byte)
	// OnChange has f called after each change. f does not block.
	OnChange(f func())
}

// Config says what to serve, where, and who decides about callers.
type Config struct {
	Readings    Readings    // required
	Certificate Certificate // required; Run serves as soon as it has one
	// Kube is asked about callers: TokenReviews, SubjectAccessReviews, and the
	// ConfigMap kube-system/extension-apiserver-authentication with the
	// aggregator's certificate authority. Its client-side rate limit also
	// limits how fast new callers can be judged. Required.
	Kube kubernetes.Interface
	// Address to listen on, as "host:port"; an empty host is all interfaces.
	// Required without Listener.
	Address string
	// Listener, when set, is used instead of Address; Run closes it.
	Listener     net.Listener
	MinTLS       uint16   // version of TLS; zero means 1.2
	CipherSuites []uint16 // up to TLS 1.2; nil means Go's choice
	// Ready, when set, decides about /readyz along with the server's own
	// checks: an error is "not ready".
	Ready func() error
	Log   *slog.Logger // required
}

// Server serves external metrics.
type Server struct {
	cfg     Config
	changed chan struct{} // has room for one; sent to when the certificate has changed
}

// New checks cfg and subscribes to cfg.Certificate; it does no I/O and starts nothing.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Readings == nil || cfg.Certificate == nil || cfg.Kube == nil || cfg.Log == nil:
		return nil, errors.New("the external metrics API needs Readings, Certificate, Kube and Log")
	case cfg.Address == "" && cfg.Listener == nil:
		return nil, errors.New("the external metrics API needs an address to listen on")
	}
	s := &Server{cfg: cfg, changed: make(chan struct{}, 1)}
	cfg.Certificate.OnChange(func() {
		select {
		case s.changed <- struct{}{}:
		default: // somebody is about to look already
		}
	})
	return s, nil
}

// Run listens, waits for the first certificate, then serves until ctx ends.
// Requests under way are given five seconds. It returns nil after an orderly
// stop, and an error when it cannot listen or the server cannot be built.
// It may be called once.
func (s *Server) Run(ctx context.Context) (err error) {
	ln := s.cfg.Listener
	if ln == nil {
		if ln, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Address); err != nil {
			return fmt.Errorf("listening for external metrics on %s: %w", s.cfg.Address, err)
		}
	}
	defer func() {
		// The server closes it when it gets that far.
		if cerr := ln.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) && err == nil {
			err = fmt.Errorf("closing the listener of external metrics: %w", cerr)
		}
	}()
	if !s.awaitCertificate(ctx) {
		return nil
	}
	server, err := s.build(ln)
	if err != nil {
		return fmt.Errorf("building the external metrics API: %w", err)
	}
	s.cfg.Log.Info("serving external metrics", "address", ln.Addr().String())
	if err := server.PrepareRun().RunWithContext(ctx); err != nil {
		return fmt.Errorf("serving external metrics: %w", err)
	}
	return nil
}

// awaitCertificate reports whether a certificate came before ctx ended.
func (s *Server) awaitCertificate(ctx context.Context) bool {
	for {
		if cert, _ := s.cfg.Certificate.CertKeyPEM(); len(cert) > 0 {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-s.changed:
		}
	}
}
