package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metric "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/telemetry"
)

// collector is an OpenTelemetry collector as far as receiving goes, over HTTP
// and gRPC.
type collector struct {
	mu      sync.Mutex
	status  int // of answers over HTTP
	refused int // requests that were answered with it
	metrics []*metric.ResourceMetrics
	traces  []*trace.ResourceSpans
}

func (c *collector) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := read(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != 0 {
		c.refused++
		w.WriteHeader(c.status)
		return
	}
	switch req.URL.Path {
	case "/v1/metrics":
		var m metrics.ExportMetricsServiceRequest
		err = proto.Unmarshal(body, &m)
		c.metrics = append(c.metrics, m.GetResourceMetrics()...)
	case "/v1/traces":
		var m traces.ExportTraceServiceRequest
		err = proto.Unmarshal(body, &m)
		c.traces = append(c.traces, m.GetResourceSpans()...)
	default:
		err = errors.New("no such path")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func read(req *http.Request) ([]byte, error) {
	if req.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(req.Body)
	}
	unzipped, err := gzip.NewReader(req.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}

// metricsOverGRPC is the collector's service of metrics; that of traces has a
// method of the same name.
type metricsOverGRPC struct {
	metrics.UnimplementedMetricsServiceServer
	*collector
}

func (c metricsOverGRPC) Export(_ context.Context, m *metrics.ExportMetricsServiceRequest) (*metrics.ExportMetricsServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.metrics = append(c.metrics, m.GetResourceMetrics()...)
	return &metrics.ExportMetricsServiceResponse{}, nil
}

type tracesOverGRPC struct {
	traces.UnimplementedTraceServiceServer
	*collector
}

func (c tracesOverGRPC) Export(_ context.Context, m *traces.ExportTraceServiceRequest) (*traces.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traces = append(c.traces, m.GetResourceSpans()...)
	return &traces.ExportTraceServiceResponse{}, nil
}

// overHTTP starts a collector and points the exporters to it.
func overHTTP(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return c
}

// overGRPC does the same with gRPC.
func overGRPC(t *testing.T) *collector {
	t.Helper()
	c, server := &collector{}, grpc.NewServer()
	metrics.RegisterMetricsServiceServer(server, metricsOverGRPC{collector: c})
	traces.RegisterTraceServiceServer(server, tracesOverGRPC{collector: c})
	at, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- server.Serve(at) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+at.Addr().String())
	return c
}

// environment gives the endpoint that the exporters read themselves, and more.
func environment(more map[string]string) func(string) string {
	return func(name string) string {
		if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
			return "set"
		}
		return more[name]
	}
}

