package azureeventhub_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/test/fakes/azurestorage"
	"github.com/weir-sh/weir/test/fakes/eventhubs"
)

func TestOneHubFailsAlone(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.fill(t)
	good, bad := parse(t, f.values("eventHubName", "single")), parse(t, f.values("eventHubName", "quiet"))
	conn := open(t, good, env(t))
	for status, want := range map[int]scalers.Kind{
		http.StatusUnauthorized: scalers.Unauthorized, http.StatusForbidden: scalers.Unauthorized, http.StatusNotFound: scalers.NotFound,
		http.StatusServiceUnavailable: scalers.Throttled, http.StatusTooManyRequests: scalers.Throttled,
		http.StatusInternalServerError: scalers.Unreachable, http.StatusBadRequest: scalers.BadAnswer,
	} {
		f.Refuse("quiet", status, "c4n4ry")
		out := measure(t, conn, good, bad)
		if out[0].Err != nil || out[0].Value != 10 {
			t.Errorf("status %d spoils the other hub: %v, %v", status, out[0].Value, out[0].Err)
		}
		if scalers.KindOf(out[1].Err) != want || strings.Contains(out[1].Err.Error(), "c4n4ry") {
			t.Errorf("status %d: %s %v, want %s", status, scalers.KindOf(out[1].Err), out[1].Err, want)
		}
	}
	f.Accept("quiet")
	if r := measure(t, conn, bad)[0]; r.Err != nil || r.Value != 0 {
		t.Errorf("after that: %v, %v", r.Value, r.Err)
	}
}

func TestABrokenConnectionIsReplacedWithinTheMeasurement(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.fill(t)
	trigger := parse(t, f.values("eventHubName", "Orders", "unprocessedEventThreshold", "1000"))
	conn := open(t, trigger, env(t))
	for round := range 4 {
		if r := measure(t, conn, trigger)[0]; r.Err != nil || r.Value != 30 {
			t.Errorf("round %d: %v, %v", round, r.Value, r.Err)
		}
		f.Disconnect()
	}
	if got := f.Counts().Connections; got > 8 {
		t.Errorf("%d connections for 3 that broke", got)
	}
}

func TestANamespaceThatIsGone(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.fill(t)
	trigger := parse(t, f.values("eventHubName", "Orders"))
	conn := open(t, trigger, env(t))
	measure(t, conn, trigger)
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := conn.Fetch(within(t, soon), []scalers.Query{trigger.Query})
		if scalers.KindOf(err) != scalers.Unreachable || !strings.HasPrefix(err.Error(), `measuring event hub "Orders": `) {
			t.Errorf("%s %v", scalers.KindOf(err), err)
		}
	}
	if _, err := one(t, f.values("eventHubName", "Orders")); !strings.Contains(fmt.Sprint(err), "connection refused") {
		t.Errorf("a new source: %v", err)
	}
}

func TestANamespaceThatDoesNotAnswer(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.fill(t)
	trigger := parse(t, f.values("eventHubName", "Orders", "unprocessedEventThreshold", "1000"))
	conn := open(t, trigger, env(t))
	measure(t, conn, trigger)
	release := f.Hold()
	for _, ended := range []bool{false, true} { // on a connection that worked, and on a new one
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		_, err := conn.Fetch(ctx, []scalers.Query{trigger.Query})
		cancel()
		want := `measuring event hub "Orders": context deadline exceeded`
		if scalers.KindOf(err) != scalers.Unreachable || err.Error() != want || time.Since(began) > 5*time.Second {
			t.Errorf("%v: %v after %v", ended, err, time.Since(began))
		}
	}
	release()
	if r := measure(t, conn, trigger)[0]; r.Err != nil || r.Value != 30 {
		t.Errorf("once it answers: %v, %v", r.Value, r.Err)
	}
}

