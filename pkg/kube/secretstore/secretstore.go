// Package secretstore reads secrets from stores outside Kubernetes, each once
// for all triggers that need it.
//
// A store is told apart by where it is and as whom it is read (a login), and a
// secret in it by an item; both are comparable values, so that what is equal is
// read once. Cache does the rest: it merges reads that happen at the same time,
// keeps what was read for a while, keeps one session for each login, and goes on
// with what it has while a store does not answer. The stores themselves, and
// the SDKs they need, are in the packages below this one.
package secretstore

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Store opens sessions of one kind of store.
type Store[L, I comparable] interface {
	// Open makes a session. It asks nobody, and does not block. The error is a *scalers.Error of kind
	// Invalid: the login cannot be right, whatever the store says.
	Open(login L) (Session[I], error)
}

// Session reads secrets as one login. It is used from several goroutines.
type Session[I comparable] interface {
	// Read reads one secret, having logged in before where that is needed. It ends
	// soon after ctx does. The error is a *scalers.Error; see Definite for what
	// its kind means.
	Read(ctx context.Context, item I) (Secret, error)
	// Close lets go of what the session holds. It is called once, after the last
	// Read has returned, and does no I/O.
	Close() error
}

// Secret is what a store answered.
type Secret struct {
	// Fields are the values by name. A store whose secrets are one value has it
	// under the empty name.
	Fields map[string]string
	// Life is how long the store says the secret is good for from now on: a lease,
	// a certificate, a token. It is read anew after four fifths of that, and not
	// used after all of it. Zero means that the store does not say.
	Life time.Duration
}

// Reader is a Cache as it is used.
type Reader[L, I comparable] interface {
	// Read returns a secret. Reading.FreshFor is set with an error too: when it is
	// worth trying again.
	Read(ctx context.Context, login L, item I) (Reading, error)
}

// Reading is a secret as it is known now. The fields are only read.
type Reading struct {
	Fields map[string]string
	// FreshFor is when to ask again; at least a second.
	FreshFor time.Duration
	// Stale says that the store did not answer when it was asked for something
	// newer.
	Stale bool
}

// Definite reports whether an error speaks of the secret or of the login: that
// there is none, that it may not be read, that they cannot be right. Any other
// error says nothing of the secret, so that what was read before stays in use.
func Definite(err error) bool {
	kind := scalers.KindOf(err)
	return kind == scalers.Invalid || kind == scalers.Unauthorized || kind == scalers.NotFound
}

// Refusal returns what a server said as an error: cut, and without the secrets
// that it was sent.
func Refusal(said string, sent ...param.Secret) error {
	for _, s := range sent {
		if !s.IsZero() {
			said = strings.ReplaceAll(said, s.Reveal(), s.String())
		}
	}
	return errors.New(cmp.Or(scalers.Excerpt(said), "the server gives no reason"))
}

// NoLogin is the login of a store that is read as the process itself.
type NoLogin struct{}

// ServiceAccount names one, and which of those that had the name: a token of one
// that is gone is worth nothing.
type ServiceAccount struct{ Namespace, Name, UID string }

// VaultLogin is where and as whom HashiCorp Vault is read: with a token or, when
// there is a mount, by Vault's kubernetes method.
type VaultLogin struct {
	Address   string // URL of the server
	Namespace string // of Vault Enterprise; may be empty
	Token     param.Secret
	Mount     string // path of the kubernetes method
	Role      string // to log in with by the kubernetes method
	// Account is whose token is presented to the kubernetes method; when it has no
	// name, the token is in TokenFile.
	Account   ServiceAccount
	TokenFile string
}

// VaultItem is one secret of Vault. Its fields are those of the secret; values
// that are not text are written as JSON, and lists of text joined with line
// breaks.
type VaultItem struct {
	Path string
	Type v1alpha1.VaultSecretType
	PKI  v1alpha1.VaultPKIData // of the certificate to issue, for the type pki
}

// AzureLogin is where and as whom an Azure Key Vault is read: as the application
// or, when that has no ID, as the identity.
type AzureLogin struct {
	VaultURI     string
	ClientID     string
	TenantID     string
	ClientSecret param.Secret
	Identity     param.Identity
	Cloud        v1alpha1.AzureKeyVaultCloud // the zero value is the public cloud
}

// AzureItem is one secret of a vault. It has one field, the empty name.
type AzureItem struct {
	Name    string
	Version string // empty means the newest
}

// GCPLogin is as whom Google Cloud Secret Manager is read: with the key of a
// service account or, when there is none, as the identity.
type GCPLogin struct {
	Key      param.Secret // as JSON
	Identity param.Identity
}

// GCPItem is one secret of the login's project. It has one field, the empty
// name.
type GCPItem struct {
	ID      string
	Version string // empty means latest
}

// AWSLogin is where and as whom AWS Secrets Manager is read: with the access key
// or, when there is none, as the identity.
type AWSLogin struct {
	Region       string // empty means that of the process
	AccessKey    param.Secret
	SecretKey    param.Secret
	SessionToken param.Secret
	Identity     param.Identity // with the workload's role where that is the owner
}

// AWSItem is one secret of an account. The whole of it is under the empty name;
// of one that is a JSON object, its fields of text are there too.
type AWSItem struct {
	Name         string
	VersionID    string
	VersionStage string // AWSCURRENT when neither is set
}
