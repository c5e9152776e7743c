package main

import (
	"strings"
	"testing"
	"time"
)

// measured is a result that meets every budget.
func measured(n int) *result {
	quick := func() *steady {
		return &steady{load: 1.25, polling: 1, watching: 1, commands: float64(2 * n), fetches: 2, trips: 20, largest: n, rss: 110 << 20, top: 112 << 20, heap: 30 << 20, routines: 200, cpu: 1.2}
	}
	times := []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 1500 * time.Millisecond}
	return &result{
		n: n, versions: "weir dev", empty: 100 << 20, created: time.Minute, idle: quick(), busy: quick(),
		start: &started{measured: times, armed: 2 * time.Second}, restart: &started{measured: times},
		wakes: []time.Duration{60 * time.Millisecond}, all: times, admissions: []time.Duration{4 * time.Millisecond, 9 * time.Millisecond},
		reads: []readRow{
			{source: "0 ms", via: "weir's port", clients: 8, took: []time.Duration{time.Millisecond}, span: time.Second},
			{source: "50 ms", via: "weir's port", clients: 8, took: []time.Duration{2 * time.Millisecond}, span: time.Second},
		},
	}
}

func TestMarkdownHasARowForEachMeasurement(t *testing.T) {
	r := &report{command: "go run ./internal/bench", begun: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), took: time.Minute, cores: 2, memory: 24 << 30, load: 3.5, binary: 80 << 20, trials: 100}
	r.results = []*result{measured(1000), measured(10_000)}
	text := r.markdown()
	for _, want := range []string{
		"Measured 2026-01-02 03:04 UTC by `go run ./internal/bench` in 1m0s. 2 cores, 24,576 MiB of memory, load average 3.5 at the start.\nweir dev. bin/weir is 80 MiB.\n",
		"| Connections to a source, equal settings | 1 | 1 | met |",
		"| Round trips per poll of 10,000 lists | ≤ 20 | 1,000: 1; 10,000: 10 | met |",
		"| Memory per 1,000 triggers | ≤ 10 MiB | 1,000: 10 MiB idle, 10 MiB busy; 10,000: 1.0 MiB idle, 1.0 MiB busy | met |",
		"| Per minute, unless it says otherwise | 1,000 idle | 1,000 busy | 10,000 idle | 10,000 busy | KEDA, 1,000 idle | KEDA, 1,000 busy |\n|---|---|---|---|---|---|---|\n",
		"| Commands at Redis | 2,000 | 2,000 | 20,000 | 20,000 | 6,000 | 12,600 |",
		"| Start, idle → each list measured | p50 40 ms, p99 1.5 s, last 1.5 s |",
		"| A ScaledObject to be created → admitted or refused | p50 4.0 ms, p99 9.0 ms, last 9.0 ms |",
		"| 50 ms | weir's port | 8 | 1 | 2.0 ms | 2.0 ms | 2.0 ms | 2.0 ms |",
		"| A read does not wait for the source | source of 0 and 50 ms alike | p50 by weir's port 1.0 ms and 2.0 ms | met | 8 clients |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not in the report: %s", want)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|-") && (!strings.HasPrefix(line, "| ") || !strings.HasSuffix(line, " |\n")) {
			t.Errorf("a broken row: %q", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestVerdictsSayWhatIsMissed(t *testing.T) {
	for want, spoil := range map[string]func(*result){
		"Connections to a source":  func(r *result) { r.busy.polling = 2 },
		"Round trips per poll":     func(r *result) { r.idle.largest = 20_001 },
		"Memory per 1,000":         func(r *result) { r.busy.rss = 111 << 20 },
		"CPU per 1,000":            func(r *result) { r.idle.cpu = 0.19 },
		"Kubernetes writes":        func(r *result) { r.busy.perMin = 0.5 },
		"Message →":                func(r *result) { r.wakes = []time.Duration{250 * time.Millisecond} },
		"Admission of":             func(r *result) { r.admissions[1] = 20 * time.Millisecond },
		"Restart →":                func(r *result) { r.restart.measured = []time.Duration{10 * time.Second} },
		"A read does not wait for": func(r *result) { r.reads[1].took = []time.Duration{50 * time.Millisecond} },
	} {
		good := measured(1000)
		good.idle.cpu = 0.17
		spoil(good)
		missed := ""
		for _, row := range (&report{results: []*result{good}}).verdicts() {
			if len(row) != 5 {
				t.Fatalf("%q has %d cells", row[0], len(row))
			}
			if row[3] == met(false) {
				missed += row[0]
			}
		}
		if !strings.HasPrefix(missed, want) {
			t.Errorf("%s: missed is %q", want, missed)
		}
	}
}

func TestReplaceTouchesOnlyThePartBetweenTheMarks(t *testing.T) {
	page := "# Title\n" + startMark + "old\n" + endMark + "rest\n"
	got, err := replace([]byte(page), "new\n")
	if want := "# Title\n" + startMark + "\nnew\n\n" + endMark + "rest\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	again, err := replace(got, "new\n")
	if err != nil || string(again) != string(got) {
		t.Errorf("a second time: %q, %v", again, err)
	}
	for _, bad := range []string{"", startMark, endMark, endMark + startMark, page + page} {
		if _, err := replace([]byte(bad), ""); err == nil || err.Error() != "the page must have the marks of the generated part once" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNumbersAreForPeople(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1,000", count(1234567): "1,234,567",
		whole(0): "0", whole(3.44): "3.4", whole(2): "2", whole(9999.6): "10,000",
		mib(1 << 19): "0.5 MiB", mib(1500 << 20): "1,500 MiB",
		short(12_400 * time.Microsecond): "12 ms", short(1250 * time.Millisecond): "1.2 s",
		millis(1234 * time.Microsecond): "1.2 ms",
		listed(nil):                     "", listed(map[string]int{"b": 2, "a": 1}): " (in all: a 1, b 2)",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	var out strings.Builder
	o, err := parseFlags([]string{"--sizes=10, 2000", "--write"}, &out)
	if err != nil || len(o.sizes) != 2 || o.sizes[1] != 2000 || !o.write || o.trials != 100 || o.command != "go run ./internal/bench --sizes=10, 2000 --write" {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, test := range []struct{ arg, want string }{
		{"--sizes=0", `--sizes: "0" is not a number from 1 to 50000`},
		{"--sizes=1,x", `--sizes: "x" is not a number from 1 to 50000`},
		{"more", `unexpected argument "more"`},
	} {
		if _, err := parseFlags([]string{test.arg}, &out); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.arg, err, test.want)
		}
	}
}

func TestObjectsAreNamedApart(t *testing.T) {
	l := load{prefix: "bench", n: 250, addr: "127.0.0.1:1"}
	want := "/apis/external.metrics.k8s.io/v1beta1/namespaces/bench-002/s0-redis-bench-00249?labelSelector=scaledobject.keda.sh%2Fname%3Dbench-00249"
	if got := l.metricPath(249); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for n, want := range map[int]time.Duration{100: 15 * time.Second, 1000: 15 * time.Second, 10_000: 150 * time.Second} {
		if got := hpaPeriod(n); got != want {
			t.Errorf("%d: HPA period %s, want %s", n, got, want)
		}
	}
}
