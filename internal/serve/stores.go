package serve

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/kube/secretstore/awssecretsmanager"
	"github.com/weir-sh/weir/pkg/kube/secretstore/azurekeyvault"
	"github.com/weir-sh/weir/pkg/kube/secretstore/gcpsecretmanager"
	"github.com/weir-sh/weir/pkg/kube/secretstore/serviceaccount"
	"github.com/weir-sh/weir/pkg/kube/secretstore/vault"
	"github.com/weir-sh/weir/pkg/scalers"
)

// openStores makes the readers of secrets outside Kubernetes, and what closes them.
func openStores(client kubernetes.Interface, o *options, env scalers.Env, told hooks, log *slog.Logger) (kube.Stores, func() error, error) {
	accounts, err := serviceaccount.New(client, o.tokenLifetime)
	if err != nil {
		return kube.Stores{}, nil, err
	}
	config := func(name string) secretstore.Config {
		return secretstore.Config{Name: name, TTL: o.secretTTL, Observe: told.secrets(name), Log: log.With(slog.String("part", "secrets"))}
	}
	tokens := secretstore.New(accounts, config("boundServiceAccountToken"))
	vaults := secretstore.New(vault.New(vault.Config{HTTP: env.HTTP, Token: serviceaccount.From(tokens)}), config("hashiCorpVault"))
	azure := secretstore.New(azurekeyvault.New(env), config("azureKeyVault"))
	gcp := secretstore.New(gcpsecretmanager.New(gcpsecretmanager.Config{Env: env}), config("gcpSecretManager"))
	aws := secretstore.New(awssecretsmanager.New(awssecretsmanager.Config{Env: env}), config("awsSecretManager"))
	closeAll := func() error {
		return errors.Join(vaults.Close(), azure.Close(), gcp.Close(), aws.Close(), tokens.Close())
	}
	return kube.Stores{Vault: vaults, Azure: azure, GCP: gcp, AWS: aws, Tokens: tokens}, closeAll, nil
}

// untilEnd runs until ctx ends, and then closes.
func untilEnd(closeAll func() error) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		return closeAll()
	}
}

// access is what the environment says of the secrets that triggers may use.
func (o *options) access(getenv func(string) string) error {
	var errs []error
	if v := getenv("KEDA_RESTRICT_SECRET_ACCESS"); v != "" {
		restrict, err := strconv.ParseBool(strings.ToLower(v))
		if err != nil {
			errs = append(errs, errors.New("$KEDA_RESTRICT_SECRET_ACCESS must be true or false"))
		}
		o.restrictSecrets = o.restrictSecrets || restrict
	}
	if v := getenv("KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY"); v != "" {
		lifetime, err := time.ParseDuration(v)
		if err != nil || lifetime < serviceaccount.DefaultLifetime || lifetime > serviceaccount.MaxLifetime {
			errs = append(errs, errors.New("$KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY must be a duration from 1h to 6h"))
		}
		o.tokenLifetime = lifetime
	}
	o.vaultToken = getenv("VAULT_TOKEN")
	return errors.Join(errs...)
}
