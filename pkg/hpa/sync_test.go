package hpa_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/hpa"
)

// queue is an HPA on one external metric with 5 of it per replica.
func queue(behavior *hpa.Behavior) hpa.Input {
	return hpa.Input{
		Spec:  hpa.Spec{Min: 1, Max: 100, Metrics: []hpa.Metric{{Kind: hpa.External, Name: "s0", Type: hpa.AverageValue, Target: 5000}}, Behavior: behavior},
		Flags: hpa.DefaultFlags(),
	}
}

// series has a fresh State sync once every 15 s, with as many replicas there as
// asked for, and returns the replicas after each.
func series(s *hpa.State, in hpa.Input, replicas int32, values ...int64) []int32 {
	var out []int32
	for i, v := range values {
		in.Scale = hpa.Scale{Now: start().Add(time.Duration(i) * 15 * time.Second), Spec: replicas, Status: replicas}
		in.Readings = []hpa.Reading{{Values: []int64{v * 1000}}}
		replicas = s.Sync(in).Desired
		out = append(out, replicas)
	}
	return out
}

func TestFromOneReplicaItTakesSyncsToAHundred(t *testing.T) {
	for name, tc := range map[string]struct {
		behavior *hpa.Behavior
		want     []int32
	}{
		"with behaviour":    {&hpa.Behavior{}, []int32{5, 10, 20, 40, 80, 100}},
		"without behaviour": {nil, []int32{4, 8, 16, 32, 64, 100}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := series(new(hpa.State), queue(tc.behavior), 1, 900, 900, 900, 900, 900, 900); !slices.Equal(got, tc.want) {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestAFreshControllerKeepsTheReplicasForTheWindow(t *testing.T) {
	values := make([]int64, 22)
	got := series(new(hpa.State), queue(&hpa.Behavior{}), 9, values...)
	if at := slices.Index(got, 1); at != 20 {
		t.Errorf("went down at sync %d, want 20, which is 300 s later: %d", at, got)
	}
}

func TestResultSaysWhatHappened(t *testing.T) {
	two := queue(&hpa.Behavior{})
	two.Spec.Max = 8
	two.Spec.Metrics = append(two.Spec.Metrics, hpa.Metric{Kind: hpa.External, Name: "s1", Type: hpa.AverageValue, Target: 10_000})
	value := func(v int64) hpa.Reading { return hpa.Reading{Values: []int64{v * 1000}} }
	failed := hpa.Reading{Err: "not found"}
	condition := func(ok bool, reason hpa.Reason) hpa.Condition { return hpa.Condition{True: ok, Reason: reason} }
	got := condition(true, hpa.SucceededGetScale)
	scaled := condition(true, hpa.SucceededRescale)
	active := condition(true, hpa.ValidMetricFound)
	for name, tc := range map[string]struct {
		spec                int32
		readings            []hpa.Reading
		want                int32
		by                  int
		able, active, limit hpa.Condition
		lines               []string
	}{
		"the largest proposal counts": {
			2,
			[]hpa.Reading{value(12), value(47)},
			5, 1, scaled, active, condition(false, hpa.DesiredWithinRange),
			[]string{"s0: ceil(12 / 5) = 3", "s1: ceil(47 / 10) = 5", "scales from 2 to 5"},
		},
		"what limits is said": {
			2,
			[]hpa.Reading{value(900), value(0)},
			6, 0, scaled, active, condition(true, hpa.ScaleUpLimit),
			[]string{"s0: ceil(900 / 5) = 180", "s1: ceil(0 / 10) = 0", "6 instead of 180: Max of the policies 2 + 4 = 6 in 15s, ceil(2 + 100%) = 4 in 15s", "scales from 2 to 6"},
		},
		"what stabilises is said": {
			3,
			[]hpa.Reading{value(0), value(0)},
			3, 1, condition(true, hpa.ScaleDownStabilized), active, condition(false, hpa.DesiredWithinRange),
			[]string{"s0: ceil(0 / 5) = 0", "s1: ceil(0 / 10) = 0", "3 instead of 0: the highest proposal of the last 300s holds", "stays at 3"},
		},
		"up although one metric failed": {
			2,
			[]hpa.Reading{failed, value(47)},
			5, 1, scaled, active, condition(false, hpa.DesiredWithinRange),
			[]string{"s0: not found", "s1: ceil(47 / 10) = 5", "scales from 2 to 5"},
		},
		"not down while one metric failed": {
			4,
			[]hpa.Reading{value(5), failed},
			4, -1, got, condition(false, "FailedGetExternalMetric"),
			hpa.Condition{},
			[]string{"s0: ceil(5 / 5) = 1", "s1: not found", "stays at 4"},
		},
		"nothing when all failed": {
			4,
			[]hpa.Reading{failed, failed},
			4, -1, got, condition(false, "FailedGetExternalMetric"),
			hpa.Condition{},
			[]string{"s0: not found", "s1: not found", "stays at 4"},
		},
		"zero is left alone": {
			0,
			[]hpa.Reading{value(900), value(900)},
			0, -1, got, condition(false, hpa.ScalingDisabled),
			hpa.Condition{},
			[]string{"the target has 0 replicas, which the HPA leaves as they are"},
		},
		"above the maximum no metric is asked": {
			50,
			[]hpa.Reading{failed, failed},
			8, -1, scaled,
			hpa.Condition{},
			hpa.Condition{},
			[]string{"50 is above maxReplicas 8", "scales from 50 to 8"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := two
			in.Scale, in.Readings = hpa.Scale{Now: start(), Spec: tc.spec, Status: tc.spec}, tc.readings
			r := new(hpa.State).Sync(in)
			if r.Desired != tc.want || r.By != tc.by || r.Able != tc.able || r.Active != tc.active || r.Limit != tc.limit || r.Scaled != (tc.want != tc.spec) {
				t.Errorf("got %d by %d with %v, %v, %v, want %d by %d with %v, %v, %v", r.Desired, r.By, r.Able, r.Active, r.Limit, tc.want, tc.by, tc.able, tc.active, tc.limit)
			}
			if !slices.Equal(r.Lines, tc.lines) {
				t.Errorf("got the lines %q, want %q", r.Lines, tc.lines)
			}
		})
	}
}

func TestZeroEndsOnlyWhereTheControllerBeganIt(t *testing.T) {
	own := queue(&hpa.Behavior{ScaleDown: hpa.Rules{Window: new(int32(0))}})
	own.Spec.Min = 0
	if got := series(new(hpa.State), own, 1, 0, 0, 3, 900); !slices.Equal(got, []int32{0, 0, 1, 5}) {
		t.Errorf("after its own zero got %d, want 0 0 1 5", got)
	}
	if got := series(new(hpa.State), own, 0, 0, 3, 900); !slices.Equal(got, []int32{0, 0, 0}) {
		t.Errorf("after somebody else's zero got %d, want none", got)
	}
	own.Spec.Min = 2
	if got := series(&hpa.State{ScaledToZero: true}, own, 0, 0, 0); !slices.Equal(got, []int32{2, 2}) {
		t.Errorf("with a minimum since then got %d, want 2 2", got)
	}
}

func TestAPeakOutlastsZeroOnlyWithoutBehaviour(t *testing.T) {
	for name, tc := range map[string]struct {
		behavior *hpa.Behavior
		want     []int32
	}{
		"without behaviour": {nil, []int32{4, 8, 10}},
		"with behaviour":    {&hpa.Behavior{}, []int32{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var s hpa.State
			in := queue(tc.behavior)
			series(&s, in, 10, 50) // busy at 10; then somebody sets 0, and 1 again
			if got := series(&s, in, 1, 5, 5, 5); !slices.Equal(got, tc.want) {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// TestWhateverComesReplicasStayInBounds tries random series.
func TestWhateverComesReplicasStayInBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		in := queue(nil)
		in.Spec.Min = random.Int32N(3)
		in.Spec.Max = in.Spec.Min + 1 + random.Int32N(50)
		if random.IntN(2) == 0 {
			in.Spec.Behavior = &hpa.Behavior{ScaleUp: rules(random), ScaleDown: rules(random)}
		}
		var s hpa.State
		now, replicas := start(), in.Spec.Min+random.Int32N(in.Spec.Max-in.Spec.Min+1)
		for range 40 {
			now = now.Add(time.Duration(1+random.IntN(20)) * time.Second)
			in.Scale = hpa.Scale{Now: now, Spec: replicas, Status: replicas}
			in.Readings = []hpa.Reading{{Values: []int64{random.Int64N(400_000) * random.Int64N(2)}}}
			down := slices.Clone(s.Recommendations)
			r := s.Sync(in)
			if r.Desired < in.Spec.Min || r.Desired > in.Spec.Max {
				t.Fatalf("%d replicas, want %d to %d: %q", r.Desired, in.Spec.Min, in.Spec.Max, r.Lines)
			}
			if r.Desired > replicas && r.Desired > max(r.Limited.Proposed, highest(down)) {
				t.Fatalf("went up to %d, which nothing ever asked for: %q", r.Desired, r.Lines)
			}
			if b := in.Spec.Behavior; b != nil && (r.Desired > replicas && b.ScaleUp.Select == hpa.SelectDisabled || r.Desired < replicas && b.ScaleDown.Select == hpa.SelectDisabled) {
				t.Fatalf("from %d to %d against a disabled direction: %q", replicas, r.Desired, r.Lines)
			}
			replicas = r.Desired
		}
		if n := len(s.Recommendations); n > 41 {
			t.Fatalf("%d recommendations are kept after 40 syncs", n)
		}
	}
}

func highest(past []hpa.Recommendation) int32 {
	var out int32
	for _, r := range past {
		out = max(out, r.Replicas)
	}
	return out
}

func rules(random *rand.Rand) hpa.Rules {
	selects := []hpa.Select{"", hpa.SelectMax, hpa.SelectMin, hpa.SelectDisabled}
	return hpa.Rules{
		Window:   new(random.Int32N(90)),
		Select:   selects[random.IntN(len(selects))],
		Policies: []hpa.Policy{{Type: hpa.Pods, Value: 1 + random.Int32N(5), Period: 1 + random.Int32N(60)}, {Type: hpa.Percent, Value: 1 + random.Int32N(150), Period: 1 + random.Int32N(60)}},
	}
}

func TestANegativeProposalCountsAsZero(t *testing.T) {
	in := queue(nil)
	in.Spec.Min, in.Spec.Metrics[0].Type = 0, hpa.Value
	in.Scale = hpa.Scale{Now: start(), Spec: 1, Status: 1, Pods: []hpa.Pod{{Name: "a", Phase: hpa.Running, Ready: "True"}}}
	in.Readings = []hpa.Reading{{Values: []int64{-50_000}}}
	r := new(hpa.State).Sync(in)
	if r.Proposals[0].Replicas != -10 || r.Limited.Proposed != 0 {
		t.Errorf("proposed are %d and then %d, want -10 and 0", r.Proposals[0].Replicas, r.Limited.Proposed)
	}
}

func TestAnEventOnceTooOldIsReplacedAlthoughPeriodsGrew(t *testing.T) {
	in := queue(&hpa.Behavior{ScaleUp: hpa.Rules{Policies: []hpa.Policy{{Type: hpa.Pods, Value: 1, Period: 15}}}})
	var s hpa.State
	at := func(second int, value int64) {
		in.Scale.Now, in.Readings = start().Add(seconds(second)), []hpa.Reading{{Values: []int64{value}}}
		in.Scale.Spec = s.Sync(in).Desired
	}
	in.Scale.Spec = 1
	at(0, 900_000) // up by one; two more of one each as the policy grows
	for _, second := range []int{5, 10} {
		in.Spec.Behavior.ScaleUp.Policies[0].Value++
		at(second, 900_000)
	}
	at(40, 900_000) // all three are old now, and one is replaced
	in.Spec.Behavior.ScaleUp.Policies[0] = hpa.Policy{Type: hpa.Pods, Value: 50, Period: 100}
	at(50, 900_000)
	if len(s.ScaleUps) != 3 {
		t.Errorf("%d events are kept, want 3: %v", len(s.ScaleUps), s.ScaleUps)
	}
}

func TestMemoryDoesNotGrow(t *testing.T) {
	in := queue(&hpa.Behavior{ScaleDown: hpa.Rules{Window: new(int32(30))}})
	var s hpa.State
	values := make([]int64, 2000)
	for i := range values {
		values[i] = int64(i % 7 * 20)
	}
	series(&s, in, 1, values...)
	if len(s.Recommendations) > 5 || len(s.ScaleUps) > 3 || len(s.ScaleDowns) > 3 {
		t.Errorf("after %d syncs %d recommendations and %d, %d events are kept", len(values), len(s.Recommendations), len(s.ScaleUps), len(s.ScaleDowns))
	}
}
