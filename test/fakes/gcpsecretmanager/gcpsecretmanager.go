// Package gcpsecretmanager is Google Cloud Secret Manager for tests, as far as
// reading secrets goes. README.md says what it reproduces.
package gcpsecretmanager

import (
	"context"
	"crypto/x509"
	"hash/crc32"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Server is Secret Manager. It is safe for concurrent use.
type Server struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer

	listening *httptest.Server

	mu      sync.Mutex
	secrets map[string]string // by resource name
	damaged bool
	code    codes.Code
	asked   []string
}

// Start makes a server that listens on loopback with TLS until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{secrets: map[string]string{}}
	grpcServer := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(grpcServer, s)
	s.listening = httptest.NewUnstartedServer(grpcServer)
	s.listening.EnableHTTP2 = true
	s.listening.StartTLS()
	t.Cleanup(func() {
		s.listening.CloseClientConnections()
		s.listening.Close()
	})
	return s
}

// Address is host:port of the server.
func (s *Server) Address() string { return s.listening.Listener.Addr().String() }

// Roots hold the server's certificate.
func (s *Server) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(s.listening.Certificate())
	return roots
}

// SetSecret sets a version by its resource name: projects/p/secrets/s/versions/v.
func (s *Server) SetSecret(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name] = value
}

// Damage makes values not fit their checksums.
func (s *Server) Damage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damaged = true
}

// Fail makes every request fail with a code; OK ends that.
func (s *Server) Fail(code codes.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

// Asked are the resource names that were asked for.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.asked...)
}

// AccessSecretVersion implements the service.
func (s *Server) AccessSecretVersion(ctx context.Context, in *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, in.GetName())
	headers, _ := metadata.FromIncomingContext(ctx)
	bearer := strings.Join(headers.Get("authorization"), ",")
	value, ok := s.secrets[in.GetName()]
	switch {
	case !strings.HasPrefix(bearer, "Bearer "):
		return nil, status.Error(codes.Unauthenticated, "Request is missing required authentication credential.")
	case s.code != codes.OK:
		return nil, status.Errorf(s.code, "refusing %s", bearer) // worse than the real one
	case !ok:
		return nil, status.Errorf(codes.NotFound, "Secret Version [%s] not found.", in.GetName())
	}
	sum := int64(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli)))
	if s.damaged {
		sum++
	}
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: in.GetName(), Payload: &secretmanagerpb.SecretPayload{Data: []byte(value), DataCrc32C: &sum},
	}, nil
}
