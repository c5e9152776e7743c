package telemetry_test

import (
	"errors"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a Telemetry with what it reads, which tests change between scrapes.
type scene struct {
	*telemetry.Telemetry
	registry *prometheus.Registry
	objects  []snapshot.Object
	auths    []telemetry.Registered
	sources  []telemetry.Source
}

func newScene(t testing.TB, change func(*telemetry.Config)) *scene {
	t.Helper()
	s := &scene{registry: prometheus.NewPedanticRegistry()}
	c := telemetry.Config{
		Version: "v1.2.3", Commit: "abc",
		Objects:         func() []snapshot.Object { return s.objects },
		Authentications: func() []telemetry.Registered { return s.auths },
		Sources:         func() []telemetry.Source { return s.sources },
		Call:            callOf,
		Registerer:      s.registry, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	var err error
	if s.Telemetry, err = telemetry.New(c); err != nil {
		t.Fatal(err)
	}
	return s
}

// want compares metrics, without their HELP and TYPE lines.
func (s *scene) want(t *testing.T, want string, names ...string) {
	t.Helper()
	got := s.scrape(t, names...)
	if want = strings.ReplaceAll(strings.TrimSpace(want), "\t", ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// scrape returns the lines of metrics.
func (s *scene) scrape(t testing.TB, names ...string) string {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range names {
		for _, f := range families {
			if f.GetName() != name {
				continue
			}
			var text strings.Builder
			if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(text.String()) {
				if !strings.HasPrefix(line, "#") {
					out = append(out, strings.TrimSpace(line))
				}
			}
		}
	}
	return strings.Join(out, "\n")
}

// queue is a ScaledObject with a trigger.
func queue(namespace, name string, triggers ...snapshot.Trigger) snapshot.Object {
	return snapshot.Object{Kind: "ScaledObject", Namespace: namespace, Name: name, Interval: 30, Triggers: triggers}
}

func list(index int, name string, value float64) snapshot.Trigger {
	return snapshot.Trigger{
		Index: index, Name: name, Type: "redis", Metric: "s" + string(rune('0'+index)) + "-redis-jobs", MetricType: "AverageValue",
		Target: 5, Known: true, Value: value, Active: value > 0, Took: 0.25, Measured: time.Now(),
	}
}

func TestADashboardOfKEDAFindsItsSeries(t *testing.T) {
	s := newScene(t, nil)
	paused := queue("shop", "orders", list(0, "", 12), list(1, "named", 0), snapshot.Trigger{
		Index: 2, Type: "cpu", Metric: "cpu", MetricType: "Utilization", Resource: true,
	}, snapshot.Trigger{Index: 3, Type: "kafka", Metric: "s3-kafka-t", Failures: 2, Err: "no"},
		snapshot.Trigger{Index: 4, Type: "prometheus", Metric: "s4-prometheus", Name: "rate", Failures: 6, Empty: 5, EmptyFails: true},
		snapshot.Trigger{Index: -1, Metric: "composite-metric", MetricType: "AverageValue", Target: 2, Known: true, Value: 7, Active: true})
	paused.Paused, paused.Errors = true, 3
	lax := list(0, "", 3)
	lax.Empty = 2
	job := snapshot.Object{Kind: "ScaledJob", Namespace: "shop", Name: "orders", Errors: 1, Interval: 30, Triggers: []snapshot.Trigger{lax}}
	s.objects = []snapshot.Object{paused, job}
	s.auths = []telemetry.Registered{{Namespace: "shop", Count: 2}, {Cluster: true, Count: 1}}
	s.want(t, `
		keda_scaler_metrics_value{metric="composite-metric",namespace="shop",scaledObject="orders",scaler="composite-metric",triggerIndex="0",type="scaledobject"} 7
		keda_scaler_metrics_value{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledjob"} 3
		keda_scaler_metrics_value{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 12
		keda_scaler_metrics_value{metric="s1-redis-jobs",namespace="shop",scaledObject="orders",scaler="named",triggerIndex="1",type="scaledobject"} 0
		keda_scaler_metrics_latency_seconds{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledjob"} 0.25
		keda_scaler_metrics_latency_seconds{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 0.25
		keda_scaler_metrics_latency_seconds{metric="s1-redis-jobs",namespace="shop",scaledObject="orders",scaler="named",triggerIndex="1",type="scaledobject"} 0.25
		keda_scaler_metrics_latency_seconds{metric="s3-kafka-t",namespace="shop",scaledObject="orders",scaler="kafkaScaler",triggerIndex="3",type="scaledobject"} 0
		keda_scaler_metrics_latency_seconds{metric="s4-prometheus",namespace="shop",scaledObject="orders",scaler="rate",triggerIndex="4",type="scaledobject"} 0
		keda_scaler_active{metric="composite-metric",namespace="shop",scaledObject="orders",scaler="composite-metric",triggerIndex="0",type="scaledobject"} 1
		keda_scaler_active{metric="cpu",namespace="shop",scaledObject="orders",scaler="cpuMemoryScaler",triggerIndex="2",type="scaledobject"} 1
		keda_scaler_active{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledjob"} 1
		keda_scaler_active{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 1
		keda_scaler_active{metric="s1-redis-jobs",namespace="shop",scaledObject="orders",scaler="named",triggerIndex="1",type="scaledobject"} 0
		keda_scaler_active{metric="s3-kafka-t",namespace="shop",scaledObject="orders",scaler="kafkaScaler",triggerIndex="3",type="scaledobject"} 0
		keda_scaler_active{metric="s4-prometheus",namespace="shop",scaledObject="orders",scaler="rate",triggerIndex="4",type="scaledobject"} 0
		keda_scaler_detail_errors_total{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledjob"} 0
		keda_scaler_detail_errors_total{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 0
		keda_scaler_detail_errors_total{metric="s1-redis-jobs",namespace="shop",scaledObject="orders",scaler="named",triggerIndex="1",type="scaledobject"} 0
		keda_scaler_detail_errors_total{metric="s3-kafka-t",namespace="shop",scaledObject="orders",scaler="kafkaScaler",triggerIndex="3",type="scaledobject"} 2
		keda_scaler_detail_errors_total{metric="s4-prometheus",namespace="shop",scaledObject="orders",scaler="rate",triggerIndex="4",type="scaledobject"} 6
		keda_scaler_empty_upstream_responses_total{ignoreNullValues="false",metricName="s4-prometheus",namespace="shop",resourceType="ScaledObject",scaledResource="orders",triggerName="rate"} 5
		keda_scaler_empty_upstream_responses_total{ignoreNullValues="true",metricName="s0-redis-jobs",namespace="shop",resourceType="ScaledJob",scaledResource="orders",triggerName=""} 2
		keda_scaled_object_errors_total{namespace="shop",scaledObject="orders"} 3
		keda_scaled_job_errors_total{namespace="shop",scaledJob="orders"} 1
		keda_scaled_object_paused{namespace="shop",scaledObject="orders"} 1
		keda_trigger_registered_total{type="cpu"} 1
		keda_trigger_registered_total{type="kafka"} 1
		keda_trigger_registered_total{type="prometheus"} 1
		keda_trigger_registered_total{type="redis"} 3
		keda_resource_registered_total{namespace="default",type="cluster_trigger_authentication"} 1
		keda_resource_registered_total{namespace="shop",type="scaled_job"} 1
		keda_resource_registered_total{namespace="shop",type="scaled_object"} 1
		keda_resource_registered_total{namespace="shop",type="trigger_authentication"} 2
		keda_build_info{git_commit="abc",goarch="`+runtime.GOARCH+`",goos="`+runtime.GOOS+`",goversion="`+runtime.Version()+`",version="v1.2.3"} 1
	`, "keda_scaler_metrics_value", "keda_scaler_metrics_latency_seconds", "keda_scaler_active", "keda_scaler_detail_errors_total",
		"keda_scaler_empty_upstream_responses_total", "keda_scaled_object_errors_total", "keda_scaled_job_errors_total", "keda_scaled_object_paused",
		"keda_trigger_registered_total", "keda_resource_registered_total", "keda_build_info")
}

func TestSeriesVanishWithTheirObject(t *testing.T) {
	s := newScene(t, nil)
	failing := list(0, "", 12)
	failing.Failures, failing.Empty = 4, 2
	s.objects = []snapshot.Object{queue("shop", "orders", failing), queue("shop", "other")}
	s.Decided(telemetry.Decision{Kind: "ScaledObject", Namespace: "shop", Name: "orders", Action: "hold", Reason: "WorkWaiting", To: 2})
	request(t, s, "prometheus", "scaledobject/shop/orders", 200)
	if got := s.all(t); strings.Count(got, `"orders"`) != 11 {
		t.Errorf("%d series of the object, want 11, in\n%s", strings.Count(got, `"orders"`), got)
	}
	s.objects = s.objects[1:]
	if got := s.all(t); strings.Contains(got, `"orders"`) || !strings.Contains(got, `"other"`) {
		t.Errorf("after its end there is\n%s", got)
	}
	s.objects = []snapshot.Object{queue("shop", "orders", list(0, "", 12))} // another of the same name
	s.want(t, `
		keda_scaler_detail_errors_total{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 0
		weir_desired_replicas{kind="ScaledObject",name="orders",namespace="shop",stage="asked"} 3
	`, "keda_scaler_detail_errors_total", "weir_desired_replicas")
}

// all returns every line.
func (s *scene) all(t *testing.T) string {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = f.GetName()
	}
	return s.scrape(t, names...)
}

func TestACounterGoesOnWhereWhatItReadsStartsAnew(t *testing.T) {
	s := newScene(t, nil)
	for _, c := range []struct {
		reads uint64
		shows string
	}{{0, "0"}, {3, "3"}, {3, "3"}, {0, "3"}, {0, "3"}, {2, "5"}, {1, "6"}, {4, "9"}} {
		one := list(0, "", 1)
		one.Failures = c.reads
		s.objects = []snapshot.Object{queue("shop", "orders", one)}
		if got := s.scrape(t, "keda_scaler_detail_errors_total"); !strings.HasSuffix(got, "} "+c.shows) {
			t.Errorf("after reading %d: %s, want %s", c.reads, got, c.shows)
		}
	}
}

func TestEmptyAnswersThatFailAreCountedApart(t *testing.T) {
	s := newScene(t, nil)
	for _, c := range []struct {
		reads uint64
		fails bool
		shows string // the label and the count; empty for no series
	}{{0, false, ""}, {3, false, "true 3"}, {0, false, "true 3"}, {2, true, "false 2"}, {0, false, "true 3"}, {1, false, "true 4"}} {
		one := list(0, "", 0)
		one.Empty, one.EmptyFails = c.reads, c.fails
		s.objects = []snapshot.Object{queue("shop", "orders", one)}
		got := s.scrape(t, "keda_scaler_empty_upstream_responses_total")
		label, count, _ := strings.Cut(c.shows, " ")
		if strings.Contains(got, `ignoreNullValues="`+label+`"`) != (c.shows != "") || !strings.HasSuffix(got, count) {
			t.Errorf("after reading %d: %s, want %s", c.reads, got, c.shows)
		}
	}
}

func TestLatenessIsThatOfTheStalestTrigger(t *testing.T) {
	for name, c := range map[string]struct {
		ages []time.Duration
		want float64 // seconds; negative for no series
	}{
		"nothing measured":  {[]time.Duration{0}, -1},
		"in time":           {[]time.Duration{time.Second, 29 * time.Second}, 0},
		"one is late":       {[]time.Duration{time.Second, 40 * time.Second}, 10},
		"one was not asked": {[]time.Duration{0, 35 * time.Second}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s, triggers := newScene(t, nil), make([]snapshot.Trigger, len(c.ages))
			for i, age := range c.ages {
				triggers[i] = list(i, "", 1)
				if triggers[i].Measured = (time.Time{}); age > 0 {
					triggers[i].Measured = time.Now().Add(-age)
				}
			}
			s.objects = []snapshot.Object{queue("shop", "orders", triggers...)}
			families, err := s.registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := -1.0
			for _, f := range families {
				if f.GetName() == "keda_internal_scale_loop_latency_seconds" {
					got = f.GetMetric()[0].GetGauge().GetValue()
				}
			}
			if got < c.want || got > c.want+5 {
				t.Errorf("lateness %v, want %v", got, c.want)
			}
		})
	}
}

func TestWhatTriggersAskForIsKnownOnlyWhereTheHPADivides(t *testing.T) {
	change := func(f func(*snapshot.Trigger)) snapshot.Trigger { one := list(0, "", 12); f(&one); return one }
	formula := snapshot.Trigger{Index: -1, Metric: "composite-metric", MetricType: "AverageValue", Target: 2, Known: true, Value: 7}
	for name, c := range map[string]struct {
		triggers []snapshot.Trigger
		want     string
	}{
		"the largest":       {[]snapshot.Trigger{list(0, "", 12), list(1, "", 21), list(2, "", 0)}, "5"},
		"a formula alone":   {[]snapshot.Trigger{list(0, "", 100), formula}, "4"},
		"one is unknown":    {[]snapshot.Trigger{list(1, "", 21), change(func(x *snapshot.Trigger) { x.Known = false })}, "5"},
		"all are unknown":   {[]snapshot.Trigger{change(func(x *snapshot.Trigger) { x.Known = false })}, ""},
		"compared by value": {[]snapshot.Trigger{list(1, "", 21), change(func(x *snapshot.Trigger) { x.MetricType = "Value" })}, ""},
		"with cpu":          {[]snapshot.Trigger{list(1, "", 21), change(func(x *snapshot.Trigger) { x.Resource = true })}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, nil)
			s.objects = []snapshot.Object{queue("shop", "orders", c.triggers...)}
			want := ""
			if c.want != "" {
				want = `weir_desired_replicas{kind="ScaledObject",name="orders",namespace="shop",stage="asked"} ` + c.want
			}
			s.want(t, want, "weir_desired_replicas")
		})
	}
}

