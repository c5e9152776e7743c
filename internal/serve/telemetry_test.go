package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaledjob"
	"github.com/weir-sh/weir/pkg/controller/scaledobject"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/metricsapi"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/telemetry"
	"github.com/weir-sh/weir/pkg/webhook"
)

// answers is a transport and a source of readings with fixed answers.
type answers struct{ err error }

func (answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func (a answers) ExternalMetric(context.Context, string, string, string) (metricsapi.Metric, error) {
	return metricsapi.Metric{Value: 7}, a.err
}

func TestTheOtherPartsTellTelemetry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	objects := []snapshot.Object{{Kind: v1alpha1.KindScaledObject, Namespace: "shop", Name: "orders"}, {Kind: v1alpha1.KindScaledJob, Namespace: "shop", Name: "batch"}}
	to, err := telemetry.New(telemetry.Config{
		Registerer: registry, Log: slog.New(slog.DiscardHandler),
		Objects: func() []snapshot.Object { return objects },
		Sources: func() []telemetry.Source {
			return sourcesOf([]engine.SourceStats{{Type: "redis", Queries: 3, Err: errors.New("no")}})
		},
		Call: func(context.Context) (string, string) { return "loki", "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	h, now := hooks{to}, time.Now()
	h.fetched(engine.Fetch{Type: "redis", Fetched: true, Err: &scalers.Error{Kind: scalers.Throttled}})
	h.decidedObject("shop", "orders", decide.Decision{Action: decide.Activate, Reason: decide.WorkWaiting, To: 1})
	h.decidedJob("shop", "batch", snapshot.Decision{At: now, Action: "hold", Reason: "AtRest"})
	h.decidedJob("shop", "batch", snapshot.Decision{At: now, Action: "create", Reason: "WorkWaiting", To: 4})
	h.createdJobs(scaledjob.Created{Namespace: "shop", Name: "batch", Decision: jobs.Decision{To: 4}, Measured: now.Add(-7 * time.Second), Started: now, Done: now})
	h.scaledObject(scaledobject.Scaled{Decision: decide.Decision{To: 1}, Measured: now, Started: now, Done: now.Add(time.Second)})
	h.admission(webhook.Outcome{Kind: v1alpha1.KindScaledObject, Namespace: "shop", Action: "create", Reasons: []string{"other-hpa"}})
	h.admission(webhook.Outcome{Kind: v1alpha1.KindScaledJob, Namespace: "shop", Action: "update"})
	h.secrets("hashiCorpVault")("ok")
	client := h.counted(&http.Client{Transport: answers{}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	for _, failure := range []error{nil, &metricsapi.NotFoundError{}, errors.New("no")} {
		if m, err := h.readings(answers{failure}).ExternalMetric(t.Context(), "shop", "orders", "s0"); m.Value != 7 || !errors.Is(err, failure) {
			t.Errorf("read %v, %v", m, err)
		}
	}
	for _, line := range []string{
		`weir_source_fetches_total{result="Throttled",type="redis"} 1`,
		`weir_sources{state="failing",type="redis"} 1`,
		`weir_decisions_total{action="activate",kind="ScaledObject",reason="WorkWaiting"} 1`,
		`weir_desired_replicas{kind="ScaledObject",name="orders",namespace="shop",stage="decided"} 1`,
		`weir_decisions_total{action="create",kind="ScaledJob",reason="WorkWaiting"} 1`,
		`weir_desired_replicas{kind="ScaledJob",name="batch",namespace="shop",stage="decided"} 4`,
		`weir_wake_seconds_sum{kind="ScaledObject"} 1`,
		`weir_wake_seconds_bucket{kind="ScaledJob",le="5"} 0`,
		`weir_wake_seconds_bucket{kind="ScaledJob",le="10"} 1`,
		`weir_scales_total{kind="ScaledJob",result="ok"} 1`,
		`keda_webhook_scaled_object_validations_total{action="create",namespace="shop"} 1`,
		`keda_webhook_scaled_object_validation_errors_total{action="create",namespace="shop",reason="other-hpa"} 1`,
		`weir_admission_duration_seconds_count{allowed="true",kind="ScaledJob"} 1`,
		`weir_secret_reads_total{result="ok",store="hashiCorpVault"} 1`,
		`keda_scaler_http_requests_total{metric_name="",namespace="",scaled_resource="",scaler="loki",status_code="200",trigger_name=""} 1`,
		`weir_metrics_read_duration_seconds_count{outcome="ok"} 1`,
		`weir_metrics_read_duration_seconds_count{outcome="not_found"} 1`,
		`weir_metrics_read_duration_seconds_count{outcome="error"} 1`,
	} {
		if got := served(t, registry); !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s in\n%s", line, got)
		}
	}
}

// served is what a scrape gets.
func served(t *testing.T, from prometheus.Gatherer) string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestOnlyTheLeaderCountsAuthentications(t *testing.T) {
	t.Parallel()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	auth := func(namespace, name string) *v1alpha1.TriggerAuthentication {
		return &v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	cache := fake.NewClientBuilder().WithScheme(scheme).WithObjects(auth("shop", "a"), auth("shop", "b"),
		&v1alpha1.ClusterTriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Name: "c"}}).Build()
	elected := make(chan struct{})
	count := authentications(cache, elected)
	if got := count(); got != nil {
		t.Errorf("counted %v before it leads", got)
	}
	close(elected)
	if got := count(); len(got) != 2 || got[0] != (telemetry.Registered{Namespace: "shop", Count: 2}) || got[1] != (telemetry.Registered{Cluster: true, Count: 1}) {
		t.Errorf("counted %v", got)
	}
}
