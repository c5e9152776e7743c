package telemetry

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is the type of a metric.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric describes one metric. The page of metrics is tested against these.
type Metric struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string // one sentence
	// OTel is the name it is pushed under.
	OTel string
	// Deprecated is a second name that it is pushed under because KEDA still does:
	// in milliseconds where it measures time. Empty for most.
	Deprecated string

	buckets []float64 // of a histogram, ascending
}

// The names of the metrics.
const (
	buildInfo             = "keda_build_info"
	scalerValue           = "keda_scaler_metrics_value"
	scalerLatency         = "keda_scaler_metrics_latency_seconds"
	scalerActive          = "keda_scaler_active"
	emptyAnswers          = "keda_scaler_empty_upstream_responses_total"
	scalerErrors          = "keda_scaler_detail_errors_total"
	objectErrors          = "keda_scaled_object_errors_total"
	jobErrors             = "keda_scaled_job_errors_total"
	objectPaused          = "keda_scaled_object_paused"
	triggersRegistered    = "keda_trigger_registered_total"
	resourcesRegistered   = "keda_resource_registered_total"
	loopLatency           = "keda_internal_scale_loop_latency_seconds"
	httpRequests          = "keda_scaler_http_requests_total"
	httpDuration          = "keda_scaler_http_request_duration_seconds"
	webhookValidations    = "keda_webhook_scaled_object_validations_total"
	webhookErrors         = "keda_webhook_scaled_object_validation_errors_total"
	decisions             = "weir_decisions_total"
	desiredReplicas       = "weir_desired_replicas"
	scales                = "weir_scales_total"
	wakeTime              = "weir_wake_seconds"
	readingAge            = "weir_reading_age_seconds"
	sources               = "weir_sources"
	sourceQueries         = "weir_source_queries"
	sourceFetches         = "weir_source_fetches_total"
	sourceFetchDuration   = "weir_source_fetch_duration_seconds"
	sourceBatch           = "weir_source_batch_queries"
	sourceQueryErrors     = "weir_source_query_errors_total"
	sourceConnections     = "weir_source_connections"
	sourceOpens           = "weir_source_opens_total"
	readDuration          = "weir_metrics_read_duration_seconds"
	secretReads           = "weir_secret_reads_total"
	admissionDuration     = "weir_admission_duration_seconds"
	labelNamespace        = "namespace"
	labelKind             = "kind"
	labelType             = "type"
	labelResult           = "result"
	labelAction           = "action"
	labelReason           = "reason"
	labelScaledObject     = "scaledObject"
	labelScaler           = "scaler"
	labelStatusCode       = "status_code"
	stageAsked            = "asked"
	stageLimited          = "limited"
	stageDecided          = "decided"
	resultOK              = "ok"
	kindScaledObject      = "ScaledObject"
	kindScaledJob         = "ScaledJob"
	typeScaledObject      = "scaledobject"
	typeScaledJob         = "scaledjob"
	compositeMetric       = "composite-metric"
	clusterScoped         = "default" // the namespace of what has none, as KEDA writes it
	registeredObject      = "scaled_object"
	registeredJob         = "scaled_job"
	registeredAuth        = "trigger_authentication"
	registeredClusterAuth = "cluster_trigger_authentication"
)

// Metrics returns all metrics that weir makes itself, those of KEDA first.
// highCardinality gives the labels that --enable-high-cardinality-metrics-labels
// adds.
func Metrics(highCardinality bool) []Metric {
	m := slices.Concat(kedaMetrics(), weirMetrics())
	if highCardinality {
		i := slices.IndexFunc(m, func(m Metric) bool { return m.Name == httpDuration })
		m[i].Labels = httpLabels()
	}
	return m
}

// triggerLabels are those of the metrics of one trigger.
func triggerLabels() []string {
	return []string{labelNamespace, "metric", labelScaledObject, labelScaler, "triggerIndex", labelType}
}

