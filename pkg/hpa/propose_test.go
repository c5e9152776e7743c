package hpa_test

import (
	"math"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/hpa"
)

// tenth is the tolerance that there is by default.
func tenth() hpa.Tolerance { return hpa.Tolerance{Down: .1, Up: .1} }

func TestExternalMetricsAreComparedWithTheirTarget(t *testing.T) {
	ready := hpa.Pod{Name: "a", Phase: hpa.Running, Ready: "True"}
	starting := hpa.Pod{Name: "b", Phase: hpa.Running, Ready: "False"}
	pending := hpa.Pod{Name: "c", Phase: hpa.Pending}
	leaving := hpa.Pod{Name: "d", Phase: hpa.Running, Ready: "True", Deleting: true}
	for name, tc := range map[string]struct {
		target       hpa.TargetType // AverageValue where empty
		of           int64          // in thousandths
		values       []int64
		spec, status int32
		pods         []hpa.Pod
		tolerance    *hpa.Tolerance
		want         int32
		formula      string
	}{
		"more than the target":           {of: 5000, values: []int64{47_000}, spec: 1, status: 1, want: 10, formula: "ceil(47 / 5) = 10"},
		"95 of 100":                      {of: 10_000, values: []int64{95_000}, spec: 10, status: 10, want: 10, formula: "95 / (10 * 10) = 0.95, within 0.9 to 1.1: stays at 10"},
		"89 of 100":                      {of: 10_000, values: []int64{89_000}, spec: 10, status: 10, want: 9, formula: "ceil(89 / 10) = 9"},
		"111 of 100":                     {of: 10_000, values: []int64{111_000}, spec: 10, status: 10, want: 12, formula: "ceil(111 / 10) = 12"},
		"both ends are tolerated, above": {of: 5000, values: []int64{5500}, spec: 1, status: 1, want: 1, formula: "5.5 / (5 * 1) = 1.1, within 0.9 to 1.1: stays at 1"},
		"both ends are tolerated, below": {of: 10_000, values: []int64{9000}, spec: 1, status: 1, want: 1, formula: "9 / (10 * 1) = 0.9, within 0.9 to 1.1: stays at 1"},
		"a tolerance of one direction":   {of: 10_000, values: []int64{105_000}, spec: 10, status: 10, tolerance: &hpa.Tolerance{Down: .5, Up: 0}, want: 11, formula: "ceil(105 / 10) = 11"},
		"several values add up":          {of: 5000, values: []int64{20_000, 27_000}, status: 1, want: 10, formula: "ceil(47 / 5) = 10"},
		"nothing":                        {of: 5000, values: []int64{0}, spec: 3, status: 3, want: 0, formula: "ceil(0 / 5) = 0"},
		"nothing without replicas":       {of: 5000, values: []int64{0}, want: 0, formula: "ceil(0 / 5) = 0"},
		"work without replicas":          {of: 5000, values: []int64{1000}, want: 1, formula: "ceil(1 / 5) = 1"},
		"next to nothing keeps one":      {of: 5000, values: []int64{1}, spec: 1, status: 1, want: 1, formula: "ceil(0.001 / 5) = 1"},
		"the replicas there are stay, not those asked for": {of: 10_000, values: []int64{50_000}, spec: 8, status: 5, want: 5, formula: "50 / (10 * 5) = 1, within 0.9 to 1.1: stays at 5"},
		"a negative value is read as too large":            {of: 5000, values: []int64{-1}, spec: 1, status: 1, want: math.MaxInt32, formula: "ceil(9223372036854775.807 / 5) = 2147483647"},
		"more than fits":                                   {of: 1, values: []int64{9e18}, spec: 1, status: 1, want: math.MaxInt32, formula: "ceil(9000000000000000 / 0.001) = 2147483647"},

		"a value scales the ready pods":           {target: hpa.Value, of: 10_000, values: []int64{25_000}, spec: 4, pods: []hpa.Pod{ready, ready, starting, pending}, want: 5, formula: "ceil(25 / 10 * 2 ready pods) = 5"},
		"a pod that leaves is ready still":        {target: hpa.Value, of: 10_000, values: []int64{25_000}, spec: 4, pods: []hpa.Pod{ready, leaving}, want: 5, formula: "ceil(25 / 10 * 2 ready pods) = 5"},
		"a tolerated value needs no pods":         {target: hpa.Value, of: 10_000, values: []int64{10_900}, spec: 4, want: 4, formula: "10.9 / 10 = 1.09, within 0.9 to 1.1: stays at 4"},
		"a value without a ready pod asks for 0":  {target: hpa.Value, of: 10_000, values: []int64{25_000}, spec: 4, pods: []hpa.Pod{pending, starting}, want: 0, formula: "ceil(25 / 10 * 0 ready pods) = 0"},
		"a value without replicas needs no pods":  {target: hpa.Value, of: 10_000, values: []int64{25_000}, want: 3, formula: "ceil(25 / 10) = 3"},
		"a tolerance does not count without them": {target: hpa.Value, of: 10_000, values: []int64{10_100}, want: 2, formula: "ceil(10.1 / 10) = 2"},
		"a negative value stays negative":         {target: hpa.Value, of: 10_000, values: []int64{-25_000}, spec: 1, pods: []hpa.Pod{ready}, want: -2, formula: "ceil(-25 / 10 * 1 ready pod) = -2"},
	} {
		t.Run(name, func(t *testing.T) {
			m := hpa.Metric{Kind: hpa.External, Name: "s0", Type: hpa.AverageValue, Target: tc.of}
			if tc.target != "" {
				m.Type = tc.target
			}
			tolerance := tenth()
			if tc.tolerance != nil {
				tolerance = *tc.tolerance
			}
			got := hpa.Propose(m, hpa.Reading{Values: tc.values}, hpa.Scale{Spec: tc.spec, Status: tc.status, Pods: tc.pods}, tolerance, hpa.DefaultFlags())
			if got.Err != "" || got.Replicas != tc.want || got.Formula != tc.formula {
				t.Errorf("got %d by %q (error %q), want %d by %q", got.Replicas, got.Formula, got.Err, tc.want, tc.formula)
			}
		})
	}
}

