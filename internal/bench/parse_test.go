package main

import (
	"slices"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // 1 to 100, backwards
	}
	for _, test := range []struct {
		name  string
		times []time.Duration
		q     float64
		want  time.Duration
	}{
		{"of none", nil, 0.5, 0},
		{"of one", []time.Duration{7}, 0.99, 7},
		{"median of two is the lower", []time.Duration{2, 1}, 0.5, 1},
		{"median of three", []time.Duration{3, 1, 2}, 0.5, 2},
		{"p50 of a hundred", hundred, 0.5, 50},
		{"p99 of a hundred", hundred, 0.99, 99},
		{"the last of a hundred", hundred, 1, 100},
		{"the first", hundred, 0, 1},
	} {
		if got := quantile(slices.Clone(test.times), test.q); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

func TestCPUTimeSkipsTheName(t *testing.T) {
	const stat = "4711 (a b) c)) S 1 4711 4711 0 -1 4194304 9 0 0 0 150 25 3 4 20 0 17 0 100 1 2"
	if got, err := cpuTime(stat); err != nil || got != 1750*time.Millisecond {
		t.Errorf("got %v, %v", got, err)
	}
	for stat, want := range map[string]string{
		"4711 weir S 1":                     "reading /proc/PID/stat: no name in parentheses",
		"4711 (weir) S ":                    "reading /proc/PID/stat: 1 fields after the name",
		"1 (w) S 1 2 3 4 5 6 7 8 9 10 x 25": `reading utime of /proc/PID/stat: strconv.ParseInt: parsing "x": invalid syntax`,
		"1 (w) S 1 2 3 4 5 6 7 8 9 10 25 x": `reading stime of /proc/PID/stat: strconv.ParseInt: parsing "x": invalid syntax`,
	} {
		if _, err := cpuTime(stat); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", stat, err, want)
		}
	}
}

func TestKibibytes(t *testing.T) {
	const status = "Name:\tweir\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nThreads:\t9\nVmPTE:\tx kB\n"
	if got, err := kibibytes(status, "VmRSS"); err != nil || got != 1<<20 {
		t.Errorf("got %d, %v", got, err)
	}
	for field, want := range map[string]string{
		"VmSwap":  "reading VmSwap: no such line",
		"Threads": `reading Threads: no unit kB in "9"`,
		"VmPTE":   `reading VmPTE: strconv.ParseInt: parsing "x": invalid syntax`,
	} {
		if _, err := kibibytes(status, field); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", field, err, want)
		}
	}
}

func TestRedisCountsOnlyWhatOthersAsked(t *testing.T) {
	const before = "# Stats\r\ntotal_reads_processed:10\r\n# Commandstats\r\ncmdstat_llen:calls=100,usec=1,usec_per_call=0.1\r\ncmdstat_info:calls=1,usec=9\r\n"
	const after = "total_reads_processed:25\r\ncmdstat_llen:calls=350,usec=1\r\ncmdstat_info:calls=7,usec=9\r\ncmdstat_client|list:calls=3,usec=1\r\ncmdstat_ping:calls=2,usec=1\r\n"
	if n, err := infoNumber(before, "total_reads_processed"); err != nil || n != 10 {
		t.Errorf("reads: %d, %v", n, err)
	}
	if _, err := infoNumber(before, "nothing"); err == nil {
		t.Error("a field that is not there is no number")
	}
	b, err := commandCalls(before)
	if err != nil {
		t.Fatal(err)
	}
	a, err := commandCalls(after)
	if err != nil {
		t.Fatal(err)
	}
	if n := commandsBetween(b, a); n != 252 {
		t.Errorf("commands: got %d, want 252", n)
	}
	if _, err := commandCalls("cmdstat_get:calls=many,usec=1"); err == nil {
		t.Error("calls that are no number are no error")
	}
}

func TestClientsTellsMeasuringFromWatching(t *testing.T) {
	const list = "id=3 addr=127.0.0.1:1 laddr=127.0.0.1:6379 name=weir flags=N db=0\n" +
		"id=4 addr=127.0.0.1:2 laddr=127.0.0.1:6379 name=weir flags=t db=0\n" +
		"id=5 addr=127.0.0.1:3 laddr=127.0.0.1:6379 name=weir-bench flags=N db=0\n" +
		"id=6 addr=127.0.0.1:4 laddr=127.0.0.1:6379 name= flags=O db=0\n"
	c := clients(list, "weir")
	if !slices.Equal(c.polling, []string{"127.0.0.1:1"}) || !slices.Equal(c.watching, []string{"127.0.0.1:2"}) {
		t.Errorf("got %+v", c)
	}
}

func TestMonitored(t *testing.T) {
	c, ok := monitored(`+1700000000.000123 [0 127.0.0.1:5000] "LLEN" "bench-00001"`)
	if !ok || c.addr != "127.0.0.1:5000" || !slices.Equal(c.args, []string{"LLEN", "bench-00001"}) || c.at.UnixMicro() != 1700000000000123 {
		t.Errorf("got %+v, %v", c, ok)
	}
	for _, line := range []string{"+OK", "", "-ERR x", `+1.x [0 a] "GET"`, "+1700000000.000123 [0 127.0.0.1:5000]", `+x.1 [0 a] "GET"`} {
		if c, ok := monitored(line); ok {
			t.Errorf("%q gives %+v", line, c)
		}
	}
}

func TestMonitorKeepsTheFirstAnswerOfMeasuringClients(t *testing.T) {
	m := &monitor{seen: map[string]map[string]time.Time{}}
	at := func(s int64, addr string, args ...string) { m.note(command{time.Unix(s, 0), addr, args}) }
	at(1, "watch", "LLEN", "a")
	at(2, "poll", "llen", "a")
	at(3, "poll", "llen", "a")
	at(4, "poll", "ping")
	at(5, "poll", "type", "b")
	got := m.first([]string{"poll"})
	if len(got) != 1 || !got["a"].Equal(time.Unix(2, 0)) {
		t.Errorf("got %v", got)
	}
}

func TestGauge(t *testing.T) {
	const page = "# HELP go_goroutines x\n# TYPE go_goroutines gauge\ngo_goroutines 210\ngo_goroutines_other 1\nbig 3.2e+07\n"
	for name, want := range map[string]float64{"go_goroutines": 210, "big": 32_000_000} {
		if got, err := gauge(page, name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := gauge(page, "go"); err == nil || err.Error() != "reading metric go: no such line" {
		t.Errorf("got %v", err)
	}
}
