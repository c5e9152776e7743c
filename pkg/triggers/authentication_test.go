package triggers_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

func TestCheckAuthentication(t *testing.T) {
	t.Parallel()
	identity := func(p v1alpha1.PodIdentity) v1alpha1.TriggerAuthenticationSpec {
		return v1alpha1.TriggerAuthenticationSpec{PodIdentity: &p}
	}
	azure, aws := v1alpha1.PodIdentityAzureWorkload, v1alpha1.PodIdentityAWS
	const oauth = "spec.oauth2.type: must be clientCredentials\nspec.oauth2.clientId: must not be empty\n" +
		"spec.oauth2.tokenUrl: must be an absolute URL that begins with http:// or https://"
	bad := &v1alpha1.OAuth2{Type: "password", TokenURL: "login.example.com/token"}
	for _, tc := range []struct {
		name string
		spec v1alpha1.TriggerAuthenticationSpec
		want string // of a TriggerAuthentication
	}{
		{"nothing", v1alpha1.TriggerAuthenticationSpec{}, ""},
		{"azure-workload", identity(v1alpha1.PodIdentity{Provider: azure, IdentityID: new("i"), IdentityTenantID: new("t"), IdentityAuthorityHost: new("h")}), ""},
		{"an empty identity", identity(v1alpha1.PodIdentity{Provider: azure, IdentityID: new("")}), "spec.podIdentity.identityId: must not be empty; remove it to use the identity of weir"},
		{"an empty tenant", identity(v1alpha1.PodIdentity{Provider: azure, IdentityTenantID: new("")}), "spec.podIdentity.identityTenantId: must not be empty; remove it to use the tenant of weir"},
		{"an authority without tenant", identity(v1alpha1.PodIdentity{Provider: azure, IdentityAuthorityHost: new("h")}), "spec.podIdentity.identityAuthorityHost: needs identityTenantId; set that too"},
		{"aws", identity(v1alpha1.PodIdentity{Provider: aws, RoleArn: new("r"), ExternalID: new("e")}), ""},
		{
			"a role beside the workload's", identity(v1alpha1.PodIdentity{Provider: aws, RoleArn: new("r"), IdentityOwner: new(v1alpha1.IdentityOwnerWorkload)}),
			"spec.podIdentity.roleArn: cannot be combined with the identityOwner workload, whose service account names the role; keep one of the two",
		},
		{
			"an external id without role", identity(v1alpha1.PodIdentity{Provider: aws, ExternalID: new("e")}),
			"spec.podIdentity.externalID: needs roleArn, the role that it is given for; set that too",
		},
		{"fields of another provider", identity(v1alpha1.PodIdentity{Provider: v1alpha1.PodIdentityGCP, ExternalID: new("e"), IdentityID: new("")}), ""},
		{
			"the identity of a store",
			v1alpha1.TriggerAuthenticationSpec{AWSSecretManager: &v1alpha1.AWSSecretManager{PodIdentity: &v1alpha1.PodIdentity{Provider: aws, ExternalID: new("e")}}},
			"spec.awsSecretManager.podIdentity.externalID: needs roleArn, the role that it is given for; set that too",
		},
		{"an OAuth 2.0 client", v1alpha1.TriggerAuthenticationSpec{OAuth2: &v1alpha1.OAuth2{ClientID: "c", TokenURL: "https://login.example.com/token"}}, ""},
		{"a wrong one", v1alpha1.TriggerAuthenticationSpec{OAuth2: bad}, oauth},
		{"a wrong one beside an identity", v1alpha1.TriggerAuthenticationSpec{OAuth2: bad, PodIdentity: &v1alpha1.PodIdentity{Provider: v1alpha1.PodIdentityGCP}}, oauth},
		{"a file", v1alpha1.TriggerAuthenticationSpec{FilePath: "a.json"}, "spec.filePath: is for ClusterTriggerAuthentications only; use secretTargetRef"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			problems := triggers.CheckAuthentication(&tc.spec, false)
			if got := text(problems); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if tc.spec.FilePath != "" {
				tc.want = ""
			}
			if got := text(triggers.CheckAuthentication(&tc.spec, true)); got != tc.want {
				t.Errorf("for a cluster: got\n%s\nwant\n%s", got, tc.want)
			}
			for _, p := range problems {
				if p.Reason != triggers.ReasonAuthentication {
					t.Errorf("%v has reason %q", p, p.Reason)
				}
			}
		})
	}
}

func TestKnownAuthentication(t *testing.T) {
	t.Parallel()
	const all = "true true [] "
	target := []v1alpha1.TargetRef{{Parameter: "a"}}
	for _, tc := range []struct {
		name string
		spec v1alpha1.TriggerAuthenticationSpec
		want string // env, auth, given, provider
	}{
		{"nothing", v1alpha1.TriggerAuthenticationSpec{}, all},
		{"each source", v1alpha1.TriggerAuthenticationSpec{
			SecretTargetRef: target, ConfigMapTargetRef: []v1alpha1.TargetRef{{Parameter: "b"}}, Env: []v1alpha1.EnvRef{{Parameter: "c"}},
			HashiCorpVault:           &v1alpha1.HashiCorpVault{Secrets: []v1alpha1.VaultSecret{{Parameter: "d"}}},
			AzureKeyVault:            &v1alpha1.AzureKeyVault{Secrets: []v1alpha1.AzureKeyVaultSecret{{Parameter: "e"}}},
			GCPSecretManager:         &v1alpha1.GCPSecretManager{Secrets: []v1alpha1.GCPSecret{{Parameter: "f"}}},
			AWSSecretManager:         &v1alpha1.AWSSecretManager{Secrets: []v1alpha1.AWSSecret{{Parameter: "g"}}},
			BoundServiceAccountToken: []v1alpha1.BoundServiceAccountToken{{Parameter: "h"}},
		}, "true true [a b c h d e f g] "},
		{"an identity", v1alpha1.TriggerAuthenticationSpec{PodIdentity: &v1alpha1.PodIdentity{Provider: "gcp"}}, "true true [] gcp"},
		{"a role of the workload", v1alpha1.TriggerAuthenticationSpec{PodIdentity: &v1alpha1.PodIdentity{Provider: "aws-eks"}}, "true true [awsRoleArn] aws-eks"},
		{"a file says anything", v1alpha1.TriggerAuthenticationSpec{FilePath: "f", SecretTargetRef: target}, all},
	} {
		u, identity := triggers.KnownAuthentication(&tc.spec)
		if got := fmt.Sprint(u.Env, u.Auth, u.Given) + " " + identity.Provider; got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
		if (u.Given == nil) != (tc.spec.FilePath != "") {
			t.Errorf("%s: the names are known: %v", tc.name, u.Given != nil)
		}
	}
}