func TestMetricsThatCannotBeReadSayWhy(t *testing.T) {
	external := hpa.Metric{Kind: hpa.External, Name: "s0", Type: hpa.Value, Target: 1000}
	cpu := hpa.Metric{Kind: hpa.Resource, Name: "cpu", Type: hpa.Utilization, Target: 50}
	sidecar := hpa.Metric{Kind: hpa.ContainerResource, Name: "cpu", Container: "proxy", Type: hpa.Utilization, Target: 50}
	pod := hpa.Pod{Name: "a", Phase: hpa.Running, Ready: "True", Started: start().Add(-time.Hour), Containers: []hpa.Container{{Name: "work"}}}
	use := map[string]hpa.Sample{"a": {Value: 1}}
	for name, tc := range map[string]struct {
		metric       hpa.Metric
		reading      hpa.Reading
		pods         []hpa.Pod
		reason, text string
	}{
		"an error":             {external, hpa.Reading{Err: "not found", Values: []int64{1}}, nil, "FailedGetExternalMetric", "not found"},
		"no values":            {external, hpa.Reading{}, nil, "FailedGetExternalMetric", "the metrics API answered without any value"},
		"a value and no pods":  {external, hpa.Reading{Values: []int64{5000}}, nil, "FailedGetExternalMetric", "the selector of the target matches no pod"},
		"cpu and no pods":      {cpu, hpa.Reading{Pods: use}, nil, "FailedGetResourceMetric", "the selector of the target matches no pod"},
		"cpu of no pod":        {cpu, hpa.Reading{}, []hpa.Pod{pod}, "FailedGetResourceMetric", "no pod that counts is measured; they may not be ready"},
		"no request":           {cpu, hpa.Reading{Pods: use}, []hpa.Pod{pod}, "FailedGetResourceMetric", "container work of pod a requests no cpu"},
		"no request of a pod":  {cpu, hpa.Reading{Pods: use}, []hpa.Pod{with(pod, "memory", 1)}, "FailedGetResourceMetric", "pod a requests no cpu"},
		"a request of nothing": {cpu, hpa.Reading{Pods: use}, []hpa.Pod{with(pod, "cpu", 0)}, "FailedGetResourceMetric", "no measurement is of a pod that is there and requests anything"},
		"no such container":    {sidecar, hpa.Reading{Pods: use}, []hpa.Pod{pod}, "FailedGetContainerResourceMetric", "pod a has no container proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			got := hpa.Propose(tc.metric, tc.reading, hpa.Scale{Now: start(), Spec: 2, Status: 2, Pods: tc.pods}, tenth(), hpa.DefaultFlags())
			if got.Reason != tc.reason || got.Err != tc.text {
				t.Errorf("got %q: %q, want %q: %q", got.Reason, got.Err, tc.reason, tc.text)
			}
		})
	}
}

