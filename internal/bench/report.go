package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what is printed.
type report struct {
	command string
	window  time.Duration
	trials  int
	begun   time.Time
	took    time.Duration
	cores   int
	memory  int64
	load    float64 // when it began
	binary  int64
	results []*result
}

// markdown is the generated part of docs/benchmarks.md.
func (r *report) markdown() string {
	var b strings.Builder
	first := r.results[0]
	fmt.Fprintf(&b, "Measured %s by `%s` in %s. %d cores, %s of memory, load average %.1f at the start.\n%s. bin/weir is %s.\n",
		r.begun.UTC().Format("2006-01-02 15:04 UTC"), r.command, r.took.Round(time.Second), r.cores, mib(r.memory), r.load, first.versions, mib(r.binary))
	section(&b, "Against the budgets", []string{"What", "Budget", "Measured", "", "How"}, r.verdicts())
	section(&b, "Steady state", append([]string{"Per minute, unless it says otherwise"}, r.columns()...), r.steadyRows())
	section(&b, "Starting, waking, creating", append([]string{"Time"}, r.sizes()...), r.timeRows())
	if len(first.reads) > 0 {
		section(&b, fmt.Sprintf("Reads by HPAs, with %s ScaledObjects, all busy", count(first.n)),
			[]string{"Source", "Through", "Clients", "Reads/s", "p50", "p90", "p99", "Longest"}, first.readTable())
	}
	return b.String()
}

