package kube_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// reads is a store. It answers with the fields that it has, and tells how it was
// asked, secrets included.
type reads[L, I comparable] struct {
	fields map[string]string
	fresh  time.Duration
	err    error
	asked  *[]string
}

func (r reads[L, I]) Read(_ context.Context, login L, item I) (secretstore.Reading, error) {
	*r.asked = append(*r.asked, reveal(fmt.Sprintf("%+v %+v", login, item), login))
	return secretstore.Reading{Fields: r.fields, FreshFor: r.fresh}, r.err
}

// reveal replaces the secrets of a login, which print as nothing.
func reveal(text string, login any) string {
	var list []param.Secret
	switch l := login.(type) {
	case secretstore.VaultLogin:
		list = []param.Secret{l.Token}
	case secretstore.AzureLogin:
		list = []param.Secret{l.ClientSecret}
	case secretstore.GCPLogin:
		list = []param.Secret{l.Key}
	case secretstore.AWSLogin:
		list = []param.Secret{l.AccessKey, l.SecretKey, l.SessionToken}
	}
	for _, s := range list {
		text = strings.Replace(text, "[redacted]", "<"+s.Reveal()+">", 1)
	}
	return text
}

// stores are one of each kind, good for two to five minutes.
func stores(asked *[]string, err error) kube.Stores {
	one := map[string]string{"": "whole", "key": "field"}
	return kube.Stores{
		Vault:  reads[secretstore.VaultLogin, secretstore.VaultItem]{one, 5 * time.Minute, err, asked},
		Azure:  reads[secretstore.AzureLogin, secretstore.AzureItem]{one, 4 * time.Minute, err, asked},
		GCP:    reads[secretstore.GCPLogin, secretstore.GCPItem]{one, 3 * time.Minute, err, asked},
		AWS:    reads[secretstore.AWSLogin, secretstore.AWSItem]{one, 2 * time.Minute, err, asked},
		Tokens: reads[secretstore.NoLogin, secretstore.ServiceAccount]{map[string]string{"": "token"}, time.Hour, err, asked},
	}
}

// account is a service account, with an AWS role unless that is empty.
func account(uid, role string) *corev1.ServiceAccount {
	a := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}}
	if role != "" {
		a.Annotations = map[string]string{"eks.amazonaws.com/role-arn": role}
	}
	return a
}

func valueFrom(name, key string) v1alpha1.ValueFromSecret {
	return v1alpha1.ValueFromSecret{ValueFrom: v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyRef{Name: name, Key: key}}}
}

// accounts are what exists besides what cluster makes.
func accounts(all *objects) *objects {
	all.accounts = map[string]*corev1.ServiceAccount{
		"shop/default": account("u1", ""), "shop/roled": account("u2", " arn:workload "), "weir/default": account("u3", ""),
	}
	all.secrets["shop/cloud"] = map[string][]byte{"id": []byte("canary-id"), "secret": []byte("canary-secret"), "token": []byte("canary-token"), "empty": nil}
	all.secrets["weir/cloud"] = map[string][]byte{"secret": []byte("canary-of-weir")}
	return all
}

func vaultAuth(method v1alpha1.VaultAuthentication, credential *v1alpha1.VaultCredential) auth {
	return auth{HashiCorpVault: &v1alpha1.HashiCorpVault{
		Address: "https://v", Authentication: method, Namespace: "ns", Mount: "mt", Role: "rl", Credential: credential,
		Secrets: []v1alpha1.VaultSecret{{Parameter: "p", Path: "kv/a", Key: "key", Type: "secret"}},
	}}
}

