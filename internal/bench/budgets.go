package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The budgets, as the report prints them.
const (
	maxConnections = 1
	maxTrips       = 20 // per poll of 10,000 lists
	maxMemory      = 10 << 20
	maxCPU         = 3 * time.Millisecond // per second
	maxWake        = 250 * time.Millisecond
	maxRestart     = 10 * time.Second
	maxAdmission   = 20 * time.Millisecond
	maxLate        = 20 * time.Millisecond // by which a slow source may delay reads at the median
)

// verdicts puts each budget beside what was measured.
func (r *report) verdicts() [][]string {
	var connections, writes float64
	var memory, cpu, busyCPU, trips, wakes, starts, admissions []string
	fits := map[string]bool{"memory": true, "cpu": true, "wake": true, "start": true, "trips": true, "admission": true}
	hold := func(what string, ok bool) { fits[what] = fits[what] && ok }
	for _, x := range r.results {
		size := count(x.n) + ": "
		connections = max(connections, float64(x.idle.polling), float64(x.busy.polling))
		writes = max(writes, x.idle.perMin, x.busy.perMin)
		thousands := float64(x.n) / 1000
		grown := int64(float64(x.idle.rss-x.empty) / thousands)
		grownBusy := int64(float64(x.busy.rss-x.empty) / thousands)
		memory = append(memory, size+mib(grown)+" idle, "+mib(grownBusy)+" busy")
		hold("memory", max(grown, grownBusy) <= maxMemory)
		perSecond := func(s *steady) time.Duration { return time.Duration(s.cpu / 60 / thousands * float64(time.Second)) }
		cpu = append(cpu, size+millis(perSecond(x.idle)))
		busyCPU = append(busyCPU, size+millis(perSecond(x.busy)))
		hold("cpu", perSecond(x.idle) <= maxCPU)
		perPoll := (x.idle.largest + pipeline - 1) / pipeline
		trips = append(trips, fmt.Sprintf("%s%d", size, perPoll))
		hold("trips", perPoll <= maxTrips)
		wake := quantile(x.wakes, 0.99)
		wakes = append(wakes, size+short(wake))
		hold("wake", wake < maxWake)
		admission := quantile(x.admissions, 0.99)
		admissions = append(admissions, size+millis(admission))
		hold("admission", admission < maxAdmission)
		last := max(quantile(x.start.measured, 1), quantile(x.restart.measured, 1))
		starts = append(starts, size+short(last))
		hold("start", last < maxRestart)
	}
	join := func(s []string) string { return strings.Join(s, "; ") }
	out := [][]string{
		{"Connections to a source, equal settings", "1", whole(connections), met(connections <= maxConnections), "CLIENT LIST; one more, for signals, while something is idle"},
		{"Round trips per poll of 10,000 lists", "≤ 20", join(trips), met(fits["trips"]), "largest batch / pipelines of 1,000"},
		{"Memory per 1,000 triggers", "≤ 10 MiB", join(memory), met(fits["memory"]), "resident memory above that of weir without ScaledObjects"},
		{"CPU per 1,000 triggers at 30 s", "≤ 3 ms per second", join(cpu) + " (busy, with HPAs reading: " + join(busyCPU) + ")", met(fits["cpu"]), "all CPU of the process, idle"},
		{"Kubernetes writes in steady state", "0", whole(writes) + " per minute", met(writes == 0), "audit log, idle and busy"},
		{"Message → `spec.replicas`, p99", "< 250 ms", join(wakes), met(fits["wake"]), fmt.Sprintf("%d messages, seen by a watch", r.trials)},
		{"Restart → all triggers measured", "< 10 s", join(starts), met(fits["start"]), "last list first asked for at Redis; the slower of both starts"},
		{"Admission of a ScaledObject, p99", "< 20 ms", join(admissions), met(fits["admission"]), "the whole request to create one, without keeping it"},
	}
	return append(out, r.results[0].readVerdict()...)
}

// readVerdict compares reads of a quick and of a slow source.
func (res *result) readVerdict() [][]string {
	var cells []string
	ok := true
	for _, quick := range res.reads {
		i := slices.IndexFunc(res.reads, func(x readRow) bool {
			return x.via == quick.via && x.clients == quick.clients && x.source != quick.source
		})
		if quick.source != "0 ms" || quick.clients != 8 || i < 0 {
			continue
		}
		a, b := quantile(quick.took, 0.5), quantile(res.reads[i].took, 0.5)
		cells = append(cells, fmt.Sprintf("p50 by %s %s and %s", quick.via, millis(a), millis(b)))
		ok = ok && b-a < maxLate
	}
	if cells == nil {
		return nil
	}
	return [][]string{{"A read does not wait for the source", "source of 0 and 50 ms alike", strings.Join(cells, "; "), met(ok), "8 clients"}}
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "**missed**"
}
