// Package vault is a HashiCorp Vault server for tests, as far as reading secrets
// goes. README.md says what it reproduces.
package vault

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The operations that are counted.
const (
	Login  = "login"
	Lookup = "lookup-self"
	Renew  = "renew-self"
	Read   = "read"
	Issue  = "issue"
)

// Server is a Vault server. It is safe for concurrent use.
type Server struct {
	mu      sync.Mutex
	roles   map[string]Role
	tokens  map[string]*token
	secrets map[string]Secret // by namespace, a blank and the path
	counts  map[string]int
	bodies  []map[string]any // of requests to issue
	status  int              // what everything is answered with; zero is the truth
	issued  int
}

// Role lets service accounts log in.
type Role struct {
	JWT       string // the token that it is bound to
	TTL       time.Duration
	Renewable bool
	Policies  []string // path prefixes that its tokens may read; empty means all
}

type token struct {
	Role
	end time.Time // zero means never
}

// Secret is what one path answers.
type Secret struct {
	// Data is the content: of key/value version 1 as it is, of version 2 with data
	// and metadata around it. See V2.
	Data map[string]any
	// Lease makes it a dynamic secret: each read makes a new lease that long, and
	// adds a field "username" with a number that goes up.
	Lease time.Duration
	// Certificate makes it a role of the pki engine, which issues certificates that
	// long.
	Certificate time.Duration
}

// V2 returns data as key/value version 2 answers it; nil data is a version that is
// deleted.
func V2(data map[string]any) map[string]any {
	metadata := map[string]any{"created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": false, "version": 1}
	if data == nil {
		metadata["deletion_time"] = "2026-01-02T00:00:00Z"
		return map[string]any{"data": nil, "metadata": metadata}
	}
	return map[string]any{"data": data, "metadata": metadata}
}

// New makes a server without anything.
func New() *Server {
	return &Server{roles: map[string]Role{}, tokens: map[string]*token{}, secrets: map[string]Secret{}, counts: map[string]int{}}
}

// Start makes a server that listens on loopback until the test ends, and returns
// its address too.
func Start(t testing.TB) (s *Server, address string) {
	t.Helper()
	s = New()
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	return s, listening.URL
}

// SetRole lets service accounts log in at mount.
func (s *Server) SetRole(mount, name string, r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[mount+" "+name] = r
}

// SetToken makes a token; a zero TTL is for ever.
func (s *Server) SetToken(name string, r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[name] = &token{Role: r, end: after(r.TTL)}
}

// Revoke ends all tokens.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// SetSecret sets what path answers in a namespace; one without data, lease and
// certificate removes it.
func (s *Server) SetSecret(namespace, path string, secret Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := namespace + " " + path
	if secret.Data == nil && secret.Certificate == 0 {
		delete(s.secrets, key)
		return
	}
	s.secrets[key] = secret
}

// Fail makes every request fail with a status; zero ends that.
func (s *Server) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Count is how many requests were received for an operation.
func (s *Server) Count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[operation]
}

// Issued are the bodies of requests for certificates.
func (s *Server) Issued() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			refuse(w, http.StatusBadRequest, "failed to parse JSON input: "+err.Error())
			return
		}
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok || r.Header.Get("X-Vault-Request") != "true" {
		refuse(w, http.StatusNotFound)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	mount, login := strings.CutSuffix(path, "/login")
	namespace := r.Header.Get("X-Vault-Namespace")
	secret := s.secrets[namespace+" "+path]
	operation := s.operation(path, login, secret)
	s.counts[operation]++
	if s.status != 0 {
		message := map[int]string{http.StatusServiceUnavailable: "Vault is sealed", http.StatusForbidden: "permission denied"}[s.status]
		refuse(w, s.status, message)
		return
	}
	if login {
		s.logIn(w, strings.TrimPrefix(mount, "auth/"), body)
		return
	}
	s.serve(w, request{operation, path, r.Header.Get("X-Vault-Token"), body}, secret)
}

// request is what a token asks for.
type request struct {
	operation, path, token string
	body                   map[string]any
}