func TestSecretStores(t *testing.T) {
	t.Parallel()
	arn, tenant := "arn:given", "tenant"
	owner := v1alpha1.IdentityOwnerWorkload
	azure := func(c *v1alpha1.AzureKeyVaultCredentials, p *v1alpha1.PodIdentity) auth {
		return auth{AzureKeyVault: &v1alpha1.AzureKeyVault{
			VaultURI: "https://az", Credentials: c, PodIdentity: p, Cloud: &v1alpha1.AzureKeyVaultCloud{Type: "Private"},
			Secrets: []v1alpha1.AzureKeyVaultSecret{{Parameter: "p", Name: "n", Version: "v"}},
		}}
	}
	gcp := func(c *v1alpha1.GCPCredentials, p *v1alpha1.PodIdentity) auth {
		return auth{GCPSecretManager: &v1alpha1.GCPSecretManager{Credentials: c, PodIdentity: p, Secrets: []v1alpha1.GCPSecret{{Parameter: "p", ID: "n", Version: "v"}}}}
	}
	aws := func(c *v1alpha1.AWSCredentials, p *v1alpha1.PodIdentity) auth {
		return auth{AWSSecretManager: &v1alpha1.AWSSecretManager{
			Region: "eu", Credentials: c, PodIdentity: p,
			Secrets: []v1alpha1.AWSSecret{{Parameter: "p", Name: "n", SecretKey: "key"}, {Parameter: "q", Name: "n", VersionID: "1", VersionStage: "S"}},
		}}
	}
	azureApp := &v1alpha1.AzureKeyVaultCredentials{ClientID: "app", TenantID: "tn", ClientSecret: valueFrom("cloud", "secret")}
	awsToken := valueFrom("cloud", "token")
	awsKeys := &v1alpha1.AWSCredentials{AccessKey: valueFrom("cloud", "id"), AccessSecretKey: valueFrom("cloud", "secret"), AccessToken: &awsToken}
	const vaultItem = " {Path:kv/a Type:secret PKI:{CommonName: AltNames: IPSans: URISans: OtherSans: TTL: Format:}}"
	for _, tc := range []struct {
		name    string
		spec    auth
		cluster bool
		account string // that the workload runs as
		noPod   bool
		with    kube.Credentials // fields besides objects and stores
		want    string           // parameters
		asked   string           // of the stores
		fresh   time.Duration
		err     string
	}{
		{
			name: "Vault by a token", spec: vaultAuth("token", &v1alpha1.VaultCredential{Token: "canary"}), want: "map[p:field]", fresh: 5 * time.Minute,
			asked: "{Address:https://v Namespace:ns Token:<canary> Mount: Role: Account:{Namespace: Name: UID:} TokenFile:}" + vaultItem,
		},
		{
			name: "Vault by the process's token", spec: vaultAuth("token", &v1alpha1.VaultCredential{Token: "canary"}), want: "map[p:field]", fresh: 5 * time.Minute,
			with:  kube.Credentials{VaultToken: param.NewSecret("own"), VaultAddresses: []string{"https://v/"}},
			asked: "{Address:https://v Namespace:ns Token:<own> Mount: Role: Account:{Namespace: Name: UID:} TokenFile:}" + vaultItem,
		},
		{
			name: "Vault without a credential", spec: vaultAuth("token", nil), want: "map[]",
			err: "authentication source hashiCorpVault: authentication token needs credential.token",
		},
		{
			name: "Vault by the user's token, where weir's is not to be shown", spec: vaultAuth("token", &v1alpha1.VaultCredential{Token: "canary"}), want: "map[p:field]", fresh: 5 * time.Minute,
			with:  kube.Credentials{VaultToken: param.NewSecret("own"), VaultAddresses: []string{"https://other"}},
			asked: "{Address:https://v Namespace:ns Token:<canary> Mount: Role: Account:{Namespace: Name: UID:} TokenFile:}" + vaultItem,
		},
		{
			name: "Vault by weir's service account", spec: vaultAuth("kubernetes", nil), want: "map[p:field]", fresh: 5 * time.Minute,
			with:  kube.Credentials{VaultAddresses: []string{"https://v"}},
			asked: "{Address:https://v Namespace:ns Token:<> Mount:mt Role:rl Account:{Namespace: Name: UID:} TokenFile:/var/run/secrets/kubernetes.io/serviceaccount/token}" + vaultItem,
		},
		{
			name: "Vault by a token file", spec: vaultAuth("kubernetes", &v1alpha1.VaultCredential{ServiceAccount: "/tokens/vault"}), want: "map[p:field]", fresh: 5 * time.Minute,
			with:  kube.Credentials{VaultAddresses: []string{"https://v"}},
			asked: "{Address:https://v Namespace:ns Token:<> Mount:mt Role:rl Account:{Namespace: Name: UID:} TokenFile:/tokens/vault}" + vaultItem,
		},
		{
			name: "Vault by a service account of the trigger's namespace, also for a cluster's object", cluster: true, fresh: 5 * time.Minute,
			spec: vaultAuth("kubernetes", &v1alpha1.VaultCredential{ServiceAccountName: "roled", ServiceAccount: "/x"}), want: "map[p:field]",
			asked: "{Address:https://v Namespace:ns Token:<> Mount:mt Role:rl Account:{Namespace:shop Name:roled UID:u2} TokenFile:}" + vaultItem,
		},
		{
			name: "Vault by a service account that is not there", spec: vaultAuth("kubernetes", &v1alpha1.VaultCredential{ServiceAccountName: "gone"}), want: "map[]",
			err: `authentication source hashiCorpVault: ServiceAccount "gone" in namespace "shop" ` + noBroker,
		},
		{
			name: "Vault without mount", spec: auth{HashiCorpVault: &v1alpha1.HashiCorpVault{Authentication: "kubernetes", Role: "r"}}, want: "map[]",
			err: "authentication source hashiCorpVault: authentication kubernetes needs mount and role",
		},
		{
			name: "Vault by no known way", spec: auth{HashiCorpVault: &v1alpha1.HashiCorpVault{}}, want: "map[]",
			err: "authentication source hashiCorpVault: authentication must be token or kubernetes",
		},
		{
			name: "Vault as weir, which was not told to trust it", spec: vaultAuth("kubernetes", nil), want: "map[]",
			err: "authentication source hashiCorpVault: the server would be shown weir's own token, and weir was not told to trust it; " +
				"give authentication kubernetes a credential.serviceAccountName, use a ClusterTriggerAuthentication, or start weir with --vault-address for this server",
		},
		{
			name: "Vault as weir for all", cluster: true, spec: vaultAuth("token", nil), want: "map[p:field]", fresh: 5 * time.Minute,
			with:  kube.Credentials{VaultToken: param.NewSecret("own")},
			asked: "{Address:https://v Namespace:ns Token:<own> Mount: Role: Account:{Namespace: Name: UID:} TokenFile:}" + vaultItem,
		},
		{
			name: "Vault without the key", want: "map[p:]", fresh: 5 * time.Minute,
			spec: auth{HashiCorpVault: &v1alpha1.HashiCorpVault{
				Authentication: "token", Credential: &v1alpha1.VaultCredential{Token: "canary"}, Secrets: []v1alpha1.VaultSecret{{Parameter: "p", Path: "kv/a", Key: "other"}},
			}},
			asked: "{Address: Namespace: Token:<canary> Mount: Role: Account:{Namespace: Name: UID:} TokenFile:}" + strings.Replace(vaultItem, "secret", "", 1),
			err:   `resolving authentication parameter "p": Vault secret "kv/a" has no key "other"; add the key or correct the reference`,
		},
		{
			name: "Azure by an application", spec: azure(azureApp, nil), want: "map[p:whole]", fresh: 4 * time.Minute,
			asked: "{VaultURI:https://az ClientID:app TenantID:tn ClientSecret:<canary-secret> " + identityText("", "", "", "", false) + " Cloud:{Type:Private KeyVaultResourceURL: ActiveDirectoryEndpoint:}} {Name:n Version:v}",
		},
		{
			name: "Azure by an identity", spec: azure(nil, &v1alpha1.PodIdentity{Provider: "azure-workload", IdentityTenantID: &tenant}), want: "map[p:whole]", fresh: 4 * time.Minute,
			asked: "{VaultURI:https://az ClientID: TenantID: ClientSecret:<> " + identityText("azure-workload", "tenant", "", "keda", false) + " Cloud:{Type:Private KeyVaultResourceURL: ActiveDirectoryEndpoint:}} {Name:n Version:v}",
		},
		{
			name: "Azure by a wrong identity", spec: azure(nil, &v1alpha1.PodIdentity{Provider: "aws"}), want: "map[]",
			err: "authentication source azureKeyVault: it needs credentials, or a podIdentity of provider azure-workload",
		},
		{
			name: "Azure without the secret, and Google with an empty one", want: "map[]",
			spec: auth{
				AzureKeyVault:    &v1alpha1.AzureKeyVault{Credentials: &v1alpha1.AzureKeyVaultCredentials{ClientSecret: valueFrom("gone", "k")}},
				GCPSecretManager: &v1alpha1.GCPSecretManager{Credentials: &v1alpha1.GCPCredentials{ClientSecret: valueFrom("cloud", "empty")}},
			},
			err: `authentication source azureKeyVault: Secret "gone" in namespace "shop" ` + noBroker + "\n" +
				`authentication source gcpSecretManager: key "empty" of Secret "cloud" in namespace "shop" is empty`,
		},
		{
			name: "Google by a key of the cluster's namespace", cluster: true, spec: gcp(&v1alpha1.GCPCredentials{ClientSecret: valueFrom("cloud", "secret")}, nil), want: "map[p:whole]",
			asked: "{Key:<canary-of-weir> " + identityText("", "", "", "", false) + "} {ID:n Version:v}", fresh: 3 * time.Minute,
		},
		{
			name: "Google by an identity for all", cluster: true, spec: gcp(nil, &v1alpha1.PodIdentity{Provider: "gcp"}), want: "map[p:whole]", fresh: 3 * time.Minute,
			asked: "{Key:<> " + identityText("gcp", "", "", "keda", true) + "} {ID:n Version:v}",
		},
		{
			name: "AWS by keys", spec: aws(awsKeys, nil), want: "map[p:field q:whole]", fresh: 2 * time.Minute,
			asked: twice("{Region:eu AccessKey:<canary-id> SecretKey:<canary-secret> SessionToken:<canary-token> "+identityText("", "", "", "", false)+"}",
				" {Name:n VersionID: VersionStage:}", " {Name:n VersionID:1 VersionStage:S}"),
		},
		{
			name: "AWS by the workload's role", account: "roled", spec: aws(nil, &v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner}), want: "map[p:field q:whole]", fresh: 2 * time.Minute,
			asked: twice("{Region:eu AccessKey:<> SecretKey:<> SessionToken:<> "+identityText("aws", "", "arn:workload", "workload", false)+"}",
				" {Name:n VersionID: VersionStage:}", " {Name:n VersionID:1 VersionStage:S}"),
		},
		{
			name: "AWS by a given role", spec: aws(nil, &v1alpha1.PodIdentity{Provider: "aws", RoleArn: &arn}), want: "map[p:field q:whole]", fresh: 2 * time.Minute,
			asked: twice("{Region:eu AccessKey:<> SecretKey:<> SessionToken:<> "+identityText("aws", "", "arn:given", "keda", false)+"}",
				" {Name:n VersionID: VersionStage:}", " {Name:n VersionID:1 VersionStage:S}"),
		},
		{
			name: "AWS by the role of a workload without pods", noPod: true, spec: aws(nil, &v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner}), want: "map[]",
			err: "authentication source awsSecretManager: the identityOwner workload needs a workload with a pod template; use roleArn",
		},
		{
			name: "a token", spec: auth{BoundServiceAccountToken: []v1alpha1.BoundServiceAccountToken{{Parameter: "p", ServiceAccountName: "default"}}}, want: "map[p:token]",
			asked: "{} {Namespace:shop Name:default UID:u1}", fresh: time.Hour,
		},
		{
			name: "a token for the cluster's object", cluster: true, spec: auth{BoundServiceAccountToken: []v1alpha1.BoundServiceAccountToken{{Parameter: "p", ServiceAccountName: "default"}}},
			want: "map[p:token]", asked: "{} {Namespace:weir Name:default UID:u3}", fresh: time.Hour,
		},
		{
			name: "a token of a service account that is not there", spec: auth{BoundServiceAccountToken: []v1alpha1.BoundServiceAccountToken{{Parameter: "p", ServiceAccountName: "gone"}}},
			want: "map[p:]", err: `resolving authentication parameter "p": ServiceAccount "gone" in namespace "shop" ` + noBroker,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			c := tc.with
			all := accounts(cluster())
			c.Objects, c.ClusterNamespace, c.Stores = all, "weir", stores(&asked, nil)
			w := workload()
			w.Pod.ServiceAccountName = tc.account
			if tc.noPod {
				w.Pod = nil
			}
			got, err := c.Resolve(t.Context(), refer(all, tc.spec, tc.cluster), w)
			if text(err) != tc.err {
				t.Errorf("error\n%v\nwant\n%s", err, tc.err)
			}
			if strings.Contains(text(err), "canary") {
				t.Error("the error holds a secret")
			}
			if values := fmt.Sprint(got.Values.Auth); values != tc.want || got.FreshFor != tc.fresh {
				t.Errorf("got %s for %v, want %s for %v", values, got.FreshFor, tc.want, tc.fresh)
			}
			if a := strings.Join(asked, "\n"); a != tc.asked {
				t.Errorf("asked\n%s\nwant\n%s", a, tc.asked)
			}
		})
	}
}