func TestClosingDoesNotWaitForANamespaceThatDoesNotAnswer(t *testing.T) {
	silent := listen(t, func(net.Conn) {})
	trigger := parse(t, at(silent))
	conn, err := trigger.Source.Open(t.Context(), env(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := conn.Fetch(ctx, []scalers.Query{trigger.Query}); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("Fetch: %v", err)
	}
	began := time.Now()
	if err := conn.Close(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("Close: %v after %v", err, time.Since(began))
	}
}

func TestServersThatAreNoNamespace(t *testing.T) {
	for name, answer := range map[string]string{
		"a web server":        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nc4n4ry",
		"one that hangs up":   "",
		"AMQP of another age": "AMQP\x00\x00\x09\x01",
		"garbage":             "AMQP\x03\x01\x00\x00\x00\x00\x00\x10\x02\x01\x00\x00c4n4ry!!",
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(c net.Conn) {
				if _, err := c.Write([]byte(answer)); err != nil {
					t.Errorf("answering: %v", err)
				}
				if err := c.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			_, err := one(t, at(address))
			if k := scalers.KindOf(err); k != scalers.Unreachable && k != scalers.BadAnswer || strings.Contains(err.Error(), "c4n4ry") {
				t.Errorf("%s %v", k, err)
			}
		})
	}
}

func TestStorageFailures(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.fill(t)
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		kind  scalers.Kind
		text  string
	}{
		"a refused key": {
			azurestorage.Refuse(http.StatusForbidden, "AuthenticationFailed", "c4n4ry"), scalers.Unauthorized,
			`listing the checkpoints in container "azure-webjobs-eventhub": status 403 Forbidden (AuthenticationFailed); ` +
				`check the key or signature in the connection string, and that the signature has not expired`,
		},
		"busy": {
			azurestorage.Refuse(http.StatusServiceUnavailable, "ServerBusy", "c4n4ry"), scalers.Throttled,
			`listing the checkpoints in container "azure-webjobs-eventhub": status 503 Service Unavailable (ServerBusy)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.account.Fault(c.fault)
			defer f.account.Fault(nil)
			_, err := one(t, f.values("eventHubName", "Orders"))
			if scalers.KindOf(err) != c.kind || err.Error() != c.text {
				t.Errorf("%s %v, want %s %s", scalers.KindOf(err), err, c.kind, c.text)
			}
			quiet, err := one(t, f.values("eventHubName", "quiet"))
			if err != nil || quiet.Value != 0 {
				t.Errorf("a hub without events needs no checkpoint: %v, %v", quiet.Value, err)
			}
		})
	}
}

func TestAZeroThatMayBeFalse(t *testing.T) {
	f := start(t, eventhubs.Options{})
	f.fill(t)
	for group, want := range map[string]bool{"ahead": true, "modern": false} {
		r, err := one(t, f.values("eventHubName", "Orders", "consumerGroup", group))
		if err != nil || r.FalseZero != want {
			t.Errorf("%s: %+v, %v", group, r, err)
		}
	}
}

func TestNoErrorShowsASecret(t *testing.T) {
	f, gone := start(t, eventhubs.Options{}), start(t, eventhubs.Options{})
	f.fill(t)
	if err := gone.Stop(); err != nil {
		t.Fatal(err)
	}
	const canary = "c4n4ry00" // base64 too
	echo := listen(t, func(c net.Conn) {
		go func() {
			_, _ = io.Copy(c, c) //nolint:errcheck // until one side is gone
			_ = c.Close()        //nolint:errcheck // to end it is all that is wanted
		}()
	})
	for _, address := range []string{f.Addr(), gone.Addr(), echo} {
		for _, login := range []string{"SharedAccessKeyName=k;SharedAccessKey=" + canary, "SharedAccessSignature=SharedAccessSignature sr=x&sig=" + canary + "&se=1&skn=k"} {
			v := at(address)
			v.Metadata["eventHubName"] = "Orders"
			v.Auth["connection"] = "Endpoint=sb://" + address + "/;UseDevelopmentEmulator=true;" + login
			trigger := parse(t, v)
			_, err := open(t, trigger, env(t)).Fetch(within(t, soon/20), []scalers.Query{trigger.Query}) // the echo never gets anywhere
			if said := fmt.Sprintf("%v %+v %#v", err, err, err); err == nil || strings.Contains(said, canary) {
				t.Errorf("%s", said)
			}
		}
	}
	for _, login := range []string{";AccountKey=" + canary, ";SharedAccessSignature=sv=1&sig=" + canary} {
		v := f.values("eventHubName", "Orders")
		v.Auth["storageConnection"] = "AccountName=" + azurestorage.AccountName + ";BlobEndpoint=" + f.account.BlobEndpoint() + login
		_, err := one(t, v)
		if said := fmt.Sprintf("%v %+v %#v", err, err, err); scalers.KindOf(err) != scalers.Unauthorized || strings.Contains(said, canary) {
			t.Errorf("%s", said)
		}
	}
}
