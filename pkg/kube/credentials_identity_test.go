package kube_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

func TestPodIdentity(t *testing.T) {
	t.Parallel()
	arn, empty, id := "arn:given", "", "id"
	owner := v1alpha1.IdentityOwnerWorkload
	const (
		missing = `, which the workload runs as, has no annotation "eks.amazonaws.com/role-arn"; add it, or use roleArn`
		workAs  = "resolving podIdentity: "
	)
	for _, tc := range []struct {
		name     string
		identity v1alpha1.PodIdentity
		cluster  bool
		account  string
		noPod    bool
		want     string // parameters and identity
		refs     string // besides the authentication object
		err      string
	}{
		{name: "of Azure", identity: v1alpha1.PodIdentity{Provider: "azure-workload", IdentityID: &id}, want: "map[] {azure-workload id     keda false}"},
		{name: "for all namespaces", cluster: true, identity: v1alpha1.PodIdentity{Provider: "gcp"}, want: "map[] {gcp      keda true}"},
		{name: "none", identity: v1alpha1.PodIdentity{Provider: "none"}, want: "map[] {none      keda false}"},
		{name: "of AWS by a role", identity: v1alpha1.PodIdentity{Provider: "aws", RoleArn: &arn}, want: "map[] {aws    arn:given  keda false}"},
		{
			name: "of AWS by the workload's role", identity: v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner, RoleArn: &empty}, account: "roled",
			want: "map[awsRoleArn:arn:workload] {aws      workload false}", refs: "ServiceAccount shop/roled, ",
		},
		{
			name: "of AWS by the workload's role, for all", cluster: true, identity: v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner}, account: "roled",
			want: "map[awsRoleArn:arn:workload] {aws      workload true}", refs: "ServiceAccount shop/roled, ",
		},
		{
			name: "of AWS by both", identity: v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner, RoleArn: &arn}, account: "roled",
			want: "map[] {aws    arn:given  workload false}", err: workAs + "roleArn and the identityOwner workload exclude each other; remove one of them",
		},
		{
			name: "of a workload without a role", identity: v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner},
			want: "map[] {aws      workload false}", refs: "ServiceAccount shop/default, ", err: workAs + `ServiceAccount "default" in namespace "shop"` + missing,
		},
		{
			name: "of a workload whose account is not there", identity: v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner}, account: "gone",
			want: "map[] {aws      workload false}", refs: "ServiceAccount shop/gone, ", err: workAs + `ServiceAccount "gone" in namespace "shop" ` + noBroker,
		},
		{
			name: "of a workload whose account may not be read", identity: v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner}, account: "forbidden",
			want: "map[] {aws      workload false}", refs: "ServiceAccount shop/forbidden, ", err: workAs + `reading ServiceAccount "forbidden" in namespace "shop"` + notAllowed,
		},
		{
			name: "of a workload without pods", identity: v1alpha1.PodIdentity{Provider: "aws", IdentityOwner: &owner}, noPod: true,
			want: "map[] {aws      workload false}", err: workAs + "the identityOwner workload needs a workload with a pod template; use roleArn",
		},
		{
			name: "the deprecated one", identity: v1alpha1.PodIdentity{Provider: "aws-eks"}, account: "roled",
			want: "map[awsRoleArn:arn:workload] {aws-eks      keda false}", refs: "ServiceAccount shop/roled, ",
		},
		{name: "the deprecated one without a role", identity: v1alpha1.PodIdentity{Provider: "aws-eks"}, want: "map[] {aws-eks      keda false}", refs: "ServiceAccount shop/default, "},
		{name: "the deprecated one without pods", identity: v1alpha1.PodIdentity{Provider: "aws-eks"}, noPod: true, want: "map[] {aws-eks      keda false}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := accounts(cluster())
			w := workload()
			w.Pod.ServiceAccountName = tc.account
			if tc.noPod {
				w.Pod = nil
			}
			got, err := kube.Credentials{Objects: all}.Resolve(t.Context(), refer(all, auth{PodIdentity: &tc.identity}, tc.cluster), w)
			if out := fmt.Sprint(got.Values.Auth, " ", got.Values.Identity); out != tc.want || text(err) != tc.err {
				t.Errorf("got %s, %v; want %s, %s", out, err, tc.want, tc.err)
			}
			refs := tc.refs + taRef
			if tc.cluster {
				refs = strings.TrimSuffix(ctaRef+", "+tc.refs, ", ")
			}
			if short(got.Refs) != refs {
				t.Errorf("refs %s, want %s", short(got.Refs), refs)
			}
		})
	}
}

