package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// ownTokenFile is where Kubernetes puts the token of a container's service
// account.
const ownTokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a path

// wanted is a parameter that is in a store.
type wanted[I comparable] struct {
	parameter string
	item      I
	named     string // what the item is called, for errors
	field     string
}

// store is a kind of store as an authentication object names it.
type store[L, I comparable] struct {
	source string // field of the authentication object
	secret string // what one secret is called, for errors
	reader secretstore.Reader[L, I]
}

// take reads parameters as one login; loginErr is why there is none.
func take[L, I comparable](ctx context.Context, r *resolution, from store[L, I], login L, loginErr error, list []wanted[I]) {
	switch {
	case loginErr != nil:
		r.fail(fmt.Errorf("authentication source %s: %w", from.source, loginErr))
		return
	case from.reader == nil:
		r.fail(&UnreadError{from.source, "only the running controller asks secret stores"})
		return
	}
	for _, w := range list {
		got, err := from.reader.Read(ctx, login, w.item)
		r.within(got.FreshFor)
		value, ok := got.Fields[w.field]
		if err == nil && !ok {
			err = &MissingError{Ref{Kind: from.secret, Name: w.named}, w.field}
		}
		r.set(w.parameter, value, unanswered(ctx, err))
	}
}

// unanswered says of an error that came because the caller gave up that it is no
// answer.
func unanswered(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return &TransientError{err}
	}
	return err
}

func (r *resolution) vault(ctx context.Context, v *v1alpha1.HashiCorpVault) {
	if v == nil {
		return
	}
	login, err := r.vaultLogin(ctx, v)
	var list []wanted[secretstore.VaultItem]
	for _, s := range v.Secrets {
		list = append(list, wanted[secretstore.VaultItem]{s.Parameter, secretstore.VaultItem{Path: s.Path, Type: s.Type, PKI: s.PKIData}, s.Path, s.Key})
	}
	take(ctx, r, store[secretstore.VaultLogin, secretstore.VaultItem]{"hashiCorpVault", "Vault secret", r.Stores.Vault}, login, err, list)
}

// vaultLogin says as whom Vault is asked.
func (r *resolution) vaultLogin(ctx context.Context, v *v1alpha1.HashiCorpVault) (secretstore.VaultLogin, error) {
	login := secretstore.VaultLogin{Address: v.Address, Namespace: v.Namespace}
	var given v1alpha1.VaultCredential
	if v.Credential != nil {
		given = *v.Credential
	}
	own := false // the server is shown the process's own token
	var err error
	switch v.Authentication {
	case v1alpha1.VaultAuthenticationToken:
		login.Token, own = r.vaultToken(v.Address, given)
		if login.Token.IsZero() {
			err = errors.New("authentication token needs credential.token")
		}
	case v1alpha1.VaultAuthenticationKubernetes:
		login.Mount, login.Role = v.Mount, v.Role
		switch {
		case v.Mount == "" || v.Role == "":
			err = errors.New("authentication kubernetes needs mount and role")
		case given.ServiceAccountName != "":
			login.Account, err = r.account(ctx, r.trigger, given.ServiceAccountName)
		default:
			login.TokenFile, own = cmp.Or(given.ServiceAccount, ownTokenFile), true
		}
	default:
		err = errors.New("authentication must be token or kubernetes")
	}
	if own && !r.trustsVault(v.Address) {
		err = errors.New("the server would be shown weir's own token, and weir was not told to trust it; " +
			"give authentication kubernetes a credential.serviceAccountName, use a ClusterTriggerAuthentication, " +
			"or start weir with --vault-address for this server")
	}
	return login, err
}

// vaultToken is the process's token where the server may be shown it, else the
// user's; and whether it is the process's.
func (r *resolution) vaultToken(address string, given v1alpha1.VaultCredential) (token param.Secret, own bool) {
	token = param.NewSecret(given.Token)
	if !r.VaultToken.IsZero() && (token.IsZero() || r.trustsVault(address)) {
		return r.VaultToken, true
	}
	return token, false
}

// trustsVault reports whether a server may be shown the process's own token: the
// operator named it, or wrote the object that does.
func (r *resolution) trustsVault(address string) bool {
	return r.cluster || slices.ContainsFunc(r.VaultAddresses, func(known string) bool {
		return strings.TrimSuffix(known, "/") == strings.TrimSuffix(address, "/")
	})
}

