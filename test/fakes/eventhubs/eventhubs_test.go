package eventhubs_test

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"go.uber.org/goleak"

	"github.com/weir-sh/weir/test/fakes/eventhubs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEventsMoveTheSequenceNumber(t *testing.T) {
	s, err := eventhubs.Start(eventhubs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s.SetHub("orders", eventhubs.Partition{Last: -1}, eventhubs.Partition{Last: -1})
	client, err := azeventhubs.NewProducerClientFromConnectionString(s.ConnectionString(), "orders",
		&azeventhubs.ProducerClientOptions{RetryOptions: azeventhubs.RetryOptions{RetryDelay: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	partition := "1"
	for range 3 {
		batch, err := client.NewEventDataBatch(t.Context(), &azeventhubs.EventDataBatchOptions{PartitionID: &partition})
		if err != nil {
			t.Fatal(err)
		}
		for range 7 {
			if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte("hello")}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.SendEventDataBatch(t.Context(), batch, nil); err != nil {
			t.Fatal(err)
		}
	}
	p, err := client.GetPartitionProperties(t.Context(), partition, nil)
	if err != nil || p.LastEnqueuedSequenceNumber != 20 || p.IsEmpty {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = client.GetPartitionProperties(t.Context(), "0", nil)
	if err != nil || p.LastEnqueuedSequenceNumber != -1 || !p.IsEmpty {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err = client.GetPartitionProperties(t.Context(), "9", nil); err == nil {
		t.Error("a partition that does not exist was found")
	}
}
