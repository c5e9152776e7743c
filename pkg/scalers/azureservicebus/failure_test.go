package azureservicebus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/servicebus"
)

func TestAConnectionStringThatCannotBeUsedIsInvalid(t *testing.T) {
	for name, connection := range map[string]string{
		"no endpoint":      "SharedAccessKeyName=weir;SharedAccessKey=" + secret,
		"no list at all":   secret,
		"no key":           "Endpoint=sb://h/;SharedAccessKeyName=" + secret,
		"an odd endpoint":  "Endpoint=sb://h:" + secret + "/;SharedAccessKeyName=k;SharedAccessKey=v",
		"an odd emulator":  "Endpoint=http://h/;SharedAccessKeyName=k;SharedAccessKey=" + secret + ";UseDevelopmentEmulator=true",
		"a half-said flag": "Endpoint=sb://h/;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=" + secret,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trigger(t, connection, "queueName", "q").Source.Open(t.Context(), env(t, nil))
			const want = `opening the namespace: the connection string cannot be used; give "Endpoint=sb://...;SharedAccessKeyName=...;SharedAccessKey=..." as the portal shows it`
			if fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.Invalid {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
}

func TestAnswersBecomeErrorsWithAKind(t *testing.T) {
	const hint = "; check that the endpoint is a Service Bus namespace's, and that a queue is not a topic"
	for name, c := range map[string]struct {
		answer servicebus.Answer
		kind   scalers.Kind
		retry  time.Duration
		want   string
	}{
		"refused":        {servicebus.Answer{Status: 401, Body: "<Error><Code>401</Code><Detail>" + secret + "</Detail></Error>"}, scalers.Unauthorized, 0, "status 401 Unauthorized; use a key with the claim Manage, or give the identity the role Azure Service Bus Data Owner"},
		"throttled":      {servicebus.Answer{Status: 429, RetryAfter: "3"}, scalers.Throttled, 3 * time.Second, "status 429 Too Many Requests"},
		"busy":           {servicebus.Answer{Status: 503, Body: "<Error><Code>503</Code><Detail>The server is busy. SubCode=50009. " + secret + "</Detail></Error>"}, scalers.Throttled, 0, "status 503 Service Unavailable"},
		"down":           {servicebus.Answer{Status: 503}, scalers.Unreachable, 0, "status 503 Service Unavailable"},
		"gone":           {servicebus.Answer{Status: 404}, scalers.NotFound, 0, "it does not exist in this namespace"},
		"elsewhere":      {servicebus.Answer{Status: 307, Location: "https://elsewhere.example/"}, scalers.BadAnswer, 0, "following the server's redirect: status 307 Temporary Redirect; credentials are not sent elsewhere; give the final address"},
		"not Atom":       {servicebus.Answer{Status: 200, Body: "<html>" + strings.Repeat("x", 500) + "</html>"}, scalers.BadAnswer, 0, "the answer cannot be read: expected element type <entry> but have <html>" + hint},
		"half an entry":  {servicebus.Answer{Status: 200, Body: "<entry/>"}, scalers.BadAnswer, 0, "the answer is not what Service Bus sends; check that the endpoint is a Service Bus namespace's"},
		"no counts":      {servicebus.Answer{Status: 200, Body: "<entry><content/></entry>"}, scalers.BadAnswer, 0, "the answer cannot be read: invalid queue runtime properties: no CountDetails element" + hint},
		"a client error": {servicebus.Answer{Status: 400, Body: "<Error><Code>400</Code></Error>"}, scalers.BadAnswer, 0, "status 400 Bad Request" + hint},
	} {
		t.Run(name, func(t *testing.T) {
			s, connection := namespace(t)
			s.Intercept(func(*http.Request) *servicebus.Answer { return &c.answer })
			orders := trigger(t, connection, "queueName", "orders")
			err := fetch(t, open(t, env(t, nil), orders), orders)[0].Err
			e, ok := errors.AsType[*scalers.Error](err)
			if want := `measuring queue "orders": ` + c.want; !ok || err.Error() != want || e.Kind != c.kind || e.RetryAfter != c.retry {
				t.Errorf("error %v\nwant  %s of kind %s after %v", err, want, c.kind, c.retry)
			}
		})
	}
}

func TestWrongKeysAreUnauthorized(t *testing.T) {
	s, connection := namespace(t)
	queues(s, 3)
	triggers := on(t, strings.Replace(connection, secret, secret+"x", 1), 3)
	for _, r := range fetch(t, open(t, env(t, nil), triggers[0]), triggers...) {
		if scalers.KindOf(r.Err) != scalers.Unauthorized || strings.Contains(fmt.Sprint(r.Err), secret) {
			t.Errorf("error %v", r.Err)
		}
	}
}

func TestThrottlingFailsTheListAndAsksForNothingElse(t *testing.T) {
	s, connection := namespace(t)
	queues(s, 3)
	asked := 0
	s.Intercept(func(*http.Request) *servicebus.Answer {
		asked++
		return &servicebus.Answer{Status: http.StatusTooManyRequests}
	})
	triggers := on(t, connection, 3)
	for _, r := range fetch(t, open(t, env(t, nil), triggers[0]), triggers...) {
		if scalers.KindOf(r.Err) != scalers.Throttled {
			t.Errorf("error %v", r.Err)
		}
	}
	if asked != 1 {
		t.Errorf("%d requests, want 1", asked)
	}
}

func TestThrottlingEndsSingleReads(t *testing.T) {
	s, connection := namespace(t)
	asked := 0
	s.Intercept(func(*http.Request) *servicebus.Answer {
		asked++
		return &servicebus.Answer{Status: http.StatusTooManyRequests, RetryAfter: "4"}
	})
	triggers := make([]scalers.Trigger, 100)
	for i := range triggers {
		triggers[i] = trigger(t, connection, "topicName", fmt.Sprintf("topic-%d", i), "subscriptionName", "s")
	}
	for i, r := range fetch(t, open(t, env(t, nil), triggers[0]), triggers...) {
		want := fmt.Sprintf(`measuring subscription "s" of topic "topic-%d": status 429 Too Many Requests`, i)
		if e, ok := errors.AsType[*scalers.Error](r.Err); !ok || e.Kind != scalers.Throttled || e.RetryAfter != 4*time.Second || e.Error() != want {
			t.Errorf("error %v, want %s", r.Err, want)
		}
	}
	if asked > 8 {
		t.Errorf("%d requests, want no more than run at a time, 8", asked)
	}
}

// The service may answer an empty feed for what does not exist.
func TestAnEmptyListOfNoTopicIsNoZero(t *testing.T) {
	s, connection := namespace(t)
	s.SetTopic("lonely")
	s.Intercept(func(r *http.Request) *servicebus.Answer {
		if strings.HasSuffix(r.URL.Path, "/Subscriptions") {
			return &servicebus.Answer{Status: http.StatusOK, Body: `<feed xmlns="http://www.w3.org/2005/Atom"><title>Publicly Listed Services</title></feed>`}
		}
		return nil
	})
	of := func(topic string) scalers.Trigger {
		return trigger(t, connection, "topicName", topic, "subscriptionName", ".*", "useRegex", "true")
	}
	readings := fetch(t, open(t, env(t, nil), of("none")), of("none"), of("lonely"))
	const want = `measuring the subscriptions of topic "none" that an expression matches: the topic does not exist in this namespace`
	if err := readings[0].Err; fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.NotFound {
		t.Errorf("error %v, want %s", err, want)
	}
	if r := readings[1]; r.Err != nil || r.Value != 0 || !r.FalseZero {
		t.Errorf("a topic without subscriptions: %+v", r)
	}
}

func TestASignatureThatIsReadyForUse(t *testing.T) {
	for name, c := range map[string]struct {
		until time.Duration
		key   string
		want  scalers.Kind
	}{
		"valid":   {time.Hour, secret, ""},
		"expired": {-time.Hour, secret, scalers.Unauthorized},
		"forged":  {time.Hour, "x", scalers.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			s, connection := namespace(t)
			fill(s)
			endpoint, _, _ := strings.Cut(connection, ";")
			audience := strings.TrimPrefix(endpoint, "Endpoint=")
			connection = endpoint + ";UseDevelopmentEmulator=true;SharedAccessSignature=" + servicebus.Sign(audience, "weir", c.key, time.Now().Add(c.until))
			orders := trigger(t, connection, "queueName", "orders")
			if r := fetch(t, open(t, env(t, nil), orders), orders)[0]; scalers.KindOf(r.Err) != c.want || r.Err == nil && r.Value != 7 {
				t.Errorf("reading %+v, want kind %q", r, c.want)
			}
		})
	}
}

func TestARefusedConnectionIsUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	connection := emulator(srv)
	srv.Close()
	orders := trigger(t, connection, "queueName", "orders")
	err := fetch(t, open(t, env(t, nil), orders), orders)[0].Err
	if scalers.KindOf(err) != scalers.Unreachable || strings.Contains(err.Error(), "http") || strings.Contains(err.Error(), secret) {
		t.Errorf("error %v", err)
	}
}

