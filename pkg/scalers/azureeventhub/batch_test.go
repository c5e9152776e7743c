package azureeventhub_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/test/fakes/eventhubs"
)

const metadataLayout = "blobMetadata"

// groups makes a hub with four partitions and triggers for n groups, of which
// group i is i events behind in each partition.
func (f fixture) groups(t *testing.T, hub string, n int) []scalers.Trigger {
	t.Helper()
	four := make([]eventhubs.Partition, 4)
	for i := range four {
		four[i] = eventhubs.Partition{Begin: 0, Last: 1000}
	}
	f.SetHub(hub, four...)
	var out []scalers.Trigger
	for i := range n {
		group := fmt.Sprintf("g%03d", i)
		for p := range four {
			f.account.SetBlob("checkpoints", fmt.Sprintf("%s/%s/%s/checkpoint/%d", f.Addr(), hub, group, p), "",
				map[string]string{"sequencenumber": fmt.Sprint(1000 - i)})
			f.account.SetBlob("checkpoints", fmt.Sprintf("%s/%s/%s/ownership/%d", f.Addr(), hub, group, p), "", nil)
		}
		out = append(out, parse(t, f.values("eventHubName", hub, "consumerGroup", group, "blobContainer", "checkpoints",
			"checkpointStrategy", metadataLayout, "unprocessedEventThreshold", "1000")))
	}
	return out
}

func TestFiveHundredGroupsOfAHubShareItsConnection(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.account.SetContainer("checkpoints")
	triggers := f.groups(t, "orders", 500)
	conn := open(t, triggers[0], env(t))
	for round := range 3 {
		for i, r := range measure(t, conn, triggers...) {
			if r.Err != nil || r.Value != float64(4*i) {
				t.Fatalf("round %d, group %d: %v, %v", round, i, r.Value, r.Err)
			}
		}
	}
	want := eventhubs.Counts{Connections: 1, Claims: 1, HubReads: 1, PartitionReads: 3 * 4}
	if got := f.Counts(); got != want {
		t.Errorf("the namespace saw %+v, want %+v", got, want)
	}
	if got := f.account.AllRequests(); got != 3 {
		t.Errorf("%d requests to the storage account, want one listing a round", got)
	}
}

func TestFiveHundredGroupsOfFiftyHubs(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.account.SetContainer("checkpoints")
	var triggers []scalers.Trigger
	for i := range 50 {
		triggers = append(triggers, f.groups(t, fmt.Sprintf("hub%02d", i), 10)...)
	}
	missing := parse(t, f.values("eventHubName", "none", "blobContainer", "checkpoints", "checkpointStrategy", metadataLayout))
	conn := open(t, triggers[0], env(t))
	readings := measure(t, conn, append(triggers, missing)...)
	for i, r := range readings[:500] {
		if r.Err != nil || r.Value != float64(4*(i%10)) {
			t.Fatalf("trigger %d: %v, %v", i, r.Value, r.Err)
		}
	}
	if scalers.KindOf(readings[500].Err) != scalers.NotFound {
		t.Errorf("the missing hub: %v", readings[500].Err)
	}
	if got, want := f.Counts(), (eventhubs.Counts{Connections: 51, Claims: 51, HubReads: 50, PartitionReads: 200}); got != want {
		t.Errorf("the namespace saw %+v, want %+v", got, want)
	}
	if got := f.account.AllRequests(); got != 1 {
		t.Errorf("%d requests to the storage account, want one listing", got)
	}
}

func TestPartitionsAreAskedSideBySide(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.account.SetContainer("checkpoints")
	const n = 32
	f.SetHub("wide", make([]eventhubs.Partition, n)...)
	trigger := parse(t, f.values("eventHubName", "wide"))
	conn := open(t, trigger, env(t))
	measure(t, conn, trigger) // connects, and learns of the partitions
	release := f.Hold()
	done := make(chan []scalers.Reading)
	go func() { done <- measure(t, conn, trigger) }()
	for deadline := time.Now().Add(soon); f.Counts().PartitionReads < 2*n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests wait for an answer, want %d", f.Counts().PartitionReads-n, n)
		}
	}
	release()
	if r := (<-done)[0]; r.Err != nil || r.Value != n {
		t.Errorf("got %v, %v", r.Value, r.Err)
	}
}

func TestOnlyChangedContentIsReadAgain(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.account.SetContainer("azure-webjobs-eventhub")
	f.SetHub("orders", eventhubs.Partition{Last: 100}, eventhubs.Partition{Last: 100}, eventhubs.Partition{Last: 100})
	set := func(partition, sequence int) {
		f.account.SetBlob("azure-webjobs-eventhub", fmt.Sprintf("%s/orders/$Default/%d", f.Addr(), partition), fmt.Sprintf(`{"SequenceNumber":%d}`, sequence), nil)
	}
	for i := range 3 {
		set(i, 90)
	}
	trigger := parse(t, f.values("eventHubName", "orders"))
	conn := open(t, trigger, env(t))
	for round, want := range []struct {
		value float64
		reads int
	}{{30, 3}, {30, 3}, {25, 4}} {
		if round == 2 {
			set(1, 95)
		}
		r := measure(t, conn, trigger)[0]
		if got := f.account.Requests("Get Blob"); r.Err != nil || r.Value != want.value || got != want.reads {
			t.Errorf("round %d: %v, %v after %d reads; want %+v", round, r.Value, r.Err, got, want)
		}
	}
}

func TestACrowdedContainerIsNotListedAgain(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.account.SetContainer("crowded")
	f.SetHub("orders", eventhubs.Partition{Last: 100}, eventhubs.Partition{Last: 100})
	for i := range 10001 {
		f.account.SetBlob("crowded", fmt.Sprintf("-%05d", i), "", nil)
	}
	f.account.SetBlob("crowded", "0", `{"checkpoint":{"sequenceNumber":90}}`, nil)
	f.account.SetBlob("crowded", "1", `{"checkpoint":{"sequenceNumber":80}}`, nil)
	trigger := parse(t, f.values("eventHubName", "orders", "blobContainer", "crowded", "checkpointStrategy", "goSdk"))
	conn := open(t, trigger, env(t))
	for range 3 {
		if r := measure(t, conn, trigger)[0]; r.Err != nil || r.Value != 30 {
			t.Fatalf("got %v, %v", r.Value, r.Err)
		}
	}
	if lists, gets := f.account.Requests("List Blobs"), f.account.Requests("Get Blob"); lists != 2 || gets != 6 {
		t.Errorf("%d pages and %d reads, want 2 and 6", lists, gets)
	}
}
