package awsauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

type kv = map[string]string

// probe is a scaler that has nothing but the settings.
func probe(o awsauth.Options) *scalers.Definition {
	return scalers.Define(scalers.Spec[awsauth.Settings, struct{}]{
		Type: "probe", Summary: "Scales on nothing.", Unit: "things",
		Settings:   func(s *awsauth.Settings, p *param.Set) { s.Bind(p, o) },
		MetricName: func(awsauth.Settings, struct{}) string { return "probe" },
		Open: func(context.Context, scalers.Env, awsauth.Settings) (scalers.Source[struct{}], error) {
			return nil, errors.ErrUnsupported
		},
	})
}

const (
	noID = `parameter "awsAccessKeyID" is required; set it as an authentication parameter together with awsSecretAccessKey, or use a pod identity of provider "aws", ` +
		`the authentication parameter awsRoleArn, or identityOwner "operator"`
	noSecret = `parameter "awsSecretAccessKey" is required in the same place as awsAccessKeyID: both as authentication parameters, ` +
		`or the secret through awsSecretAccessKeyFromEnv when the ID is in the trigger's metadata`
)

func TestTheIdentityIsDecidedInOrder(t *testing.T) {
	identity := func(i param.Identity) param.Values {
		i.Provider = "aws"
		return param.Values{Identity: i}
	}
	for name, c := range map[string]struct {
		v    param.Values
		want string // settings besides the region; or the error
	}{
		"pod identity":                          {identity(param.Identity{}), "way:self scope:team"},
		"pod identity for all":                  {identity(param.Identity{Shared: true}), "way:self"},
		"pod identity with a role":              {identity(param.Identity{RoleARN: "R"}), "way:role role:R scope:team"},
		"pod identity with an external id":      {identity(param.Identity{RoleARN: "R", ExternalID: "E"}), "way:role role:R externalID:[redacted] scope:team"},
		"an external id without a role":         {identity(param.Identity{ExternalID: "E"}), "way:self scope:team"},
		"pod identity with the workload's role": {param.Values{Identity: param.Identity{Provider: "aws", Owner: "workload"}, Auth: kv{"awsRoleArn": "R"}}, "way:role role:R scope:team"},
		"a workload without a role":             {identity(param.Identity{Owner: "workload"}), "way:role scope:team"},
		"pod identity wins over keys":           {param.Values{Identity: param.Identity{Provider: "aws"}, Auth: kv{"awsAccessKeyID": "A", "awsSecretAccessKey": "S"}}, "way:self scope:team"},
		"operator":                              {param.Values{Metadata: kv{"identityOwner": "operator"}, Auth: kv{"awsRoleArn": "R"}}, "way:self scope:team"},
		"any other owner":                       {param.Values{Metadata: kv{"identityOwner": "somebody"}}, "way:self scope:team"},
		"a role":                                {param.Values{Auth: kv{"awsRoleArn": "R", "awsAccessKeyID": "A", "awsSecretAccessKey": "S"}}, "way:role role:R scope:team"},
		"a role and the owner pod":              {param.Values{Metadata: kv{"identityOwner": "pod"}, Auth: kv{"awsRoleArn": "R"}}, "way:role role:R scope:team"},
		"a role in metadata is ignored":         {param.Values{Metadata: kv{"awsRoleArn": "R"}}, noID},
		"keys":                                  {param.Values{Auth: kv{"awsAccessKeyID": "A", "awsSecretAccessKey": "S"}}, "way:keys keys:{ID:[redacted] Secret:[redacted]}"},
		"keys with a token":                     {param.Values{Auth: kv{"awsAccessKeyId": "A", "awsSecretAccessKey": "S", "awsSessionToken": "T"}}, "way:keys keys:{ID:[redacted] Secret:[redacted] Token:[redacted]}"},
		"keys from the environment":             {param.Values{Metadata: kv{"awsAccessKeyIDFromEnv": "I", "awsSecretAccessKeyFromEnv": "S"}, Env: kv{"I": "A", "S": "B"}}, "way:keys keys:{ID:[redacted] Secret:[redacted]}"},
		"the id in metadata":                    {param.Values{Metadata: kv{"awsAccessKeyID": "A", "awsSecretAccessKeyFromEnv": "S"}, Env: kv{"S": "B"}}, "way:keys keys:{ID:[redacted] Secret:[redacted]}"},
		"a secret in metadata is ignored":       {param.Values{Metadata: kv{"awsAccessKeyID": "A", "awsSecretAccessKey": "S"}}, noSecret},
		"halves of two pairs":                   {param.Values{Metadata: kv{"awsAccessKeyID": "A"}, Auth: kv{"awsSecretAccessKey": "S"}}, noSecret},
		"halves of two other pairs":             {param.Values{Metadata: kv{"awsSecretAccessKeyFromEnv": "S"}, Env: kv{"S": "B"}, Auth: kv{"awsAccessKeyID": "A"}}, noSecret},
		"nothing":                               {param.Values{}, noID},
		"a blank id":                            {param.Values{Auth: kv{"awsAccessKeyID": " ", "awsSecretAccessKey": "S"}}, noID},
		"no secret":                             {param.Values{Auth: kv{"awsAccessKeyID": "A"}}, noSecret},
		"aws-eks":                               {param.Values{Identity: param.Identity{Provider: "aws-eks"}, Auth: kv{"awsRoleArn": "R"}}, "way:role role:R scope:team"},
		"aws-eks without a role":                {param.Values{Identity: param.Identity{Provider: "aws-eks"}}, "way:role scope:team"},
		"aws-eks and the operator":              {param.Values{Identity: param.Identity{Provider: "aws-eks"}, Metadata: kv{"identityOwner": "operator"}}, "way:self scope:team"},
		"aws-eks and keys":                      {param.Values{Identity: param.Identity{Provider: "aws-eks"}, Auth: kv{"awsAccessKeyID": "A", "awsSecretAccessKey": "S"}}, "way:keys keys:{ID:[redacted] Secret:[redacted]}"},
	} {
		t.Run(name, func(t *testing.T) {
			c.v.Namespace = "team"
			if c.v.Metadata == nil {
				c.v.Metadata = kv{}
			}
			c.v.Metadata["awsRegion"] = "r"
			trigger, _, err := probe(awsauth.Options{}).Parse(c.v)
			got := strings.TrimSuffix(strings.TrimPrefix(trigger.Source.String(), "probe{region:r "), "}")
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestKeysOfTwoPairsAreNotMixed(t *testing.T) {
	def := probe(awsauth.Options{})
	parse := func(v param.Values) scalers.SourceKey {
		v.Metadata["awsRegion"] = "r"
		trigger, _, err := def.Parse(v)
		if err != nil {
			t.Fatal(err)
		}
		return trigger.Source
	}
	env := kv{"I": "A", "S": "B"}
	alone := parse(param.Values{Metadata: kv{"awsAccessKeyIDFromEnv": "I", "awsSecretAccessKeyFromEnv": "S"}, Env: env})
	besides := parse(param.Values{
		Metadata: kv{"awsAccessKeyIDFromEnv": "I", "awsSecretAccessKeyFromEnv": "S"}, Env: env,
		Auth: kv{"awsSecretAccessKey": "other", "awsSessionToken": "other"},
	})
	if alone != besides {
		t.Error("a secret of the authentication object was put to an id of the trigger")
	}
}

func TestMistakesAndOdditiesAreTold(t *testing.T) {
	keys := kv{"awsAccessKeyID": "A", "awsSecretAccessKey": "S"}
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"no region":              {param.Values{Auth: keys}, `parameter "awsRegion" is required; set it in the trigger's metadata, or as an authentication parameter`},
		"no region, no identity": {param.Values{}, noID + "\n" + `parameter "awsRegion" is required; set it in the trigger's metadata, or as an authentication parameter`},
		"the region from the authentication object": {param.Values{Auth: kv{"awsAccessKeyID": "A", "awsSecretAccessKey": "S", "awsRegion": "r"}}, ""},
		"an endpoint with a password": {
			param.Values{Metadata: kv{"awsRegion": "r", "awsEndpoint": "http://c4n4ry:c4n4ry@h/"}, Auth: keys},
			`parameter "awsEndpoint" must begin with http:// or https:// and hold no user name and no query`,
		},
		"an endpoint of another protocol": {
			param.Values{Metadata: kv{"awsRegion": "r", "awsEndpoint": "ftp://h/"}, Auth: keys},
			`parameter "awsEndpoint" must begin with http:// or https:// and hold no user name and no query`,
		},
		"an endpoint that is none": {
			param.Values{Metadata: kv{"awsRegion": "r", "awsEndpoint": "localhost:4566"}, Auth: keys},
			`parameter "awsEndpoint" must be an absolute URL such as "scheme://host:port/path", with reserved characters of the user name and password percent-encoded`,
		},
		"a region that leads elsewhere": {
			param.Values{Metadata: kv{"awsRegion": "c4n4ry@h/"}, Auth: keys},
			`parameter "awsRegion" must be the name of a region, of letters, digits and hyphens`,
		},
		"another owner": {
			param.Values{Metadata: kv{"awsRegion": "r", "identityOwner": "me"}},
			`warning: parameter "identityOwner" is neither "pod" nor "operator"; it is taken for "operator", which connects as Weir itself`,
		},
		"aws-eks": {
			param.Values{Metadata: kv{"awsRegion": "r"}, Identity: param.Identity{Provider: "aws-eks"}},
			`warning: parameter "podIdentity" has the deprecated provider "aws-eks"; use "aws" with identityOwner "workload"`,
		},
		"what a pod identity makes void": {
			param.Values{Metadata: kv{"awsRegion": "r", "identityOwner": "pod"}, Auth: keys, Identity: param.Identity{Provider: "aws"}},
			"warning: parameter \"awsAccessKeyID\" is ignored: the trigger has a pod identity\nwarning: parameter \"identityOwner\" is ignored: the trigger has a pod identity",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := probe(awsauth.Options{Endpoint: "sqs"}).Parse(c.v)
			var lines []string
			if err != nil {
				lines = append(lines, err.Error())
			}
			for _, w := range warnings {
				lines = append(lines, "warning: "+w.String())
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestOptionalSettingsSayWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"nothing":  {param.Values{}, `parameter "awsRegion" is required`},
		"a region": {param.Values{Metadata: kv{"awsRegion": "r"}}, noID},
		"an id":    {param.Values{Metadata: kv{"awsRegion": "r"}, Auth: kv{"awsAccessKeyID": "A"}}, noSecret},
		"all":      {param.Values{Metadata: kv{"awsRegion": "r", "identityOwner": "operator"}}, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			var s awsauth.Settings
			var missing error
			_, err := param.Parse(c.v, func(p *param.Set) {
				s.Bind(p, awsauth.Options{Optional: true})
				p.Check(func() error {
					missing = s.Missing()
					return nil
				})
			})
			if got := fmt.Sprint(missing); err != nil || got != c.want {
				t.Errorf("got %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestNewNeedsKeysOrAnIdentity(t *testing.T) {
	id, secret := param.NewSecret("A"), param.NewSecret("S")
	for name, c := range map[string]struct {
		keys awsauth.Keys
		id   param.Identity
		want string
	}{
		"keys":         {awsauth.Keys{ID: id, Secret: secret}, param.Identity{}, "<nil>"},
		"an identity":  {awsauth.Keys{}, param.Identity{Provider: "aws"}, "<nil>"},
		"half of keys": {awsauth.Keys{ID: id}, param.Identity{Provider: "aws"}, "reading the AWS credentials; give both the access key and its secret"},
		"nothing":      {awsauth.Keys{}, param.Identity{}, `reading the AWS credentials; give an access key with its secret, or a pod identity of provider "aws"`},
		"another":      {awsauth.Keys{}, param.Identity{Provider: "gcp"}, `reading the AWS credentials; give an access key with its secret, or a pod identity of provider "aws"`},
	} {
		s, err := awsauth.New("r", c.keys, c.id, "team")
		if fmt.Sprint(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if err != nil && scalers.KindOf(err) != scalers.Invalid || err == nil && s.Missing() != nil {
			t.Errorf("%s: kind %s, missing %v", name, scalers.KindOf(err), s.Missing())
		}
	}
}
