package hpa_test

import (
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/hpa"
)

func TestPoliciesRoundAsTheControllerDoes(t *testing.T) {
	up := func(p hpa.Policy) *hpa.Behavior {
		return &hpa.Behavior{ScaleUp: hpa.Rules{Policies: []hpa.Policy{p}}}
	}
	down := func(p hpa.Policy) *hpa.Behavior {
		return &hpa.Behavior{ScaleDown: hpa.Rules{Window: new(int32(0)), Policies: []hpa.Policy{p}}}
	}
	for _, tc := range []struct {
		behavior       *hpa.Behavior
		current, asked int32
		want           int32
		reason         hpa.Reason
		text           string
	}{
		{up(hpa.Policy{Type: hpa.Percent, Value: 10, Period: 60}), 50, 900, 56, hpa.ScaleUpLimit, "56 instead of 900: the policy ceil(50 + 10%) = 56 in 60s"},
		{up(hpa.Policy{Type: hpa.Percent, Value: 10, Period: 60}), 60, 900, 66, hpa.ScaleUpLimit, "66 instead of 900: the policy ceil(60 + 10%) = 66 in 60s"},
		{up(hpa.Policy{Type: hpa.Percent, Value: 10, Period: 60}), 1, 900, 2, hpa.ScaleUpLimit, "2 instead of 900: the policy ceil(1 + 10%) = 2 in 60s"},
		{up(hpa.Policy{Type: hpa.Pods, Value: 3, Period: 60}), 50, 900, 53, hpa.ScaleUpLimit, "53 instead of 900: the policy 50 + 3 = 53 in 60s"},
		{down(hpa.Policy{Type: hpa.Percent, Value: 30, Period: 60}), 90, 1, 62, hpa.ScaleDownLimit, "62 instead of 1: the policy floor(90 - 30%) = 62 in 60s"},
		{down(hpa.Policy{Type: hpa.Pods, Value: 3, Period: 60}), 90, 1, 87, hpa.ScaleDownLimit, "87 instead of 1: the policy 90 - 3 = 87 in 60s"},
		{&hpa.Behavior{}, 1, 900, 5, hpa.ScaleUpLimit, "5 instead of 900: Max of the policies 1 + 4 = 5 in 15s, ceil(1 + 100%) = 2 in 15s"},
		{&hpa.Behavior{}, 0, 900, 4, hpa.ScaleUpLimit, "4 instead of 900: Max of the policies 0 + 4 = 4 in 15s, ceil(0 + 100%) = 0 in 15s"},
		{&hpa.Behavior{ScaleUp: hpa.Rules{Select: hpa.SelectMin}}, 1, 900, 2, hpa.ScaleUpLimit, "2 instead of 900: Min of the policies 1 + 4 = 5 in 15s, ceil(1 + 100%) = 2 in 15s"},
		{&hpa.Behavior{ScaleUp: hpa.Rules{Select: hpa.SelectDisabled}}, 1, 900, 1, hpa.ScaleUpLimit, "1 instead of 900: scaling in this direction is disabled"},
		{&hpa.Behavior{}, 900, 5000, 1000, hpa.TooManyReplicas, "1000 instead of 5000: maxReplicas"},
		{&hpa.Behavior{}, 900, 0, 1, hpa.TooFewReplicas, "1 instead of 0: minReplicas"},
		{&hpa.Behavior{}, 9, 9, 9, hpa.DesiredWithinRange, ""},
		{nil, 1, 900, 4, hpa.ScaleUpLimit, "4 instead of 900: at most twice 1, or 4, at a time"},
		{nil, 9, 900, 18, hpa.ScaleUpLimit, "18 instead of 900: at most twice 9, or 4, at a time"},
		{nil, 900, 5000, 1000, hpa.TooManyReplicas, "1000 instead of 5000: maxReplicas"},
		{nil, 900, 0, 1, hpa.TooFewReplicas, "1 instead of 0: minReplicas"},
	} {
		spec := hpa.Spec{Min: 1, Max: 1000, Behavior: tc.behavior}
		var fresh hpa.State
		got := fresh.Limit(&spec, hpa.DefaultFlags(), start(), tc.current, tc.asked)
		if got.Replicas != tc.want || got.Limit != tc.reason || got.Text != tc.text {
			t.Errorf("from %d to %d: got %d, %s, %q, want %d, %s, %q", tc.current, tc.asked, got.Replicas, got.Limit, got.Text, tc.want, tc.reason, tc.text)
		}
	}
}

