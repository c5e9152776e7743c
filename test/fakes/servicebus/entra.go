package servicebus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Authority is a stand-in for Microsoft Entra ID, as far as applications log in
// there with an assertion or a secret. Serve it over TLS; clients refuse it
// otherwise. The zero value lets everybody in whose assertion or secret is Proof.
type Authority struct {
	// Tenant and Client are who may log in; empty means anybody.
	Tenant, Client string
	// Proof is the assertion or the secret that is right.
	Proof string
	// Lifetime is how long tokens last, in seconds; zero means 3600.
	Lifetime int

	mu     sync.Mutex // guards all below
	issued []string
	answer *Answer
}

// Fail answers every request for a token with a; nil ends that.
func (a *Authority) Fail(with *Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = with
}

// Issued returns the tokens that were given out, the last one last.
func (a *Authority) Issued() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.issued)
}

// Valid reports whether a token was given out.
func (a *Authority) Valid(token string) bool { return slices.Contains(a.Issued(), token) }

// ServeHTTP implements http.Handler.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tenant, rest, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	base := "https://" + r.Host + "/" + tenant
	switch rest {
	case "v2.0/.well-known/openid-configuration":
		a.reply(w, http.StatusOK, map[string]any{
			"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0",
		})
	case "oauth2/v2.0/token":
		a.login(w, r, tenant)
	default:
		http.NotFound(w, r)
	}
}

// login answers a request for a token.
func (a *Authority) login(w http.ResponseWriter, r *http.Request, tenant string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answer != nil {
		a.answer.write(w)
		return
	}
	if r.Method != http.MethodPost || r.PostFormValue("grant_type") != "client_credentials" {
		a.refuse(w, "unsupported_grant_type", "AADSTS70003: the grant is not supported.")
		return
	}
	proof := r.PostFormValue("client_secret")
	if assertion := r.PostFormValue("client_assertion"); assertion != "" {
		proof = assertion
	}
	switch {
	case a.Tenant != "" && a.Tenant != tenant:
		a.refuse(w, "invalid_request", "AADSTS90002: the tenant was not found.")
	case a.Client != "" && a.Client != r.PostFormValue("client_id"):
		a.refuse(w, "unauthorized_client", "AADSTS700016: the application was not found in the directory.")
	case proof != a.Proof:
		// The real one repeats the subject of the assertion; a fault would show it.
		a.refuse(w, "invalid_client", "AADSTS700213: no matching federated identity record found for "+proof)
	default:
		token := fmt.Sprintf("token-%d-for-%s", len(a.issued)+1, r.PostFormValue("scope"))
		token = strings.NewReplacer(" ", "+", "/", "_", ":", "_").Replace(token)
		a.issued = append(a.issued, token)
		lifetime := a.Lifetime
		if lifetime == 0 {
			lifetime = 3600
		}
		a.reply(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": lifetime, "access_token": token})
	}
}

func (a *Authority) refuse(w http.ResponseWriter, code, description string) {
	a.reply(w, http.StatusBadRequest, map[string]any{"error": code, "error_description": description})
}

func (*Authority) reply(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errcheck // the client may have gone
}
