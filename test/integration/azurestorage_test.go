//go:build integration

package integration

import (
	"fmt"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/checkpoints"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/weir-sh/weir/internal/brokers/azurite"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/azureeventhub"
	"github.com/weir-sh/weir/pkg/scalers/azurestorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	"github.com/weir-sh/weir/test/fakes/eventhubs"
)

func TestAzurite(t *testing.T) {
	s, err := azurite.Start(within(t, started))
	connection := run(t, s, err).ConnectionString()
	definitions := azurestorage.Scalers()
	t.Run("azure-queue", func(t *testing.T) { queuesOfAzurite(t, of(t, definitions, "azure-queue"), connection) })
	t.Run("azure-blob", func(t *testing.T) { blobsOfAzurite(t, of(t, definitions, "azure-blob"), connection) })
	t.Run("azure-eventhub", func(t *testing.T) { checkpointsOfAzurite(t, connection) })
}

// shared has the SDK use a transport whose connections end with the test.
func shared(t *testing.T) azcore.ClientOptions {
	t.Helper()
	return azcore.ClientOptions{Transport: client(t)}
}

// stored are the values of a trigger on the account.
func stored(connection string, metadata ...string) param.Values {
	return param.Values{Metadata: meta(metadata...), Auth: meta("connection", connection)}
}

func queuesOfAzurite(t *testing.T, def *scalers.Definition, connection string) {
	t.Helper()
	ctx := within(t, soon)
	service, err := azqueue.NewServiceClientFromConnectionString(connection, &azqueue.ClientOptions{ClientOptions: shared(t)})
	if err != nil {
		t.Fatal(err)
	}
	create := func(name string, visible, delayed int) *azqueue.QueueClient {
		t.Helper()
		if _, err := service.CreateQueue(ctx, name, nil); err != nil {
			t.Fatal(err)
		}
		q := service.NewQueueClient(name)
		for i := range visible + delayed {
			later := int32(0)
			if i >= visible {
				later = 3600
			}
			if _, err := q.EnqueueMessage(ctx, "hello", &azqueue.EnqueueMessageOptions{VisibilityTimeout: &later}); err != nil {
				t.Fatal(err)
			}
		}
		return q
	}
	orders := create("orders", 6, 1)
	create("empty", 0, 0)
	create("many", 40, 3)
	count, hour := int32(2), int32(3600)
	if _, err := orders.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: &count, VisibilityTimeout: &hour}); err != nil {
		t.Fatal(err)
	}
	told, err := orders.GetProperties(ctx, nil)
	if err != nil || told.ApproximateMessagesCount == nil {
		t.Fatalf("asking for the queue: %v", err)
	}
	at := func(name string, want float64, metadata ...string) scalertest.Case {
		return scalertest.Case{Name: name, Want: want, Values: with(stored(connection, "queueName", "orders"), metadata...)}
	}
	missing := at("a missing queue", 0, "queueName", "none")
	missing.Err, missing.Kind = `measuring queue "none": status 404`, scalers.NotFound
	peeked := at("a missing queue, visible messages", 0, "queueName", "none", "queueLengthStrategy", "visibleonly")
	peeked.Err, peeked.Kind = `measuring queue "none": status 404`, scalers.NotFound
	refused := scalertest.Case{
		Name: "a wrong key", Values: stored(connection+";AccountKey=YW5vdGhlcg==", "queueName", "orders"), Err: "status 403", Kind: scalers.Unauthorized,
	}
	scalertest.Run(t, def, []scalertest.Case{
		at("visible, received and delayed messages", float64(*told.ApproximateMessagesCount)),
		at("the number that was put there", 7),
		at("visible messages", 4, "queueLengthStrategy", "visibleonly"),
		at("an empty queue", 0, "queueName", "empty"),
		at("as many as one look shows, or more", 43, "queueName", "many", "queueLengthStrategy", "visibleonly"),
		missing, peeked, refused,
	})
}

func blobsOfAzurite(t *testing.T, def *scalers.Definition, connection string) {
	t.Helper()
	ctx := within(t, soon)
	service := blobs(t, connection)
	const total = 12
	for _, name := range []string{"inbox", "nothing"} {
		if _, err := service.CreateContainer(ctx, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range total {
		name := []string{"%d.txt", "in/%d.pdf", "in/old/%d.txt"}[i%3]
		if _, err := service.UploadBuffer(ctx, "inbox", fmt.Sprintf(name, i), []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	listed := 0
	for pager := service.NewListBlobsFlatPager("inbox", nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Segment.BlobItems)
	}
	at := func(name string, want float64, metadata ...string) scalertest.Case {
		return scalertest.Case{Name: name, Want: want, Values: with(stored(connection, "blobContainerName", "inbox"), metadata...)}
	}
	missing := at("a missing container", 0, "blobContainerName", "none")
	missing.Err, missing.Kind = "status 404", scalers.NotFound
	scalertest.Run(t, def, []scalertest.Case{
		at("as many as the SDK lists", float64(listed), "recursive", "true"),
		at("the uppermost folder", 4),
		at("a folder", 4, "blobPrefix", "in"),
		at("a folder and below", 8, "blobPrefix", "in", "recursive", "true"),
		at("a pattern", 4, "globPattern", "in/old/*.txt"),
		at("an empty container", 0, "blobContainerName", "nothing"),
		missing,
	})
}

func blobs(t *testing.T, connection string) *azblob.Client {
	t.Helper()
	c, err := azblob.NewClientFromConnectionString(connection, &azblob.ClientOptions{ClientOptions: shared(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkpointsOfAzurite has the SDK's own consumer side write checkpoints.
func checkpointsOfAzurite(t *testing.T, connection string) {
	t.Helper()
	hubs, err := eventhubs.Start(eventhubs.Options{})
	run(t, hubs, err)
	hubs.SetHub("orders", eventhubs.Partition{Begin: 0, Last: 99}, eventhubs.Partition{Begin: 10, Last: 29}, eventhubs.Partition{Begin: 0, Last: -1})
	ctx := within(t, soon)
	if _, err := blobs(t, connection).CreateContainer(ctx, "checkpoints", nil); err != nil {
		t.Fatal(err)
	}
	c, err := container.NewClientFromConnectionString(connection, "checkpoints", &container.ClientOptions{ClientOptions: shared(t)})
	if err != nil {
		t.Fatal(err)
	}
	store, err := checkpoints.NewBlobStore(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for partition, n := range []int64{89, 27} {
		offset := "1"
		err := store.SetCheckpoint(ctx, azeventhubs.Checkpoint{
			FullyQualifiedNamespace: hubs.Addr(), EventHubName: "orders", ConsumerGroup: "billing", PartitionID: fmt.Sprint(partition),
			SequenceNumber: &n, Offset: &offset,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string, want float64, metadata ...string) scalertest.Case {
		return scalertest.Case{Name: name, Want: want, Values: with(param.Values{
			Metadata: meta("eventHubName", "orders", "checkpointStrategy", "blobMetadata", "blobContainer", "checkpoints", "consumerGroup", "billing",
				"unprocessedEventThreshold", "1000"),
			Auth: meta("connection", hubs.ConnectionString(), "storageConnection", connection),
		}, metadata...)}
	}
	missing := at("a missing hub", 0, "eventHubName", "none")
	missing.Err, missing.Kind = `measuring event hub "none"`, scalers.NotFound
	scalertest.Run(t, azureeventhub.Scaler, []scalertest.Case{
		at("checkpoints that the SDK wrote", (99-89)+(29-27)),
		at("a group without checkpoints", 100+20, "consumerGroup", "new"),
		missing,
	})
}
