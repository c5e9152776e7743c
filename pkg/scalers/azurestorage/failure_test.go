package azurestorage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/azurestorage"
)

func TestFiveHundredQueuesShareAFewConnections(t *testing.T) {
	a := start(t)
	const n = 500
	var triggers []scalers.Trigger
	for i := range n {
		name := fmt.Sprintf("queue-%03d", i)
		if i != 7 {
			a.SetQueue(name, i, 0)
		}
		triggers = append(triggers, parse(t, "azure-queue", values(a.ConnectionString(), "queueName", name)))
	}
	conn := open(t, triggers[0], env(t))
	for range 2 {
		before := a.AllRequests()
		for i, r := range measure(t, conn, triggers...) {
			if i == 7 {
				if scalers.KindOf(r.Err) != scalers.NotFound {
					t.Errorf("the missing queue: %v, %v", r.Value, r.Err)
				}
				continue
			}
			if r.Err != nil || r.Value != float64(i) || r.FalseZero != (i == 0) {
				t.Errorf("queue %d: %+v", i, r)
			}
		}
		if got := a.AllRequests() - before; got != n {
			t.Errorf("%d requests for %d queues", got, n)
		}
	}
	// 16 at a time; net/http may open one more where another has just become free.
	if got := a.Connections(); got > 32 {
		t.Errorf("%d connections", got)
	}
}

func TestPeekingCostsASecondRequestOnlyWhenTheQueueIsLong(t *testing.T) {
	a := start(t)
	a.SetQueue("short", 31, 5)
	a.SetQueue("long", 32, 5)
	for queue, want := range map[string]struct {
		value    float64
		metadata int
	}{"short": {31, 0}, "long": {37, 1}} {
		before := a.Requests("Get Queue Metadata")
		r := one(t, "azure-queue", values(a.ConnectionString(), "queueName", queue, "queueLengthStrategy", "visibleonly"))
		if got := a.Requests("Get Queue Metadata") - before; r.Err != nil || r.Value != want.value || got != want.metadata {
			t.Errorf("%s: %v, %v with %d reads of metadata", queue, r.Value, r.Err, got)
		}
	}
}

func TestLongListings(t *testing.T) {
	a := start(t)
	a.SetContainer("inbox")
	for i := range 5001 {
		a.SetBlob("inbox", fmt.Sprintf("%06d", i), "", nil)
	}
	v := values(a.ConnectionString(), "blobContainerName", "inbox")
	if r := one(t, "azure-blob", v); r.Err != nil || r.Value != 5001 || a.Requests("List Blobs") != 2 {
		t.Errorf("%v, %v in %d pages", r.Value, r.Err, a.Requests("List Blobs"))
	}
	pages := 0
	a.Fault(func(w http.ResponseWriter, _ *http.Request) {
		pages++
		write(t, w, `<EnumerationResults><Blobs></Blobs><NextMarker>again</NextMarker></EnumerationResults>`)
	})
	r := one(t, "azure-blob", v)
	want := `counting the blobs of container "inbox": the listing has more than 200 pages; narrow blobPrefix, or move handled blobs elsewhere`
	if scalers.KindOf(r.Err) != scalers.BadAnswer || r.Err.Error() != want || pages != 200 {
		t.Errorf("an endless listing: %v after %d pages", r.Err, pages)
	}
}

func write(t *testing.T, w http.ResponseWriter, body string) {
	t.Helper()
	w.Header().Set("Content-Type", "application/xml")
	if _, err := w.Write([]byte(body)); err != nil {
		t.Errorf("answering: %v", err)
	}
}

