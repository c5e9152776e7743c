package kafka

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
)

func TestEvenDistributionOverTwelvePartitions(t *testing.T) {
	q := query{even: true, threshold: 10}
	for _, c := range []struct {
		lag   int64
		value float64
	}{
		{0, 10},
		{1, 10},
		{10, 10},
		{11, 20},
		{20, 20},
		{21, 30},
		{30, 30},
		{31, 40},
		{35, 40},
		{40, 40},
		{41, 60},
		{60, 60},
		{61, 120},
		{120, 120},
		{999, 120},
	} {
		r := q.reading(totals{lag: c.lag, work: c.lag, partitions: 12, lagging: 12})
		if r.Value != c.value {
			t.Errorf("lag %d: value %v, want %v", c.lag, r.Value, c.value)
		}
		if busy := r.Activity == scalers.Busy; busy != (c.lag > 0) || r.Work != 0 {
			t.Errorf("lag %d: activity %d, work %v", c.lag, r.Activity, r.Work)
		}
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		q     query
		t     totals
		value float64
	}{
		{"at the bound", query{threshold: 10}, totals{lag: 40, partitions: 4}, 40},
		{"less than one threshold above the bound", query{threshold: 10}, totals{lag: 41, partitions: 4}, 41},
		{"just less than one threshold above it", query{threshold: 10}, totals{lag: 49, partitions: 4}, 49},
		{"one threshold above it", query{threshold: 10}, totals{lag: 50, partitions: 4}, 40},
		{"far above it", query{threshold: 10}, totals{lag: 1 << 40, partitions: 4}, 40},
		{"idle consumers are allowed", query{idle: true}, totals{lag: 999, partitions: 4}, 999},
		{"partitions with lag", query{withLag: true, threshold: 10}, totals{lag: 999, partitions: 12, lagging: 3}, 30},
		{"none has lag", query{withLag: true, threshold: 10}, totals{lag: 5, partitions: 12}, 5},
		{"evenly, and idle consumers are allowed", query{even: true, idle: true, threshold: 10}, totals{lag: 45, partitions: 12}, 60},
		{"evenly, over partitions with lag", query{even: true, withLag: true, threshold: 10}, totals{lag: 45, partitions: 12, lagging: 2}, 20},
		{"evenly, over none", query{even: true, threshold: 10}, totals{}, 0},
		{"a committed offset beyond the end", query{threshold: 10}, totals{lag: -5, work: -5, partitions: 4}, 0},
		{"a threshold that no product fits in", query{even: true, threshold: 1 << 62}, totals{lag: 3, partitions: 12}, 1 << 62},
	} {
		if r := c.q.reading(c.t); r.Value != c.value || r.Work != float64(max(0, c.t.work)) && r.Activity == scalers.ByThreshold {
			t.Errorf("%s: %+v, want %v", c.name, r, c.value)
		}
	}
}

func TestWorkIsTheLagBeforeBoundsAndWithWhatStandsStill(t *testing.T) {
	if r := (query{threshold: 10}).reading(totals{lag: 99, work: 99, partitions: 2}); r.Value != 20 || r.Work != 99 {
		t.Errorf("bounded: %+v", r)
	}
	for activation, want := range map[int64]scalers.Activity{6: scalers.Busy, 7: scalers.Idle, 8: scalers.Idle} {
		q := query{excludePersistent: true, threshold: 10, activation: activation}
		if r := q.reading(totals{lag: 0, work: 7, partitions: 2}); r.Value != 0 || r.Activity != want {
			t.Errorf("stuck, activation %d: %+v", activation, r)
		}
	}
}

func TestLagOfOnePartition(t *testing.T) {
	at := func(committed, end int64) progress { return progress{place{"t", 0}, committed, end} }
	for _, c := range []struct {
		name      string
		q         query
		p         progress
		lag, work int64
	}{
		{"plain", query{}, at(3, 10), 7, 7},
		{"caught up", query{}, at(10, 10), 0, 0},
		{"beyond the end", query{}, at(12, 10), -2, -2},
		{"committed zero", query{}, at(0, 10), 10, 10},
		{"no offset, latest", query{}, at(-1, 10), 1, 1},
		{"no offset, latest, an empty partition", query{}, at(-1, 0), 1, 1},
		{"no offset, latest, zero", query{zeroOnInvalid: true}, at(-1, 10), 0, 0},
		{"no offset, earliest", query{earliest: true}, at(-1, 10), 10, 10},
		{"no offset, earliest, zero", query{earliest: true, zeroOnInvalid: true}, at(-1, 10), 0, 0},
		{"no offset is no memory", query{excludePersistent: true}, at(-1, 10), 1, 1},
	} {
		if lag, work := c.q.lag(c.p, memory{}); lag != c.lag || work != c.work {
			t.Errorf("%s: %d, %d; want %d, %d", c.name, lag, work, c.lag, c.work)
		}
	}
}

func TestOffsetsThatStandStill(t *testing.T) {
	q, m := query{excludePersistent: true}, memory{}
	for i, c := range []struct {
		committed, end int64
		lag, work      int64
	}{
		{5, 10, 5, 5},  // first sight
		{5, 12, 0, 7},  // it did not move
		{5, 12, 0, 7},  // still not
		{6, 13, 7, 7},  // it did
		{13, 13, 0, 0}, // caught up
		{13, 13, 0, 0},
		{13, 14, 0, 1}, // a message came, the offset stands
		{-1, 14, 1, 1}, // reset
		{13, 15, 0, 2}, // as before that
	} {
		got := q.sum([]progress{{place{"t", 1}, c.committed, c.end}}, m)
		if got.lag != c.lag || got.work != c.work {
			t.Errorf("step %d: lag %d, work %d; want %d, %d", i, got.lag, got.work, c.lag, c.work)
		}
	}
	if got := q.sum([]progress{{place{"t", 2}, 13, 15}}, m); got.lag != 2 {
		t.Errorf("another partition is another memory: %+v", got)
	}
}

func TestSumCountsPartitions(t *testing.T) {
	got := query{}.sum([]progress{{place{"a", 0}, 1, 4}, {place{"a", 1}, 4, 4}, {place{"b", 0}, 9, 4}}, nil)
	if want := (totals{lag: -2, work: -2, partitions: 3, lagging: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestPartitionLimitations(t *testing.T) {
	for text, want := range map[string]string{
		"0":              "[{0 0}]",
		"0,2-4":          "[{0 0} {2 4}]",
		" 1 , 3-5":       "[{1 1} {3 5}]",
		"4-2":            "[]",
		"4-2,7":          "[{7 7}]",
		"0-2147483647":   "[{0 2147483647}]",
		"2147483648":     "refused",
		"1-2-3":          "refused",
		"x":              "refused",
		"-1":             "refused",
		"1-":             "refused",
		"1,,2":           "refused",
		"+1":             "refused",
		"1 - 2":          "refused",
		"1.5":            "refused",
		"0x1":            "refused",
		"1-99999999999":  "refused",
		"1-2147483647-3": "refused",
	} {
		got := "refused"
		if p, ok := parsePartitions(text); ok {
			if got = fmt.Sprint(p.ranges()); p.isZero() {
				t.Errorf("%q counts as no limitation", text)
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