func TestWhatTriggersAskForIsShownWithinTheBounds(t *testing.T) {
	for name, c := range map[string]struct {
		value    float64 // with a target of 5
		min, max int32
		want     string
	}{
		"between":  {12, 0, 20, "3"},
		"too much": {120, 0, 20, "20"},
		"too few":  {0, 2, 20, "2"},
		"unknown":  {12, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, nil)
			o := queue("shop", "orders", list(0, "", c.value))
			o.Min, o.Max = c.min, c.max
			s.objects = []snapshot.Object{o}
			got := s.scrape(t, "weir_desired_replicas")
			if want := `stage="limited"} ` + c.want; strings.Contains(got, want) != (c.want != "") || strings.Count(got, "\n") != min(1, len(c.want)) {
				t.Errorf("got\n%s\nwant %s", got, want)
			}
		})
	}
}

func TestWhatHappensIsCounted(t *testing.T) {
	s := newScene(t, nil)
	now := time.Now()
	s.objects = []snapshot.Object{queue("shop", "orders")}
	s.Decided(telemetry.Decision{Kind: "ScaledObject", Namespace: "shop", Name: "orders", Action: "activate", Reason: "WorkWaiting", To: 1})
	s.Decided(telemetry.Decision{Kind: "ScaledObject", Namespace: "shop", Name: "orders", Action: "hold", Reason: "WorkWaiting", To: 4})
	scale := telemetry.Scale{Kind: "ScaledObject", Namespace: "shop", Name: "orders", To: 1, Measured: now, Started: now.Add(time.Millisecond), Done: now.Add(20 * time.Millisecond)}
	s.Scaled(scale)
	for _, change := range []func(*telemetry.Scale){ // none of them a wake
		func(x *telemetry.Scale) { x.Err = errors.New("no") },
		func(x *telemetry.Scale) { x.From = 3 },
		func(x *telemetry.Scale) { x.To = 0 },
		func(x *telemetry.Scale) { x.Measured = time.Time{} },
	} {
		other := scale
		change(&other)
		s.Scaled(other)
	}
	gone := errors.New("gone")
	s.Fetched(telemetry.Fetch{Type: "redis", Queries: 40, Opened: true, Fetched: true, Took: 4 * time.Millisecond, QueryErrors: 2})
	s.Fetched(telemetry.Fetch{Type: "redis", Queries: 1, Fetched: true, Took: 20 * time.Second, Err: gone, Kind: "Unreachable"})
	s.Fetched(telemetry.Fetch{Type: "redis", Queries: 1, Err: gone, Kind: "Unreachable"})
	s.MetricRead(telemetry.Read{Outcome: telemetry.ReadNotFound, Took: time.Millisecond})
	s.SecretRead("hashiCorpVault", "Stale")
	s.ObserveAdmission("shop", "create", nil)
	s.ObserveAdmission("shop", "create", []string{"other-hpa", "incorrect-replicas"})
	s.AdmissionTook("ScaledJob", false, time.Millisecond)
	s.want(t, `
		weir_decisions_total{action="activate",kind="ScaledObject",reason="WorkWaiting"} 1
		weir_decisions_total{action="hold",kind="ScaledObject",reason="WorkWaiting"} 1
		weir_desired_replicas{kind="ScaledObject",name="orders",namespace="shop",stage="decided"} 4
		weir_scales_total{kind="ScaledObject",result="error"} 1
		weir_scales_total{kind="ScaledObject",result="ok"} 4
		weir_source_fetches_total{result="Unreachable",type="redis"} 1
		weir_source_fetches_total{result="ok",type="redis"} 1
		weir_source_query_errors_total{type="redis"} 2
		weir_source_opens_total{result="Unreachable",type="redis"} 1
		weir_source_opens_total{result="ok",type="redis"} 1
		weir_secret_reads_total{result="Stale",store="hashiCorpVault"} 1
		keda_webhook_scaled_object_validations_total{action="create",namespace="shop"} 2
		keda_webhook_scaled_object_validation_errors_total{action="create",namespace="shop",reason="incorrect-replicas"} 1
		keda_webhook_scaled_object_validation_errors_total{action="create",namespace="shop",reason="other-hpa"} 1
	`, "weir_decisions_total", "weir_desired_replicas", "weir_scales_total", "weir_source_fetches_total", "weir_source_query_errors_total",
		"weir_source_opens_total", "weir_secret_reads_total", "keda_webhook_scaled_object_validations_total",
		"keda_webhook_scaled_object_validation_errors_total")
	for name, want := range map[string]string{
		"weir_wake_seconds":                  `weir_wake_seconds_sum{kind="ScaledObject"} 0.02`,
		"weir_source_fetch_duration_seconds": `weir_source_fetch_duration_seconds_bucket{type="redis",le="0.005"} 1`,
		"weir_source_batch_queries":          `weir_source_batch_queries_sum{type="redis"} 41`,
		"weir_metrics_read_duration_seconds": `weir_metrics_read_duration_seconds_count{outcome="not_found"} 1`,
		"weir_admission_duration_seconds":    `weir_admission_duration_seconds_count{allowed="false",kind="ScaledJob"} 1`,
	} {
		if got := s.scrape(t, name); !slices.Contains(strings.Split(got, "\n"), want) {
			t.Errorf("no line %s in\n%s", want, got)
		}
	}
	if got := s.scrape(t, "weir_wake_seconds"); !strings.Contains(got, `weir_wake_seconds_count{kind="ScaledObject"} 1`) {
		t.Errorf("wakes:\n%s", got)
	}
}

