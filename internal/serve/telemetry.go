package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaledjob"
	"github.com/weir-sh/weir/pkg/controller/scaledobject"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/metricsapi"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/telemetry"
	"github.com/weir-sh/weir/pkg/webhook"
)

// observed is what telemetry reads on a scrape.
type observed struct {
	objects func() []snapshot.Object
	sources func() []engine.SourceStats
}

// newTelemetry makes telemetry of what is observed and adds to the manager what
// pushes it.
func newTelemetry(m ctrl.Manager, o *options, from observed, log *slog.Logger) (hooks, error) {
	c := telemetry.Config{
		Version: o.version, Commit: commit(), Objects: from.objects,
		Sources: func() []telemetry.Source { return sourcesOf(from.sources()) },
		Call: func(ctx context.Context) (scaler, object string) {
			c := engine.CallOf(ctx)
			return c.Type, string(c.Owner)
		},
		Authentications: authentications(m.GetCache(), m.Elected()),
		HighCardinality: o.highCardinality, PushMetrics: o.openTelemetry, Instance: o.podName,
		Getenv: o.getenv, Log: log.With(slog.String("part", "telemetry")),
	}
	if o.prometheus {
		c.Registerer = metrics.Registry
	}
	t, err := telemetry.New(c)
	if err != nil {
		return hooks{}, err
	}
	return hooks{t}, m.Add(everywhere{t.Run})
}

// commit is what weir was built from; empty when that is not known.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}

// authentications counts those that are known, from memory. Replicas that do not
// lead count none, so that sums over replicas are right.
func authentications(cache client.Reader, elected <-chan struct{}) func() []telemetry.Registered {
	return func() []telemetry.Registered {
		select {
		case <-elected:
		default:
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var list v1alpha1.TriggerAuthenticationList
		var cluster v1alpha1.ClusterTriggerAuthenticationList
		// What cannot be listed now, as a cache that is not filled, is not counted.
		if errors.Join(cache.List(ctx, &list, client.UnsafeDisableDeepCopy), cache.List(ctx, &cluster, client.UnsafeDisableDeepCopy)) != nil {
			return nil
		}
		byNamespace := map[string]int{}
		for i := range list.Items {
			byNamespace[list.Items[i].Namespace]++
		}
		var out []telemetry.Registered
		for namespace, n := range byNamespace {
			out = append(out, telemetry.Registered{Namespace: namespace, Count: n})
		}
		if n := len(cluster.Items); n > 0 {
			out = append(out, telemetry.Registered{Cluster: true, Count: n})
		}
		return out
	}
}

// sourcesOf is how sources are.
func sourcesOf(all []engine.SourceStats) []telemetry.Source {
	out := make([]telemetry.Source, len(all))
	for i := range all {
		s := &all[i]
		out[i] = telemetry.Source{Type: s.Type, Queries: s.Queries, Open: s.Open, Failing: s.Err != nil, Fetches: s.Fetches, Oldest: s.Oldest}
	}
	return out
}

// hooks are how the other parts tell telemetry.
type hooks struct{ to *telemetry.Telemetry }

// counted is a client that makes the same requests as c and counts those that are
// made to measure. It is for scalers: readers of secrets want c itself.
func (h hooks) counted(c *http.Client) *http.Client {
	counting := *c
	counting.Transport = h.to.Transport(c.Transport)
	return &counting
}

// readings tells of each read of an external metric.
func (h hooks) readings(from metricsapi.Readings) metricsapi.Readings { return timed{from, h.to} }

// fetched is told of each attempt to measure.
func (h hooks) fetched(f engine.Fetch) {
	h.to.Fetched(telemetry.Fetch{
		Type: f.Type, Source: f.Source, Queries: f.Queries, Start: f.Start, Opening: f.Opening, Opened: f.Opened,
		Fetched: f.Fetched, Took: f.Took, Err: f.Err, Kind: string(scalers.KindOf(f.Err)), QueryErrors: f.QueryErrors,
	})
}

// decidedObject is told of a decision about a ScaledObject.
func (h hooks) decidedObject(namespace, name string, d decide.Decision) {
	h.to.Decided(telemetry.Decision{
		Kind: v1alpha1.KindScaledObject, Namespace: namespace, Name: name, Action: string(d.Action), Reason: string(d.Reason), To: d.To,
	})
}

// scaledObject is told of an attempt to scale a workload.
func (h hooks) scaledObject(s scaledobject.Scaled) {
	h.to.Scaled(telemetry.Scale{
		Kind: v1alpha1.KindScaledObject, Namespace: s.Namespace, Name: s.Name,
		Action: string(s.Decision.Action), Reason: string(s.Decision.Reason), From: s.Decision.From, To: s.Decision.To,
		Measured: s.Measured, Started: s.Started, Done: s.Done, Err: s.Err,
	})
}

// decidedJob is told of a decision about a ScaledJob, after it was carried out.
func (h hooks) decidedJob(namespace, name string, d snapshot.Decision) {
	h.to.Decided(telemetry.Decision{
		Kind: v1alpha1.KindScaledJob, Namespace: namespace, Name: name, Action: d.Action, Reason: d.Reason, To: d.To,
	})
}

// createdJobs is told of an attempt to create Jobs.
func (h hooks) createdJobs(c scaledjob.Created) {
	h.to.Scaled(telemetry.Scale{
		Kind: v1alpha1.KindScaledJob, Namespace: c.Namespace, Name: c.Name,
		Action: string(c.Decision.Action), Reason: string(c.Decision.Reason), From: c.Decision.From, To: c.Decision.To,
		Measured: c.Measured, Started: c.Started, Done: c.Done, Err: c.Err,
	})
}

// admission is told of an answer of the admission webhook.
func (h hooks) admission(o webhook.Outcome) {
	h.to.AdmissionTook(o.Kind, len(o.Reasons) == 0, o.Took)
	if o.Kind == v1alpha1.KindScaledObject {
		h.to.ObserveAdmission(o.Namespace, o.Action, o.Reasons)
	}
}

// secrets makes what is told of the reads of one store.
func (h hooks) secrets(store string) func(result string) {
	return func(result string) { h.to.SecretRead(store, result) }
}

// timed tells telemetry of each read of an external metric.
type timed struct {
	metricsapi.Readings

	to *telemetry.Telemetry
}

// ExternalMetric implements metricsapi.Readings.
func (t timed) ExternalMetric(ctx context.Context, namespace, object, metric string) (metricsapi.Metric, error) {
	start := time.Now()
	m, err := t.Readings.ExternalMetric(ctx, namespace, object, metric)
	r := telemetry.Read{Namespace: namespace, Object: object, Metric: metric, Outcome: telemetry.ReadOK, Start: start, Took: time.Since(start), Err: err}
	if err != nil {
		r.Outcome = telemetry.ReadError
		if _, ok := errors.AsType[*metricsapi.NotFoundError](err); ok {
			r.Outcome = telemetry.ReadNotFound
		}
	}
	t.to.MetricRead(r)
	return m, err
}
