// Package awsauth connects to AWS as whoever a trigger or an authentication
// object says: with static keys, in a role, or as Weir itself.
//
// Settings are the comparable part: which region and which identity. Config
// turns them into an aws.Config whose credentials refresh by themselves, so that
// nothing needs to be reopened when a token runs out. Failed turns what a client
// returned into a *scalers.Error that repeats nothing of the request.
//
// Requests to the services, STS included, go through the process's HTTP client.
// The default chain of the SDK (IMDS, the agents of ECS and EKS, token files)
// fetches with a client of the SDK's own, because the process's refuses the
// link-local addresses where these are.
package awsauth

import (
	"cmp"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Settings are where to connect and as whom. They are comparable; the zero value
// names no identity. A scaler keeps them in its own settings.
type Settings struct {
	region   string
	endpoint param.URL // of the service; zero means the region's
	way      way

	keys       Keys   // byKeys only
	role       string // ARN; inRole only. Empty is told when the credentials are made
	externalID param.Secret
	scope      string // see param.Values.Scope; empty with static keys
}

// way is how credentials are got.
type way string

const (
	unknown way = ""
	byKeys  way = "keys"
	inRole  way = "role" // assumed by the process's identity
	asSelf  way = "self" // the process's identity
)

// Keys are static credentials.
type Keys struct {
	ID     param.Secret // access key
	Secret param.Secret // secret access key
	Token  param.Secret // session token of temporary keys; may be zero
}

// The providers of a pod identity.
const (
	provider    = "aws"
	providerEKS = "aws-eks" // its successor is aws with the workload as owner
)

// Options say what Bind declares and requires.
type Options struct {
	// Optional accepts that region or identity are missing. The caller asks for
	// them with Missing, in a check of its own after Bind.
	Optional bool
	// Endpoint also declares awsEndpoint, which Config then applies. It is the name
	// of the service in its addresses, such as "sqs"; empty declares nothing.
	Endpoint string
}

// Bind declares the parameters that all AWS triggers share, and decides between
// them once they are read.
func (s *Settings) Bind(p *param.Set, o Options) {
	var in input
	region := []param.Option{param.From(param.Metadata, param.Auth)}
	if !o.Optional {
		region = append(region, param.Required)
	}
	p.String(&s.region, "awsRegion", "Region of the service, such as `eu-west-1`.", region...)
	p.Check(func() error {
		if s.region != "" && !isRegion(s.region) {
			return param.Wrong("awsRegion", wrongRegion)
		}
		return nil
	}, "awsRegion")
	if o.Endpoint != "" {
		p.URL(&s.endpoint, "awsEndpoint", "Address of the service's API, for a private endpoint or an emulator. Empty means the region's public endpoint. "+
			"Without static keys it must be an address of the service itself, unless the pod identity is that of a ClusterTriggerAuthentication.")
		p.Check(func() error {
			e := s.endpoint
			if !e.IsZero() && e.Scheme != "http" && e.Scheme != "https" || !e.User.IsZero() || !e.Query.IsZero() {
				return param.Wrong("awsEndpoint", "must begin with http:// or https:// and hold no user name and no query")
			}
			return nil
		}, "awsEndpoint")
	}
	p.String(&in.owner, "identityOwner", "As whom to connect when the trigger has no pod identity: `pod` with the keys or the role given, `operator` as Weir itself. "+
		"Empty means `pod`.")
	p.String(&in.role, "awsRoleArn", "ARN of a role to assume.", param.From(param.Auth))
	p.Secret(&in.keys.ID, "awsAccessKeyID", "Access key.", param.From(param.Auth, param.Metadata, param.Env), param.Alias("awsAccessKeyId"))
	p.Secret(&in.keys.Secret, "awsSecretAccessKey", "Secret of the access key.", param.From(param.Auth, param.Env))
	p.Secret(&in.keys.Token, "awsSessionToken", "Session token, with temporary keys.")
	p.Check(func() error {
		s.decide(p, in)
		if o.Optional {
			return nil
		}
		return s.missingIdentity()
	}, "identityOwner", "awsRoleArn")
	p.Check(func() error { return s.mayReach(o.Endpoint, p.Values().Identity.Shared) }, "awsEndpoint", "identityOwner", "awsRoleArn")
}

// input is what was read besides Settings.
type input struct {
	owner, role string
	keys        Keys
}

// decide sets the identity. The order is the one that manifests depend on.
func (s *Settings) decide(p *param.Set, in input) {
	v := p.Values()
	switch {
	case v.Identity.Provider == provider:
		s.identify(v.Identity, in.role, v.Scope())
		warnIgnored(p, "awsAccessKeyID", "identityOwner")
		return
	case in.owner != "" && in.owner != "pod":
		if in.owner != "operator" {
			p.Warn("identityOwner", `is neither "pod" nor "operator"; it is taken for "operator", which connects as Weir itself`)
		}
		s.way, s.scope = asSelf, v.Scope()
		return
	}
	eks := v.Identity.Provider == providerEKS
	if eks {
		p.Warn("podIdentity", `has the deprecated provider "aws-eks"; use "aws" with identityOwner "workload"`)
	}
	s.keys = in.keys.paired(v)
	switch {
	case in.role != "" || eks && s.keys == Keys{}:
		s.way, s.role, s.scope, s.keys = inRole, in.role, v.Scope(), Keys{}
	case !s.keys.ID.IsZero() && !s.keys.Secret.IsZero():
		s.way = byKeys
	}
}

func warnIgnored(p *param.Set, names ...string) {
	for _, name := range names {
		if p.Given(name) {
			p.Warn(name, "is ignored: the trigger has a pod identity")
		}
	}
}

// identify sets what a pod identity of provider "aws" says. The role of a
// workload is role; without one Weir must not stand in for it.
func (s *Settings) identify(id param.Identity, role, scope string) {
	s.way, s.scope, s.role = asSelf, scope, cmp.Or(id.RoleARN, role)
	if s.role != "" || id.Owner == "workload" {
		s.way = inRole
	}
	if id.RoleARN != "" {
		s.externalID = param.NewSecret(id.ExternalID)
	}
}

// paired returns keys of which both parts are from the authentication object, or
// both from the trigger: halves of two pairs are of no use.
func (k Keys) paired(v param.Values) Keys {
	read := func(from map[string]string, name string) param.Secret {
		return param.NewSecret(strings.TrimSpace(from[name]))
	}
	if id := read(v.Auth, "awsAccessKeyID"); !id.IsZero() || !read(v.Auth, "awsAccessKeyId").IsZero() {
		k.Secret = read(v.Auth, "awsSecretAccessKey")
		return k
	}
	return Keys{ID: k.ID, Secret: read(v.Env, strings.TrimSpace(v.Metadata["awsSecretAccessKeyFromEnv"]))}
}

// Missing says which parameter is missing to connect, as *param.Error; nil when
// there is a region and an identity. It is for checks after Bind with Optional.
func (s Settings) Missing() error {
	if s.region == "" {
		return param.Wrong("awsRegion", "is required")
	}
	return s.missingIdentity()
}

func (s Settings) missingIdentity() error {
	switch {
	case s.way != unknown:
		return nil
	case s.keys.ID.IsZero():
		return param.Wrong("awsAccessKeyID", "is required; set it as an authentication parameter together with awsSecretAccessKey, "+
			`or use a pod identity of provider "aws", the authentication parameter awsRoleArn, or identityOwner "operator"`)
	}
	return param.Wrong("awsSecretAccessKey", "is required in the same place as awsAccessKeyID: both as authentication parameters, "+
		"or the secret through awsSecretAccessKeyFromEnv when the ID is in the trigger's metadata")
}

// New makes settings without a trigger's parameters. With keys it connects by
// these, else as the identity, whose role is that of the workload when its Owner
// says so. Scope is the namespace that may connect as Weir; empty means all. An
// empty region means the process's own. The error is of kind Invalid.
func New(region string, keys Keys, id param.Identity, scope string) (Settings, error) {
	s := Settings{region: region}
	if region != "" && !isRegion(region) {
		return Settings{}, &scalers.Error{Kind: scalers.Invalid, Op: "reading the AWS region", Hint: "it " + wrongRegion}
	}
	switch {
	case !keys.ID.IsZero() && !keys.Secret.IsZero():
		s.way, s.keys = byKeys, keys
	case keys != Keys{}:
		return Settings{}, &scalers.Error{Kind: scalers.Invalid, Op: "reading the AWS credentials", Hint: "give both the access key and its secret"}
	case id.Provider == provider:
		s.identify(id, "", scope)
	default:
		return Settings{}, &scalers.Error{
			Kind: scalers.Invalid, Op: "reading the AWS credentials",
			Hint: `give an access key with its secret, or a pod identity of provider "aws"`,
		}
	}
	return s, nil
}