func TestSourcesAreSummedByType(t *testing.T) {
	s := newScene(t, nil)
	s.sources = []telemetry.Source{
		{Type: "redis", Queries: 3, Fetches: 9, Open: true, Oldest: 4 * time.Second},
		{Type: "redis", Queries: 2, Fetches: 9, Failing: true, Oldest: 90 * time.Second},
		{Type: "redis", Queries: 1},
	}
	s.want(t, `
		weir_sources{state="failing",type="redis"} 1
		weir_sources{state="new",type="redis"} 1
		weir_sources{state="working",type="redis"} 1
		weir_source_queries{type="redis"} 6
		weir_source_connections{type="redis"} 1
		weir_reading_age_seconds{type="redis"} 90
	`, "weir_sources", "weir_source_queries", "weir_source_connections", "weir_reading_age_seconds")
}

// full is a scene in which every metric has a series.
func full(t testing.TB) *scene {
	t.Helper()
	s := newScene(t, nil)
	empty := list(0, "", 12)
	empty.Empty = 1
	s.objects = []snapshot.Object{queue("shop", "orders", empty), {Kind: "ScaledJob", Namespace: "shop", Name: "batch"}}
	s.sources = []telemetry.Source{{Type: "redis"}}
	s.Decided(telemetry.Decision{Kind: "ScaledObject", Namespace: "shop", Name: "orders", To: 1})
	s.Scaled(telemetry.Scale{Kind: "ScaledObject", To: 1, Measured: time.Now(), Done: time.Now()})
	s.Fetched(telemetry.Fetch{Type: "redis", Opened: true, Fetched: true})
	s.MetricRead(telemetry.Read{Outcome: telemetry.ReadOK})
	s.SecretRead("hashiCorpVault", "ok")
	s.ObserveAdmission("shop", "create", []string{"other-hpa"})
	s.AdmissionTook("ScaledObject", true, time.Millisecond)
	request(t, s, "prometheus", "", 200)
	return s
}

