package external_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/external"
	pb "github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestConformance(t *testing.T) {
	s := start(t, newServer(), nil, "")
	asking := "asking external scaler " + s.address + " about shop/worker for "
	bad := func(name, err string, kind scalers.Kind) scalertest.Case {
		return scalertest.Case{Name: name, Values: values(s.address, "case", name), Err: asking + err, Kind: kind}
	}
	both := []scalers.Metric{{Name: "a/b.c", Target: 4, Value: 3}, {Name: "d", Target: 1.25, Value: 0.5}}
	metric := "; correct what the server's GetMetrics answers"
	spec := "; correct what the server's GetMetricSpec answers"
	for _, typ := range []string{"external", "external-push"} {
		t.Run(typ, func(t *testing.T) {
			scalertest.Run(t, definition(t, typ), []scalertest.Case{
				{Name: "two metrics", Values: values(s.address), Want: 3, Activity: scalers.Busy, Metrics: both, MetricName: "s0-external-" + strings.NewReplacer(".", "-", ":", "-").Replace(s.address)},
				{Name: "no work", Values: values(s.address, "case", "idle"), Want: 3, Activity: scalers.Idle, Metrics: both},
				{
					Name: "several values of a metric", Values: values(s.address, "case", "several"), Want: 13, Activity: scalers.Busy,
					Metrics: []scalers.Metric{{Name: "a/b.c", Target: 4, Value: 13}, {Name: "d", Target: 1.25, Value: 10.5}},
				},
				bad("no metrics", "its metrics: it names no metric"+spec, scalers.BadAnswer),
				bad("empty name", "its metrics: it names a metric with an empty name"+spec, scalers.BadAnswer),
				bad("twice", `its metrics: it names metric "d" twice`+spec, scalers.BadAnswer),
				bad("target zero", `its metrics: the target of metric "a/b.c" is 0; it must be a number above zero`+spec, scalers.BadAnswer),
				bad("target negative", `its metrics: the target of metric "a/b.c" is -1; it must be`, scalers.BadAnswer),
				bad("target NaN", `its metrics: the target of metric "a/b.c" is NaN; it must be`, scalers.BadAnswer),
				bad("many metrics", "its metrics: it names 101 metrics; 100 are the most"+spec, scalers.BadAnswer),
				bad("huge", "its metrics: the server answered ResourceExhausted: grpc: received message larger than max", scalers.BadAnswer),
				bad("missing", "its metrics: the server answered NotFound: no such thing as; see the log of the server", scalers.NotFound),
				bad("busy", "its metrics: the server answered ResourceExhausted: later", scalers.Throttled),
				bad("forbidden", "its metrics: the server answered PermissionDenied: go away; give the client certificate", scalers.Unauthorized),
				bad("no value", `the metric "a/b.c": it gives no value`+metric, scalers.BadAnswer),
				bad("negative", `the metric "a/b.c": the value is -3; it must be a finite number of zero or more`+metric, scalers.BadAnswer),
				bad("infinite", `the metric "a/b.c": the value is +Inf; it must be`, scalers.BadAnswer),
				bad("too much", `the metric "a/b.c": the values add up to more than can be told`+metric, scalers.BadAnswer),
				bad("activity", "whether there is work: the server answered Internal: no idea; see the log of the server", scalers.BadAnswer),
				{
					Name: "nobody listens", Values: values("127.0.0.1:1"), Kind: scalers.Unreachable,
					Err: "dial tcp 127.0.0.1:1: connect: connection refused; check that the server runs, and that scalerAddress and the TLS parameters are right",
				},
			})
		})
	}
}

func TestABatchOf500(t *testing.T) {
	impl := newServer()
	s := start(t, impl, nil, "")
	var queries []scalers.Query
	for i := range 500 {
		v := values(s.address)
		if v.Name = fmt.Sprintf("worker-%d", i); i == 250 {
			v.Metadata["case"] = "no value"
		}
		queries = append(queries, parse(t, "external", v).Query)
	}
	conn := open(t, parse(t, "external", values(s.address)))
	for round := range 2 {
		readings, err := conn.Fetch(within(t, soon), queries)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range readings {
			if (r.Err != nil) != (i == 250) || r.Err == nil && r.Value != 3 {
				t.Errorf("round %d, query %d: %v, %v", round, i, r.Value, r.Err)
			}
		}
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	// The bad one asks for its first metric only, and for all metrics again.
	got := map[string]int{"IsActive": impl.counted("IsActive"), "GetMetricSpec": impl.counted("GetMetricSpec"), "GetMetrics": impl.counted("GetMetrics")}
	if want := map[string]int{"IsActive": 2 * 499, "GetMetricSpec": 501, "GetMetrics": 2 * (2*499 + 1)}; !maps.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	if n := impl.most.Load(); n < 2 || n > 64 {
		t.Errorf("%d calls at a time, want 2 to 64", n)
	}
}

func TestWhatTheServerGets(t *testing.T) {
	impl := newServer()
	s := start(t, impl, nil, "")
	v := values(s.address, "foo", "bar", "barFromEnv", "B", "bazFromEnv", "MISSING", "enableTLS", "false", "text", " two\nlines ")
	v.Env = map[string]string{"B": "resolved", "foo": "unused"}
	v.Auth = map[string]string{"extra": "secret"}
	trigger := parse(t, "external", v)
	if _, err := open(t, trigger).Fetch(within(t, soon), []scalers.Query{trigger.Query}); err != nil {
		t.Fatal(err)
	}
	want := &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: map[string]string{
		"scalerAddress": s.address, "foo": "bar", "barFromEnv": "resolved", "enableTLS": "false", "text": " two\nlines ",
	}}
	if len(impl.refs) != 1 || !proto.Equal(impl.refs[0], want) {
		t.Errorf("got %v, want %v", impl.refs, want)
	}
}