// identityText is how an identity prints.
func identityText(provider, tenant, role, owner string, shared bool) string {
	return fmt.Sprintf("Identity:%+v", param.Identity{Provider: provider, TenantID: tenant, RoleARN: role, Owner: owner, Shared: shared})
}

func twice(login, first, second string) string { return login + first + "\n" + login + second }

// refer files an authentication object and returns a trigger that refers to it.
func refer(all *objects, spec auth, cluster bool) v1alpha1.Trigger {
	ref := &v1alpha1.AuthenticationRef{Name: "auth"}
	if cluster {
		ref.Kind = v1alpha1.KindClusterTriggerAuthentication
		all.clusterAuths["auth"] = &spec
	} else {
		all.auths["shop/auth"] = &spec
	}
	return v1alpha1.Trigger{AuthenticationRef: ref}
}

// every uses all sources for one parameter each, and all for parameter "x".
func every() auth {
	return auth{
		Env:                      []v1alpha1.EnvRef{{Parameter: "x", Name: "PW"}},
		ConfigMapTargetRef:       target("x", "broker", "user"),
		SecretTargetRef:          target("x", "broker", "password"),
		HashiCorpVault:           &v1alpha1.HashiCorpVault{Authentication: "token", Credential: &v1alpha1.VaultCredential{Token: "canary"}, Secrets: []v1alpha1.VaultSecret{{Parameter: "x", Path: "a", Key: "vault"}}},
		AzureKeyVault:            &v1alpha1.AzureKeyVault{PodIdentity: &v1alpha1.PodIdentity{Provider: "azure-workload"}, Secrets: []v1alpha1.AzureKeyVaultSecret{{Parameter: "x", Name: "a"}}},
		GCPSecretManager:         &v1alpha1.GCPSecretManager{PodIdentity: &v1alpha1.PodIdentity{Provider: "gcp"}, Secrets: []v1alpha1.GCPSecret{{Parameter: "x", ID: "a"}}},
		AWSSecretManager:         &v1alpha1.AWSSecretManager{PodIdentity: &v1alpha1.PodIdentity{Provider: "aws"}, Secrets: []v1alpha1.AWSSecret{{Parameter: "x", Name: "a"}}},
		BoundServiceAccountToken: []v1alpha1.BoundServiceAccountToken{{Parameter: "x", ServiceAccountName: "default"}},
		OAuth2:                   &v1alpha1.OAuth2{ClientID: "x", TokenURL: "https://o"},
	}
}