func TestTheCatalogueIsWhatIsServed(t *testing.T) {
	s := full(t)
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	catalogue := telemetry.Metrics(false)
	if len(families) != len(catalogue) {
		t.Errorf("%d metrics are served, the catalogue has %d", len(families), len(catalogue))
	}
	for _, f := range families {
		i := slices.IndexFunc(catalogue, func(m telemetry.Metric) bool { return m.Name == f.GetName() })
		if i < 0 {
			t.Errorf("%s is not in the catalogue", f.GetName())
			continue
		}
		m := catalogue[i]
		if got := strings.ToLower(f.GetType().String()); got != string(m.Kind) || f.GetHelp() != m.Help {
			t.Errorf("%s is a %s, %q; want %s, %q", m.Name, got, f.GetHelp(), m.Kind, m.Help)
		}
		for _, l := range f.GetMetric()[0].GetLabel() {
			if !slices.Contains(m.Labels, l.GetName()) {
				t.Errorf("%s has the label %s, which is not in the catalogue", m.Name, l.GetName())
			}
		}
		if n := len(f.GetMetric()[0].GetLabel()); n != len(m.Labels) {
			t.Errorf("%s has %d labels, the catalogue %d", m.Name, n, len(m.Labels))
		}
	}
}

func TestWeirsOwnMetricsAreCleanForPromlint(t *testing.T) {
	families, err := full(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "weir_") { // the names of KEDA are what they are
			continue
		}
		problems, err := promlint.NewWithMetricFamilies([]*dto.MetricFamily{f}).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestThePageOfMetricsHasThemAll(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, m := range telemetry.Metrics(false) {
		if row := telemetry.Row(m); !strings.Contains(page, row+"\n") {
			t.Errorf("docs/metrics.md has no row\n%s", row)
		}
		if m.Deprecated != "" && !strings.Contains(page, "`"+m.Deprecated+"`") {
			t.Errorf("docs/metrics.md does not name %s", m.Deprecated)
		}
	}
}
