// Package telemetry tells the outside what weir does: metrics for Prometheus,
// and metrics and traces for OpenTelemetry.
//
// What is known of objects and sources is not kept a second time: a scrape reads
// the snapshots, so that no series outlives its object and an object costs next
// to nothing between scrapes. What happens (a round trip, a decision, a read) is
// told by a method that returns at once. There is one catalogue of metrics, see
// [Metrics]; OpenTelemetry is given the numbers that Prometheus sees, under the
// names of that catalogue.
//
// The package knows nothing of Kubernetes and of controllers: it is given values
// and functions.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-sh/weir/pkg/snapshot"
)

// Config is what New needs. The functions are called on each scrape, from any
// goroutine, and not before the first; nil ones give nothing.
type Config struct {
	Version string // weir's
	Commit  string // that it was built from; may be empty
	// Objects returns what is known of every ScaledObject and ScaledJob, without
	// decisions. The values are only read.
	Objects func() []snapshot.Object
	// Authentications counts the objects of the other kinds.
	Authentications func() []Registered
	// Sources returns how every source is.
	Sources func() []Source
	// Call says what a call to an upstream is for, from its context: the type of
	// the scaler, empty when it is not to measure, and the object as
	// "scaledobject/namespace/name" or "scaledjob/namespace/name", empty when the
	// call serves several.
	Call func(ctx context.Context) (scaler, object string)
	// Registerer takes the metrics; nil serves none to Prometheus.
	Registerer prometheus.Registerer
	// HighCardinality adds the labels of objects to the histogram of HTTP requests.
	HighCardinality bool
	// PushMetrics asks for metrics by OTLP, as OTEL_METRICS_EXPORTER=otlp does too.
	PushMetrics bool
	// Instance tells this process from others in what is pushed, such as the name
	// of the pod; may be empty.
	Instance string
	// Getenv gives the OTEL_ variables that say what is pushed; nil is an empty
	// environment. The exporters read the other OTEL_ variables by themselves.
	Getenv func(string) string
	Log    *slog.Logger // required; told when what is pushed is no longer taken
}

// Registered counts the objects of a kind in a namespace.
type Registered struct {
	Cluster   bool   // ClusterTriggerAuthentications, which have no namespace; else TriggerAuthentications
	Namespace string // empty for those of the cluster
	Count     int
}

// Source is how one upstream under one identity is.
type Source struct {
	Type    string        // the scaler's
	Queries int           // measured now
	Open    bool          // connected
	Failing bool          // it is left alone for a while
	Fetches uint64        // round trips so far
	Oldest  time.Duration // age of the oldest reading
}

// Fetch is one attempt to measure a batch.
type Fetch struct {
	Type    string // the scaler's
	Source  string // describes the settings, without secrets
	Queries int    // asked for at once
	Start   time.Time
	Opening time.Duration // spent on connecting; zero when there was a connection
	Opened  bool          // a connection was made
	Fetched bool          // false: no connection could be made
	Took    time.Duration // of the round trip; zero when there was none
	Err     error         // why there are no readings at all; nil when there are
	Kind    string        // of Err, as package scalers has them
	// QueryErrors counts the queries without a usable reading although Err is nil.
	QueryErrors int
}

// Telemetry is told what happens. Its methods may be called from any goroutine;
// all but Run return at once.
type Telemetry struct {
	cfg      Config
	plan     plan
	registry *prometheus.Registry // all metrics, for what is pushed
	counters map[string]*prometheus.CounterVec
	times    map[string]*prometheus.HistogramVec
	objects  *objects
	requests *requests
	tracing  tracing
}

// New makes a Telemetry and registers its metrics. The error says which
// OTEL_ variable cannot be obeyed, or that the metrics are registered already.
func New(c Config) (*Telemetry, error) {
	if c.Log == nil {
		return nil, errors.New("making telemetry: it needs a Log")
	}
	if c.Getenv == nil {
		c.Getenv = func(string) string { return "" }
	}
	if c.Call == nil {
		c.Call = func(context.Context) (string, string) { return "", "" }
	}
	p, err := planOf(c)
	if err != nil {
		return nil, fmt.Errorf("reading what is to be pushed: %w", err)
	}
	t := &Telemetry{
		cfg: c, plan: p, registry: prometheus.NewRegistry(), requests: newRequests(c.HighCardinality),
		counters: map[string]*prometheus.CounterVec{}, times: map[string]*prometheus.HistogramVec{},
	}
	known := map[string]*described{}
	for _, m := range Metrics(c.HighCardinality) {
		known[m.Name] = describe(m)
	}
	t.objects = newObjects(&t.cfg, known, t.requests)
	for _, to := range []prometheus.Registerer{t.registry, c.Registerer} {
		if to != nil {
			err = errors.Join(err, t.register(to))
		}
	}
	return t, err
}

// told lists the metrics that are told by methods; the others are read from
// snapshots.
func told() []string {
	return []string{
		decisions, scales, wakeTime, sourceFetches, sourceFetchDuration, sourceBatch, sourceQueryErrors, sourceOpens,
		readDuration, secretReads, admissionDuration, webhookValidations, webhookErrors,
	}
}