func TestTheLaterSourceWins(t *testing.T) {
	t.Parallel()
	var asked []string
	one := func(value string) map[string]string { return map[string]string{"": value, "vault": value} }
	all := kube.Stores{
		Vault:  reads[secretstore.VaultLogin, secretstore.VaultItem]{one("from-vault"), time.Minute, nil, &asked},
		Azure:  reads[secretstore.AzureLogin, secretstore.AzureItem]{one("from-azure"), time.Minute, nil, &asked},
		GCP:    reads[secretstore.GCPLogin, secretstore.GCPItem]{one("from-gcp"), time.Minute, nil, &asked},
		AWS:    reads[secretstore.AWSLogin, secretstore.AWSItem]{one("from-aws"), time.Minute, nil, &asked},
		Tokens: reads[secretstore.NoLogin, secretstore.ServiceAccount]{one("from-tokens"), time.Minute, nil, &asked},
	}
	drop := []func(*auth){
		func(a *auth) { a.BoundServiceAccountToken = nil }, func(a *auth) { a.AWSSecretManager = nil }, func(a *auth) { a.GCPSecretManager = nil },
		func(a *auth) { a.AzureKeyVault = nil }, func(a *auth) { a.HashiCorpVault = nil }, func(a *auth) { a.SecretTargetRef = nil }, func(a *auth) { a.ConfigMapTargetRef = nil },
	}
	spec := every()
	for i, want := range []string{"from-tokens", "from-aws", "from-gcp", "from-azure", "from-vault", "from-secret", "from-map", "from-first"} {
		o := accounts(cluster())
		got, err := kube.Credentials{Objects: o, Stores: all}.Resolve(t.Context(), refer(o, spec, false), workload())
		if err != nil || got.Values.Auth["x"] != want {
			t.Errorf("got %q, %v; want %q", got.Values.Auth["x"], err, want)
		}
		if i < len(drop) {
			drop[i](&spec)
		}
	}
}

