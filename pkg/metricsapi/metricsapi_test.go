package metricsapi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/metricsapi"
)

func TestMain(m *testing.M) {
	metricsapi.RedirectKlog(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}

const (
	group  = "/apis/external.metrics.k8s.io/v1beta1"
	orders = "labelSelector=scaledobject.keda.sh%2Fname%3Dorders"
)

// served is a running server and what a test reaches it with.
type served struct {
	url     string
	cert    *certificate
	ca      *authority
	cluster *cluster
	notYet  atomic.Pointer[error] // what Ready returns
	stop    func() error          // ends Run and returns its result
}

func serve(tb testing.TB) *served {
	tb.Helper()
	s := &served{cert: &certificate{}, ca: newAuthority(tb, "weir"), cluster: newCluster(tb)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server, err := metricsapi.New(metricsapi.Config{
		Readings: readings{}, Certificate: s.cert, Kube: s.cluster.client, Listener: ln, Log: slog.New(slog.DiscardHandler),
		Ready: func() error {
			if err := s.notYet.Load(); err != nil {
				return *err
			}
			return nil
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	s.stop = func() error {
		cancel()
		err := <-done
		done <- nil // for the clean-up
		return err
	}
	tb.Cleanup(func() {
		if err := s.stop(); err != nil {
			tb.Error(err)
		}
	})
	s.url = "https://" + ln.Addr().String()
	s.cert.replace(s.ca.certify(tb, "weir"))
	s.awaitReady(tb)
	return s
}

// awaitReady returns when the server says it is ready, which includes that it
// knows how the aggregator shows itself.
func (s *served) awaitReady(tb testing.TB) {
	tb.Helper()
	c := client(tb, s.ca.pem())
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		code, body := get(tb, c, s.url+"/readyz")
		if code == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("not ready: %d %s", code, body)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := client(t, s.ca.pem())
	const failure = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",`
	for _, test := range []struct {
		name, path string
		code       int
		body       string
	}{
		{
			"a value", "/namespaces/shop/s0-rabbitmq-orders?" + orders, 200,
			`{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[` +
				`{"metricName":"s0-rabbitmq-orders","metricLabels":null,"timestamp":"2026-11-23T12:14:15Z","value":"12500m"}]}`,
		},
		{
			"a name in other case", "/namespaces/shop/S0-RabbitMQ-Orders?" + orders, 200,
			`{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[` +
				`{"metricName":"S0-RabbitMQ-Orders","metricLabels":null,"timestamp":"2026-11-23T12:14:15Z","value":"12500m"}]}`,
		},
		{
			"other labels beside the object's", "/namespaces/shop/s0-rabbitmq-orders?" + orders + "%2Ca%3Db", 200,
			`{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[` +
				`{"metricName":"s0-rabbitmq-orders","metricLabels":null,"timestamp":"2026-11-23T12:14:15Z","value":"12500m"}]}`,
		},
		{
			"an unknown object", "/namespaces/shop/s0-x?labelSelector=scaledobject.keda.sh%2Fname%3Dnone", 404,
			failure + `"message":"ScaledObject \"shop/none\" not found","reason":"NotFound","code":404}`,
		},
		{
			"an unknown metric", "/namespaces/shop/s9-x?" + orders, 404,
			failure + `"message":"metric \"s9-x\" of ScaledObject \"shop/orders\" not found","reason":"NotFound","code":404}`,
		},
		{
			"no reading", "/namespaces/shop/s1-broken?" + orders, 500,
			failure + `"message":"listing queues: connection refused (last reading 3m0s ago)","reason":"InternalError","code":500}`,
		},
		{
			"not a number", "/namespaces/shop/s2-nan?" + orders, 500,
			failure + `"message":"metric \"s2-nan\" of ScaledObject \"shop/orders\": the value is not a finite number","reason":"InternalError","code":500}`,
		},
		{
			"no selector", "/namespaces/shop/s0-rabbitmq-orders", 400,
			failure + `"message":"the label selector does not name the ScaledObject: add scaledobject.keda.sh/name=NAME","reason":"BadRequest","code":400}`,
		},
		{
			"a selector without the object", "/namespaces/shop/s0-rabbitmq-orders?labelSelector=a%3Db", 400,
			failure + `"message":"the label selector does not name the ScaledObject: add scaledobject.keda.sh/name=NAME","reason":"BadRequest","code":400}`,
		},
		{
			"another operator", "/namespaces/shop/s0-rabbitmq-orders?labelSelector=scaledobject.keda.sh%2Fname+in+(orders)", 400,
			failure + `"message":"the label selector uses \"in\" on scaledobject.keda.sh/name: write it as key=value","reason":"BadRequest","code":400}`,
		},
		{
			"two equal signs", "/namespaces/shop/s0-rabbitmq-orders?labelSelector=scaledobject.keda.sh%2Fname%3D%3Dorders", 400,
			failure + `"message":"the label selector uses \"==\" on scaledobject.keda.sh/name: write it as key=value","reason":"BadRequest","code":400}`,
		},
		{
			"another operator on another label", "/namespaces/shop/s0-rabbitmq-orders?" + orders + "%2Cx", 400,
			failure + `"message":"the label selector uses \"exists\" on x: write it as key=value","reason":"BadRequest","code":400}`,
		},
		{
			"discovery", "", 200,
			`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"external.metrics.k8s.io/v1beta1","resources":[` +
				`{"name":"externalmetrics","singularName":"","namespaced":true,"kind":"ExternalMetricValueList","verbs":["get"]}]}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, body := get(t, c, s.url+group+test.path, "Authorization", "Bearer hpa")
			if code != test.code || body != test.body {
				t.Errorf("got  %d %s\nwant %d %s", code, body, test.code, test.body)
			}
		})
	}
	t.Run("a selector that is none", func(t *testing.T) {
		code, body := get(t, c, s.url+group+"/namespaces/shop/s0-x?labelSelector=%3D%3D", "Authorization", "Bearer hpa")
		if code != 400 || !strings.Contains(body, `"reason":"BadRequest"`) {
			t.Errorf("got %d %s", code, body)
		}
	})
	t.Run("aggregated discovery", func(t *testing.T) {
		_, body := get(t, c, s.url+"/apis", "Authorization", "Bearer hpa",
			"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
		const want = `"versions":[{"version":"v1beta1","resources":[{"resource":"externalmetrics","responseKind":` +
			`{"group":"","version":"","kind":"ExternalMetricValueList"},"scope":"Namespaced","singularResource":"","verbs":["get"]}],"freshness":"Current"}]`
		if !strings.Contains(body, `"name":"external.metrics.k8s.io"`) || !strings.Contains(body, want) {
			t.Errorf("got %s", body)
		}
	})
	t.Run("OpenAPI", func(t *testing.T) {
		for path, want := range map[string]string{
			"/openapi/v2": `"io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList"`,
			"/openapi/v3": `"apis/external.metrics.k8s.io/v1beta1"`,
			"/openapi/v3/apis/external.metrics.k8s.io/v1beta1": `"io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList"`,
			"/openapi/v3/version":                              `"io.k8s.apimachinery.pkg.version.Info"`,
		} {
			if code, body := get(t, c, s.url+path, "Authorization", "Bearer hpa"); code != 200 || !strings.Contains(body, want) {
				t.Errorf("%s: %d, %d bytes without %s", path, code, len(body), want)
			}
		}
	})
}

func TestCallers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	frontProxy := func(ca *authority, name string) *http.Client {
		pair, err := tls.X509KeyPair(ca.certify(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return client(t, s.ca.pem(), pair)
	}
	plain := client(t, s.ca.pem())
	const read, other = group + "/namespaces/shop/s0-rabbitmq-orders?" + orders, group + "/namespaces/shop/s1-broken?" + orders
	for _, test := range []struct {
		name    string
		client  *http.Client
		path    string
		headers []string
		code    int
	}{
		{"nobody", plain, read, nil, 401},
		{"nobody, discovery", plain, group, nil, 401},
		{"nobody, health", plain, "/healthz", nil, 200},
		{"nobody, liveness", plain, "/livez", nil, 200},
		{"nobody, readiness", plain, "/readyz", nil, 200},
		{"an unknown token", plain, read, []string{"Authorization", "Bearer forged"}, 401},
		{"somebody without rights", plain, read, []string{"Authorization", "Bearer none"}, 403},
		{"somebody with one right, using it", plain, read, []string{"Authorization", "Bearer one"}, 200},
		{"somebody with one right, wanting another", plain, other, []string{"Authorization", "Bearer one"}, 403},
		{"the aggregator for somebody", frontProxy(s.cluster.aggregator, "front-proxy"), read, []string{"X-Remote-User", "hpa"}, 200},
		{"the aggregator for somebody without rights", frontProxy(s.cluster.aggregator, "front-proxy"), read, []string{"X-Remote-User", "none"}, 403},
		{
			"the aggregator looking for life", frontProxy(s.cluster.aggregator, "front-proxy"), group,
			[]string{"X-Remote-User", "system:kube-aggregator", "X-Remote-Group", "system:masters"},
			200,
		},
		{"another name of the aggregator's authority", frontProxy(s.cluster.aggregator, "somebody"), read, []string{"X-Remote-User", "hpa"}, 401},
		{"another authority", frontProxy(newAuthority(t, "other"), "front-proxy"), read, []string{"X-Remote-User", "hpa"}, 401},
		{"the aggregator's headers without its certificate", plain, read, []string{"X-Remote-User", "hpa"}, 401},
		{"profiles", plain, "/debug/pprof/", []string{"Authorization", "Bearer hpa"}, 404},
		{"metrics", plain, "/metrics", []string{"Authorization", "Bearer hpa"}, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			if code, body := get(t, test.client, s.url+test.path, test.headers...); code != test.code {
				t.Errorf("got %d %s, want %d", code, body, test.code)
			}
		})
	}
}

func TestACallerThatMayReadEverythingIsReviewedOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := client(t, s.ca.pem())
	for _, metric := range []string{"s0-rabbitmq-orders", "s1-broken", "s2-nan", "s3-x", "s4-x"} {
		get(t, c, s.url+group+"/namespaces/shop/"+metric+"?"+orders, "Authorization", "Bearer hpa")
	}
	got := s.cluster.taken()
	if len(got) != 1 || got[0].Resource != "*" || got[0].Namespace != "" || got[0].Verb != "list" {
		t.Errorf("reviews: %+v", got)
	}
}

func TestReadinessFollowsTheProgram(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := client(t, s.ca.pem())
	err := errors.New("no reading yet")
	s.notYet.Store(&err)
	if code, body := get(t, c, s.url+"/readyz"); code != 500 || !strings.Contains(body, "[-]readings failed") {
		t.Errorf("got %d %s", code, body)
	}
	if code, body := get(t, c, s.url+"/healthz"); code != 200 || body != "ok" {
		t.Errorf("got %d %s", code, body)
	}
	s.notYet.Store(nil)
	s.awaitReady(t)
}

func TestANewCertificateIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	s := serve(t)
	old := client(t, s.ca.pem())
	known := []string{"Authorization", "Bearer hpa"} // the connections of unknown callers are closed after each request
	get(t, old, s.url+group, known...)
	next := newAuthority(t, "weir-next")
	s.cert.replace(next.certify(t, "weir"))
	s.ca = next
	dialer := &tls.Dialer{Config: client(t, next.pem()).Transport.(*http.Transport).TLSClientConfig}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "https://"))
		if err == nil {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if code, _ := get(t, old, s.url+group, known...); code != 200 { // its connection goes on
		t.Errorf("an open connection got %d", code)
	}
}

func TestStoppingIsOrderly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := client(t, s.ca.pem())
	get(t, c, s.url+"/healthz")
	begin := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 6*time.Second {
		t.Errorf("stopping took %v", took)
	}
	var d net.Dialer
	if conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "https://")); err == nil {
		t.Errorf("still listening; closing: %v", conn.Close())
	}
}

func TestStoppingWithoutACertificateIsOrderly(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := metricsapi.New(metricsapi.Config{
		Readings: readings{}, Certificate: &certificate{}, Kube: newCluster(t).client, Listener: ln, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener was left open: %v", err)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	whole := metricsapi.Config{
		Readings: readings{}, Certificate: &certificate{}, Kube: newCluster(t).client, Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
	}
	for _, test := range []struct {
		edit    func(*metricsapi.Config)
		wantErr string
	}{
		{func(c *metricsapi.Config) { c.Readings = nil }, "the external metrics API needs Readings, Certificate, Kube and Log"},
		{func(c *metricsapi.Config) { c.Kube = nil }, "the external metrics API needs Readings, Certificate, Kube and Log"},
		{func(c *metricsapi.Config) { c.Address = "" }, "the external metrics API needs an address to listen on"},
	} {
		cfg := whole
		test.edit(&cfg)
		if _, err := metricsapi.New(cfg); err == nil || err.Error() != test.wantErr {
			t.Errorf("got %v, want %s", err, test.wantErr)
		}
	}
}

// A whole read over TLS, with a caller that is known: the budget is a p99 of 1 ms.
func BenchmarkRead(b *testing.B) {
	s := serve(b)
	c := client(b, s.ca.pem())
	url := s.url + group + "/namespaces/shop/s0-rabbitmq-orders?" + orders
	get(b, c, url, "Authorization", "Bearer hpa")
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		if code, body := get(b, c, url, "Authorization", "Bearer hpa"); code != 200 {
			b.Fatal(code, body)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}
