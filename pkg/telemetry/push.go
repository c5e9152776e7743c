package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// scopeName is what OpenTelemetry knows weir's instruments by.
const scopeName = "github.com/weir-sh/weir"

// flushTimeout bounds how long the end of the process waits for what is not yet
// pushed.
const flushTimeout = 5 * time.Second

// protocol is how OTLP is spoken; empty: not at all.
type protocol string

const (
	overGRPC protocol = "grpc"
	overHTTP protocol = "http/protobuf"
)

// plan is what is pushed, and how.
type plan struct {
	metrics, traces protocol
	delta           bool // of metrics: what came since the last push
}

// planOf reads it from the configuration and the environment.
func planOf(c Config) (plan, error) {
	if strings.EqualFold(c.Getenv("OTEL_SDK_DISABLED"), "true") {
		return plan{}, nil
	}
	metrics, errMetrics := wanted(c.Getenv, "METRICS", c.PushMetrics)
	traces, errTraces := wanted(c.Getenv, "TRACES",
		c.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || c.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "")
	delta, errDelta := prefersDelta(c.Getenv)
	return plan{metrics, traces, delta}, errors.Join(errMetrics, errTraces, errDelta)
}

// wanted says how a signal is pushed. By is whether it is without a variable that
// names an exporter.
func wanted(getenv func(string) string, signal string, by bool) (protocol, error) {
	variable := "OTEL_" + signal + "_EXPORTER"
	for exporter := range strings.SplitSeq(getenv(variable), ",") {
		switch strings.TrimSpace(exporter) {
		case "":
		case "otlp":
			by = true
		case "none":
			return "", nil
		case "prometheus": // served anyway
		default:
			return "", fmt.Errorf(`$%s must be "otlp" or "none"`, variable)
		}
	}
	if !by {
		return "", nil
	}
	variable = "OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL"
	switch p := protocol(cmp.Or(getenv(variable), getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), string(overHTTP))); p {
	case overGRPC, overHTTP:
		return p, nil
	}
	return "", fmt.Errorf(`$%s or $OTEL_EXPORTER_OTLP_PROTOCOL must be "http/protobuf" or "grpc"`, variable)
}

// Run pushes until ctx ends, and then what is left, for a few seconds at most. It
// returns at once when nothing is to be pushed. It may be called once, as
// OpenTelemetry's own errors are kept in one place per process.
func (t *Telemetry) Run(ctx context.Context) (err error) {
	if t.plan.metrics == "" && t.plan.traces == "" {
		return nil
	}
	otel.SetLogger(logr.FromSlogHandler(t.cfg.Log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		t.cfg.Log.Debug("OpenTelemetry reports an error", slog.Any("error", err)) // of exports: see health
	}))
	about, err := t.about(ctx)
	if err != nil {
		return err
	}
	var stops []func(context.Context) error
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		for _, stop := range stops {
			if e := stop(ctx); e != nil {
				t.cfg.Log.Warn("the last telemetry was not pushed", slog.Any("error", e))
			}
		}
	}()
	if t.plan.traces != "" {
		exporter, err := t.spanExporter(ctx)
		if err != nil {
			return fmt.Errorf("preparing to push traces: %w", err)
		}
		spans := trace.NewTracerProvider(trace.WithResource(about), trace.WithBatcher(exporter))
		t.tracing.to(spans.Tracer(scopeName))
		stops = append(stops, spans.Shutdown)
	}
	if t.plan.metrics != "" {
		exporter, err := t.metricExporter(ctx)
		if err != nil {
			return fmt.Errorf("preparing to push metrics: %w", err)
		}
		reader := metric.NewPeriodicReader(exporter, metric.WithProducer(newProducer(t.registry, Metrics(t.cfg.HighCardinality), t.plan.delta)))
		stops = append(stops, metric.NewMeterProvider(metric.WithResource(about), metric.WithReader(reader)).Shutdown)
	}
	<-ctx.Done()
	return nil
}

// about describes the process; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
func (t *Telemetry) about(ctx context.Context) (*resource.Resource, error) {
	own := []attribute.KeyValue{attribute.String("service.name", "weir"), attribute.String("service.version", t.cfg.Version)}
	if t.cfg.Instance != "" {
		own = append(own, attribute.String("service.instance.id", t.cfg.Instance))
	}
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(own...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w; write it as name=value,name=value", err)
	}
	return r, nil
}

func (t *Telemetry) metricExporter(ctx context.Context) (metric.Exporter, error) {
	h := &health{log: t.cfg.Log.With(slog.String("signal", "metrics"))}
	if t.plan.metrics == overGRPC {
		e, err := otlpmetricgrpc.New(ctx)
		return metricExporter{e, h}, err
	}
	e, err := otlpmetrichttp.New(ctx)
	return metricExporter{e, h}, err
}

func (t *Telemetry) spanExporter(ctx context.Context) (trace.SpanExporter, error) {
	h := &health{log: t.cfg.Log.With(slog.String("signal", "traces"))}
	if t.plan.traces == overGRPC {
		e, err := otlptracegrpc.New(ctx)
		return spanExporter{e, h}, err
	}
	e, err := otlptracehttp.New(ctx)
	return spanExporter{e, h}, err
}

// health logs when what is pushed is no longer taken, and when it is again.
type health struct {
	log *slog.Logger

	mu   sync.Mutex
	sick bool
}

// note is given the outcome of each attempt, and returns it.
func (h *health) note(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch sick := err != nil; {
	case sick && !h.sick:
		h.log.Warn("telemetry is not taken", slog.Any("error", err))
	case !sick && h.sick:
		h.log.Info("telemetry is taken again")
	}
	h.sick = err != nil
	return err
}

// metricExporter notes how exports end.
type metricExporter struct {
	metric.Exporter
	health *health
}

// Export implements metric.Exporter.
func (e metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	return e.health.note(e.Exporter.Export(ctx, m))
}

// spanExporter notes how exports end.
type spanExporter struct {
	trace.SpanExporter
	health *health
}

// ExportSpans implements trace.SpanExporter.
func (e spanExporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	return e.health.note(e.SpanExporter.ExportSpans(ctx, spans))
}