// section adds a heading and a table.
func section(b *strings.Builder, title string, head []string, rows [][]string) {
	fmt.Fprintf(b, "\n### %s\n\n| %s |\n|%s\n", title, strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

// columns are the steady states, and last the incumbent's.
func (r *report) columns() []string {
	var out []string
	for _, res := range r.results {
		out = append(out, count(res.n)+" idle", count(res.n)+" busy")
	}
	return append(out, "KEDA, 1,000 idle", "KEDA, 1,000 busy")
}

func (r *report) sizes() []string {
	var out []string
	for _, res := range r.results {
		out = append(out, count(res.n))
	}
	return append(out, "KEDA")
}

// steadyRows compares steady states. The last two columns are KEDA's figures for
// 1,000 ScaledObjects; docs/benchmarks.md says where they are from.
func (r *report) steadyRows() [][]string {
	row := func(title, idle, busy string, cell func(*result, *steady) string) []string {
		out := []string{title}
		for _, res := range r.results {
			out = append(out, cell(res, res.idle), cell(res, res.busy))
		}
		return append(out, idle, busy)
	}
	return [][]string{
		row("Load average of the machine", "9", "9", func(_ *result, s *steady) string { return fmt.Sprintf("%.1f", s.load) }),
		row("Connections to Redis that measure", "1,000", "1,002", func(_ *result, s *steady) string { return count(s.polling) }),
		row("Connections to Redis that signal", "none", "none", func(_ *result, s *steady) string { return count(s.watching) }),
		row("Commands at Redis", "6,000", "12,600", func(_ *result, s *steady) string { return whole(s.commands) }),
		row("Fetches", "", "", func(_ *result, s *steady) string { return whole(s.fetches) }),
		row("Round trips to Redis, at most", "2,000", "4,198", func(_ *result, s *steady) string { return whole(s.trips) }),
		row("Reads by Redis from its sockets", "", "", func(_ *result, s *steady) string { return whole(s.reads) }),
		row("Resident memory, mean", "389 MiB + 143", "426 MiB + 154", func(_ *result, s *steady) string { return mib(s.rss) }),
		row("Resident memory, most since the start", "410 MiB", "426 MiB", func(_ *result, s *steady) string { return mib(s.top) }),
		row("Heap in use", "", "", func(_ *result, s *steady) string { return mib(int64(s.heap)) }),
		row("Goroutines", "1,198 + 93", "1,200", func(_ *result, s *steady) string { return whole(s.routines) }),
		row("CPU seconds", "1.76 + 0.10", "5.32 + 4.02", func(_ *result, s *steady) string { return fmt.Sprintf("%.2f", s.cpu) }),
		row("Writes to the Kubernetes API", "0", "1,203", func(_ *result, s *steady) string { return whole(s.perMin) + listed(s.writes) }),
		row("Access reviews asked of it", "", "", func(_ *result, s *steady) string { return whole(s.reviews) }),
	}
}

// timeRows compares how long things take.
func (r *report) timeRows() [][]string {
	row := func(title, incumbent string, cell func(*result) string) []string {
		out := []string{title}
		for _, res := range r.results {
			out = append(out, cell(res))
		}
		return append(out, incumbent)
	}
	spread := func(t []time.Duration) string {
		return fmt.Sprintf("p50 %s, p99 %s, last %s", short(quantile(t, 0.5)), short(quantile(t, 0.99)), short(quantile(t, 1)))
	}
	return [][]string{
		row("One message → `spec.replicas` 1", "p50 20 s, last 29 s (N = 500)", func(x *result) string { return spread(x.wakes) }),
		row("A message to all at once → all at 1", "p50 79 s, last 107 s (N = 1,000)", func(x *result) string { return spread(x.all) }),
		row("Start, idle → each list measured", "p50 104 s, last 207 s (N = 1,000)", func(x *result) string { return spread(x.start.measured) }),
		row("Start, idle → each list signals", "", func(x *result) string { return short(x.start.armed) }),
		row("Restart after kill -9, busy → each list measured", "", func(x *result) string { return spread(x.restart.measured) }),
		row("A ScaledObject to be created → admitted or refused", "", func(x *result) string {
			return fmt.Sprintf("p50 %s, p99 %s, last %s", millis(quantile(x.admissions, 0.5)), millis(quantile(x.admissions, 0.99)), millis(quantile(x.admissions, 1)))
		}),
		row("Workloads that went to zero with work waiting", "", func(x *result) string { return count(x.downs) }),
		row("Creating all, until the last HPA exists", "235 s (N = 1,000)", func(x *result) string { return short(x.created) }),
	}
}

func (res *result) readTable() [][]string {
	var out [][]string
	for _, row := range res.reads {
		out = append(out, []string{
			row.source, row.via, count(row.clients), whole(float64(len(row.took)) / row.span.Seconds()),
			millis(quantile(row.took, 0.5)), millis(quantile(row.took, 0.9)), millis(quantile(row.took, 0.99)), millis(quantile(row.took, 1)),
		})
	}
	return out
}

// start and end mark the generated part of the page.
const (
	startMark = "<!-- begin: written by go run ./internal/bench --write -->\n"
	endMark   = "<!-- end -->\n"
)

// replaceIn puts text between the marks of a file.
func replaceIn(path, text string) error {
	page, err := os.ReadFile(path) //nolint:gosec // a page of the repository
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	page, err = replace(page, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.WriteFile(path, page, 0o644); err != nil { //nolint:gosec // a page for everybody
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// replace puts text between the marks, which must be there once.
func replace(page []byte, text string) ([]byte, error) {
	before, rest, ok := strings.Cut(string(page), startMark)
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 || strings.Contains(after, startMark) {
		return nil, errors.New("the page must have the marks of the generated part once")
	}
	return []byte(before + startMark + "\n" + text + "\n" + endMark + after), nil
}

// count prints a number with separators.
func count(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func whole(f float64) string {
	if f > 0 && f < 10 {
		return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
	}
	return count(int(f + 0.5))
}

func mib(bytes int64) string {
	n := float64(bytes) / (1 << 20)
	if n < 10 {
		return fmt.Sprintf("%.1f MiB", n)
	}
	return count(int(n+0.5)) + " MiB"
}

// short prints a span as people say it.
func short(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// listed says what was written, and how often; empty for nothing.
func listed(writes map[string]int) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(writes)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, writes[what]))
	}
	if parts == nil {
		return ""
	}
	return " (in all: " + strings.Join(parts, ", ") + ")"
}
