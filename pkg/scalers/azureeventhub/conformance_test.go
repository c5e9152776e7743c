package azureeventhub_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azureeventhub"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	"github.com/weir-sh/weir/test/fakes/eventhubs"
)

// fill makes hubs, and checkpoints in all layouts. The account may be any that has
// none of the containers.
func (f fixture) fill(t *testing.T) {
	t.Helper()
	f.SetHub("Orders", eventhubs.Partition{Begin: 0, Last: 99}, eventhubs.Partition{Begin: 10, Last: 29}, eventhubs.Partition{Begin: 0, Last: -1})
	f.SetHub("quiet", eventhubs.Partition{Begin: 0, Last: -1})
	f.SetHub("single", eventhubs.Partition{Begin: 0, Last: 9})
	f.container(t, "azure-webjobs-eventhub")
	f.container(t, "checkpoints")
	f.container(t, "sdk")
	f.container(t, "broken")
	ns := f.Addr()
	f.blob(t, "azure-webjobs-eventhub", ns+"/Orders/$Default/0", `{"SequenceNumber":89,"PartitionId":"0"}`, nil)
	f.blob(t, "azure-webjobs-eventhub", ns+"/orders/modern/0", `{"SequenceNumber":79,"PartitionId":"0"}`, nil)
	f.blob(t, "azure-webjobs-eventhub", ns+"/orders/modern/1", `{"SequenceNumber":29,"PartitionId":"1"}`, nil)
	f.blob(t, "azure-webjobs-eventhub", ns+"/orders/ahead/0", `{"SequenceNumber":105,"PartitionId":"0"}`, nil)
	f.blob(t, "azure-webjobs-eventhub", ns+"/orders/ahead/1", `{"SequenceNumber":29,"PartitionId":"1"}`, nil)
	f.blob(t, "checkpoints", ns+"/orders/billing/checkpoint/0", "", map[string]string{"sequencenumber": "95", "offset": "1"})
	f.blob(t, "checkpoints", ns+"/orders/billing/checkpoint/1", "", map[string]string{"sequencenumber": "28"})
	f.blob(t, "checkpoints", ns+"/orders/billing/ownership/0", "", map[string]string{"ownerid": "x"})
	f.blob(t, "checkpoints", ns+"/single/billing/checkpoint/0", "", map[string]string{"sequencenumber": "4"})
	f.blob(t, "sdk", "0", `{"partitionId":"0","checkpoint":{"sequenceNumber":98}}`, nil)
	f.blob(t, "checkpoints", "dapr-Orders-billing-0", `{"partitionId":"0","checkpoint":{"sequenceNumber":97}}`, nil)
	f.blob(t, "checkpoints", "old/0", `{"sequence_number":96}`, nil)
	f.blob(t, "checkpoints", "old/1", `{"SequenceNumber":27}`, nil)
	f.blob(t, "broken", ns+"/orders/billing/checkpoint/0", "", map[string]string{"offset": "1"})
	f.blob(t, "broken", "billing/0", "no JSON", nil)
}

// container and blob write to the account over the wire.
func (f fixture) container(t *testing.T, name string) {
	t.Helper()
	if _, err := f.writer(t).CreateContainer(within(t, soon), name, nil); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) blob(t *testing.T, container, name, body string, metadata map[string]string) {
	t.Helper()
	options := &azblob.UploadBufferOptions{Metadata: map[string]*string{}}
	for k, v := range metadata {
		options.Metadata[k] = &v
	}
	if _, err := f.writer(t).UploadBuffer(within(t, soon), container, name, []byte(body), options); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) writer(t *testing.T) *azblob.Client {
	t.Helper()
	e := env(t)
	client, err := azblob.NewClientFromConnectionString(f.storage, &azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: e.HTTP}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestConformance(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.fill(t)
	count := func(name string, want float64, metadata ...string) scalertest.Case {
		return scalertest.Case{
			Name: name, Want: want,
			Values: with(f.values("eventHubName", "Orders", "unprocessedEventThreshold", "1000"), metadata...),
		}
	}
	fails := func(name, text string, kind scalers.Kind, metadata ...string) scalertest.Case {
		c := count(name, 0, metadata...)
		c.Err, c.Kind = text, kind
		return c
	}
	functions := count("functions", 10+20)
	functions.MetricName = "s0-azure-eventhub-$Default"
	capped := count("the cap", 6, "unprocessedEventThreshold", "2")
	capped.Work = 30
	lost := f.values("eventHubName", "Orders")
	lost.Auth["connection"] = strings.Replace(f.ConnectionString(), eventhubs.Key, "YW5vdGhlcg==", 1)
	scalertest.Run(t, azureeventhub.Scaler, []scalertest.Case{
		functions, capped,
		count("functions in lower case", 20, "consumerGroup", "modern"),
		count("a checkpoint ahead of the hub", 0, "consumerGroup", "ahead"),
		count("metadata", 4+1, "consumerGroup", "Billing", "checkpointStrategy", "blobMetadata", "blobContainer", "checkpoints"),
		count("the Go SDK of old", 1+20, "checkpointStrategy", "goSdk", "blobContainer", "sdk"),
		count("dapr", 2+20, "consumerGroup", "billing", "checkpointStrategy", "dapr", "blobContainer", "checkpoints"),
		count("older SDKs", 3+2, "consumerGroup", "old", "blobContainer", "checkpoints"),
		count("an unknown strategy", 3+2, "consumerGroup", "old", "blobContainer", "checkpoints", "checkpointStrategy", "?"),
		count("one partition", 5, "eventHubName", "single", "consumerGroup", "billing", "checkpointStrategy", "blobMetadata", "blobContainer", "checkpoints"),
		count("no checkpoints", 100+20, "consumerGroup", "new"),
		count("no container", 100+20, "checkpointStrategy", "goSdk", "blobContainer", "none"),
		count("a hub without events", 0, "eventHubName", "quiet"),
		fails("a missing hub", `measuring event hub "none": the event hub does not exist; create it, or correct eventHubName or the EntityPath of the connection string`,
			scalers.NotFound, "eventHubName", "none"),
		fails("metadata without a number", fmt.Sprintf(`reading checkpoint "%s/orders/billing/checkpoint/0": it is not a checkpoint of this layout: `+
			`its metadata has no sequence number; set checkpointStrategy to what the consumers write`, f.Addr()),
			scalers.BadAnswer, "consumerGroup", "billing", "checkpointStrategy", "blobMetadata", "blobContainer", "broken"),
		fails("a body that is no JSON", `its content is not the JSON of one`, scalers.BadAnswer, "consumerGroup", "billing", "blobContainer", "broken"),
		{
			Name: "a wrong key", Values: lost, Kind: scalers.Unauthorized,
			Err: `measuring event hub "Orders": the service refused the credentials; check the shared access policy, which needs Listen, or grant the identity Azure Event Hubs Data Receiver`,
		},
	})
}
