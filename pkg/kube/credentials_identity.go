package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

const (
	// roleAnnotation of a service account holds the AWS role of its pods.
	roleAnnotation = "eks.amazonaws.com/role-arn"
	// roleParameter is the authentication parameter that the role is given as.
	roleParameter = "awsRoleArn"
)

// identify adds the pod identity, and the AWS role of the workload where that is
// the identity.
func (r *resolution) identify(ctx context.Context, p *v1alpha1.PodIdentity) {
	if p == nil {
		return
	}
	r.values.Identity = identity(p)
	r.values.Identity.Shared = r.cluster
	role, err := r.workloadRole(ctx, p)
	if err != nil {
		r.fail(fmt.Errorf("resolving podIdentity: %w", err))
	}
	if role != "" {
		r.values.Auth[roleParameter] = role
	}
}

// identity copies a pod identity.
func identity(p *v1alpha1.PodIdentity) param.Identity {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return param.Identity{
		Provider: string(p.Provider), ID: text(p.IdentityID), TenantID: text(p.IdentityTenantID),
		AuthorityHost: text(p.IdentityAuthorityHost), RoleARN: text(p.RoleArn), ExternalID: text(p.ExternalID),
		Owner: string(p.EffectiveIdentityOwner()),
	}
}

// workloadRole returns the AWS role of the workload's service account. It is
// empty where the identity is not the workload's, and may be with aws-eks.
func (r *resolution) workloadRole(ctx context.Context, p *v1alpha1.PodIdentity) (string, error) {
	required := p.Provider == v1alpha1.PodIdentityAWS && p.EffectiveIdentityOwner() == v1alpha1.IdentityOwnerWorkload
	if !required {
		if p.Provider != v1alpha1.PodIdentityAWSEKS || r.workload.Pod == nil {
			return "", nil
		}
		return r.annotatedRole(ctx)
	}
	switch {
	case p.RoleArn != nil && *p.RoleArn != "":
		return "", errors.New("roleArn and the identityOwner workload exclude each other; remove one of them")
	case r.workload.Pod == nil:
		return "", errors.New("the identityOwner workload needs a workload with a pod template; use roleArn")
	}
	role, err := r.annotatedRole(ctx)
	if err == nil && role == "" {
		err = fmt.Errorf("%v, which the workload runs as, has no annotation %q; add it, or use roleArn",
			Ref{KindServiceAccount, r.workload.Namespace, r.workload.serviceAccount()}, roleAnnotation)
	}
	return role, err
}

// annotatedRole reads the role from the workload's service account; empty when it
// has none.
func (r *resolution) annotatedRole(ctx context.Context) (string, error) {
	account, err := r.read.serviceAccount(ctx, r.workload.Namespace, r.workload.serviceAccount())
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(account.Annotations[roleAnnotation]), nil
}

// serviceAccount is what the pods of a workload run as.
func (w Workload) serviceAccount() string { return cmp.Or(w.Pod.ServiceAccountName, "default") }

// account identifies a service account.
func (r *resolution) account(ctx context.Context, namespace, name string) (secretstore.ServiceAccount, error) {
	a, err := r.read.serviceAccount(ctx, namespace, name)
	if err != nil {
		return secretstore.ServiceAccount{}, err
	}
	return secretstore.ServiceAccount{Namespace: namespace, Name: name, UID: string(a.UID)}, nil
}

// token returns a token of a service account.
func (r *resolution) token(ctx context.Context, name string) (string, error) {
	if r.Stores.Tokens == nil {
		return "", &UnreadError{"boundServiceAccountToken", "tokens are requested by the running controller only"}
	}
	account, err := r.account(ctx, r.objects, name)
	if err != nil {
		return "", err
	}
	got, err := r.Stores.Tokens.Read(ctx, secretstore.NoLogin{}, account)
	r.within(got.FreshFor)
	return got.Fields[""], unanswered(ctx, err)
}

// oauth2 adds the parameters that describe a client of an OAuth 2.0 server.
func (r *resolution) oauth2(ctx context.Context, o *v1alpha1.OAuth2) {
	if o == nil {
		return
	}
	if o.Type != v1alpha1.OAuth2ClientCredentials && o.Type != "" {
		r.fail(errors.New("oauth2.type must be clientCredentials"))
	}
	if o.ClientID == "" {
		r.fail(errors.New("oauth2.clientId is empty"))
	}
	var err error
	if u, wrong := url.Parse(o.TokenURL); wrong != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		err = errors.New("oauth2.tokenUrl must be an absolute URL that begins with http:// or https://")
	}
	r.set("oauthTokenURI", o.TokenURL, err)
	r.values.Auth["clientID"] = o.ClientID
	if o.ClientSecret != nil {
		value, err := r.secretKey(ctx, o.ClientSecret.ValueFrom.SecretKeyRef)
		r.set("clientSecret", value, err)
	}
	r.values.Auth["scopes"] = strings.Join(o.Scopes, ",")
	params := url.Values{}
	for k, v := range o.TokenURLParams {
		params.Set(k, v)
	}
	r.values.Auth["endpointParams"] = params.Encode()
}
