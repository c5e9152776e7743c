package azurestorage_test

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

// fill puts messages into queues and blobs into containers of any account, over
// the wire.
func fill(t *testing.T, connection string, queues map[string][2]int, containers map[string][]string) {
	t.Helper()
	ctx := within(t, soon)
	over := azcore.ClientOptions{Transport: env(t).HTTP}
	qs, err := azqueue.NewServiceClientFromConnectionString(connection, &azqueue.ClientOptions{ClientOptions: over})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range queues {
		if _, err := qs.CreateQueue(ctx, name, nil); err != nil {
			t.Fatal(err)
		}
		for i := range n[0] + n[1] {
			later := int32(0)
			if i >= n[0] {
				later = 3600
			}
			options := &azqueue.EnqueueMessageOptions{VisibilityTimeout: &later}
			if _, err := qs.NewQueueClient(name).EnqueueMessage(ctx, "hello", options); err != nil {
				t.Fatal(err)
			}
		}
	}
	bs, err := azblob.NewClientFromConnectionString(connection, &azblob.ClientOptions{ClientOptions: over})
	if err != nil {
		t.Fatal(err)
	}
	for name, blobs := range containers {
		if _, err := bs.CreateContainer(ctx, name, nil); err != nil {
			t.Fatal(err)
		}
		for _, b := range blobs {
			if _, err := bs.UploadBuffer(ctx, name, b, []byte("x"), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// names are blobs to be counted.
func names() []string {
	return []string{
		"a.txt", "b.pdf", "in/1.txt", "in/2.txt", "in/old/3.txt", "in/old/older/4.pdf", "inbox/5.txt", "weird/{6},[7].txt",
	}
}

func TestConformance(t *testing.T) {
	t.Run("queues", func(t *testing.T) { conformanceOfQueues(t, start(t).ConnectionString()) })
	t.Run("blobs", func(t *testing.T) { conformanceOfBlobs(t, start(t).ConnectionString()) })
}

// conformanceOfQueues runs against any account that has none of the queues.
func conformanceOfQueues(t *testing.T, connection string) {
	t.Helper()
	fill(t, connection, map[string][2]int{"orders": {3, 2}, "empty": {0, 0}, "many": {40, 5}, "later": {0, 2}}, nil)
	at := func(queue, strategy string) scalertest.Case {
		return scalertest.Case{
			Name: queue + " by " + strategy, MetricName: "s0-azure-queue-" + queue,
			Values: values(connection, "queueName", queue, "queueLengthStrategy", strategy),
		}
	}
	want := func(c scalertest.Case, n float64) scalertest.Case { c.Want = n; return c }
	missing := at("none", "all")
	missing.Kind = scalers.NotFound
	missing.Err = `measuring queue "none": status 404 Not Found (QueueNotFound); create it, or correct its name`
	peeked := at("none", "visibleonly")
	peeked.Err, peeked.Kind = "QueueNotFound", scalers.NotFound
	refused := scalertest.Case{
		Name: "a wrong key", Values: values(connection+";AccountKey=YW5vdGhlcg==", "queueName", "orders"),
		Err: "status 403 Forbidden (AuthenticationFailed); check the key or signature", Kind: scalers.Unauthorized,
	}
	scalertest.Run(t, definition(t, "azure-queue"), []scalertest.Case{
		want(at("orders", "all"), 5), want(at("orders", "visibleonly"), 3), want(at("empty", "all"), 0),
		want(at("many", "visibleonly"), 45), want(at("later", "visibleonly"), 0), want(at("later", "all"), 2),
		missing, peeked, refused,
	})
}

// conformanceOfBlobs runs against any account that has none of the containers.
func conformanceOfBlobs(t *testing.T, connection string) {
	t.Helper()
	fill(t, connection, nil, map[string][]string{"inbox": names(), "empty": nil})
	count := func(name string, n float64, metadata ...string) scalertest.Case {
		v := values(connection, append([]string{"blobContainerName", "inbox"}, metadata...)...)
		return scalertest.Case{Name: name, Values: v, Want: n, MetricName: "s0-azure-blob-" + v.Metadata["blobContainerName"]}
	}
	missing := count("a missing container", 0, "blobContainerName", "none")
	missing.Err, missing.Kind = "status 404 Not Found (ContainerNotFound); create it", scalers.NotFound
	scalertest.Run(t, definition(t, "azure-blob"), []scalertest.Case{
		count("the uppermost folder", 2),
		count("all folders", 8, "recursive", "true"),
		count("one folder", 2, "blobPrefix", "in"),
		count("one folder and below", 5, "blobPrefix", "in", "recursive", "true"), // inbox too: the prefix is taken as it is
		count("another delimiter", 6, "blobDelimiter", "old"),
		count("a pattern", 6, "globPattern", "*.txt"),
		count("a pattern below a prefix", 3, "globPattern", "**.txt", "blobPrefix", "in"),
		count("an empty container", 0, "blobContainerName", "empty"),
		missing,
	})
}