// run runs a Telemetry; the function that is returned ends it.
func run(t *testing.T, s *scene) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestWhatPrometheusSeesIsPushed(t *testing.T) {
	for name, c := range map[string]struct {
		start    func(*testing.T) *collector
		protocol string
	}{"http/protobuf": {overHTTP, ""}, "grpc": {overGRPC, "grpc"}} {
		t.Run(name, func(t *testing.T) {
			collector := c.start(t)
			t.Setenv("OTEL_SERVICE_NAME", "scaler")
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=shop")
			s := newScene(t, func(x *telemetry.Config) {
				x.PushMetrics, x.Instance = true, "weir-0"
				x.Getenv = environment(map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": c.protocol, "OTEL_TRACES_EXPORTER": "none"})
			})
			empty := list(0, "", 12)
			empty.Empty = 1
			s.objects = []snapshot.Object{queue("shop", "orders", empty)}
			s.Decided(telemetry.Decision{Kind: "ScaledObject", Action: "hold", Reason: "WorkWaiting"})
			s.Fetched(telemetry.Fetch{Type: "redis", Fetched: true, Queries: 7, Took: 3 * time.Millisecond})
			run(t, s)() // the end pushes what is left
			if len(collector.metrics) != 1 || len(collector.traces) != 0 {
				t.Fatalf("%d batches of metrics and %d of traces", len(collector.metrics), len(collector.traces))
			}
			about := attributes(collector.metrics[0].GetResource().GetAttributes())
			for _, want := range []string{"service.name=scaler", "service.version=v1.2.3", "service.instance.id=weir-0", "team=shop"} {
				if !slices.Contains(about, want) {
					t.Errorf("the resource is %v, without %s", about, want)
				}
			}
			wantPushed(t, collector)
		})
	}
}

// wantPushed compares some of the points that arrived.
func wantPushed(t *testing.T, c *collector) {
	t.Helper()
	got := map[string]string{}
	for _, m := range c.metrics[0].GetScopeMetrics()[0].GetMetrics() {
		got[m.GetName()] = point(m)
	}
	l := " [metric=s0-redis-jobs namespace=shop scaledObject=orders scaler=redisScaler triggerIndex=0 type=scaledobject]"
	for name, want := range map[string]string{
		"keda.scaler.metrics.value":           "12" + l,
		"keda.scaler.metrics.latency.seconds": "0.25 s" + l,
		"keda.scaler.metrics.latency":         "250 ms" + l,
		"keda.scaler.errors":                  "0 counted" + l,
		"keda.trigger.registered.count":       "1 [type=redis]",
		"keda.trigger.totals":                 "1 [type=redis]",
		"weir.decisions":                      "1 counted [action=hold kind=ScaledObject reason=WorkWaiting]",
		"weir.source.batch.queries":           "1 with 7 in [0 0 0 1 0 0 0 0 0 0 0 0 0 0] [type=redis]",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, m := range telemetry.Metrics(false) {
		if m.OTel == "" || got[m.OTel] == "" && strings.HasPrefix(m.Name, "keda_scaler_") && !strings.Contains(m.Name, "http") {
			t.Errorf("%s is not pushed", m.Name)
		}
	}
}

// point writes the first point of a metric.
func point(m *metric.Metric) string {
	unit := ""
	if m.GetUnit() != "" {
		unit = " " + m.GetUnit()
	}
	switch {
	case m.GetGauge() != nil:
		p := m.GetGauge().GetDataPoints()[0]
		return fmt.Sprintf("%v%s %v", p.GetAsDouble(), unit, attributes(p.GetAttributes()))
	case m.GetSum() != nil:
		p, how := m.GetSum().GetDataPoints()[0], " counted"
		if !m.GetSum().GetIsMonotonic() || p.GetStartTimeUnixNano() == 0 {
			how = " not counted"
		}
		return fmt.Sprintf("%v%s%s %v", p.GetAsDouble(), unit, how, attributes(p.GetAttributes()))
	}
	p := m.GetHistogram().GetDataPoints()[0]
	return fmt.Sprintf("%d with %v%s in %v %v", p.GetCount(), p.GetSum(), unit, p.GetBucketCounts(), attributes(p.GetAttributes()))
}

func attributes(all []*common.KeyValue) []string {
	out := make([]string, len(all))
	for i, a := range all {
		value := a.GetValue()
		if s, ok := value.GetValue().(*common.AnyValue_IntValue); ok {
			out[i] = fmt.Sprint(a.GetKey(), "=", s.IntValue)
		} else {
			out[i] = a.GetKey() + "=" + value.GetStringValue()
		}
	}
	slices.Sort(out)
	return out
}

func TestWhatHappensIsTraced(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *collector{"http/protobuf": overHTTP, "grpc": overGRPC} {
		t.Run(name, func(t *testing.T) {
			collector := start(t)
			s := newScene(t, func(c *telemetry.Config) {
				c.Getenv = environment(map[string]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": name})
			})
			end := run(t, s)
			at := time.Now().Add(-time.Minute)
			wait(t, func() bool { // until Run listens
				s.MetricRead(telemetry.Read{Namespace: "shop", Object: "orders", Outcome: telemetry.ReadError, Err: errors.New("no value"), Start: at, Took: time.Millisecond})
				return s.Tracing()
			})
			for range 300 {
				s.MetricRead(telemetry.Read{Start: at, Took: time.Millisecond})
			}
			s.Fetched(telemetry.Fetch{Type: "redis", Source: "redis://a", Queries: 3, Start: at, Opening: 2 * time.Millisecond, Opened: true, Fetched: true, Took: time.Millisecond})
			s.Fetched(telemetry.Fetch{Type: "kafka", Start: at, Opening: time.Second, Err: errors.New("refused")})
			s.Scaled(telemetry.Scale{
				Kind: "ScaledObject", Namespace: "shop", Name: "orders", Action: "activate", Reason: "WorkWaiting", To: 1,
				Measured: at, Started: at.Add(time.Millisecond), Done: at.Add(5 * time.Millisecond),
			})
			end()
			if len(collector.metrics) > 0 {
				t.Error("metrics were pushed although nobody asked for them")
			}
			wantSpans(t, collector, at)
		})
	}
}

func wantSpans(t *testing.T, c *collector, at time.Time) {
	t.Helper()
	var got []string
	spans := map[string]*trace.Span{}
	reads := 0
	for _, r := range c.traces {
		for _, s := range r.GetScopeSpans()[0].GetSpans() {
			spans[string(s.GetSpanId())] = s
		}
	}
	for _, s := range spans {
		if s.GetName() == "read metric" {
			reads++
			continue
		}
		parent := ""
		if p := spans[string(s.GetParentSpanId())]; p != nil {
			parent = " below " + p.GetName()
		}
		from, to := time.Unix(0, int64(s.GetStartTimeUnixNano())).Sub(at), time.Unix(0, int64(s.GetEndTimeUnixNano())).Sub(at)
		got = append(got, fmt.Sprintf("%s%s from %v to %v %v%s", s.GetName(), parent, from, to, attributes(s.GetAttributes()), s.GetStatus().GetMessage()))
	}
	slices.Sort(got)
	want := []string{
		"connect below measure kafka from 0s to 1s []refused",
		"connect below measure redis from 0s to 2ms []",
		"measure kafka from 0s to 1s [weir.queries=0 weir.query_errors=0 weir.scaler=kafka weir.source=]refused",
		"measure redis from 0s to 3ms [weir.queries=3 weir.query_errors=0 weir.scaler=redis weir.source=redis://a]",
		"scale from 0s to 5ms [weir.action=activate weir.from=0 weir.kind=ScaledObject weir.object=shop/orders weir.reason=WorkWaiting weir.to=1]",
		"write below scale from 1ms to 5ms []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if reads < 3 || reads > 5 {
		t.Errorf("%d spans for some 300 reads", reads)
	}
}

// wait waits until done returns true.
func wait(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

func TestACollectorThatRefusesIsOneLine(t *testing.T) {
	collector := overHTTP(t)
	collector.status = http.StatusBadRequest
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")
	var mu sync.Mutex
	var log bytes.Buffer
	logged := func() string { mu.Lock(); defer mu.Unlock(); return log.String() }
	s := newScene(t, func(c *telemetry.Config) {
		c.PushMetrics = true
		c.Getenv = environment(map[string]string{"OTEL_TRACES_EXPORTER": "none"})
		c.Log = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	})
	end := run(t, s)
	wait(t, func() bool { return strings.Contains(logged(), "telemetry is not taken") })
	wait(t, func() bool { collector.mu.Lock(); defer collector.mu.Unlock(); return collector.refused > 5 })
	collector.mu.Lock()
	collector.status = 0
	collector.mu.Unlock()
	wait(t, func() bool { return strings.Contains(logged(), "telemetry is taken again") })
	end()
	if got := strings.Count(logged(), "\n"); got != 2 {
		t.Errorf("%d lines, want 2:\n%s", got, logged())
	}
}

// locked is a writer for several goroutines.
type locked struct {
	mu *sync.Mutex
	to io.Writer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

func TestACollectorThatIsGoneDoesNotHoldTheEnd(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	s := newScene(t, func(c *telemetry.Config) {
		c.PushMetrics = true
		c.Getenv = environment(nil)
	})
	end, start := run(t, s), time.Now()
	wait(t, s.Tracing)
	s.Fetched(telemetry.Fetch{Type: "redis", Start: start})
	end()
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("the end took %v", took)
	}
}

func TestTheEnvironmentSaysWhatIsPushed(t *testing.T) {
	for name, c := range map[string]struct {
		env     map[string]string
		push    bool
		metrics string
		traces  string
		err     string
	}{
		"nothing":                {},
		"the flag":               {push: true, metrics: "http/protobuf"},
		"an exporter of metrics": {env: map[string]string{"OTEL_METRICS_EXPORTER": "prometheus, otlp"}, metrics: "http/protobuf"},
		"an endpoint":            {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, traces: "http/protobuf"},
		"an endpoint of traces":  {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, traces: "http/protobuf"},
		"no traces":              {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}},
		"traces by name":         {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, traces: "http/protobuf"},
		"no metrics":             {env: map[string]string{"OTEL_METRICS_EXPORTER": "none"}, push: true},
		"grpc":                   {env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "otlp"}, push: true, metrics: "grpc", traces: "grpc"},
		"one by grpc": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "otlp"},
			push: true, metrics: "grpc", traces: "http/protobuf",
		},
		"switched off": {env: map[string]string{"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, push: true},
		"nonsense": {
			env:  map[string]string{"OTEL_TRACES_EXPORTER": "jaeger", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "both"},
			push: true,
			err: `reading what is to be pushed: $OTEL_EXPORTER_OTLP_METRICS_PROTOCOL or $OTEL_EXPORTER_OTLP_PROTOCOL must be "http/protobuf" or "grpc"` +
				"\n" + `$OTEL_TRACES_EXPORTER must be "otlp" or "none"` +
				"\n" + `$OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE must be "cumulative", "delta" or "lowmemory"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			metrics, traces, err := telemetry.Plan(telemetry.Config{PushMetrics: c.push, Getenv: func(name string) string { return c.env[name] }})
			text := ""
			if err != nil {
				text = err.Error()
			}
			if metrics != c.metrics || traces != c.traces || text != c.err {
				t.Errorf("metrics %q, traces %q, error %q", metrics, traces, text)
			}
		})
	}
}