func TestTLS(t *testing.T) {
	own, authority := certificate(t)
	config := &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	verified := start(t, newServer(), config, "")
	config = config.Clone()
	config.ClientAuth = tls.RequireAnyClientCert
	mutual := start(t, newServer(), config, "")
	certText, keyText := pemPair(t, own)
	untrusted := "authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority; trust the server's certificate authority"
	for name, c := range map[string]struct {
		address string
		meta    []string
		auth    map[string]string
		want    string
	}{
		"caCert alone":                 {verified.address, nil, map[string]string{"caCert": authority}, ""},
		"no verification":              {verified.address, []string{"enableTLS", "true", "unsafeSsl", "true"}, nil, ""},
		"an authority that is unknown": {verified.address, []string{"enableTLS", "true"}, nil, untrusted},
		"a client certificate":         {mutual.address, nil, map[string]string{"caCert": authority, "tlsClientCert": certText, "tlsClientKey": keyText}, ""},
		"no client certificate":        {mutual.address, nil, map[string]string{"caCert": authority, "tlsClientCert": certText}, "the TLS parameters are right"},
		"plain text to a TLS server":   {verified.address, []string{"unsafeSsl", "true"}, nil, "check that the server runs, and that scalerAddress and the TLS parameters are right"},
	} {
		t.Run(name, func(t *testing.T) {
			v := values(c.address, c.meta...)
			v.Auth = c.auth
			trigger := parse(t, "external", v)
			_, err := open(t, trigger).Fetch(within(t, soon), []scalers.Query{trigger.Query})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestAHangingCallFailsAlone(t *testing.T) {
	s := start(t, newServer(), nil, "")
	good, hanging := parse(t, "external", values(s.address)), parse(t, "external", values(s.address, "case", "hanging"))
	conn := open(t, good)
	began := time.Now()
	readings, err := conn.Fetch(within(t, soon), []scalers.Query{hanging.Query, good.Query})
	if err != nil || readings[1].Err != nil || scalers.KindOf(readings[0].Err) != scalers.Unreachable {
		t.Fatalf("%v, %v", readings, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if want := `for the metric "a/b.c": no answer in time; check that`; !strings.Contains(readings[0].Err.Error(), want) {
		t.Errorf("error %v, want %q", readings[0].Err, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := conn.Fetch(ctx, []scalers.Query{hanging.Query}); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("with the context ended: %v", err)
	}
}

func TestAServerThatComesBackIsMeasuredAgain(t *testing.T) {
	impl := newServer()
	s := start(t, impl, nil, "")
	trigger := parse(t, "external", values(s.address))
	conn := open(t, trigger)
	fetch := func() ([]scalers.Reading, error) { return conn.Fetch(within(t, soon), []scalers.Query{trigger.Query}) }
	if _, err := fetch(); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if _, err := fetch(); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("without the server: %v", err)
	}
	start(t, impl, nil, s.address)
	for deadline := time.Now().Add(soon); ; {
		if _, err := fetch(); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // between attempts
	}
	if n := impl.counted("GetMetricSpec"); n != 2 {
		t.Errorf("GetMetricSpec was called %d times; after an error it must be asked for again", n)
	}
}

func TestNothingShowsASecret(t *testing.T) {
	const canary = "c4n4ry"
	s := start(t, newServer(), nil, "")
	v := values(s.address, "case", "missing", "whoFromEnv", "WHO")
	v.Env = map[string]string{"WHO": canary}
	trigger := parse(t, "external", v)
	said := fmt.Sprintf("%v %+v %#v %s", trigger, trigger, trigger, trigger.Query)
	readings, err := open(t, trigger).Fetch(within(t, soon), []scalers.Query{trigger.Query})
	if err != nil {
		t.Fatal(err)
	}
	if want := "no such thing as [redacted]"; !strings.Contains(readings[0].Err.Error(), want) {
		t.Errorf("error %v, want %q", readings[0].Err, want)
	}
	for _, parameter := range []string{"caCert", "tlsClientCert", "tlsClientKey"} {
		v := values(s.address)
		v.Auth = map[string]string{"caCert": "x", "tlsClientCert": "x", "tlsClientKey": "x"}
		v.Auth[parameter] = canary
		trigger := parse(t, "external", v)
		_, err := trigger.Source.Open(within(t, soon), scalers.Env{})
		said += fmt.Sprintf("%v %v", err, trigger)
		if scalers.KindOf(err) != scalers.Invalid {
			t.Errorf("%s: %v", parameter, err)
		}
	}
	if strings.Contains(said+readings[0].Err.Error(), canary) {
		t.Errorf("it shows: %s", said)
	}
}

func TestTypesAreSorted(t *testing.T) {
	var types []string
	for _, d := range external.Scalers() {
		types = append(types, d.Type)
	}
	if !slices.Equal(types, []string{"external", "external-push"}) {
		t.Error(types)
	}
}
