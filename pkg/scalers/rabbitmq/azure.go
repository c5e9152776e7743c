package rabbitmq

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// identity is the process's Azure workload identity, and what tokens are for; zero
// means none.
type identity struct {
	as       azureauth.Identity
	resource string
	shared   bool // the operator of the cluster chose the resource
}

// identityOf is the zero identity when no resource is given, or the provider is
// another.
func identityOf(resource string, v param.Values) identity {
	as := azureauth.OfWorkload(v)
	if resource == "" || as.IsZero() {
		return identity{}
	}
	return identity{as: as, resource: resource, shared: v.Identity.Shared}
}

// open makes the tokens for the server at base. Whoever wrote the trigger chose the
// server, which could use a token for Azure itself as the process would.
func (i identity) open(env scalers.Env, base string) (tokens, error) {
	const op = "connecting to RabbitMQ with an Azure identity"
	switch {
	case !strings.HasPrefix(base, "https://"):
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: op, Err: errors.New("the token would be sent in plain text"), Hint: "give an https address",
		}
	case !i.shared && !strings.HasPrefix(i.resource, "api://"):
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: op, Err: errors.New("the resource is not an application of your own"),
			Hint: "give workloadIdentityResource as api://..., or name it in a ClusterTriggerAuthentication",
		}
	}
	credential, err := i.as.Credential(env)
	if err != nil {
		return nil, err
	}
	scope := i.resource
	if !strings.HasSuffix(scope, "/.default") {
		scope = strings.TrimSuffix(scope, "/") + "/.default"
	}
	return &azureTokens{credential: credential, scopes: []string{scope}}, nil
}

// azureTokens are kept and renewed by the credential.
type azureTokens struct {
	credential azcore.TokenCredential
	scopes     []string
	now        param.Secret
}

// Refresh implements tokens.
func (t *azureTokens) Refresh(ctx context.Context) error {
	got, err := t.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: t.scopes})
	if err != nil {
		return err
	}
	t.now = param.NewSecret(got.Token)
	return nil
}

// Authorize implements tokens.
func (t *azureTokens) Authorize(r *http.Request) {
	r.Header.Set("Authorization", "Bearer "+t.now.Reveal())
}