// broken are answers of a service that does not do what it should.
func broken(t *testing.T) map[string]struct {
	answer http.HandlerFunc
	kind   scalers.Kind
	text   string
	after  time.Duration
} {
	t.Helper()
	type row = struct {
		answer http.HandlerFunc
		kind   scalers.Kind
		text   string
		after  time.Duration
	}
	busy := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "17")
		fake.Refuse(http.StatusServiceUnavailable, "ServerBusy", "The server is busy.")(w, r)
	}
	return map[string]row{
		"busy":           {busy, scalers.Throttled, "status 503 Service Unavailable (ServerBusy)", 17 * time.Second},
		"broken":         {fake.Refuse(http.StatusInternalServerError, "InternalError", "c4n4ry"), scalers.Unreachable, "status 500 Internal Server Error (InternalError)", 0},
		"a firewall":     {fake.Refuse(http.StatusForbidden, "AuthorizationFailure", "c4n4ry"), scalers.Unauthorized, "status 403 Forbidden (AuthorizationFailure); grant what the scaler's page lists under permissions, and let this network through the account's firewall", 0},
		"no keys":        {fake.Refuse(http.StatusForbidden, "KeyBasedAuthenticationNotPermitted", "c4n4ry"), scalers.Unauthorized, "status 403 Forbidden (KeyBasedAuthenticationNotPermitted); the account forbids keys; use a workload identity", 0},
		"an odd name":    {fake.Refuse(http.StatusBadRequest, "InvalidResourceName", "c4n4ry"), scalers.Invalid, "status 400 Bad Request (InvalidResourceName); correct the name: Azure allows lower-case letters, digits and single dashes", 0},
		"a redirect":     {http.RedirectHandler("http://c4n4ry.example/", http.StatusFound).ServeHTTP, scalers.BadAnswer, "credentials are not sent elsewhere; give the final address", 0},
		"a proxy's page": {func(w http.ResponseWriter, _ *http.Request) { write(t, w, "<html>c4n4ry</html>") }, scalers.BadAnswer, "", 0},
	}
}

func TestFailures(t *testing.T) {
	for name, c := range broken(t) {
		for what, metadata := range map[string][]string{
			"queue": {"queueName", "q"}, "peeked": {"queueName", "q", "queueLengthStrategy", "visibleonly"},
			"blob": {"blobContainerName", "c"}, "deep": {"blobContainerName", "c", "recursive", "true"},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				a := start(t)
				a.Fault(c.answer)
				typ := map[bool]string{true: "azure-queue", false: "azure-blob"}[metadata[0] == "queueName"]
				r := one(t, typ, values(a.ConnectionString(), metadata...))
				if scalers.KindOf(r.Err) != c.kind || !strings.HasSuffix(fmt.Sprint(r.Err), c.text) || strings.Contains(fmt.Sprint(r.Err), "c4n4ry") {
					t.Errorf("%s %v, want %s %s", scalers.KindOf(r.Err), r.Err, c.kind, c.text)
				}
				if e, ok := errors.AsType[*scalers.Error](r.Err); !ok || e.RetryAfter != c.after {
					t.Errorf("retry after %v, want %v", e.RetryAfter, c.after)
				}
			})
		}
	}
}

func TestABrokenConnectionIsReplaced(t *testing.T) {
	a := start(t)
	a.SetQueue("orders", 3, 0)
	trigger := parse(t, "azure-queue", values(a.ConnectionString(), "queueName", "orders"))
	conn := open(t, trigger, env(t))
	for range 3 {
		if r := measure(t, conn, trigger)[0]; r.Err != nil || r.Value != 3 {
			t.Errorf("got %v, %v", r.Value, r.Err)
		}
		a.Disconnect()
	}
}

