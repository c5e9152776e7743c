package scaledobject_test

import (
	"errors"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaledobject"
	"github.com/weir-sh/weir/pkg/engine"
)

// quietQueue takes everything and does nothing.
type quietQueue struct{ scaledtest.Queue }

func (quietQueue) Add(reconcile.Request) {}

func TestMetric(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("bad", triggers()),
		scaledObject("a", triggers("jobs", "Slow", "never", "broken"), func(so *v1alpha1.ScaledObject) { so.Spec.Triggers[1].UseCachedMetrics = true }))
	w.reads(map[string]float64{"jobs": 4.5, "Slow": 2})
	w.breaks("broken", errors.New("down"))
	w.pass("bad")
	w.pass("a")
	for _, tc := range []struct {
		object, metric string
		later          time.Duration
		value          float64
		err            string
		unknown        bool
		asked          time.Duration
	}{
		{"a", "s0-fake-jobs", 0, 4.5, "", false, 5 * time.Second},
		{"a", "S0-FAKE-Jobs", 0, 4.5, "", false, 5 * time.Second},
		{"a", "s1-fake-slow", 0, 2, "", false, 30 * time.Second},
		{"a", "s0-fake-jobs", 90 * time.Second, 4.5, "", false, 5 * time.Second},
		{"a", "s0-fake-jobs", 91 * time.Second, 0, "s0-fake-jobs has not been measured for longer than 1m30s; see the log of weir for its source", false, 5 * time.Second},
		{"a", "s2-fake-never", 0, 0, "s2-fake-never has not been measured yet", false, 5 * time.Second},
		{"a", "s3-fake-broken", 0, 0, "no value of s3-fake-broken that is newer than 1m30s: down", false, 5 * time.Second},
		{"a", "s4-fake-x", 0, 0, `metric "s4-fake-x" of ScaledObject "a" in namespace "ns" is not known`, true, 0},
		{"none", "s0-fake-jobs", 0, 0, `ScaledObject "none" in namespace "ns" is not known`, true, 0},
		{"bad", "s0-fake-jobs", 0, 0, `metric "s0-fake-jobs" of ScaledObject "bad" in namespace "ns", which is not in force (see its Ready and Paused conditions), is not known`, true, 0},
	} {
		w.now = scaledtest.Start().Add(tc.later)
		w.engine.Asked.Store(0)
		got, err := w.r.Metric(t.Context(), "ns", tc.object, tc.metric)
		text := ""
		if err != nil {
			text = err.Error()
		} else {
			equal(t, "instant", got.At, scaledtest.Start())
		}
		equal(t, tc.metric, got.Value, tc.value)
		equal(t, "error", text, tc.err)
		_, unknown := errors.AsType[*scaledobject.UnknownError](err)
		equal(t, "unknown", unknown, tc.unknown)
		equal(t, "age asked for", time.Duration(w.engine.Asked.Load()), tc.asked)
	}
	s := w.engine.Samples[w.query("jobs", "")]
	s.Err = errors.New("down")
	w.engine.Samples[w.query("jobs", "")] = s
	w.now = scaledtest.Start()
	if got, err := w.r.Metric(t.Context(), "ns", "a", "s0-fake-jobs"); err != nil || got.Value != 4.5 {
		t.Errorf("while the source fails, the last good value is %v, %v", got, err)
	}
}

func TestAChangedPasswordLeavesNoGapForTheHPA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 3), scaledObject("a", withAuth), authentication(), secret("pw", "one"))
	w.engine.Samples[w.query("jobs", "one")] = engine.Sample{OK: true, Value: 7, Work: 7, At: w.now, Measured: w.now}
	w.pass("a")
	value := func(want float64, wantErr string) {
		t.Helper()
		got, err := w.r.Metric(t.Context(), "ns", "a", "s0-fake-jobs")
		text := ""
		if err != nil {
			text = err.Error()
		}
		equal(t, "value", got.Value, want)
		equal(t, "error", text, wantErr)
	}
	for _, password := range []string{"two", "three"} { // the second before anything was measured with the first
		if err := w.api.Update(t.Context(), secret("pw", password)); err != nil {
			t.Fatal(err)
		}
		w.r.OnReference([]string{"scaledobject/ns/a"})
		w.pass("a")
		value(7, "")
	}
	w.engine.Samples[w.query("jobs", "three")] = engine.Sample{OK: true, Value: 2, Work: 2, At: w.now, Measured: w.now}
	value(2, "")
	w.engine.Samples[w.query("jobs", "three")] = engine.Sample{Err: errors.New("refused")}
	value(7, "")
	w.now = w.now.Add(91 * time.Second)
	value(0, "no value of s0-fake-jobs that is newer than 1m30s: refused")
}