// with is the pod with a request of its own.
func with(p hpa.Pod, resource string, request int64) hpa.Pod {
	p.Requests = map[string]int64{resource: request}
	return p
}

func TestResourcesAreAveragesOfThePodsThatCount(t *testing.T) {
	now := start()
	pod := func(name string) hpa.Pod {
		return hpa.Pod{
			Name: name, Phase: hpa.Running, Ready: "True", Started: now.Add(-time.Hour), ReadySince: now.Add(-time.Hour),
			Containers: []hpa.Container{{Name: "work", Requests: map[string]int64{"cpu": 100, "memory": 1000}}, {Name: "proxy", Requests: map[string]int64{"cpu": 100, "memory": 1000}}},
		}
	}
	pending, young, failed := pod("b"), pod("b"), pod("b")
	pending.Phase, failed.Phase = hpa.Pending, hpa.Failed
	young.Started, young.ReadySince = now.Add(-time.Minute), now.Add(-10*time.Second)
	cpu := hpa.Metric{Kind: hpa.Resource, Name: "cpu", Type: hpa.Utilization, Target: 50}
	memory := hpa.Metric{Kind: hpa.Resource, Name: "memory", Type: hpa.AverageValue, Target: 1000}
	work := hpa.Metric{Kind: hpa.ContainerResource, Name: "cpu", Container: "work", Type: hpa.Utilization, Target: 50}
	for name, tc := range map[string]struct {
		metric  hpa.Metric
		pods    []hpa.Pod
		use     map[string]int64
		spec    int32
		want    int32
		formula string
	}{
		"above":                           {cpu, []hpa.Pod{pod("a"), pod("b")}, map[string]int64{"a": 150, "b": 250}, 2, 4, "ceil(100% / 50% * 2 measured pods) = 4"},
		"within":                          {cpu, []hpa.Pod{pod("a"), pod("b")}, map[string]int64{"a": 100, "b": 110}, 2, 2, "52% / 50% = 1.04, within 0.9 to 1.1: stays at 2"},
		"percent are cut off":             {cpu, []hpa.Pod{pod("a")}, map[string]int64{"a": 111}, 1, 1, "55% / 50% = 1.1, within 0.9 to 1.1: stays at 1"},
		"of one container":                {work, []hpa.Pod{pod("a")}, map[string]int64{"a": 100}, 1, 2, "ceil(100% / 50% * 1 measured pod) = 2"},
		"memory of a pod that is young":   {memory, []hpa.Pod{pod("a"), young}, map[string]int64{"a": 1500, "b": 2500}, 2, 4, "ceil(2 / 1 * 2 measured pods) = 4"},
		"cpu of a pod that is young":      {cpu, []hpa.Pod{pod("a"), young}, map[string]int64{"a": 200, "b": 900}, 2, 2, "100% / 50% = 2 of 1 measured pod, 1 with 1 other pod at nothing assumed, within 0.9 to 1.1: stays at 2"},
		"a pending pod slows going up":    {cpu, []hpa.Pod{pod("a"), pending}, map[string]int64{"a": 400}, 2, 4, "200% / 50% = 4 of 1 measured pod, 2 with 1 other pod at nothing assumed: ceil(2 * 2 pods) = 4"},
		"a pending pod is no load":        {cpu, []hpa.Pod{pod("a"), pending}, map[string]int64{"a": 20}, 2, 1, "ceil(10% / 50% * 1 measured pod) = 1"},
		"a missing pod stops going down":  {cpu, []hpa.Pod{pod("a"), pod("b")}, map[string]int64{"a": 20}, 2, 2, "10% / 50% = 0.2 of 1 measured pod, 1.1 with 1 other pod at 100% assumed, within 0.9 to 1.1: stays at 2"},
		"a missing pod turns it round":    {cpu, []hpa.Pod{pod("a"), pod("b")}, map[string]int64{"a": 80}, 2, 2, "40% / 50% = 0.8 of 1 measured pod, 1.4 with 1 other pod at 100% assumed, which turns the direction round: stays at 2"},
		"a missing pod of those that fit": {cpu, []hpa.Pod{pod("a"), pod("b")}, map[string]int64{"a": 100}, 3, 3, "50% / 50% = 1 of 1 measured pod, 1 with nothing assumed, within 0.9 to 1.1: stays at 3"},
		"fewer pods than asked for":       {cpu, []hpa.Pod{pod("a"), pending}, map[string]int64{"a": 400}, 9, 9, "200% / 50% = 4 of 1 measured pod, 2 with 1 other pod at nothing assumed, which turns the direction round: stays at 9"},
		"missing memory is at its target": {memory, []hpa.Pod{pod("a"), pod("b")}, map[string]int64{"a": 500}, 4, 2, "0.5 / 1 = 0.5 of 1 measured pod, 0.75 with 1 other pod at its target assumed: ceil(0.75 * 2 pods) = 2"},
		"a failed pod is not there":       {cpu, []hpa.Pod{pod("a"), failed}, map[string]int64{"a": 200, "b": 900}, 2, 2, "ceil(100% / 50% * 1 measured pod) = 2"},
		"a pod that went":                 {cpu, []hpa.Pod{pod("a")}, map[string]int64{"a": 200, "gone": 900}, 1, 2, "ceil(100% / 50% * 1 measured pod) = 2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := hpa.Reading{Pods: map[string]hpa.Sample{}}
			for name, v := range tc.use {
				r.Pods[name] = hpa.Sample{Value: v, At: now, Window: 30 * time.Second}
			}
			got := hpa.Propose(tc.metric, r, hpa.Scale{Now: now, Spec: tc.spec, Status: tc.spec, Pods: tc.pods}, tenth(), hpa.DefaultFlags())
			if got.Err != "" || got.Replicas != tc.want || got.Formula != tc.formula {
				t.Errorf("got %d by %q (error %q), want %d by %q", got.Replicas, got.Formula, got.Err, tc.want, tc.formula)
			}
		})
	}
}

func TestAnAverageIsEnoughWhereAllPodsAreMeasured(t *testing.T) {
	cpu := hpa.Metric{Kind: hpa.Resource, Name: "cpu", Type: hpa.Utilization, Target: 80}
	for _, tc := range []struct {
		average int64
		want    int32
		formula string
	}{
		{92, 6, "ceil(92% / 80% * 5 measured pods) = 6"},
		{86, 5, "86% / 80% = 1.075, within 0.9 to 1.1: stays at 5"},
		{10, 1, "ceil(10% / 80% * 5 measured pods) = 1"},
	} {
		got := hpa.ProposeAverage(cpu, tc.average, 5, 5, tenth())
		if got.Replicas != tc.want || got.Formula != tc.formula {
			t.Errorf("%d %%: got %d by %q, want %d by %q", tc.average, got.Replicas, got.Formula, tc.want, tc.formula)
		}
	}
}
