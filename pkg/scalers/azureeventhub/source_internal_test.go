package azureeventhub

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/azurestorage"
	"github.com/weir-sh/weir/test/fakes/eventhubs"
)

// newSource opens a source on fakes.
func newSource(t *testing.T) (*source, *eventhubs.Server) {
	t.Helper()
	server, err := eventhubs.Start(eventhubs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	account := azurestorage.Start()
	t.Cleanup(account.Stop)
	s := settings{
		host: server.Addr(), connection: param.NewSecret(server.ConnectionString()),
		storage: azstorage.Settings{Connection: param.NewSecret(account.ConnectionString())},
	}
	opened, err := open(t.Context(), scalers.Env{
		Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{}, Dial: new(net.Dialer).DialContext,
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	src, ok := opened.(*source)
	if !ok {
		t.Fatalf("a %T", opened)
	}
	return src, server
}

func fetch(t *testing.T, s *source, hubs ...string) []scalers.Reading {
	t.Helper()
	queries := make([]query, len(hubs))
	for i, h := range hubs {
		queries[i] = query{hub: h, group: "g", layout: azureFunction, container: functionsContainer, threshold: 1000}
	}
	out, err := s.Fetch(t.Context(), queries)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAHubThatNobodyAsksForIsClosed(t *testing.T) {
	s, server := newSource(t)
	server.SetHub("a", eventhubs.Partition{Last: 9})
	server.SetHub("b", eventhubs.Partition{Last: 9})
	fetch(t, s, "a", "b")
	s.hubs["a"].used = time.Now().Add(-unusedFor - time.Minute)
	fetch(t, s, "b")
	if s.hubs["a"] != nil || s.hubs["b"] == nil {
		t.Errorf("open are %v, want b alone", s.hubs)
	}
	if r := fetch(t, s, "a")[0]; r.Err != nil || r.Value != 10 {
		t.Errorf("once it is asked for again: %v, %v", r.Value, r.Err)
	}
}

func TestPartitionsThatAreAddedAreFound(t *testing.T) {
	s, server := newSource(t)
	server.SetHub("a", eventhubs.Partition{Last: 9})
	fetch(t, s, "a")
	server.SetHub("a", eventhubs.Partition{Last: 9}, eventhubs.Partition{Last: 9})
	if r := fetch(t, s, "a")[0]; r.Value != 10 {
		t.Errorf("at once: %v, want what is believed for %v", r.Value, listedFor)
	}
	s.hubs["a"].listed = time.Now().Add(-listedFor - time.Second)
	if r := fetch(t, s, "a")[0]; r.Value != 20 {
		t.Errorf("later: %v", r.Value)
	}
}

func TestAHubWhoseTurnDidNotComeKeepsItsConnection(t *testing.T) {
	s, server := newSource(t)
	server.SetHub("a", eventhubs.Partition{Last: 9})
	fetch(t, s, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.hubs["a"].read(ctx); scalers.KindOf(err) != scalers.Unreachable || s.hubs["a"].spent() {
		t.Errorf("%v; spent: %v", err, s.hubs["a"].spent())
	}
	fetch(t, s, "a")
	if got := server.Counts().Connections; got != 1 {
		t.Errorf("%d connections", got)
	}
}