// serve answers a request with a token. The caller holds mu.
func (s *Server) serve(w http.ResponseWriter, r request, secret Secret) {
	t := s.tokens[r.token]
	switch {
	case t == nil, !t.end.IsZero() && !time.Now().Before(t.end):
		refuse(w, http.StatusForbidden, "permission denied", "invalid token")
	case r.operation == Lookup:
		answer(w, map[string]any{"data": map[string]any{"id": r.token, "ttl": seconds(time.Until(t.end), t.end), "renewable": t.Renewable}})
	case r.operation == Renew && !t.Renewable:
		refuse(w, http.StatusBadRequest, "lease is not renewable")
	case r.operation == Renew:
		t.end = after(t.TTL)
		answer(w, map[string]any{"auth": auth(r.token, t.Role)})
	case len(t.Policies) > 0 && !slices.ContainsFunc(t.Policies, func(p string) bool { return strings.HasPrefix(r.path, p) }):
		refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	case secret.Certificate > 0:
		s.issue(w, secret, r.body)
	case secret.Data == nil:
		refuse(w, http.StatusNotFound)
	default:
		s.read(w, r.path, secret)
	}
}

// operation says what a request is counted as.
func (*Server) operation(path string, login bool, secret Secret) string {
	switch {
	case login:
		return Login
	case path == "auth/token/lookup-self":
		return Lookup
	case path == "auth/token/renew-self":
		return Renew
	case secret.Certificate > 0:
		return Issue
	}
	return Read
}

// logIn answers a login by the kubernetes method. The caller holds mu.
func (s *Server) logIn(w http.ResponseWriter, mount string, body map[string]any) {
	role, ok := s.roles[fmt.Sprintf("%s %s", mount, body["role"])]
	switch {
	case !ok:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("invalid role name %q", body["role"]))
		return
	case body["jwt"] != role.JWT:
		refuse(w, http.StatusForbidden, fmt.Sprintf("token %s is not authorized", body["jwt"])) // worse than the real one
		return
	}
	name := fmt.Sprintf("hvs.login-%d", s.counts[Login])
	s.tokens[name] = &token{Role: role, end: after(role.TTL)}
	answer(w, map[string]any{"auth": auth(name, role)})
}

// read answers with a secret. The caller holds mu.
func (s *Server) read(w http.ResponseWriter, path string, secret Secret) {
	out := map[string]any{"data": secret.Data, "lease_id": "", "lease_duration": 2764800, "renewable": false}
	if data, ok := secret.Data["data"]; ok && data == nil {
		w.WriteHeader(http.StatusNotFound) // a deleted version is told with its metadata
	} else if ok {
		out["lease_duration"] = 0
	}
	if secret.Lease > 0 {
		s.issued++
		data := maps.Clone(secret.Data)
		data["username"] = fmt.Sprintf("user-%d", s.issued)
		out["data"], out["lease_id"], out["lease_duration"] = data, fmt.Sprintf("%s/%d", path, s.issued), secret.Lease/time.Second
	}
	answer(w, out)
}

// issue answers with a certificate. The caller holds mu.
func (s *Server) issue(w http.ResponseWriter, secret Secret, body map[string]any) {
	s.issued++
	s.bodies = append(s.bodies, body)
	answer(w, map[string]any{"data": map[string]any{
		"certificate": fmt.Sprintf("certificate-%d", s.issued), "private_key": fmt.Sprintf("key-%d", s.issued),
		"ca_chain": []string{"intermediate", "root"}, "expiration": time.Now().Add(secret.Certificate).Unix(),
	}})
}

func auth(name string, r Role) map[string]any {
	return map[string]any{"client_token": name, "lease_duration": r.TTL / time.Second, "renewable": r.Renewable}
}

// after is the end of what lives that long; zero is for ever.
func after(ttl time.Duration) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return time.Now().Add(ttl)
}

func seconds(d time.Duration, end time.Time) int {
	if end.IsZero() {
		return 0
	}
	return int(d / time.Second)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // the client went away
	}
}

func refuse(w http.ResponseWriter, status int, messages ...string) {
	w.WriteHeader(status)
	answer(w, map[string]any{"errors": append([]string{}, messages...)})
}