func TestAFailureOfEachStoreIsTold(t *testing.T) {
	t.Parallel()
	var asked []string
	all := accounts(cluster())
	c := kube.Credentials{Objects: all, Stores: stores(&asked, errors.New("boom"))}
	got, err := c.Resolve(t.Context(), refer(all, every(), false), workload())
	want := strings.TrimSuffix(strings.Repeat(`resolving authentication parameter "x": boom`+"\n", 5), "\n")
	if text(err) != want || got.FreshFor != 2*time.Minute {
		t.Errorf("got %v, again in %v", err, got.FreshFor)
	}
	if _, transient := errors.AsType[*kube.TransientError](err); transient {
		t.Error("a store that does not answer is for the user to see")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = c.Resolve(ctx, refer(all, every(), false), workload())
	if _, transient := errors.AsType[*kube.TransientError](err); !transient {
		t.Errorf("the caller gave up: %v", err)
	}
}

func TestWithoutStoresNothingIsKnown(t *testing.T) {
	t.Parallel()
	all := accounts(cluster())
	_, err := kube.Credentials{Objects: all}.Resolve(t.Context(), refer(all, every(), false), workload())
	const asks = " is not read here: only the running controller asks secret stores\n"
	want := "authentication source hashiCorpVault" + asks + "authentication source azureKeyVault" + asks + "authentication source gcpSecretManager" + asks +
		"authentication source awsSecretManager" + asks +
		`resolving authentication parameter "x": authentication source boundServiceAccountToken is not read here: tokens are requested by the running controller only`
	if text(err) != want {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[*kube.UnreadError](err); !ok {
		t.Error("it is no UnreadError")
	}
}