func TestWindowsHoldEarlierProposals(t *testing.T) {
	now := start()
	ago := func(replicas int32, d time.Duration) hpa.Recommendation {
		return hpa.Recommendation{Replicas: replicas, At: now.Add(-d)}
	}
	minute := &hpa.Behavior{ScaleUp: hpa.Rules{Window: new(int32(60))}, ScaleDown: hpa.Rules{Window: new(int32(60))}}
	for name, tc := range map[string]struct {
		behavior       *hpa.Behavior
		past           []hpa.Recommendation
		current, asked int32
		want           int32
		reason         hpa.Reason
		text           string
	}{
		"a peak holds":                         {minute, []hpa.Recommendation{ago(7, 30*time.Second)}, 9, 2, 7, hpa.ScaleDownStabilized, "7 instead of 2: the highest proposal of the last 60s holds"},
		"a low holds":                          {minute, []hpa.Recommendation{ago(3, 30*time.Second)}, 2, 4, 3, hpa.ScaleUpStabilized, "3 instead of 4: the lowest proposal of the last 60s holds"},
		"a peak above the replicas does not":   {minute, []hpa.Recommendation{ago(20, 30*time.Second)}, 4, 2, 4, hpa.ScaleDownStabilized, "4 instead of 2: the highest proposal of the last 60s holds"},
		"what is as old as the window is over": {minute, []hpa.Recommendation{ago(7, 60*time.Second)}, 9, 2, 2, hpa.ReadyForNewScale, ""},
		"the window of the flag":               {&hpa.Behavior{}, []hpa.Recommendation{ago(7, 299*time.Second)}, 9, 2, 7, hpa.ScaleDownStabilized, "7 instead of 2: the highest proposal of the last 300s holds"},
		"without behaviour a peak comes back":  {nil, []hpa.Recommendation{ago(10, 299*time.Second)}, 1, 1, 4, hpa.ScaleDownStabilized, "10 instead of 1: the highest proposal of the last 5m0s holds; 4 instead of 10: at most twice 1, or 4, at a time"},
		"and the window's end is in it":        {nil, []hpa.Recommendation{ago(7, 300*time.Second)}, 9, 2, 7, hpa.ScaleDownStabilized, "7 instead of 2: the highest proposal of the last 5m0s holds"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := hpa.Spec{Min: 1, Max: 100, Behavior: tc.behavior}
			s := hpa.State{Recommendations: tc.past}
			got := s.Limit(&spec, hpa.DefaultFlags(), now, tc.current, tc.asked)
			if got.Replicas != tc.want || got.Able != tc.reason || got.Text != tc.text {
				t.Errorf("got %d, %s, %q, want %d, %s, %q", got.Replicas, got.Able, got.Text, tc.want, tc.reason, tc.text)
			}
		})
	}
}

func TestPoliciesCountWhatTheControllerDidInTheirPeriod(t *testing.T) {
	now := start()
	did := func(change int32, d time.Duration) []hpa.Event {
		return []hpa.Event{{Change: change, At: now.Add(-d)}}
	}
	for name, tc := range map[string]struct {
		state          hpa.State
		current, asked int32
		want           int32
	}{
		"an increase uses the policy up":    {hpa.State{ScaleUps: did(3, 14*time.Second)}, 4, 50, 5},
		"until it is as old as the period":  {hpa.State{ScaleUps: did(3, 15*time.Second)}, 4, 50, 8},
		"a decrease gives room":             {hpa.State{ScaleDowns: did(1, 14*time.Second)}, 0, 50, 5},
		"more than allowed does not shrink": {hpa.State{ScaleUps: did(40, time.Second)}, 41, 50, 41},
	} {
		t.Run(name, func(t *testing.T) {
			spec := hpa.Spec{Min: 0, Max: 100, Behavior: &hpa.Behavior{}}
			if got := tc.state.Limit(&spec, hpa.DefaultFlags(), now, tc.current, tc.asked); got.Replicas != tc.want {
				t.Errorf("got %d by %q, want %d", got.Replicas, got.Text, tc.want)
			}
		})
	}
}
