package hpa_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/hpa"
)

// record is one case of testdata/controller.jsonl: what the HPA controller of
// Kubernetes saw and did over a series of syncs. Where the records come from, and
// what the fields mean, is in test/cluster/internal/hpacheck.
type record struct {
	Name  string
	Flags struct {
		Tolerance                 float64
		Downscale, CPUInit, Delay int
	}
	Pods []struct { // kinds of pods
		Containers []hpa.Container
		Requests   map[string]int64
	}
	Syncs []struct {
		At          float64
		Spec        *hpa.Spec
		Set, Status *int32
		Pods        []recordedPod
		Gone        []string
		Readings    []recordedReading
		Want        outcome
	}
}

type recordedPod struct {
	Name           string `json:"n"`
	Kind           int    `json:"t"`
	Phase, Ready   string
	Started, Since *int
	Deleting       bool
	NoStart        bool
}

type recordedReading struct {
	Err    bool
	Values []int64
	Pods   map[string][]int64
}

// outcome is what one sync did; the conditions begin with their status.
type outcome struct {
	Replicas                  int32
	Able, Active, Limit, Zero string
}

// start is when the first sync of each record is; any time will do.
func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func after(seconds float64) time.Time {
	return start().Add(time.Duration(seconds * float64(time.Second)))
}

func TestEverySyncIsThatOfTheController(t *testing.T) {
	data, err := os.ReadFile("testdata/controller.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(data) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		t.Run(r.Name, r.play)
		n++
	}
	if n < 300 {
		t.Errorf("there are %d records, want at least 300", n)
	}
}

// play has a State do the syncs of the record, each from where the one before led.
func (r *record) play(t *testing.T) {
	var state hpa.State
	var in hpa.Input
	var got, want outcome
	for i, s := range r.Syncs {
		if s.Spec != nil {
			in.Spec = *s.Spec
		}
		if s.Status != nil {
			in.Scale.Status = *s.Status
		}
		in.Scale.Pods = r.pods(in.Scale.Pods, s.Pods, s.Gone)
		in.Flags = hpa.Flags{Tolerance: r.Flags.Tolerance, Downscale: seconds(r.Flags.Downscale), CPUInitialization: seconds(r.Flags.CPUInit), ReadinessDelay: seconds(r.Flags.Delay)}
		in.Scale.Now, in.Scale.Spec = after(s.At), *cmp.Or(s.Set, &got.Replicas)
		in.Readings = readings(s.Readings, in.Scale.Now)

		result := state.Sync(in)
		got = got.then(result, state.ScaledToZero)
		want = outcome{s.Want.Replicas, cmp.Or(s.Want.Able, want.Able), cmp.Or(s.Want.Active, want.Active), cmp.Or(s.Want.Limit, want.Limit), cmp.Or(s.Want.Zero, want.Zero)}
		if got != want {
			t.Fatalf("sync %d at %g s: got %+v, the controller did %+v\nlines: %q\nspec: %s\nreadings: %+v", i, s.At, got, want, result.Lines, text(t, in.Spec), s.Readings)
		}
	}
}

// then returns the outcome after one more sync.
func (o outcome) then(r hpa.Result, zero bool) outcome {
	condition := func(field *string, c hpa.Condition) {
		if c.Reason == "" {
			return
		}
		*field = "-" + string(c.Reason)
		if c.True {
			*field = "+" + string(c.Reason)
		}
	}
	condition(&o.Able, r.Able)
	condition(&o.Active, r.Active)
	condition(&o.Limit, r.Limit)
	if o.Replicas = r.Desired; r.Scaled {
		o.Zero = "-NotScaledToZero"
		if zero {
			o.Zero = "+ScaledToZero"
		}
	}
	return o
}

// pods returns the pods as they are after the changes.
func (r *record) pods(before []hpa.Pod, changed []recordedPod, gone []string) []hpa.Pod {
	now := slices.DeleteFunc(slices.Clone(before), func(p hpa.Pod) bool {
		return slices.Contains(gone, p.Name) || slices.ContainsFunc(changed, func(c recordedPod) bool { return c.Name == p.Name })
	})
	for _, p := range changed {
		now = append(now, r.pod(p))
	}
	return now
}

func (r *record) pod(p recordedPod) hpa.Pod {
	at := func(offset *int) time.Time {
		if offset == nil {
			return after(-1000)
		}
		return after(float64(*offset))
	}
	out := hpa.Pod{
		Name: p.Name, Phase: hpa.Phase(cmp.Or(p.Phase, string(hpa.Running))), Deleting: p.Deleting,
		Ready: cmp.Or(p.Ready, "True"), Started: at(p.Started), ReadySince: at(p.Since),
		Containers: r.Pods[p.Kind].Containers, Requests: r.Pods[p.Kind].Requests,
	}
	if p.NoStart {
		out.Started = time.Time{}
	}
	if p.Ready == "-" {
		out.Ready, out.ReadySince = "", time.Time{}
	}
	return out
}

func readings(recorded []recordedReading, now time.Time) []hpa.Reading {
	out := make([]hpa.Reading, len(recorded))
	for i, r := range recorded {
		out[i] = hpa.Reading{Values: r.Values, Pods: map[string]hpa.Sample{}}
		if r.Err {
			out[i].Err = "the server could not find the metric"
		}
		for name, v := range r.Pods {
			if len(v) == 1 {
				v = append(v, 0, 30) // age and window
			}
			out[i].Pods[name] = hpa.Sample{Value: v[0], At: now.Add(-seconds(int(v[1]))), Window: seconds(int(v[2]))}
		}
	}
	return out
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func text(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
