// Package azurekeyvault is Azure Key Vault and Microsoft Entra ID for tests, as
// far as reading secrets goes. README.md says what it reproduces.
package azurekeyvault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Server is a cloud with vaults of any name. It is safe for concurrent use.
type Server struct {
	listening *httptest.Server

	mu        sync.Mutex
	apps      map[string]string // client ID to secret
	secrets   map[string]Secret // by host, name and version
	challenge string
	status    int
	tokens    []string // "authority tenant client scope" of each login
	reads     int
}

// Secret is one version of a secret.
type Secret struct {
	Value  string
	Denied bool
}

// Start makes a server that listens on loopback until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{apps: map[string]string{}, secrets: map[string]Secret{}, challenge: "https://vault.azure.net"}
	s.listening = httptest.NewTLSServer(s)
	t.Cleanup(s.listening.Close)
	return s
}

// Client returns a client that finds the server behind every host name.
func (s *Server) Client() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.listening.Certificate())
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.listening.Listener.Addr().String())
		},
	}}
}

// SetApplication registers an application.
func (s *Server) SetApplication(clientID, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[clientID] = secret
}

// SetSecret makes a version of a secret in the vault at host; the empty version
// is the newest.
func (s *Server) SetSecret(host, name, version string, secret Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[host+"/"+name+"/"+version] = secret
}

// SetChallenge sets the resource that the vaults say they are; one beginning with
// "Bearer" is the whole header.
func (s *Server) SetChallenge(resource string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.challenge = resource
}

// Fail makes every request for a secret fail with a status; zero ends that.
func (s *Server) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Logins are "host tenant client scope" of each token issued.
func (s *Server) Logins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.tokens...)
}

// Reads is how many requests with a token asked for a secret.
func (s *Server) Reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenant, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	authority := "https://" + r.Host + "/" + tenant
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		answer(w, http.StatusOK, map[string]any{
			"issuer": authority + "/v2.0", "authorization_endpoint": authority + "/oauth2/v2.0/authorize", "token_endpoint": authority + "/oauth2/v2.0/token",
		})
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		s.token(w, r, tenant)
	case strings.HasPrefix(r.URL.Path, "/secrets/"):
		s.secret(w, r)
	default:
		http.NotFound(w, r)
	}
}

// token answers a login with a client secret. The caller holds mu.
func (s *Server) token(w http.ResponseWriter, r *http.Request, tenant string) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "no form", http.StatusBadRequest)
		return
	}
	client, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if want, ok := s.apps[client]; !ok || want != secret {
		answer(w, http.StatusUnauthorized, map[string]any{
			"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided: " + secret, // worse than the real one
		})
		return
	}
	scope := strings.Fields(r.PostForm.Get("scope"))[0]
	s.tokens = append(s.tokens, fmt.Sprintf("%s %s %s %s", r.Host, tenant, client, scope))
	answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "token for " + scope})
}

// secret answers a read. The caller holds mu.
func (s *Server) secret(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		header := s.challenge
		if !strings.HasPrefix(header, "Bearer") {
			header = fmt.Sprintf("Bearer authorization=%q, resource=%q", "https://login.microsoftonline.com/tenant-of-the-vault", s.challenge)
		}
		w.Header().Set("WWW-Authenticate", header)
		fail(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	s.reads++
	path := strings.TrimPrefix(r.URL.Path, "/secrets/")
	found, ok := s.secrets[r.Host+"/"+path]
	switch {
	case s.status != 0:
		fail(w, s.status, "")
	case !ok:
		fail(w, http.StatusNotFound, "SecretNotFound")
	case found.Denied:
		fail(w, http.StatusForbidden, "Forbidden")
	default:
		answer(w, http.StatusOK, map[string]any{"value": found.Value, "id": "https://" + r.Host + r.URL.Path, "attributes": map[string]any{"enabled": true}})
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": "the message of " + code}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // the client went away
	}
}
