package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quantile returns the smallest of times that at least the part q of them do not
// exceed (nearest rank); zero of none. It sorts times.
func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	rank := int(q*float64(len(times)) + 0.999999)
	return times[min(max(rank, 1), len(times))-1]
}

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 on every
// architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime reads the CPU time, user and system, of a process from its
// /proc/PID/stat. The program's name may hold spaces and parentheses.
func cpuTime(stat string) (time.Duration, error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("reading /proc/PID/stat: no name in parentheses")
	}
	fields := strings.Fields(stat[end+1:]) // from field 3, the state
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("reading /proc/PID/stat: %d fields after the name", len(fields))
	}
	user, err := strconv.ParseInt(fields[utime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading utime of /proc/PID/stat: %w", err)
	}
	system, err := strconv.ParseInt(fields[stime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading stime of /proc/PID/stat: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// kibibytes reads a field such as VmRSS of /proc/PID/status, or MemTotal of
// /proc/meminfo, in bytes.
func kibibytes(text, field string) (int64, error) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, field+":")
		if !ok {
			continue
		}
		number, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		if !ok {
			return 0, fmt.Errorf("reading %s: no unit kB in %q", field, strings.TrimSpace(rest))
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", field, err)
		}
		return n * 1024, nil
	}
	return 0, fmt.Errorf("reading %s: no such line", field)
}

// infoNumber reads a field of Redis' INFO.
func infoNumber(info, field string) (int64, error) {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return 0, fmt.Errorf("reading %s of INFO: no such line", field)
}

// commandCalls reads from INFO commandstats how often each command was called.
func commandCalls(info string) (map[string]int64, error) {
	calls := map[string]int64{}
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok || !strings.HasPrefix(line, "cmdstat_") {
			continue
		}
		number, _, _ := strings.Cut(rest, ",")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading the calls of %s of INFO: %w", name, err)
		}
		calls[name] = n
	}
	return calls, nil
}

// commandsBetween counts the calls between two INFOs, without those that the
// measurement itself makes.
func commandsBetween(before, after map[string]int64) int64 {
	total := int64(0)
	for name, n := range after {
		if name != "info" && name != "client|list" {
			total += n - before[name]
		}
	}
	return total
}

// connections are a client's at Redis.
type connections struct {
	polling, watching []string // addresses of the client's ends
}

// clients reads from CLIENT LIST the connections of the client of a name.
// Watching is a connection that tracks keys.
func clients(list, name string) connections {
	var c connections
	for line := range strings.Lines(list) {
		fields := map[string]string{}
		for f := range strings.FieldsSeq(line) {
			k, v, _ := strings.Cut(f, "=")
			fields[k] = v
		}
		switch {
		case fields["name"] != name:
		case strings.Contains(fields["flags"], "t"):
			c.watching = append(c.watching, fields["addr"])
		default:
			c.polling = append(c.polling, fields["addr"])
		}
	}
	return c
}

// command is a line of Redis' MONITOR.
type command struct {
	at   time.Time // by the server's clock
	addr string    // of the client
	args []string
}

// monitored reads a line such as
//
//	+1700000000.123456 [0 127.0.0.1:5000] "LLEN" "key"
//
// with names that need no escapes. It returns false for any other line.
func monitored(line string) (command, bool) {
	stamp, rest, ok := strings.Cut(strings.TrimPrefix(line, "+"), " [")
	where, args, ok2 := strings.Cut(rest, "] ")
	_, addr, ok3 := strings.Cut(where, " ")
	seconds, micros, ok4 := strings.Cut(stamp, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	us, err2 := strconv.ParseInt(micros, 10, 64)
	if !ok || !ok2 || !ok3 || !ok4 || err != nil || err2 != nil {
		return command{}, false
	}
	c := command{at: time.Unix(s, us*1000), addr: addr}
	for a := range strings.FieldsSeq(args) {
		c.args = append(c.args, strings.Trim(a, `"`))
	}
	return c, len(c.args) > 0
}

// gauge reads a metric without labels from a page of Prometheus' text format.
func gauge(page, name string) (float64, error) {
	for line := range strings.Lines(page) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(v), 64)
		}
	}
	return 0, fmt.Errorf("reading metric %s: no such line", name)
}
