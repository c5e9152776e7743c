package webhook_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/internal/testpki"
	"github.com/weir-sh/weir/pkg/webhook"
)

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := webhook.New(webhook.Config{Registry: registry(t)}); err == nil || err.Error() != "admission needs Registry, Cache, Certificate and Log" {
		t.Errorf("error %v", err)
	}
}

// TestRun: the certificate is asked for at every handshake, and the end of the
// context is the end of the server.
func TestRun(t *testing.T) {
	t.Parallel()
	pki, err := testpki.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair([]byte(pki.Cert), []byte(pki.Key))
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	s := server(t, newCache(t), func(c *webhook.Config) {
		c.Address, c.Certificate = address, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(pki.CA))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	status := func() (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address+webhook.PathScaledJobs, strings.NewReader("{}"))
		if err != nil {
			return 0, err
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	code, err := status()
	for start := time.Now(); err != nil && time.Since(start) < 10*time.Second; code, err = status() {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil || code != http.StatusOK {
		t.Errorf("status %d, %v; want 200 with an answer inside", code, err)
	}
	transport.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end is %v", err)
	}
	if _, err := status(); err == nil {
		t.Error("it still answers")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	return l.Addr().String()
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s := server(t, newCache(t), func(c *webhook.Config) { c.Address = l.Addr().String() })
	if err := s.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "listening for admission reviews: ") {
		t.Errorf("error %v", err)
	}
}