func TestOAuth2BecomesParameters(t *testing.T) {
	t.Parallel()
	secret, gone := valueFrom("cloud", "secret"), valueFrom("cloud", "gone")
	const wrongURL = `resolving authentication parameter "oauthTokenURI": oauth2.tokenUrl must be an absolute URL that begins with http:// or https://`
	for _, tc := range []struct {
		name      string
		spec      v1alpha1.OAuth2
		want, err string
	}{
		{
			name: "everything",
			spec: v1alpha1.OAuth2{
				Type: "clientCredentials", ClientID: "id", ClientSecret: &secret, TokenURL: "https://o/token", Scopes: []string{"a", "b"},
				TokenURLParams: map[string]string{"z": "1&2", "a": "x y"},
			},
			want: "map[clientID:id clientSecret:canary-secret endpointParams:a=x+y&z=1%262 oauthTokenURI:https://o/token scopes:a,b]",
		},
		{
			name: "the least", spec: v1alpha1.OAuth2{ClientID: "id", TokenURL: "http://o"},
			want: "map[clientID:id endpointParams: oauthTokenURI:http://o scopes:]",
		},
		{
			name: "all wrong", spec: v1alpha1.OAuth2{Type: "password", ClientSecret: &gone, TokenURL: "ftp://o"},
			want: "map[clientID: clientSecret: endpointParams: oauthTokenURI:ftp://o scopes:]",
			err: "oauth2.type must be clientCredentials\noauth2.clientId is empty\n" + wrongURL + "\n" +
				`resolving authentication parameter "clientSecret": Secret "cloud" in namespace "shop" has no key "gone"; add the key or correct the reference`,
		},
		{name: "no URL", spec: v1alpha1.OAuth2{ClientID: "id", TokenURL: "://%"}, want: "map[clientID:id endpointParams: oauthTokenURI:://% scopes:]", err: wrongURL},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := accounts(cluster())
			got, err := kube.Credentials{Objects: all}.Resolve(t.Context(), refer(all, auth{OAuth2: &tc.spec}, false), workload())
			if out := fmt.Sprint(got.Values.Auth); out != tc.want || text(err) != tc.err {
				t.Errorf("got %s, %v; want %s, %s", out, err, tc.want, tc.err)
			}
			if got.FreshFor != 0 {
				t.Errorf("good for %v", got.FreshFor)
			}
		})
	}
}

// In restricted mode a Secret of another namespace is not read, and not one of the
// same name in weir's own.
func TestRestrictedSecrets(t *testing.T) {
	t.Parallel()
	const denied = `reading Secret "broker" in namespace "shop" is denied: weir is restricted to the Secrets of namespace "weir"; ` +
		"let a ClusterTriggerAuthentication take it from there"
	fromEnv := func(name string) auth { return auth{Env: []v1alpha1.EnvRef{{Parameter: "p", Name: name}}} }
	for _, tc := range []struct {
		name      string
		spec      auth
		cluster   bool
		namespace string
		want, err string
		reads     string
	}{
		{
			name: "of a tenant", spec: auth{SecretTargetRef: target("p", "broker", "password")}, want: "map[p:]",
			err: `resolving authentication parameter "p": ` + denied,
		},
		{name: "of the cluster", cluster: true, spec: auth{SecretTargetRef: target("p", "broker", "password")}, want: "map[p:from-weir]", reads: "Secret weir/broker"},
		{
			name: "of weir's own namespace", namespace: "weir", spec: auth{SecretTargetRef: target("p", "broker", "password")}, want: "map[p:from-weir]",
			reads: "Secret weir/broker",
		},
		{name: "of a tenant's environment", spec: fromEnv("SECRET"), want: "map[p:]", err: `resolving authentication parameter "p": resolving environment variable "SECRET" of container "c": ` + denied},
		{name: "of a tenant's environment that need not be there", spec: fromEnv("OPTIONAL"), want: "map[p:]", err: `resolving authentication parameter "p": resolving environment variable "OPTIONAL" of container "c": ` + denied},
		{name: "ConfigMaps are no Secrets", spec: auth{ConfigMapTargetRef: target("p", "broker", "user")}, want: "map[p:from-map]", reads: "ConfigMap shop/broker"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := cluster()
			trigger := refer(all, tc.spec, tc.cluster)
			all.auths["weir/auth"] = &tc.spec
			w := workload()
			if tc.namespace != "" {
				w.Namespace = tc.namespace
			}
			w.Pod.Containers = w.Pod.Containers[:1]
			w.Pod.Containers[0].Name = "c"
			w.Pod.Containers[0].Env = append(w.Pod.Containers[0].Env, fromSecret("SECRET", "broker", "password"), fromSecret("OPTIONAL", "broker", "password", true))
			got, err := kube.Credentials{Objects: all, ClusterNamespace: "weir", RestrictSecrets: true}.Resolve(t.Context(), trigger, w)
			if out := fmt.Sprint(got.Values.Auth); out != tc.want || text(err) != tc.err {
				t.Errorf("got %s, %v; want %s, %s", out, err, tc.want, tc.err)
			}
			if reads := all.reads(); reads != tc.reads {
				t.Errorf("read %s, want %s", reads, tc.reads)
			}
			if tc.err != "" && strings.Contains(short(got.Refs), "Secret") {
				t.Errorf("it is watched: %s", short(got.Refs))
			}
		})
	}
}

func TestTheShortestTimeCounts(t *testing.T) {
	t.Parallel()
	var asked []string
	all := accounts(cluster())
	spec := vaultAuth("token", &v1alpha1.VaultCredential{Token: "t"})
	spec.BoundServiceAccountToken = []v1alpha1.BoundServiceAccountToken{{Parameter: "t", ServiceAccountName: "default"}}
	got, err := kube.Credentials{Objects: all, Stores: stores(&asked, nil)}.Resolve(t.Context(), refer(all, spec, false), workload())
	if err != nil || got.FreshFor != 5*time.Minute {
		t.Errorf("good for %v, %v", got.FreshFor, err)
	}
}