func (r *resolution) azure(ctx context.Context, v *v1alpha1.AzureKeyVault) {
	if v == nil {
		return
	}
	login := secretstore.AzureLogin{VaultURI: v.VaultURI}
	if v.Cloud != nil {
		login.Cloud = *v.Cloud
	}
	var err error
	if c := v.Credentials; c != nil {
		login.ClientID, login.TenantID = c.ClientID, c.TenantID
		login.ClientSecret, err = r.credential(ctx, c.ClientSecret)
	} else {
		login.Identity, err = r.storeIdentity(ctx, v.PodIdentity, v1alpha1.PodIdentityAzureWorkload)
	}
	var list []wanted[secretstore.AzureItem]
	for _, s := range v.Secrets {
		list = append(list, wanted[secretstore.AzureItem]{s.Parameter, secretstore.AzureItem{Name: s.Name, Version: s.Version}, s.Name, ""})
	}
	take(ctx, r, store[secretstore.AzureLogin, secretstore.AzureItem]{"azureKeyVault", "Key Vault secret", r.Stores.Azure}, login, err, list)
}

func (r *resolution) gcp(ctx context.Context, v *v1alpha1.GCPSecretManager) {
	if v == nil {
		return
	}
	var login secretstore.GCPLogin
	var err error
	if c := v.Credentials; c != nil {
		login.Key, err = r.credential(ctx, c.ClientSecret)
	} else {
		login.Identity, err = r.storeIdentity(ctx, v.PodIdentity, v1alpha1.PodIdentityGCP)
	}
	var list []wanted[secretstore.GCPItem]
	for _, s := range v.Secrets {
		list = append(list, wanted[secretstore.GCPItem]{s.Parameter, secretstore.GCPItem{ID: s.ID, Version: s.Version}, s.ID, ""})
	}
	take(ctx, r, store[secretstore.GCPLogin, secretstore.GCPItem]{"gcpSecretManager", "Secret Manager secret", r.Stores.GCP}, login, err, list)
}

func (r *resolution) aws(ctx context.Context, v *v1alpha1.AWSSecretManager) {
	if v == nil {
		return
	}
	login := secretstore.AWSLogin{Region: v.Region}
	var err error
	if c := v.Credentials; c != nil {
		var errs [3]error
		login.AccessKey, errs[0] = r.credential(ctx, c.AccessKey)
		login.SecretKey, errs[1] = r.credential(ctx, c.AccessSecretKey)
		if c.AccessToken != nil {
			login.SessionToken, errs[2] = r.credential(ctx, *c.AccessToken)
		}
		err = errors.Join(errs[:]...)
	} else {
		login.Identity, err = r.storeIdentity(ctx, v.PodIdentity, v1alpha1.PodIdentityAWS)
	}
	var list []wanted[secretstore.AWSItem]
	for _, s := range v.Secrets {
		item := secretstore.AWSItem{Name: s.Name, VersionID: s.VersionID, VersionStage: s.VersionStage}
		list = append(list, wanted[secretstore.AWSItem]{s.Parameter, item, s.Name, s.SecretKey})
	}
	take(ctx, r, store[secretstore.AWSLogin, secretstore.AWSItem]{"awsSecretManager", "Secrets Manager secret", r.Stores.AWS}, login, err, list)
}

// credential reads what to log in to a store with. An empty one is a mistake: it
// would be taken for none.
func (r *resolution) credential(ctx context.Context, from v1alpha1.ValueFromSecret) (param.Secret, error) {
	ref := from.ValueFrom.SecretKeyRef
	value, err := r.secretKey(ctx, ref)
	if err == nil && value == "" {
		err = fmt.Errorf("key %q of %v is empty", ref.Key, Ref{KindSecret, r.objects, ref.Name})
	}
	return param.NewSecret(value), err
}

// storeIdentity returns the identity to log in to a store with. It does not hold
// the namespace: what two of them may read as the same identity is the same.
func (r *resolution) storeIdentity(ctx context.Context, p *v1alpha1.PodIdentity, provider v1alpha1.PodIdentityProvider) (param.Identity, error) {
	if p == nil || p.Provider != provider {
		return param.Identity{}, fmt.Errorf("it needs credentials, or a podIdentity of provider %s", provider)
	}
	id := identity(p)
	id.Shared = r.cluster
	role, err := r.workloadRole(ctx, p)
	id.RoleARN = cmp.Or(role, id.RoleARN)
	return id, err
}
