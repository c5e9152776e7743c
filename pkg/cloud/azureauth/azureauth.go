// Package azureauth logs in to Azure for everything that talks to it: as the
// process's workload identity or as an application with a secret. It also holds
// what clients of the Azure SDK have in common: the names of the clouds, a
// transport made of the process's HTTP client, and errors with a kind.
//
// An Identity is a plain value that settings can hold; the tokens are the
// business of the Credential made of it, which refreshes them, so that a source
// never reopens for a token. Nothing here knows Kubernetes.
package azureauth

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Workload is the provider of pod identities that this package serves.
const Workload = "azure-workload"

// Identity says as whom to connect. It is comparable, so that settings can hold
// it. The zero value is nobody.
type Identity struct {
	kind      kind
	scope     string // the namespace it is for; empty means all
	shared    bool   // any namespace may use it
	client    string
	tenant    string
	authority string
	secret    param.Secret
}

type kind uint8

const (
	nobody kind = iota
	workload
	application
)

// OfWorkload is the process's workload identity, with what the trigger's
// authentication object replaces of it. It is nobody when v's provider is another.
// Identities of two namespaces differ, unless the object is for all namespaces.
func OfWorkload(v param.Values) Identity {
	if v.Identity.Provider != Workload {
		return Identity{}
	}
	return Identity{
		kind: workload, scope: v.Scope(), shared: v.Identity.Shared,
		client: v.Identity.ID, tenant: v.Identity.TenantID, authority: v.Identity.AuthorityHost,
	}
}

// OfApplication is an application that logs in with a secret. Authority is the URL
// of the cloud's login, see Cloud; empty means the public cloud's.
func OfApplication(tenant, client string, secret param.Secret, authority string) Identity {
	return Identity{kind: application, tenant: tenant, client: client, secret: secret, authority: authority}
}

// IsZero reports whether it is nobody.
func (i Identity) IsZero() bool { return i == Identity{} }

const opening = "preparing the Azure identity"

// Credential makes what clients of the Azure SDK ask for tokens. It asks nobody
// yet. Tokens are kept and refreshed as long as it is used; it is safe for use by
// several goroutines. The errors, its own and those of GetToken, are
// *scalers.Error: Invalid when the user must change something, Unauthorized when
// the process has no workload identity. There is nothing to close: a token is
// wanted once an hour, so that no connection stays open for it.
func (i Identity) Credential(env scalers.Env) (azcore.TokenCredential, error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	transport := NewTransport(env, 1)
	if transport.own != nil {
		transport.own.DisableKeepAlives = true
	}
	options := transport.Options(env)
	// A login has a body, which the SDK would rewind for a retry while net/http may
	// still be sending it.
	options.Retry.MaxRetries = -1
	if i.authority != "" {
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: i.authority}
	}
	// The authority is the operator's choice or one that check knows: asking the
	// public cloud about it would only fail where there is no way to it.
	if i.kind == application {
		made, err := azidentity.NewClientSecretCredential(i.tenant, i.client, i.secret.Reveal(), &azidentity.ClientSecretCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: true,
		})
		if err != nil {
			return nil, invalid("the tenant or the authority cannot be used", "check tenant and cloud")
		}
		return &credential{made}, nil
	}
	made, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: options, ClientID: i.client, TenantID: i.tenant, DisableInstanceDiscovery: true,
	})
	if err != nil {
		return nil, &scalers.Error{
			Kind: scalers.Unauthorized, Op: opening, Err: fmt.Errorf("this process has no Azure workload identity: %w", err),
			Hint: "have the workload identity webhook set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE in this process, or use a connection string",
		}
	}
	return &credential{made}, nil
}

// check refuses what can never work, and an authority that is to get the
// process's token without the operator's consent: whoever receives that token can
// log in with it.
func (i Identity) check() error {
	if i.kind == nobody {
		return invalid("there is none", "set podIdentity "+Workload+" in the authentication object")
	}
	if strings.ContainsFunc(i.tenant, func(r rune) bool { return !strings.ContainsRune(inTenants, r) }) {
		return invalid("the tenant is not an id or a domain", "check identityTenantId")
	}
	if i.authority == "" {
		return nil
	}
	host, ok := hostOf(i.authority)
	if !ok {
		return invalid("the authority is not the address of a host", `give identityAuthorityHost as "https://host/"`)
	}
	if i.kind == workload && !i.shared && !slices.Contains(authorities(), host) {
		return invalid("the authority is none of Azure's, and would receive the process's token",
			"name it in a ClusterTriggerAuthentication")
	}
	return nil
}

// inTenants are the characters of ids and domains.
const inTenants = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

// hostOf returns the host, in lower case, of an address that holds nothing else.
func hostOf(authority string) (host string, ok bool) {
	u, err := url.Parse(authority)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", false
	}
	return strings.ToLower(u.Host), true
}

// authorities are the hosts where the identities of Azure's clouds log in.
func authorities() []string {
	return []string{
		"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net",
		"login.microsoftonline.us", "login-us.microsoftonline.com",
		"login.chinacloudapi.cn", "login.partner.microsoftonline.cn", "login.microsoftonline.de",
	}
}

func invalid(problem, hint string) error {
	return &scalers.Error{Kind: scalers.Invalid, Op: opening, Err: errors.New(problem), Hint: hint}
}
