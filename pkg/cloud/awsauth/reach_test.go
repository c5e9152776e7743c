package awsauth_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

const elsewhere = `parameter "awsEndpoint" must be an https:// address of the service itself, such as https://sqs.eu-west-1.amazonaws.com or that of a VPC endpoint: ` +
	"the process's own identity goes nowhere else; use static keys, or the podIdentity of a ClusterTriggerAuthentication, which is the operator's word for it"

func TestTheProcessIsShownToTheServiceOnly(t *testing.T) {
	t.Parallel()
	keys := kv{"awsAccessKeyID": "A", "awsSecretAccessKey": "S"}
	for name, c := range map[string]struct {
		v       param.Values
		allowed bool
	}{
		"pod identity":                 {param.Values{Identity: param.Identity{Provider: "aws"}}, false},
		"pod identity with a role":     {param.Values{Identity: param.Identity{Provider: "aws", RoleARN: "R"}}, false},
		"the workload's role":          {param.Values{Identity: param.Identity{Provider: "aws", Owner: "workload"}, Auth: kv{"awsRoleArn": "R"}}, false},
		"a role":                       {param.Values{Auth: kv{"awsRoleArn": "R"}}, false},
		"aws-eks":                      {param.Values{Identity: param.Identity{Provider: "aws-eks"}, Auth: kv{"awsRoleArn": "R"}}, false},
		"operator":                     {param.Values{Metadata: kv{"identityOwner": "operator"}, Auth: keys}, false},
		"keys":                         {param.Values{Auth: keys}, true},
		"the operator's word for all":  {param.Values{Identity: param.Identity{Provider: "aws", Shared: true}}, true},
		"the operator's word, a role":  {param.Values{Identity: param.Identity{Provider: "aws", Shared: true, RoleARN: "R"}}, true},
		"the operator's word, aws-eks": {param.Values{Identity: param.Identity{Provider: "aws-eks", Shared: true}, Auth: kv{"awsRoleArn": "R"}}, true},
	} {
		for endpoint, is := range map[string]bool{
			"": true, "https://sqs.eu-west-1.amazonaws.com": true, "https://10.0.0.1:8443": false, "http://localhost:4566": false,
		} {
			t.Run(fmt.Sprintf("%s to %q", name, endpoint), func(t *testing.T) {
				t.Parallel()
				v := c.v
				v.Metadata = maps.Clone(v.Metadata)
				if v.Metadata == nil {
					v.Metadata = kv{}
				}
				v.Namespace, v.Metadata["awsRegion"] = "team", "eu-west-1"
				if endpoint != "" {
					v.Metadata["awsEndpoint"] = endpoint
				}
				want := "<nil>"
				if !c.allowed && !is {
					want = elsewhere
				}
				if _, _, err := probe(awsauth.Options{Endpoint: "sqs"}).Parse(v); fmt.Sprint(err) != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			})
		}
	}
}

func TestTheServiceIsKnownByItsPlaceInTheName(t *testing.T) {
	t.Parallel()
	service := []string{
		"https://sqs.eu-west-1.amazonaws.com", "https://SQS.eu-west-1.AmazonAWS.com.", "https://sqs.eu-west-1.amazonaws.com:443/", "https://sqs-fips.us-gov-west-1.amazonaws.com",
		"https://sqs.cn-north-1.amazonaws.com.cn", "https://sqs.eu-west-1.api.aws", "https://sqs.eusc-de-east-1.amazonaws.eu", "https://sqs.us-iso-east-1.c2s.ic.gov",
		"https://vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com",
	}
	other := []string{
		"http://sqs.eu-west-1.amazonaws.com",                        // in plain text
		"https://sqs.eu-west-1.amazonaws.com.example.com",           // below somebody's domain
		"https://sqs.eu-west-1.evilamazonaws.com",                   // not below the domain
		"https://amazonaws.com",                                     // the domain itself
		"https://sqs.amazonaws.com",                                 // of no region
		"https://monitoring.eu-west-1.amazonaws.com",                // another service
		"https://a1b2.execute-api.eu-west-1.amazonaws.com",          // a customer's API
		"https://sqs.s3.eu-west-1.amazonaws.com",                    // a customer's bucket
		"https://sqs.a1b2.eu-west-1.amazonaws.com",                  // whatever that is
		"https://ec2-192-0-2-1.eu-west-1.compute.amazonaws.com",     // a customer's machine
		"https://sqs.eu-west-1.elb.amazonaws.com",                   // a customer's load balancer
		"https://vpce-0a1b.vpce-svc-1.eu-west-1.vpce.amazonaws.com", // a customer's private service
		"https://evil.sqs.eu-west-1.vpce.amazonaws.com",             // no VPC endpoint
	}
	for _, endpoint := range slices.Concat(service, other) {
		_, _, err := probe(awsauth.Options{Endpoint: "sqs"}).Parse(param.Values{
			Metadata: kv{"awsRegion": "r", "awsEndpoint": endpoint}, Identity: param.Identity{Provider: "aws"},
		})
		if allowed := err == nil; allowed != slices.Contains(service, endpoint) {
			t.Errorf("%s: allowed is %v: %v", endpoint, allowed, err)
		}
	}
}

func TestARegionOfAStoreCannotLeadElsewhere(t *testing.T) {
	t.Parallel()
	for _, region := range []string{"x@192.0.2.1/", "x.example.com", "-x", "x#", " ", "x/"} {
		_, err := awsauth.New(region, awsauth.Keys{}, param.Identity{Provider: "aws"}, "team")
		if want := "reading the AWS region; it must be the name of a region, of letters, digits and hyphens"; fmt.Sprint(err) != want {
			t.Errorf("region %q: got %v, want %s", region, err, want)
		}
	}
}

func TestTheSessionOfARoleNamesTheNamespace(t *testing.T) {
	s := start(t)
	s.AllowKey("OWN", "SK", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "OWN")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	s.SetRole("R", awsfake.Role{Trusts: true})
	n := func(count int) string { return strings.Repeat("n", count) }
	for scope, want := range map[string]string{
		"": "weir", "team": "weir.team", n(59): "weir." + n(59),
		n(62) + "a": "weir." + n(42) + ".e2cc026c3aac60fc", n(62) + "b": "weir." + n(42) + ".8247a25d44b87858",
	} {
		settings, err := awsauth.New("eu-west-1", awsauth.Keys{}, param.Identity{Provider: "aws", RoleARN: "R"}, scope)
		if err != nil {
			t.Fatal(err)
		}
		cfg, closeAll, err := settings.Connect(t.Context(), env(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(awsauth.Ready(t.Context(), cfg), closeAll()); err != nil {
			t.Fatal(err)
		}
		requests := s.Requests(awsfake.AssumeRole)
		if got := requests[len(requests)-1].Session; got != want || len(got) > 64 {
			t.Errorf("scope %q: session %q, want %q", scope, got, want)
		}
	}
}