// httpLabels are those of outbound requests.
func httpLabels() []string {
	return []string{labelNamespace, "scaled_resource", labelScaler, "trigger_name", "metric_name", labelStatusCode}
}

// kedaMetrics are metrics with names and labels that dashboards for KEDA use.
func kedaMetrics() []Metric {
	l := triggerLabels()
	return []Metric{
		{
			Name: buildInfo, Kind: Gauge, Labels: []string{"version", "git_commit", "goversion", "goos", "goarch"}, OTel: "keda.build.info",
			Help: "Always 1; the labels tell what runs. The version is weir's own.",
		},
		{
			Name: scalerValue, Kind: Gauge, Labels: l, OTel: "keda.scaler.metrics.value",
			Help: "The newest value of each trigger, or the fallback that stands in for it; of a formula, its result.",
		},
		{
			Name: scalerLatency, Kind: Gauge, Labels: l, OTel: "keda.scaler.metrics.latency.seconds", Deprecated: "keda.scaler.metrics.latency",
			Help: "How long the newest measurement of each trigger took, with those it shared a round trip with.",
		},
		{
			Name: scalerActive, Kind: Gauge, Labels: l, OTel: "keda.scaler.active",
			Help: "Whether a trigger, or the result of a formula, counts as work: 1 or 0. It is always 1 for cpu and memory.",
		},
		{
			Name: scalerErrors, Kind: Counter, Labels: l, OTel: "keda.scaler.errors",
			Help: "Failed attempts to measure a trigger.",
		},
		{
			Name: emptyAnswers, Kind: Counter, OTel: "keda.scaler.empty.upstream.responses",
			Labels: []string{labelNamespace, "scaledResource", "triggerName", "metricName", "resourceType", "ignoreNullValues"},
			Help:   "Answers without a result for a trigger, counted from the first. ignoreNullValues says whether they count as a value.",
		},
		{
			Name: objectErrors, Kind: Counter, Labels: []string{labelNamespace, labelScaledObject}, OTel: "keda.scaledobject.errors",
			Help: "What could not be measured or parsed of a ScaledObject.",
		},
		{
			Name: jobErrors, Kind: Counter, Labels: []string{labelNamespace, "scaledJob"}, OTel: "keda.scaledjob.errors",
			Help: "What could not be measured or parsed of a ScaledJob.",
		},
		{
			Name: objectPaused, Kind: Gauge, Labels: []string{labelNamespace, labelScaledObject}, OTel: "keda.scaled.object.paused",
			Help: "Whether annotations pause a ScaledObject, altogether or in one direction: 1 or 0.",
		},
		{
			Name: triggersRegistered, Kind: Gauge, Labels: []string{labelType}, OTel: "keda.trigger.registered.count", Deprecated: "keda.trigger.totals",
			Help: "Triggers in force by scaler type.",
		},
		{
			Name: resourcesRegistered, Kind: Gauge, Labels: []string{labelType, labelNamespace}, OTel: "keda.resource.registered.count", Deprecated: "keda.resource.totals",
			Help: `Objects of the keda.sh API by kind and namespace; those without a namespace count for "default".`,
		},
		{
			Name: loopLatency, Kind: Gauge, Labels: []string{labelNamespace, labelType, "resource"}, OTel: "keda.internal.scale.loop.latency.seconds", Deprecated: "keda.internal.scale.loop.latency",
			Help: "By how much the stalest trigger of an object is past its polling interval; 0 while none is.",
		},
		{
			Name: httpRequests, Kind: Counter, Labels: httpLabels(), OTel: "keda.scaler.http.requests.count",
			Help: "HTTP requests made to measure. The labels of the object are empty where one request serves several.",
		},
		{
			Name: httpDuration, Kind: Histogram, Labels: []string{labelScaler, labelStatusCode}, OTel: "keda.scaler.http.request.duration.seconds",
			Help:    "How long HTTP requests took until the headers of the answer.",
			buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		},
		{
			Name: webhookValidations, Kind: Counter, Labels: []string{labelNamespace, labelAction}, OTel: "keda.webhook.scaled.object.validations",
			Help: "ScaledObjects that the admission webhook was asked about.",
		},
		{
			Name: webhookErrors, Kind: Counter, Labels: []string{labelNamespace, labelAction, labelReason}, OTel: "keda.webhook.scaled.object.validation.errors",
			Help: "Reasons for which the admission webhook refused ScaledObjects.",
		},
	}
}

