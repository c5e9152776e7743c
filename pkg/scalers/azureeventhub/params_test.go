package azureeventhub_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azureeventhub"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 17, azureeventhub.Scaler) }

const (
	namespaceString = "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=a2V5"
	storageString   = "AccountName=shop;AccountKey=a2V5"
)

// byKey makes values with connection strings, byIdentity with a pod identity.
func byKey(connection string, metadata ...string) param.Values {
	return param.Values{Metadata: meta(metadata...), Auth: meta("connection", connection, "storageConnection", storageString)}
}

func byIdentity(metadata ...string) param.Values {
	v := param.Values{
		Identity: param.Identity{Provider: "azure-workload"}, Namespace: "shop",
		Metadata: meta("eventHubNamespace", "shop", "eventHubName", "orders", "storageAccountName", "shop"),
	}
	return with(v, metadata...)
}

func TestParameters(t *testing.T) {
	storageByKey := byIdentity("storageAccountName", "")
	storageByKey.Auth = meta("storageConnection", storageString)
	aws := byKey(namespaceString)
	aws.Identity.Provider = "aws"
	for name, c := range map[string]struct {
		v        param.Values
		err      string
		warnings []string
	}{
		"connection strings":                    {v: byKey(namespaceString, "eventHubName", "orders")},
		"a hub's connection string":             {v: byKey(namespaceString + ";entitypath=orders")},
		"an identity":                           {v: byIdentity()},
		"an identity and a storage connection":  {v: storageByKey},
		"EntityPath as a value":                 {v: byKey(namespaceString + "EntityPath"), err: `parameter "eventHubName" is required, or an EntityPath in the connection string`},
		"an identity without any storage":       {v: byIdentity("storageAccountName", ""), err: `parameter "storageAccountName" is required with the identity azure-workload`},
		"a private cloud without storage":       {v: byIdentity("cloud", "private", "endpointSuffix", "sb.corp"), err: `parameter "storageEndpointSuffix" is required when "cloud" is Private`},
		"a threshold of zero":                   {v: byKey(namespaceString, "eventHubName", "orders", "unprocessedEventThreshold", "0"), err: `parameter "unprocessedEventThreshold" must be a whole number of at least 1`},
		"nothing":                               {v: param.Values{}, err: `parameter "storageConnection" is required without an identity; give the connection string of the storage account`},
		"no connection string of the namespace": {v: param.Values{Auth: meta("storageConnection", storageString)}, err: `parameter "connection" is required without an identity; give the connection string of the namespace or the hub`},
		"another identity":                      {v: aws, warnings: []string{"the pod identity must be azure-workload, or none; with this one nothing can be measured"}},
		"two hubs":                              {v: byKey(namespaceString+";EntityPath=a", "eventHubName", "b"), warnings: []string{`parameter "eventHubName" is ignored: the connection string has another EntityPath`}},
		"a negative tolerance":                  {v: byKey(namespaceString, "eventHubName", "a", "stalePartitionInfoThreshold", "-1"), warnings: []string{`parameter "stalePartitionInfoThreshold" is negative; 0 is used`}},
		"a layout without a container":          {v: byKey(namespaceString, "eventHubName", "a", "checkpointStrategy", "dapr"), warnings: []string{`parameter "blobContainer" is needed with this checkpointStrategy; nothing can be measured without it`}},
		"functions with a container":            {v: byKey(namespaceString, "eventHubName", "a", "checkpointStrategy", "azureFunction", "blobContainer", "c"), warnings: []string{`parameter "blobContainer" is ignored: Azure Functions keep checkpoints in azure-webjobs-eventhub`}},
		"an unknown layout":                     {v: byKey(namespaceString, "eventHubName", "a", "checkpointStrategy", "blobmetadata", "blobContainer", "c"), warnings: []string{`parameter "checkpointStrategy" is none of azureFunction, blobMetadata, goSdk, dapr; it is taken for empty`}},
		"no connection string": {v: byKey("c4n4ry", "eventHubName", "a"), warnings: []string{
			`parameter "connection" cannot be used: it needs Endpoint, SharedAccessKeyName and SharedAccessKey, or Endpoint and SharedAccessSignature`,
		}},
		"a connection string in metadata": {v: byKey(namespaceString, "eventHubName", "a", "connection", "c4n4ry"), warnings: []string{
			`parameter "connection" is ignored in metadata; set it as an authentication parameter, or through connectionFromEnv, naming a variable that the workload's container sets`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := azureeventhub.Scaler.Parse(c.v)
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
	other := byIdentity()
	other.Namespace = "desk"
	for name, c := range map[string]struct {
		a, b                  param.Values
		sameSource, sameQuery bool
	}{
		"two groups of a hub":          {byKey(namespaceString, "eventHubName", "a"), byKey(namespaceString, "eventHubName", "a", "consumerGroup", "g"), true, false},
		"two hubs of a namespace":      {byKey(namespaceString, "eventHubName", "a"), byKey(namespaceString + ";EntityPath=b"), true, false},
		"two ways to name a hub":       {byKey(namespaceString, "eventHubName", "a"), byKey(namespaceString + ";EntityPath=a;"), true, true},
		"two activations":              {byKey(namespaceString, "eventHubName", "a"), byKey(namespaceString, "eventHubName", "a", "activationUnprocessedEventThreshold", "9"), true, true},
		"two thresholds, since capped": {byKey(namespaceString, "eventHubName", "a"), byKey(namespaceString, "eventHubName", "a", "unprocessedEventThreshold", "9"), true, false},
		"functions by name":            {byKey(namespaceString, "eventHubName", "a"), byKey(namespaceString, "eventHubName", "a", "checkpointStrategy", "azureFunction"), true, true},
		"identities of two namespaces": {byIdentity(), other, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			x, y := parse(t, c.a), parse(t, c.b)
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
	aws := byKey(namespaceString)
	aws.Identity.Provider = "aws"
	noStorage := byKey(namespaceString, "eventHubName", "a")
	noStorage.Auth["storageConnection"] = "c4n4ry"
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"no connection string": {byKey("c4n4ry", "eventHubName", "a"), "reading the Event Hubs connection string: it lacks Endpoint, SharedAccessKeyName with SharedAccessKey, or SharedAccessSignature; " +
			"copy it from the namespace's shared access policies"},
		"no storage":      {noStorage, "reading the storage connection string: it is not made of key=value pairs that are separated by semicolons; copy it from the account's access keys"},
		"aws":             {aws, "connecting to Event Hubs: the pod identity cannot be used here; set podIdentity azure-workload, or give connection strings"},
		"a namespace":     {byIdentity("eventHubNamespace", "evil.example/?"), "finding the Event Hubs namespace: its name makes no host name; correct the connection string's Endpoint, or eventHubNamespace and the suffix of the cloud"},
		"an odd emulator": {byKey("Endpoint=http://c4n4ry;SharedAccessKeyName=k;SharedAccessKey=k;UseDevelopmentEmulator=true", "eventHubName", "a"), "reading the Event Hubs connection string: it lacks Endpoint, SharedAccessKeyName with SharedAccessKey, or SharedAccessSignature; copy it from the namespace's shared access policies"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.v).Source.Open(t.Context(), env(t))
			if scalers.KindOf(err) != scalers.Invalid || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}
