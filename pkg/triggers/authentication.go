package triggers

import (
	"net/url"
	"slices"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// CheckAuthentication returns what is wrong with the spec of a
// TriggerAuthentication, or with cluster of a ClusterTriggerAuthentication. What
// it names is not looked for.
func CheckAuthentication(s *v1alpha1.TriggerAuthenticationSpec, cluster bool) []Problem {
	var out findings
	if s.FilePath != "" && !cluster {
		out.add("spec.filePath", "is for ClusterTriggerAuthentications only; use secretTargetRef")
	}
	out.identity("spec.podIdentity", s.PodIdentity)
	if v := s.AzureKeyVault; v != nil {
		out.identity("spec.azureKeyVault.podIdentity", v.PodIdentity)
	}
	if m := s.GCPSecretManager; m != nil {
		out.identity("spec.gcpSecretManager.podIdentity", m.PodIdentity)
	}
	if m := s.AWSSecretManager; m != nil {
		out.identity("spec.awsSecretManager.podIdentity", m.PodIdentity)
	}
	out.oauth2(s.OAuth2)
	return out
}

// findings are problems of an authentication object.
type findings []Problem

func (f *findings) add(field, message string) {
	*f = append(*f, broken(ReasonAuthentication, field, message))
}

// identity looks at what does not fit together in a pod identity.
func (f *findings) identity(field string, p *v1alpha1.PodIdentity) {
	if p == nil {
		return
	}
	switch p.Provider {
	case v1alpha1.PodIdentityAzureWorkload:
		f.azure(field, p)
	case v1alpha1.PodIdentityAWS:
		f.aws(field, p)
	case v1alpha1.PodIdentityAWSEKS, v1alpha1.PodIdentityGCP, v1alpha1.PodIdentityNone:
	}
}

func (f *findings) azure(field string, p *v1alpha1.PodIdentity) {
	if p.IdentityID != nil && *p.IdentityID == "" {
		f.add(field+".identityId", "must not be empty; remove it to use the identity of weir")
	}
	if p.IdentityTenantID != nil && *p.IdentityTenantID == "" {
		f.add(field+".identityTenantId", "must not be empty; remove it to use the tenant of weir")
	}
	if given(p.IdentityAuthorityHost) && !given(p.IdentityTenantID) {
		f.add(field+".identityAuthorityHost", "needs identityTenantId; set that too")
	}
}

func (f *findings) aws(field string, p *v1alpha1.PodIdentity) {
	if given(p.RoleArn) && p.EffectiveIdentityOwner() == v1alpha1.IdentityOwnerWorkload {
		f.add(field+".roleArn", "cannot be combined with the identityOwner workload, whose service account names the role; keep one of the two")
	}
	if given(p.ExternalID) && !given(p.RoleArn) {
		f.add(field+".externalID", "needs roleArn, the role that it is given for; set that too")
	}
}

func given(s *string) bool { return s != nil && *s != "" }

// oauth2 looks at a client of an OAuth 2.0 server, whatever identity is there.
func (f *findings) oauth2(o *v1alpha1.OAuth2) {
	if o == nil {
		return
	}
	if o.Type != v1alpha1.OAuth2ClientCredentials && o.Type != "" {
		f.add("spec.oauth2.type", "must be clientCredentials")
	}
	if o.ClientID == "" {
		f.add("spec.oauth2.clientId", "must not be empty")
	}
	if u, err := url.Parse(o.TokenURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		f.add("spec.oauth2.tokenUrl", "must be an absolute URL that begins with http:// or https://")
	}
}

// authParameters returns the names of the parameters that an authentication
// object gives, and whether it may give others too.
func authParameters(s *v1alpha1.TriggerAuthenticationSpec) (names []string, others bool) {
	names = slices.Concat(
		each(s.SecretTargetRef, func(t v1alpha1.TargetRef) string { return t.Parameter }),
		each(s.ConfigMapTargetRef, func(t v1alpha1.TargetRef) string { return t.Parameter }),
		each(s.Env, func(e v1alpha1.EnvRef) string { return e.Parameter }),
		each(s.BoundServiceAccountToken, func(t v1alpha1.BoundServiceAccountToken) string { return t.Parameter }),
	)
	if v := s.HashiCorpVault; v != nil {
		names = append(names, each(v.Secrets, func(s v1alpha1.VaultSecret) string { return s.Parameter })...)
	}
	if v := s.AzureKeyVault; v != nil {
		names = append(names, each(v.Secrets, func(s v1alpha1.AzureKeyVaultSecret) string { return s.Parameter })...)
	}
	if m := s.GCPSecretManager; m != nil {
		names = append(names, each(m.Secrets, func(s v1alpha1.GCPSecret) string { return s.Parameter })...)
	}
	if m := s.AWSSecretManager; m != nil {
		names = append(names, each(m.Secrets, func(s v1alpha1.AWSSecret) string { return s.Parameter })...)
	}
	return names, s.FilePath != "" || s.OAuth2 != nil
}

func each[T any](list []T, of func(T) string) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = of(item)
	}
	return out
}

// KnownAuthentication returns what an authentication object leaves unknown as
// long as its values are not read, and the identity that it gives.
func KnownAuthentication(s *v1alpha1.TriggerAuthenticationSpec) (Unknown, param.Identity) {
	u := Unknown{Env: true, Auth: true}
	names, others := authParameters(s)
	if others {
		return u, param.Identity{}
	}
	u.Given = append([]string{}, names...) // not nil, though empty
	p := s.PodIdentity
	if p == nil {
		return u, param.Identity{}
	}
	if p.Provider == v1alpha1.PodIdentityAWSEKS || p.EffectiveIdentityOwner() == v1alpha1.IdentityOwnerWorkload {
		u.Given = append(u.Given, "awsRoleArn") // from the service account of the workload
	}
	return u, param.Identity{Provider: string(p.Provider), Owner: string(p.EffectiveIdentityOwner())}
}
