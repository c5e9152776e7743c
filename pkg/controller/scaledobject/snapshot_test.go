package scaledobject_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// shown is a snapshot as JSON, without decisions; empty for what is not known.
func (w *world) shown(name string) string {
	w.T.Helper()
	o, ok := w.r.Snapshot("ns", name)
	if !ok {
		return ""
	}
	o.Decisions = nil
	out, err := json.Marshal(o)
	if err != nil {
		w.T.Fatal(err)
	}
	return string(out)
}

// decisions is how many decisions about an object are remembered.
func (w *world) decisions(name string) int {
	o, _ := w.r.Snapshot("ns", name)
	return len(o.Decisions)
}

func TestASnapshotShowsWhatIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), deployment("other", 1), scaledObject("a"), scaledObject("bad", triggers(), func(so *v1alpha1.ScaledObject) {
		so.Spec.ScaleTargetRef.Name = "other"
	}))
	equal(t, "of an object not seen yet", w.shown("a"), "")
	w.pass("a")
	const head = `{"kind":"ScaledObject","namespace":"ns","name":"a",`
	const trigger = `{"index":0,"type":"fake","metric":"s0-fake-jobs","metricType":"AverageValue","target":5,"activation":0,`
	equal(t, "before the first reading", w.shown("a"),
		head+`"minReplicas":0,"maxReplicas":100,"intervalSeconds":30,"triggers":[`+trigger+`"known":false,"value":0,"active":false,"tookSeconds":0,"failures":0}],"errors":0}`)
	w.reads(map[string]float64{"jobs": 7})
	q := w.query("jobs", "")
	s := w.engine.Samples[q]
	s.Took, s.Failures = 250*time.Millisecond, 2
	w.engine.Samples[q] = s
	w.pass("a")
	const busy = trigger + `"known":true,"value":7,"active":true,"measured":"2026-03-04T05:06:07Z","tookSeconds":0.25,"failures":2}`
	equal(t, "with work", w.shown("a"), head+`"minReplicas":0,"maxReplicas":100,"intervalSeconds":30,"triggers":[`+busy+`],"errors":2}`)

	o, _ := w.r.Snapshot("ns", "a")
	want := snapshot.Decision{
		At: scaledtest.Start(), Action: "hold", From: 1, To: 1, Reason: "WorkWaiting",
		Message:  "1 of 1 trigger has work: s0-fake-jobs has 7 (above 0, target 5)",
		Triggers: []snapshot.Input{{Metric: "s0-fake-jobs", Type: "fake", State: "busy", Value: 7, Target: 5}},
	}
	last := o.Decisions[len(o.Decisions)-1]
	if len(last.Triggers) != 1 || last.Triggers[0] != want.Triggers[0] || last.Message != want.Message || last.Reason != want.Reason || last.To != 1 || last.Action != "hold" || !last.At.Equal(want.At) {
		t.Errorf("the decision is\n%+v\nwant\n%+v", last, want)
	}

	// Failures of a query that leaves stay counted; a pause keeps the count.
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.Triggers[0].Metadata["addr"] = "there" })
	w.pass("a")
	w.edits("a", annotated(v1alpha1.AnnotationPaused, "true"))
	w.pass("a")
	equal(t, "while paused", w.shown("a"), head+`"paused":true,"minReplicas":0,"maxReplicas":100,"intervalSeconds":30,"errors":2}`)

	w.pass("bad")
	w.pass("a")
	var names []string
	for _, o := range w.r.Snapshots() {
		names = append(names, o.Name)
		if o.Decisions != nil {
			t.Errorf("%s has decisions", o.Name)
		}
	}
	equal(t, "all", strings.Join(names, " "), "a bad")
	equal(t, "of a wrong object", w.shown("bad"), `{"kind":"ScaledObject","namespace":"ns","name":"bad","problem":"spec.triggers: must have at least one trigger","minReplicas":0,"maxReplicas":100,"intervalSeconds":30,"errors":1}`)
}

func TestASnapshotShowsFallbackFormulaAndResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", computing("a + b"), falling(0, 6, "static"), func(so *v1alpha1.ScaledObject) {
		so.Spec.Triggers = append(so.Spec.Triggers, ofType("cpu", "Utilization", "value", "60"))
	}))
	w.reads(map[string]float64{"jobs": 1, "more": 2})
	w.settles("a")
	check := func(want ...string) {
		t.Helper()
		o, _ := w.r.Snapshot("ns", "a")
		for i, s := range o.Triggers {
			s.Measured = time.Time{}
			out, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "trigger", string(out), want[i])
		}
		equal(t, "triggers", len(o.Triggers), len(want))
	}
	const (
		b   = `{"index":1,"name":"b","type":"fake","metric":"s1-fake-more","metricType":"AverageValue","target":5,"activation":0,"known":true,"value":2,"active":true,"tookSeconds":0,"failures":0}`
		cpu = `{"index":2,"type":"cpu","metric":"cpu","metricType":"Utilization","target":60,"activation":0,"resource":true,"known":false,"value":0,"active":false,"tookSeconds":0,"failures":0}`
	)
	check(
		`{"index":0,"name":"a","type":"fake","metric":"s0-fake-jobs","metricType":"AverageValue","target":5,"activation":0,"known":true,"value":1,"active":true,"tookSeconds":0,"failures":0}`, b, cpu,
		`{"index":-1,"type":"","metric":"composite-metric","metricType":"AverageValue","target":2.5,"activation":0,"known":true,"value":3,"active":true,"tookSeconds":0,"failures":0}`,
	)
	w.breaks("jobs", errors.New("down"))
	w.pass("a")
	check(
		`{"index":0,"name":"a","type":"fake","metric":"s0-fake-jobs","metricType":"AverageValue","target":5,"activation":0,"known":true,"value":1,"active":false,"tookSeconds":0,"error":"down","failures":1}`, b, cpu,
		`{"index":-1,"type":"","metric":"composite-metric","metricType":"AverageValue","target":2.5,"activation":0,"known":true,"value":15,"active":true,"fallback":true,"tookSeconds":0,"error":"s0-fake-jobs: down","failures":0}`,
	)
}

func TestASnapshotShowsTheMetricsThatAnUpstreamNames(t *testing.T) {
	t.Parallel()
	named := ofType("naming", "Value", "name", "it")
	w := newWorld(t, deployment("web", 1), scaledObject("a", falling(0, 6, "static"), having(named)))
	w.pass("a")
	w.names(named, scalers.Busy, scalers.Metric{Name: "x", Target: 2, Value: 1}, scalers.Metric{Name: "y", Target: 7, Value: 3})
	w.settles("a")
	values := func() string {
		o, _ := w.r.Snapshot("ns", "a")
		var out []string
		for _, s := range o.Triggers {
			text, err := json.Marshal([]any{s.Metric, s.Target, s.Known, s.Value, s.Fallback})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(text))
		}
		return strings.Join(out, " ")
	}
	equal(t, "values", values(), `["s0-x",2,true,1,false] ["s0-y",7,true,3,false]`)
	q := w.queryOf(scaledtest.Naming("naming", false), named)
	s := w.engine.Samples[q]
	s.Err, s.ErrSince = errors.New("down"), w.now
	w.engine.Samples[q] = s
	w.pass("a")
	equal(t, "without a ready pod", values(), `["s0-x",2,false,0,true] ["s0-y",7,false,0,true]`)
	w.selector = "app=web"
	w.starts("web-0")
	w.starts("web-1")
	w.pass("a")
	equal(t, "with two", values(), `["s0-x",2,true,6,true] ["s0-y",7,true,21,true]`)
}
