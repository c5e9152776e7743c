package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
)

// decode takes the fields out of an answer; nil is none.
func decode(answer *api.Secret, kind v1alpha1.VaultSecretType) (secretstore.Secret, error) {
	if answer == nil || len(answer.Data) == 0 {
		return secretstore.Secret{}, errors.New("it does not exist")
	}
	data := answer.Data
	inner, isV2 := data["data"].(map[string]any)
	_, hasInner := data["data"]
	_, hasMetadata := data["metadata"]
	switch {
	case kind == v1alpha1.VaultSecretTypeV2 && !isV2, kind == v1alpha1.VaultSecretTypeAny && !isV2 && hasInner && hasMetadata:
		return secretstore.Secret{}, errors.New("its newest version is deleted, or it is none of key/value version 2")
	case isV2 && (kind == v1alpha1.VaultSecretTypeV2 || kind == v1alpha1.VaultSecretTypeAny):
		data = inner
	}
	out := secretstore.Secret{Fields: make(map[string]string, len(data)), Life: life(answer)}
	for k, v := range data {
		out.Fields[k] = text(v)
	}
	return out, nil
}

// life is how long the answer is good: that of a lease or of a certificate. A
// key/value store answers with a duration that is no lease.
func life(answer *api.Secret) time.Duration {
	if answer.LeaseID != "" && answer.LeaseDuration > 0 {
		return time.Duration(answer.LeaseDuration) * time.Second
	}
	end, ok := answer.Data["expiration"].(json.Number)
	if _, certificate := answer.Data["certificate"]; !ok || !certificate {
		return 0
	}
	at, err := end.Int64()
	if err != nil {
		return 0
	}
	return max(time.Until(time.Unix(at, 0)), time.Second)
}

// text writes a value: text as it is, a list of text joined with line breaks as
// a chain of certificates is, anything else as JSON.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		lines := make([]string, len(v))
		for i, item := range v {
			line, ok := item.(string)
			if !ok {
				return asJSON(v)
			}
			lines[i] = line
		}
		return strings.Join(lines, "\n")
	}
	return asJSON(v)
}

func asJSON(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return "" // what came as JSON can be written as such
	}
	return string(out)
}

// answerLimit is the size of an answer, in bytes. Vault's own limit of a request,
// and so of a secret, is 32 MiB; a secret of credentials is far below this.
const answerLimit = 4 << 20

// errRedirected says that the server sends us elsewhere.
var errRedirected = errors.New("the server redirects elsewhere")

// bounded fails redirects, which the client takes for success, and the reading of
// answers that are too large.
type bounded struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, errors.Join(errRedirected, resp.Body.Close())
	}
	resp.Body = &body{resp.Body, answerLimit}
	return resp, nil
}

type body struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("the answer is larger than %d bytes", answerLimit)
	}
	return n, err
}
