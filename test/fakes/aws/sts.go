package awsfake

import (
	"net/http"
	"net/url"
	"time"
)

// Role is one that may be assumed.
type Role struct {
	Trusts     bool          // whoever has a key, AssumeRole
	ExternalID string        // that AssumeRole must give; empty means any
	Token      string        // that AssumeRoleWithWebIdentity must give; empty means none does
	TTL        time.Duration // of its keys; zero means an hour
}

// SetRole makes a role.
func (s *Server) SetRole(arn string, r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.TTL == 0 {
		r.TTL = time.Hour
	}
	s.roles[arn] = r
}

// assumed is the result of both operations, as far as clients read it.
type assumed struct {
	AssumedRoleUser struct{ AssumedRoleId, Arn string }
	Credentials     temporary
}

// routeSTS finds the operation in a form.
func (s *Server) routeSTS(body []byte) (call, bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return call{}, false
	}
	c := call{protocol: queryProtocol(), request: Request{Session: form.Get("RoleSessionName")}}
	role, deny := form.Get("RoleArn"), &Fault{Status: http.StatusForbidden, Code: "AccessDenied", Message: "User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole"}
	grant := func(ok func(Role) bool) func([]byte) (reply, *Fault) {
		return func([]byte) (reply, *Fault) {
			r, known := s.roles[role]
			if !known || !ok(r) {
				return nil, deny
			}
			out := assumed{Credentials: s.issue(r.TTL)}
			out.AssumedRoleUser.AssumedRoleId, out.AssumedRoleUser.Arn = "AROAFAKE:"+c.request.Session, role+"/"+c.request.Session
			return out, nil
		}
	}
	switch form.Get("Action") {
	case "AssumeRole":
		c.operation = AssumeRole
		c.answer = grant(func(r Role) bool { return r.Trusts && (r.ExternalID == "" || r.ExternalID == form.Get("ExternalId")) })
	case "AssumeRoleWithWebIdentity":
		c.operation, c.unsigned = AssumeRoleWithWebIdentity, true
		c.answer = grant(func(r Role) bool { return r.Token != "" && r.Token == form.Get("WebIdentityToken") })
	default:
		return call{}, false
	}
	return c, true
}

// agentPath is where the agent of EKS Pod Identity hands out keys.
const agentPath = "/v1/credentials"

// agent is what it answers.
type agent struct {
	token string
	ttl   time.Duration
}

// SetAgent makes the agent of EKS Pod Identity hand out keys to whoever sends
// token. Its address is URL plus "/v1/credentials".
func (s *Server) SetAgent(token string, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent = agent{token, ttl}
}

func (s *Server) agentAnswer(token string) func([]byte) (reply, *Fault) {
	return func([]byte) (reply, *Fault) {
		if s.agent.token == "" || s.agent.token != token {
			return nil, &Fault{Status: http.StatusUnauthorized, Code: "AccessDenied"}
		}
		t := s.issue(s.agent.ttl)
		return map[string]string{"AccessKeyId": t.AccessKeyId, "SecretAccessKey": t.SecretAccessKey, "Token": t.SessionToken, "Expiration": t.Expiration}, nil
	}
}
