// Package serviceaccount requests tokens for service accounts as a secret store,
// so that they are shared and renewed as secrets are.
package serviceaccount

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// The lifetimes of a token that may be asked for. DefaultLifetime is the shortest:
// API servers do not issue shorter ones than ten minutes, and may cut long ones.
const (
	DefaultLifetime = time.Hour
	MaxLifetime     = 6 * time.Hour
)

// Tokens requests tokens, bound to nothing but their service account and for the
// API server's own audience. It is a store and its only session.
type Tokens struct {
	client   kubernetes.Interface
	lifetime time.Duration
}

// New makes a Tokens whose tokens live that long: from DefaultLifetime to
// MaxLifetime, zero meaning the former. The API server may choose otherwise, and
// what it chooses counts.
func New(client kubernetes.Interface, lifetime time.Duration) (*Tokens, error) {
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	if lifetime < DefaultLifetime || lifetime > MaxLifetime {
		return nil, fmt.Errorf("the lifetime of service account tokens must be between %v and %v", DefaultLifetime, MaxLifetime)
	}
	return &Tokens{client, lifetime}, nil
}

// Open implements secretstore.Store.
func (t *Tokens) Open(secretstore.NoLogin) (secretstore.Session[secretstore.ServiceAccount], error) {
	return t, nil
}

// Close implements secretstore.Session. There is nothing to close.
func (*Tokens) Close() error { return nil }

// From returns a function that takes tokens from a cache, for what logs in with
// them.
func From(cache secretstore.Reader[secretstore.NoLogin, secretstore.ServiceAccount]) func(context.Context, secretstore.ServiceAccount) (param.Secret, error) {
	return func(ctx context.Context, a secretstore.ServiceAccount) (param.Secret, error) {
		got, err := cache.Read(ctx, secretstore.NoLogin{}, a)
		return param.NewSecret(got.Fields[""]), err
	}
}

// Read implements secretstore.Session. The token is the field without a name.
func (t *Tokens) Read(ctx context.Context, a secretstore.ServiceAccount) (secretstore.Secret, error) {
	op := fmt.Sprintf("requesting a token for ServiceAccount %q in namespace %q", a.Name, a.Namespace)
	got, err := t.client.CoreV1().ServiceAccounts(a.Namespace).CreateToken(ctx, a.Name, &authenticationv1.TokenRequest{
		ObjectMeta: metav1.ObjectMeta{Name: a.Name, Namespace: a.Namespace},
		Spec:       authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(t.lifetime / time.Second))},
	}, metav1.CreateOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.NotFound, Op: op, Err: errors.New("it does not exist"), Hint: "create it or correct the reference"}
	case apierrors.IsForbidden(err):
		return secretstore.Secret{}, &scalers.Error{
			Kind: scalers.Unauthorized, Op: op, Err: errors.New("weir is not allowed to"),
			Hint: "grant its service account create on serviceaccounts/token of that name",
		}
	case err != nil:
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: err}
	case got.Status.Token == "":
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the API server answered with no token")}
	}
	life := t.lifetime
	if end := got.Status.ExpirationTimestamp; !end.IsZero() {
		life = max(time.Until(end.Time), time.Second)
	}
	return secretstore.Secret{Fields: map[string]string{"": got.Status.Token}, Life: life}, nil
}