// register makes the metrics that are told by methods, once, and registers all.
func (t *Telemetry) register(to prometheus.Registerer) error {
	errs := []error{to.Register(t.objects)}
	for _, name := range told() {
		m := t.objects.known[name].metric
		if t.counters[name] == nil && t.times[name] == nil {
			if m.Kind == Counter {
				t.counters[name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
			} else {
				t.times[name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: m.buckets}, m.Labels)
			}
		}
		if c := t.counters[name]; c != nil {
			errs = append(errs, to.Register(c))
		} else {
			errs = append(errs, to.Register(t.times[name]))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Decision is a decision about an object.
type Decision struct {
	Kind, Namespace, Name string // of the object: "ScaledObject" or "ScaledJob"
	Action, Reason        string // as package decide has them
	To                    int32  // replicas or Jobs afterwards
}

// Decided is told of each decision, also of those that change nothing.
func (t *Telemetry) Decided(d Decision) {
	t.counters[decisions].WithLabelValues(d.Kind, d.Action, d.Reason).Inc()
	t.objects.decide(object{d.Kind, d.Namespace, d.Name}, d.To)
}

// Scale is one write of a replica count, or the Jobs created by one decision.
type Scale struct {
	Kind, Namespace, Name string // of the object
	Action, Reason        string // of the decision
	From, To              int32
	Measured              time.Time // when the reading that caused it was measured; zero when none did
	Started, Done         time.Time // of the write
	Err                   error     // nil when it succeeded
}

// Scaled is told of each write. The time of those whose Action is "activate", or
// which create Jobs where there were none, is the time to wake.
func (t *Telemetry) Scaled(s Scale) {
	result := resultOK
	if s.Err != nil {
		result = "error"
	}
	t.counters[scales].WithLabelValues(s.Kind, result).Inc()
	if s.Err == nil && s.From <= 0 && s.To > 0 && !s.Measured.IsZero() {
		t.times[wakeTime].WithLabelValues(s.Kind).Observe(max(s.Done.Sub(s.Measured), 0).Seconds())
	}
	t.tracing.scaled(s)
}

// Fetched is told of each attempt to measure.
func (t *Telemetry) Fetched(f Fetch) {
	switch {
	case f.Opened:
		t.counters[sourceOpens].WithLabelValues(f.Type, resultOK).Inc()
	case !f.Fetched:
		t.counters[sourceOpens].WithLabelValues(f.Type, f.Kind).Inc()
	}
	if f.Fetched {
		result := resultOK
		if f.Err != nil {
			result = f.Kind
		}
		t.counters[sourceFetches].WithLabelValues(f.Type, result).Inc()
		t.counters[sourceQueryErrors].WithLabelValues(f.Type).Add(float64(f.QueryErrors))
		t.times[sourceFetchDuration].WithLabelValues(f.Type).Observe(f.Took.Seconds())
		t.times[sourceBatch].WithLabelValues(f.Type).Observe(float64(f.Queries))
	}
	t.tracing.fetched(&f)
}

// Outcome is how a read of an external metric ended.
type Outcome string

// The outcomes.
const (
	ReadOK       Outcome = "ok"
	ReadNotFound Outcome = "not_found" // there is no such object or metric
	ReadError    Outcome = "error"     // there is no value to rely on
)

// Read is one read of an external metric, by the HPA as a rule.
type Read struct {
	Namespace, Object, Metric string
	Outcome                   Outcome
	Start                     time.Time
	Took                      time.Duration
	Err                       error // nil for ReadOK
}

// MetricRead is told of each read.
func (t *Telemetry) MetricRead(r Read) {
	t.times[readDuration].WithLabelValues(string(r.Outcome)).Observe(r.Took.Seconds())
	t.tracing.read(&r)
}

// SecretRead is told of each read of a secret outside Kubernetes. Store and
// result are those of secretstore.Config: its Name, and what Observe is called with.
func (t *Telemetry) SecretRead(store, result string) {
	t.counters[secretReads].WithLabelValues(store, result).Inc()
}

// ObserveAdmission is told of each ScaledObject that the admission webhook
// judged: action is "create" or "update", and reasons say why it was refused, none
// when it was not.
func (t *Telemetry) ObserveAdmission(namespace, action string, reasons []string) {
	t.counters[webhookValidations].WithLabelValues(namespace, action).Inc()
	for _, reason := range reasons {
		t.counters[webhookErrors].WithLabelValues(namespace, action, reason).Inc()
	}
}

// AdmissionTook is told how long the admission webhook took to judge an object of
// any kind.
func (t *Telemetry) AdmissionTook(kind string, allowed bool, took time.Duration) {
	t.times[admissionDuration].WithLabelValues(kind, strconv.FormatBool(allowed)).Observe(took.Seconds())
}

// build are the values of the labels of buildInfo.
func (c *Config) build() []string {
	return []string{c.Version, c.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH}
}
