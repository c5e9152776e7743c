// Package azurekeyvault reads secrets of Azure Key Vault.
package azurekeyvault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Store opens sessions with vaults.
type Store struct{ env scalers.Env }

// New makes a Store. Of env it uses HTTP, which must be set, ClientName and
// RootCAs.
func New(env scalers.Env) *Store { return &Store{env} }

const opening = "connecting to Azure Key Vault"

func invalid(problem, hint string) error {
	return &scalers.Error{Kind: scalers.Invalid, Op: opening, Err: errors.New(problem), Hint: hint}
}

// Open implements secretstore.Store.
func (s *Store) Open(l secretstore.AzureLogin) (secretstore.Session[secretstore.AzureItem], error) {
	host := hostOf(l.VaultURI)
	if host == "" {
		return nil, invalid("vaultUri is not the address of a vault", "give it as https://name.vault.azure.net")
	}
	authority, resource, err := places(l, host)
	if err != nil {
		return nil, err
	}
	who := azureauth.OfApplication(l.TenantID, l.ClientID, l.ClientSecret, authority)
	if l.ClientID == "" && l.ClientSecret.IsZero() {
		who = azureauth.OfWorkload(param.Values{Identity: l.Identity})
	}
	credential, err := who.Credential(s.env)
	if err != nil {
		return nil, err
	}
	transport := azureauth.NewTransport(s.env, 1)
	// A vault says where to get a token for it. Its word counts only for a resource
	// that it is part of: by the SDK's check, or in a private cloud by that of places.
	client, err := azsecrets.NewClient("https://"+host, own{credential, resource}, &azsecrets.ClientOptions{
		ClientOptions: transport.Options(s.env), DisableChallengeResourceVerification: resource != "",
	})
	if err != nil {
		return nil, errors.Join(invalid("the client refuses to be made", "check vaultUri"), transport.Close())
	}
	return &session{client, transport, host}, nil
}

// hostOf returns the host of an https URL that is nothing but a host, or "".
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return ""
	}
	return u.Host
}

// places returns where applications of the login's cloud log in and, in a private
// cloud that says so, the resource to ask tokens for. As whom the process logs in
// is not for the cloud to say: an authority is shown what proves its identity.
func places(l secretstore.AzureLogin, host string) (authority, resource string, err error) {
	if !strings.EqualFold(l.Cloud.Type, azureauth.Private) {
		c, ok := azureauth.FindCloud(l.Cloud.Type)
		if !ok {
			return "", "", invalid("cloud.type names no cloud that is known here", "use AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, or Private")
		}
		return c.Authority, "", nil
	}
	if l.Cloud.ActiveDirectoryEndpoint == "" && l.ClientID != "" {
		return "", "", invalid("cloud.activeDirectoryEndpoint is missing", "set it: cloud.type is Private")
	}
	if l.Cloud.KeyVaultResourceURL == "" {
		return l.Cloud.ActiveDirectoryEndpoint, "", nil
	}
	if of := hostOf(l.Cloud.KeyVaultResourceURL); of == "" || !strings.HasSuffix(host, "."+of) {
		return "", "", invalid("vaultUri is not below cloud.keyVaultResourceURL", "give the resource of the vault's cloud, such as https://vault.example.com")
	}
	return l.Cloud.ActiveDirectoryEndpoint, strings.TrimSuffix(l.Cloud.KeyVaultResourceURL, "/"), nil
}

// own asks for tokens of the login's own tenant, whatever the vault says, and for
// the resource if there is one.
type own struct {
	azcore.TokenCredential
	resource string
}

// GetToken implements azcore.TokenCredential.
func (o own) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	options.TenantID = ""
	if o.resource != "" {
		options.Scopes = []string{o.resource + "/.default"}
	}
	return o.TokenCredential.GetToken(ctx, options)
}

type session struct {
	client    *azsecrets.Client
	transport *azureauth.Transport
	host      string
}

// Close implements secretstore.Session.
func (s *session) Close() error { return s.transport.Close() }

// Read implements secretstore.Session. The secret is the field without a name.
func (s *session) Read(ctx context.Context, item secretstore.AzureItem) (out secretstore.Secret, err error) {
	op := fmt.Sprintf("reading Key Vault secret %q from %s", item.Name, s.host)
	defer func() {
		// azsecrets 1.5.1 takes the challenge of a server apart without checking its
		// length; whoever writes an authentication object chooses the server.
		if recover() != nil {
			err = &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the server asks for a login in a way that is none of Key Vault's"), Hint: "check vaultUri"}
		}
	}()
	if item.Name == "" || strings.Trim(item.Name+item.Version, "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return out, &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("the name or the version is not one of a secret"), Hint: "use letters, digits and dashes"}
	}
	got, err := s.client.GetSecret(ctx, item.Name, item.Version, nil)
	if err != nil {
		return out, failed(op, err)
	}
	if got.Value == nil {
		return out, &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer holds no value")}
	}
	return secretstore.Secret{Fields: map[string]string{"": *got.Value}}, nil
}

// failed explains what the client returned.
func failed(op string, err error) error {
	out := azureauth.Failed(op, err)
	e, isError := errors.AsType[*scalers.Error](out)
	answer, answered := errors.AsType[*azcore.ResponseError](err)
	if !isError || !answered {
		return out
	}
	switch answer.StatusCode {
	case http.StatusForbidden:
		e.Hint = "allow the identity to get secrets: the role Key Vault Secrets User, or an access policy; check the vault's firewall"
		if answer.ErrorCode == "SecretDisabled" {
			e.Hint = "enable the secret, or name another version"
		}
	case http.StatusNotFound:
		e.Hint = "create the secret, or correct name and version"
	}
	return e
}