// login makes the environment of a process with a workload identity.
func login(t *testing.T, authority string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	t.Setenv("AZURE_CLIENT_ID", "client-1")
	t.Setenv("AZURE_TENANT_ID", "tenant-1")
	t.Setenv("AZURE_AUTHORITY_HOST", authority)
}

func TestAWorkloadIdentityReadsOverTLS(t *testing.T) {
	authority := &servicebus.Authority{Tenant: "tenant-1", Client: "client-1", Proof: secret}
	entra := httptest.NewTLSServer(authority)
	t.Cleanup(entra.Close)
	s := servicebus.New()
	fill(s)
	s.AllowTokens(authority.Valid)
	srv := httptest.NewTLSServer(s)
	t.Cleanup(srv.Close)
	login(t, entra.URL)
	// The test servers' certificate is for example.com and its subdomains too.
	client := srv.Client()
	of := func(queue string) scalers.Trigger {
		v := values(nil, "queueName", queue, "namespace", "shop", "cloud", "Private", "endpointSuffix", "example.com")
		v.Identity = param.Identity{Provider: "azure-workload", Shared: true}
		return parse(t, v)
	}
	e := env(t, reroute(t, client, srv.Listener.Addr().String()))
	conn := open(t, e, of("orders"))
	for range 3 {
		readings := fetch(t, conn, of("orders"), of("abc"), of("gone"))
		if readings[0].Value != 7 || readings[1].Value != 3 || scalers.KindOf(readings[2].Err) != scalers.NotFound {
			t.Errorf("readings %+v", readings)
		}
	}
	if n := len(authority.Issued()); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
	authority.Fail(&servicebus.Answer{Status: http.StatusServiceUnavailable})
	fresh := open(t, e, of("orders"))
	const want = `measuring queue "orders": getting a token of Microsoft Entra ID: status 503 Service Unavailable`
	if err := fetch(t, fresh, of("orders"))[0].Err; fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestAProcessWithoutIdentityIsUnauthorized(t *testing.T) {
	v := values(nil, "queueName", "q", "namespace", "n")
	v.Identity = param.Identity{Provider: "azure-workload"}
	_, err := parse(t, v).Source.Open(t.Context(), env(t, nil))
	if scalers.KindOf(err) != scalers.Unauthorized || !strings.HasPrefix(fmt.Sprint(err), "opening the namespace: preparing the Azure identity: this process has no Azure workload identity: ") {
		t.Errorf("error %v", err)
	}
}

func TestAServerThatNeverAnswersIsLeftWhenTheTimeIsUp(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(srv.Close)
	triggers := on(t, emulator(srv), 20)
	conn := open(t, env(t, nil), triggers[0])
	for _, n := range []int{1, 20} { // by itself, and by the list
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		begun := time.Now()
		readings, err := conn.Fetch(ctx, queriesOf(triggers[:n]))
		cancel()
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("%d queries took %v", n, took)
		}
		if err != nil {
			continue
		}
		for _, r := range readings {
			if scalers.KindOf(r.Err) != scalers.Unreachable {
				t.Errorf("%d queries: error %v", n, r.Err)
			}
		}
	}
}
