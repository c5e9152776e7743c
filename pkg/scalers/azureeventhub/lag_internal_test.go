package azureeventhub

import (
	"math"
	"testing"
)

func TestUnprocessed(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name        string
		begin, last int64
		checkpoint  *int64
		want        int64
		stale       bool
	}{
		{"behind", 0, 100, at(40), 60, false},
		{"done", 0, 100, at(100), 0, false},
		{"ahead of the hub", 0, 40, at(100), 0, true},
		{"wrapped around", 0, 7, at(math.MaxInt64 - 7), 14, false},
		{"hugely behind", 0, math.MaxInt64 - 807, at(1), 0, true},
		{"far ahead of the hub", 0, 500, at(20000), 9223372036854756307, false},
		{"as far ahead as is tolerated", 0, 500, at(10499), 0, true},
		{"one further", 0, 500, at(10500), math.MaxInt64 - 10000, false},
		{"a checkpoint at 0", 0, 100, at(0), 100, false},
		{"a negative checkpoint", 0, 100, at(math.MinInt64), 0, true},
		{"empty", 0, -1, nil, 0, false},
		{"empty with a checkpoint", 0, -1, at(5), 0, false},
		{"the first event", 0, 0, nil, 1, false},
		{"no checkpoint", 0, 9, nil, 10, false},
		{"one retained event", 5, 5, nil, 0, false},
		{"some retained events", 5, 8, nil, 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, stale := unprocessed(partition{"0", c.begin, c.last}, c.checkpoint, 10000)
			if got != c.want || stale != c.stale {
				t.Errorf("%d, stale %v; want %d, %v", got, stale, c.want, c.stale)
			}
		})
	}
}

func TestCapped(t *testing.T) {
	for total, want := range map[int64]int64{100: 40, 50: 40, 49: 49, 41: 41, 40: 40, 3: 3, 0: 0} {
		if got := capped(total, 10, 4); got != want {
			t.Errorf("%d is cut to %d, want %d", total, got, want)
		}
	}
}

func TestPlusStaysWithinBounds(t *testing.T) {
	for _, c := range [][3]int64{{1, 2, 3}, {math.MaxInt64, 1, math.MaxInt64}, {math.MaxInt64 - 1, 1, math.MaxInt64}} {
		if got := plus(c[0], c[1]); got != c[2] {
			t.Errorf("%d + %d = %d", c[0], c[1], got)
		}
	}
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name, body string
		layout     layout
		want       int64
		fails      bool
	}{
		{"functions", `{"Offset":"1","SequenceNumber":5,"PartitionId":"0","Owner":"","Token":"","Epoch":0}`, azureFunction, 5, false},
		{"functions in lower case", `{"sequencenumber":5}`, azureFunction, 5, false},
		{"functions without a number", `{}`, azureFunction, 0, false},
		{"functions do not know the snake", `{"sequence_number":5}`, azureFunction, 0, false},
		{"goSdk", `{"partitionId":"0","checkpoint":{"sequenceNumber":5,"offset":"1"}}`, goSDK, 5, false},
		{"dapr", `{"checkpoint":{"sequenceNumber":7}}`, dapr, 7, false},
		{"older SDKs", `{"SequenceNumber":5,"sequence_number":6}`, plainJSON, 5, false},
		{"older SDKs of Python", `{"SequenceNumber":0,"sequence_number":6}`, plainJSON, 6, false},
		{"nothing", ``, plainJSON, 0, true},
		{"text", `{"SequenceNumber":"5"}`, azureFunction, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.layout.fromBody([]byte(c.body))
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
}
