package awsfake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// key is what belongs to an access key.
type key struct {
	secret, token string
	expires       time.Time // zero means never
}

// AllowKey accepts requests signed with a pair of static keys; token is empty
// unless they are temporary.
func (s *Server) AllowKey(id, secret, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id] = key{secret: secret, token: token}
}

// RevokeKeys takes back every key, issued ones included.
func (s *Server) RevokeKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = map[string]key{}
}

// temporary is what STS and the agent hand out.
type temporary struct {
	AccessKeyId, SecretAccessKey, SessionToken string
	Expiration                                 string
}

// issue makes temporary keys. The caller holds s.mu.
func (s *Server) issue(ttl time.Duration) temporary {
	s.issued++
	id := fmt.Sprintf("ASIA%04d", s.issued)
	k := key{secret: "secret-of-" + id, token: "token-of-" + id, expires: time.Now().Add(ttl)}
	s.keys[id] = k
	return temporary{id, k.secret, k.token, k.expires.UTC().Format(time.RFC3339)}
}

// verify checks the signature (version 4) by signing the request again with the
// SDK's own signer. The caller holds s.mu.
func (s *Server) verify(r *http.Request, body []byte) (keyID, region string, refused *Fault) {
	const scheme = "AWS4-HMAC-SHA256 Credential="
	header := r.Header.Get("Authorization")
	credential, rest, ok := strings.Cut(strings.TrimPrefix(header, scheme), ", SignedHeaders=")
	parts := strings.Split(credential, "/") // key, day, region, service, aws4_request
	if !ok || !strings.HasPrefix(header, scheme) || len(parts) != 5 {
		return "", "", refusal("MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	keyID, region, service := parts[0], parts[2], parts[3]
	// Services that never spoke anything but JSON have codes of their own.
	code := func(common, ofJSON string) string {
		if service == "kinesis" || service == "secretsmanager" {
			return ofJSON
		}
		return common
	}
	k, known := s.keys[keyID]
	token := r.Header.Get("X-Amz-Security-Token")
	switch {
	case !known || k.token != token:
		return keyID, region, refusal(code("InvalidClientTokenId", "UnrecognizedClientException"), "The security token included in the request is invalid.")
	case !k.expires.IsZero() && time.Now().After(k.expires):
		return keyID, region, refusal(code("ExpiredToken", "ExpiredTokenException"), "The security token included in the request is expired")
	}
	names, _, _ := strings.Cut(rest, ", ")
	want, err := sign(r, body, k, keyID, service, region, strings.Split(names, ";"))
	if err != nil || want != header {
		return keyID, region, refusal(code("SignatureDoesNotMatch", "InvalidSignatureException"),
			"The request signature we calculated does not match the signature you provided. "+
				"The Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:"+token+"'")
	}
	return keyID, region, nil
}

func refusal(code, message string) *Fault {
	return &Fault{Status: http.StatusForbidden, Code: code, Message: message}
}

// sign returns the Authorization header that r should have.
func sign(r *http.Request, body []byte, k key, keyID, service, region string, headers []string) (string, error) {
	when, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return "", err
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), http.NoBody) //nolint:gosec // it is signed, not sent
	if err != nil {
		return "", err
	}
	for name, values := range r.Header {
		if slices.Contains(headers, strings.ToLower(name)) {
			again.Header[name] = values
		}
	}
	if slices.Contains(headers, "content-length") {
		again.ContentLength = int64(len(body))
	}
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: k.secret, SessionToken: k.token}
	if err := v4.NewSigner().SignHTTP(r.Context(), creds, again, hex.EncodeToString(sum[:]), service, region, when); err != nil {
		return "", err
	}
	return again.Header.Get("Authorization"), nil
}