func TestAServerThatIsGone(t *testing.T) {
	a := fake.Start()
	v := values(a.ConnectionString(), "queueName", "orders")
	a.Stop()
	r := one(t, "azure-queue", v)
	if scalers.KindOf(r.Err) != scalers.Unreachable || !strings.Contains(r.Err.Error(), "connection refused") {
		t.Errorf("%s %v", scalers.KindOf(r.Err), r.Err)
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	a := start(t)
	release := make(chan struct{})
	a.Fault(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	var triggers []scalers.Trigger
	for i := range 40 {
		triggers = append(triggers, parse(t, "azure-queue", values(a.ConnectionString(), "queueName", fmt.Sprint("q", i))))
	}
	queries := make([]scalers.Query, len(triggers))
	for i, tr := range triggers {
		queries[i] = tr.Query
	}
	conn := open(t, triggers[0], env(t))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	readings, err := conn.Fetch(ctx, queries)
	if err != nil || time.Since(began) > soon/2 {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
	for i, r := range readings {
		if scalers.KindOf(r.Err) != scalers.Unreachable {
			t.Errorf("queue %d: %v, %v", i, r.Value, r.Err)
		}
	}
}

func TestSignatures(t *testing.T) {
	a := start(t)
	a.SetQueue("orders", 3, 0)
	a.SetContainer("inbox")
	a.SetBlob("inbox", "b", "", nil)
	with := func(signature string) param.Values {
		return values("BlobEndpoint="+a.BlobEndpoint()+";QueueEndpoint="+a.QueueEndpoint()+";SharedAccessSignature="+signature,
			"queueName", "orders", "blobContainerName", "inbox")
	}
	good, old := fake.SAS(time.Now().Add(time.Hour)), fake.SAS(time.Now().Add(-time.Hour))
	for typ, want := range map[string]float64{"azure-queue": 3, "azure-blob": 1} {
		for _, v := range []param.Values{with(good), with("?" + good)} {
			if r := one(t, typ, v); r.Err != nil || r.Value != want {
				t.Errorf("%s: %v, %v", typ, r.Value, r.Err)
			}
		}
		r := one(t, typ, with(old))
		if scalers.KindOf(r.Err) != scalers.Unauthorized || strings.Contains(r.Err.Error(), "sig=") {
			t.Errorf("%s with an old signature: %v", typ, r.Err)
		}
	}
}

func TestAnIdentityIsSentToItsAccountOnly(t *testing.T) {
	a := fake.New()
	a.SetQueue("orders", 3, 0)
	a.AllowToken("c4n4ry")
	var hosts []string
	servers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host)
		switch body, ok := map[string]string{
			"/tenant/v2.0/.well-known/openid-configuration": `{"issuer":"https://login.microsoftonline.com/tenant/v2.0",` +
				`"authorization_endpoint":"https://login.microsoftonline.com/tenant/oauth2/v2.0/authorize","token_endpoint":"https://login.microsoftonline.com/tenant/oauth2/v2.0/token"}`,
			"/tenant/oauth2/v2.0/token": `{"token_type":"Bearer","expires_in":3600,"access_token":"c4n4ry"}`,
		}[r.URL.Path]; {
		case ok:
			w.Header().Set("Content-Type", "application/json")
			if _, err := w.Write([]byte(body)); err != nil {
				t.Error(err)
			}
		default:
			a.Queues().ServeHTTP(w, r)
		}
	})
	server := httptest.NewTLSServer(servers)
	t.Cleanup(server.Close)
	assertion := t.TempDir() + "/token"
	writeFile(t, assertion, "assertion")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", assertion)
	t.Setenv("AZURE_CLIENT_ID", "client")
	t.Setenv("AZURE_TENANT_ID", "tenant")
	t.Setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/")

	e := env(t)
	e.HTTP = toServer(t, server.Listener.Addr().String())
	trigger := parse(t, "azure-queue", identity("azure-workload", "queueName", "orders", "accountName", fake.AccountName))
	conn := open(t, trigger, e)
	for range 2 {
		if r := measure(t, conn, trigger)[0]; r.Err != nil || r.Value != 3 {
			t.Errorf("got %v, %v", r.Value, r.Err)
		}
	}
	want := []string{"login.microsoftonline.com", "login.microsoftonline.com", fake.AccountName + ".queue.core.windows.net", fake.AccountName + ".queue.core.windows.net"}
	if fmt.Sprint(hosts) != fmt.Sprint(want) {
		t.Errorf("asked %v, want %v", hosts, want)
	}
}

func TestNoErrorShowsASecret(t *testing.T) {
	a := start(t)
	gone := fake.Start()
	gone.Stop()
	const canary = "c4n4ry00" // base64 too
	endpoints := func(a *fake.Account) string {
		return "BlobEndpoint=" + a.BlobEndpoint() + ";QueueEndpoint=" + a.QueueEndpoint() + ";AccountName=" + fake.AccountName
	}
	faults := map[string]http.HandlerFunc{"": nil}
	for name, c := range broken(t) {
		faults[name] = c.answer
	}
	for name, fault := range faults {
		a.Fault(fault)
		for _, server := range []*fake.Account{a, gone} {
			if server == gone && fault != nil {
				continue
			}
			for _, login := range []string{";AccountKey=" + canary, ";SharedAccessSignature=sv=1&sig=" + canary} {
				for _, typ := range []string{"azure-queue", "azure-blob"} {
					r := one(t, typ, values(endpoints(server)+login, "queueName", "q", "blobContainerName", "c"))
					if said := fmt.Sprintf("%v %+v %#v", r.Err, r.Err, r.Err); r.Err == nil || strings.Contains(said, canary) {
						t.Errorf("%s %s: %s", typ, name, said)
					}
				}
			}
		}
	}
}