// weirMetrics are weir's own.
func weirMetrics() []Metric {
	quick := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}
	m := []Metric{
		{
			Name: decisions, Kind: Counter, Labels: []string{labelKind, labelAction, labelReason},
			Help: "Decisions by what was done and by the rule that decided.",
		},
		{
			Name: desiredReplicas, Kind: Gauge, Labels: []string{labelKind, labelNamespace, "name", "stage"},
			Help: `What an object's triggers ask for ("asked"), the same within its bounds ("limited"), and what the newest decision came to ("decided"), in replicas or Jobs.`,
		},
		{
			Name: scales, Kind: Counter, Labels: []string{labelKind, labelResult},
			Help: "Replica counts written and Jobs created, by result.",
		},
		{
			Name: wakeTime, Kind: Histogram, Labels: []string{labelKind},
			Help:    "Time from the first reading above the activation until the scale was written.",
			buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		},
		{
			Name: readDuration, Kind: Histogram, Labels: []string{"outcome"},
			Help: "How long reads of external metrics took: ok, not_found or error.", buckets: quick,
		},
		{
			Name: secretReads, Kind: Counter, Labels: []string{"store", labelResult},
			Help: "Reads of secrets outside Kubernetes, by result: ok, the kind of the error, or Stale for a secret used past its time.",
		},
		{
			Name: admissionDuration, Kind: Histogram, Labels: []string{labelKind, "allowed"},
			Help: "How long the admission webhook took to answer.", buckets: quick,
		},
	}
	m = slices.Concat(m, sourceMetrics(quick))
	for i := range m {
		m[i].OTel = strings.ReplaceAll(strings.TrimSuffix(m[i].Name, "_total"), "_", ".")
	}
	return m
}

// sourceMetrics are those of sources; quick are buckets in seconds.
func sourceMetrics(quick []float64) []Metric {
	return []Metric{
		{
			Name: readingAge, Kind: Gauge, Labels: []string{labelType},
			Help: "Age of the oldest reading of any query, by scaler type.",
		},
		{
			Name: sources, Kind: Gauge, Labels: []string{labelType, "state"},
			Help: "Sources, which are upstreams under one identity each, by state: working, failing or new.",
		},
		{
			Name: sourceQueries, Kind: Gauge, Labels: []string{labelType},
			Help: "Different queries that are measured.",
		},
		{
			Name: sourceFetches, Kind: Counter, Labels: []string{labelType, labelResult},
			Help: "Round trips to measure a batch, by result: ok, or the kind of the error that left it without readings.",
		},
		{
			Name: sourceFetchDuration, Kind: Histogram, Labels: []string{labelType},
			Help: "How long a round trip took.", buckets: quick,
		},
		{
			Name: sourceBatch, Kind: Histogram, Labels: []string{labelType},
			Help:    "Queries measured in one round trip.",
			buckets: []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000},
		},
		{
			Name: sourceQueryErrors, Kind: Counter, Labels: []string{labelType},
			Help: "Queries without a usable reading in a round trip that gave others.",
		},
		{
			Name: sourceConnections, Kind: Gauge, Labels: []string{labelType},
			Help: "Sources that are connected.",
		},
		{
			Name: sourceOpens, Kind: Counter, Labels: []string{labelType, labelResult},
			Help: "Attempts to connect to a source, by result: ok, or the kind of the error.",
		},
	}
}

// descriptor makes what Prometheus knows of m.
func (m *Metric) descriptor() *prometheus.Desc {
	return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
}
