package azurestorage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azurestorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 10, azurestorage.Scalers()...) }

const connection = "DefaultEndpointsProtocol=https;AccountName=jobs;AccountKey=a2V5;EndpointSuffix=core.windows.net"

// identity makes values with a pod identity.
func identity(provider string, metadata ...string) param.Values {
	v := values("", metadata...)
	v.Identity, v.Namespace = param.Identity{Provider: provider}, "shop"
	return v
}

func TestParameters(t *testing.T) {
	for name, c := range map[string]struct {
		typ      string
		v        param.Values
		err      string
		warnings []string
	}{
		"a connection string":            {typ: "azure-queue", v: values(connection, "queueName", "q")},
		"an identity":                    {typ: "azure-queue", v: identity("azure-workload", "queueName", "q", "accountName", "jobs")},
		"an identity without an account": {typ: "azure-queue", v: identity("azure-workload", "queueName", "q"), err: `parameter "accountName" is required with the identity azure-workload`},
		"another identity":               {typ: "azure-blob", v: identity("aws", "blobContainerName", "c"), err: "the pod identity must be azure-workload, or none"},
		"nothing": {
			typ: "azure-queue", v: values(""),
			err: "parameter \"connection\" is required without an identity; give the connection string of the storage account\nparameter \"queueName\" is required; set it in the trigger's metadata",
		},
		"a private cloud": {typ: "azure-queue", v: identity("azure-workload", "queueName", "q", "accountName", "jobs", "cloud", "private", "endpointSuffix", "queue.corp")},
		"a private cloud without a suffix": {
			typ: "azure-blob", v: identity("azure-workload", "blobContainerName", "c", "accountName", "jobs", "cloud", "Private"),
			err: `parameter "endpointSuffix" is required when "cloud" is Private`,
		},
		"a plain connection string": {
			typ: "azure-queue", v: values("", "queueName", "q", "connection", connection),
			warnings: []string{`parameter "connection" is a secret written in plain text; move it to an authentication object`},
		},
		"no connection string": {
			typ: "azure-queue", v: values("c4n4ry", "queueName", "q"),
			warnings: []string{`parameter "connection" cannot be used: it is not made of key=value pairs that are separated by semicolons`},
		},
		"the emulator's short form": {
			typ: "azure-queue", v: values("UseDevelopmentStorage=true", "queueName", "q"),
			warnings: []string{`parameter "connection" cannot be used: UseDevelopmentStorage is not understood; write out AccountName, AccountKey and QueueEndpoint`},
		},
		"keys in lower case": {
			typ: "azure-blob", v: values("accountname=a;accountkey=a2V5", "blobContainerName", "c"),
			warnings: []string{`parameter "connection" cannot be used: it needs AccountName or BlobEndpoint, in exactly this spelling`},
		},
		"no credential": {
			typ: "azure-blob", v: values("AccountName=a", "blobContainerName", "c"),
			warnings: []string{`parameter "connection" cannot be used: it needs AccountName and AccountKey, or SharedAccessSignature, in exactly this spelling`},
		},
		"a key that is none": {
			typ: "azure-blob", v: values("AccountName=a;AccountKey=%", "blobContainerName", "c"),
			warnings: []string{`parameter "connection" cannot be used: its AccountKey is not base64`},
		},
		"no address": {
			typ: "azure-blob", v: values("BlobEndpoint=ftp://h;AccountName=a;AccountKey=a2V5", "blobContainerName", "c"),
			warnings: []string{`parameter "connection" cannot be used: its parts do not make an http or https address`},
		},
		"a pattern and a prefix": {
			typ: "azure-blob", v: values(connection, "blobContainerName", "c", "globPattern", "*.txt", "blobPrefix", "in"),
			warnings: []string{`parameter "globPattern" is applied to the names under "blobPrefix" only`},
		},
		"an open brace":    {typ: "azure-blob", v: values(connection, "blobContainerName", "c", "globPattern", "{a"), err: `parameter "globPattern" is no pattern: a { is not closed`},
		"an open bracket":  {typ: "azure-blob", v: values(connection, "blobContainerName", "c", "globPattern", "[a"), err: `parameter "globPattern" is no pattern: a [ is not closed`},
		"a last backslash": {typ: "azure-blob", v: values(connection, "blobContainerName", "c", "globPattern", `a\`), err: `parameter "globPattern" is no pattern: nothing follows a backslash`},
		"an odd set":       {typ: "azure-blob", v: values(connection, "blobContainerName", "c", "globPattern", "[z-a]"), err: `parameter "globPattern" is no pattern: a set in brackets makes no sense`},
		"a wrong strategy": {typ: "azure-queue", v: values(connection, "queueName", "q", "queueLengthStrategy", "some"), err: `parameter "queueLengthStrategy" must be one of all, visibleonly`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := definition(t, c.typ).Parse(c.v)
			if got := fmt.Sprint(err); got != c.err && (err != nil || c.err != "") {
				t.Errorf("error %s\nwant  %s", got, c.err)
			}
			var said []string
			for _, w := range warnings {
				said = append(said, w.String())
			}
			if strings.Join(said, "\n") != strings.Join(c.warnings, "\n") {
				t.Errorf("warnings %q\nwant     %q", said, c.warnings)
			}
		})
	}
}

func TestSharing(t *testing.T) {
	workload := func(namespace, queue string) param.Values {
		v := identity("azure-workload", "queueName", queue, "accountName", "jobs")
		v.Namespace = namespace
		return v
	}
	forAll := workload("shop", "q")
	forAll.Identity.Shared = true
	forAllToo := workload("desk", "q")
	forAllToo.Identity.Shared = true
	target := values(connection, "queueName", "q", "queueLength", "9")
	for name, c := range map[string]struct {
		a, b                  param.Values
		sameSource, sameQuery bool
	}{
		"two queues":                    {values(connection, "queueName", "a"), values(connection, "queueName", "b"), true, false},
		"two targets":                   {values(connection, "queueName", "q"), target, true, true},
		"two keys":                      {values(connection, "queueName", "q"), values(connection+"1", "queueName", "q"), false, false},
		"identities of two namespaces":  {workload("shop", "q"), workload("desk", "q"), false, false},
		"one identity":                  {workload("shop", "q"), workload("shop", "r"), true, false},
		"an identity that is for all":   {forAll, forAllToo, true, true},
		"cloud does not matter to keys": {values(connection, "queueName", "q"), values(connection, "queueName", "q", "cloud", "AzureChinaCloud"), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			x, y := parse(t, "azure-queue", c.a), parse(t, "azure-queue", c.b)
			if got := x.Source == y.Source; got != c.sameSource {
				t.Errorf("same source: %v, want %v", got, c.sameSource)
			}
			if got := x.Query == y.Query; got != c.sameQuery {
				t.Errorf("same query: %v, want %v", got, c.sameQuery)
			}
		})
	}
}

func TestSettingsThatCannotBeOpened(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"a connection string": {values("c4n4ry", "blobContainerName", "c"), "reading the storage connection string: it is not made of key=value pairs that are separated by semicolons; copy it from the account's access keys"},
		"a variable without a value": {
			values("", "blobContainerName", "c", "connectionFromEnv", "NOPE"),
			"reading the storage connection string: it is not made of key=value pairs that are separated by semicolons; copy it from the account's access keys",
		},
		"an account": {identity("azure-workload", "blobContainerName", "c", "accountName", "evil.example/?"), "finding the storage account: its name and suffix make no host name; correct the account's name and the suffix of the cloud"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, "azure-blob", c.v).Source.Open(t.Context(), env(t))
			if scalers.KindOf(err) != scalers.Invalid || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}
