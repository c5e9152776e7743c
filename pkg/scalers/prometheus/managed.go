package prometheus

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/cloud/gcpauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// managed is as whom to ask a cloud's own Prometheus. At most one is set.
type managed struct {
	azure    azureauth.Identity
	resource string // azure: what tokens are for, as a URL
	gcp      gcpauth.Settings
	aws      awsauth.Settings
}

const resourceParam = "azureManagedPrometheusResourceURL"

// bind declares the parameters of the three clouds and chooses between them.
func (m *managed) bind(p *param.Set) {
	var cloud, resource string
	var given managed
	azureauth.BindCloud(&cloud, p)
	p.String(&resource, resourceParam, "What tokens are for, where `cloud` is Private: the URL of that cloud's managed Prometheus.")
	given.gcp.BindOptional(p)
	given.aws.Bind(p, awsauth.Options{Optional: true})
	p.Check(func() error {
		*m = managed{}
		given.azure = azureauth.OfWorkload(p.Values())
		switch {
		case p.Given("authModes"):
			return nil
		case !given.azure.IsZero():
			var err error
			m.azure = given.azure
			m.resource, err = resourceOf(cloud, resource)
			return err
		case !given.gcp.IsZero():
			m.gcp = given.gcp
			return nil
		}
		missing := given.aws.Missing()
		if missing == nil {
			m.aws = given.aws
			return nil
		}
		if meant := slices.ContainsFunc([]string{"awsRegion", "identityOwner", "awsRoleArn", "awsAccessKeyID"}, p.Given); meant || p.Values().Identity.Provider == "aws" {
			for _, e := range param.Errors(missing) {
				p.Warn(e.Param, "%s; until then requests are not signed for AWS", e.Reason)
			}
		}
		return nil
	}, "authModes", "cloud", resourceParam)
}

// resourceOf is what tokens of a cloud are for.
func resourceOf(cloud, own string) (string, error) {
	resource, err := azureauth.Suffix(cloud, own, resourceParam, func(c azureauth.Cloud) string {
		switch {
		case strings.HasSuffix(c.Authority, ".com/"):
			return "https://prometheus.monitor.azure.com"
		case strings.HasSuffix(c.Authority, ".us/"):
			return "https://prometheus.monitor.azure.us"
		case strings.HasSuffix(c.Authority, ".cn/"):
			return "https://prometheus.monitor.azure.cn"
		}
		return ""
	})
	if err == nil && resource == "" {
		err = param.Wrong("cloud", "has no managed Prometheus")
	}
	return strings.TrimSuffix(strings.TrimSuffix(resource, ".default"), "/"), err
}

// signer puts the identity on requests.
type signer struct {
	refresh func(context.Context) error // before a round of requests
	sign    func(*http.Request) error
	close   func() error
}

// open makes a signer that asks nobody yet, except to find the process's own
// identity.
//
// A token says who asks, not whom: whoever receives it can use it. Tokens are
// therefore never sent in plain text, and one of the process itself goes only
// where such tokens are for, whatever address a trigger holds.
func (m managed) open(ctx context.Context, env scalers.Env, server httpauth.Settings) (*signer, error) {
	switch {
	case !m.azure.IsZero():
		if !server.Within(strings.TrimPrefix(m.resource, "https://")) {
			return nil, elsewhere("a managed Prometheus of the Azure cloud, over https")
		}
		return m.openAzure(env)
	case m.gcp.Own() && !server.Within("googleapis.com"):
		return nil, elsewhere("a host of googleapis.com, over https")
	case !m.gcp.IsZero():
		if !server.Private() {
			return nil, elsewhere("an address that begins with https://")
		}
		return m.openGCP(ctx, env)
	case m.aws != awsauth.Settings{}:
		return m.openAWS(ctx, env)
	}
	none := func(context.Context) error { return nil }
	return &signer{none, func(*http.Request) error { return nil }, func() error { return nil }}, nil
}

func elsewhere(where string) error {
	return &scalers.Error{
		Kind: scalers.Invalid, Op: "preparing requests with a cloud identity",
		Err: errors.New("serverAddress leads elsewhere, where the identity's token could be misused"), Hint: "give " + where,
	}
}

// bearing makes a signer of what gives tokens.
func bearing(token func(context.Context) (string, error)) *signer {
	var now string
	return &signer{
		func(ctx context.Context) (err error) {
			now, err = token(ctx)
			return err
		},
		func(r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+now)
			return nil
		},
		func() error { return nil },
	}
}

func (m managed) openAzure(env scalers.Env) (*signer, error) {
	credential, err := m.azure.Credential(env)
	if err != nil {
		return nil, err
	}
	scopes := policy.TokenRequestOptions{Scopes: []string{m.resource + "/.default"}}
	return bearing(func(ctx context.Context) (string, error) {
		token, err := credential.GetToken(ctx, scopes)
		return token.Token, err
	}), nil
}

func (m managed) openGCP(ctx context.Context, env scalers.Env) (*signer, error) {
	credentials, err := m.gcp.Open(ctx, env, gcpauth.ReadMetrics)
	if err != nil {
		return nil, err
	}
	return bearing(credentials.Token), nil
}

func (m managed) openAWS(ctx context.Context, env scalers.Env) (*signer, error) {
	config, closeAll, err := m.aws.Connect(ctx, env, 1)
	if err != nil {
		return nil, err
	}
	const (
		service = "aps"
		noBody  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
	)
	var now aws.Credentials
	sigV4 := v4.NewSigner()
	return &signer{
		func(ctx context.Context) (err error) {
			if now, err = config.Credentials.Retrieve(ctx); err != nil {
				return awsauth.Failed("getting AWS credentials", err, "aps:QueryMetrics")
			}
			return nil
		},
		func(r *http.Request) error {
			if err := sigV4.SignHTTP(r.Context(), now, r, noBody, service, config.Region, time.Now()); err != nil {
				return &scalers.Error{Kind: scalers.Invalid, Op: "signing a request for AWS", Err: errors.New("it cannot be signed"), Hint: "check serverAddress"}
			}
			return nil
		},
		closeAll,
	}, nil
}
