package hpa

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// crowd is the pods of a target, sorted by what their measurement is worth.
type crowd struct {
	ready   int      // measured, and their measurement counts
	unready []string // pending, or with a cpu use that says nothing of work
	missing []string // not measured
}

func (p Proposal) resource(r Reading, s Scale, t Tolerance, f Flags) Proposal {
	if len(s.Pods) == 0 {
		return p.fail("the selector of the target matches no pod")
	}
	samples := make(map[string]int64, len(r.Pods))
	for name, sample := range r.Pods {
		samples[name] = sample.Value
	}
	pods := sortPods(p.Metric.Name, r.Pods, s, f, samples)
	if len(samples) == 0 {
		return p.fail("no pod that counts is measured; they may not be ready")
	}
	a, err := p.newAverage(s.Pods)
	if err != "" {
		return p.fail(err)
	}
	if p.Usage, p.Ratio, err = a.of(samples); err != "" {
		return p.fail(err)
	}
	cautious := len(pods.unready) > 0 && p.Ratio > 1
	if !cautious && len(pods.missing) == 0 {
		return p.byPods(s.Spec, pods.ready, t)
	}
	a.assume(samples, pods, p.Ratio)
	_, again, err := a.of(samples)
	if err != "" {
		return p.fail(err)
	}
	return p.assuming(again, len(samples), pods, s.Spec, t)
}

// assuming is the proposal when pods without a measurement count at what would
// scale the least. It never turns the direction round.
func (p Proposal) assuming(again float64, n int, pods crowd, spec int32, t Tolerance) Proposal {
	guess := fmt.Sprintf("%s / %s = %s of %s, %s with %s assumed", p.usage(), p.target(), ratio(p.Ratio),
		count(pods.ready, "measured pod"), ratio(again), p.assumed(pods))
	if p.Tolerated = t.Within(again); p.Tolerated {
		p.Replicas = spec
		p.Formula = fmt.Sprintf("%s, %s: %s", guess, t.text(), stays(spec))
		return p
	}
	next := ceil(again * float64(n))
	turned := (p.Ratio < 1 && again > 1) || (p.Ratio > 1 && again < 1) || (again < 1 && next > spec) || (again > 1 && next < spec)
	if turned {
		p.Replicas = spec
		p.Formula = fmt.Sprintf("%s, which turns the direction round: %s", guess, stays(spec))
		return p
	}
	p.Replicas = next
	p.Formula = fmt.Sprintf("%s: ceil(%s * %s) = %d", guess, ratio(again), count(n, "pod"), next)
	return p
}

// assumed says which pods were assumed to use what.
func (p Proposal) assumed(pods crowd) string {
	n, use := len(pods.missing), "its target"
	switch {
	case p.Ratio > 1:
		n, use = n+len(pods.unready), "nothing"
	case p.Ratio == 1:
		n = 0
	case p.Metric.Type == Utilization:
		use = fmt.Sprintf("%d%%", max(100, p.Metric.Target))
	}
	if n == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s at %s", count(n, "other pod"), use)
}

// sortPods sorts the pods and takes those from samples that do not count.
func sortPods(resource string, measured map[string]Sample, s Scale, f Flags, samples map[string]int64) crowd {
	var out crowd
	for i := range s.Pods {
		pod := &s.Pods[i]
		sample, ok := measured[pod.Name]
		switch {
		case pod.Deleting || pod.Phase == Failed:
			delete(samples, pod.Name)
		case pod.Phase == Pending:
			out.unready = append(out.unready, pod.Name)
			delete(samples, pod.Name)
		case !ok:
			out.missing = append(out.missing, pod.Name)
		case resource == "cpu" && !pod.warm(sample, s.Now, f):
			out.unready = append(out.unready, pod.Name)
			delete(samples, pod.Name)
		default:
			out.ready++
		}
	}
	return out
}

// warm reports whether the cpu that a pod uses says something of its work, rather
// than of its start.
func (p *Pod) warm(s Sample, now time.Time, f Flags) bool {
	if p.Ready == "" || p.Started.IsZero() {
		return false
	}
	if p.Started.Add(f.CPUInitialization).After(now) { // it may still be starting
		return p.Ready != "False" && !s.At.Before(p.ReadySince.Add(s.Window))
	}
	return p.Ready != "False" || !p.Started.Add(f.ReadinessDelay).After(p.ReadySince)
}

// average computes averages of pods.
type average struct {
	target   int64
	requests map[string]int64 // nil: values are compared, not utilization
}

func (p Proposal) newAverage(pods []Pod) (average, string) {
	a := average{target: p.Metric.Target}
	if p.Metric.Type != Utilization {
		return a, ""
	}
	a.requests = make(map[string]int64, len(pods))
	for i := range pods {
		request, err := pods[i].request(p.Metric)
		if err != "" {
			return a, err
		}
		a.requests[pods[i].Name] = request
	}
	return a, ""
}

// request returns what a pod requests in thousandths, or why that is not known.
func (p *Pod) request(m Metric) (int64, string) {
	if p.Requests != nil && m.Container == "" {
		if v, ok := p.Requests[m.Name]; ok {
			return v, ""
		}
		return 0, fmt.Sprintf("pod %s requests no %s", p.Name, m.Name)
	}
	sum, found := int64(0), m.Container == ""
	for _, c := range p.Containers {
		if m.Container != "" && m.Container != c.Name {
			continue
		}
		v, ok := c.Requests[m.Name]
		if !ok {
			return 0, fmt.Sprintf("container %s of pod %s requests no %s", c.Name, p.Name, m.Name)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Sprintf("pod %s has no container %s", p.Name, m.Container)
	}
	return sum, ""
}

// assume gives the pods without a sample one that scales the least: what is full
// when the others use little, nothing when they use much.
func (a average) assume(samples map[string]int64, pods crowd, ratio float64) {
	if ratio < 1 {
		for _, name := range pods.missing {
			samples[name] = a.full(name)
		}
	}
	if ratio > 1 {
		for _, name := range slices.Concat(pods.missing, pods.unready) {
			samples[name] = 0
		}
	}
}

// full is what a pod without a measurement is assumed to use when the others use
// little.
func (a average) full(pod string) int64 {
	if a.requests == nil {
		return a.target
	}
	return a.requests[pod] * max(100, a.target) / 100
}

// of returns the average and its ratio to the target. Utilization leaves out
// samples of pods that are no longer there.
func (a average) of(samples map[string]int64) (usage int64, ratio float64, err string) {
	if a.requests == nil {
		total := int64(0)
		for v := range maps.Values(samples) {
			total += v
		}
		usage = total / int64(len(samples))
		return usage, float64(usage) / float64(a.target), ""
	}
	used, requested := int64(0), int64(0)
	for name, v := range samples {
		if request, ok := a.requests[name]; ok {
			used, requested = used+v, requested+request
		}
	}
	if requested == 0 {
		return 0, 0, "no measurement is of a pod that is there and requests anything"
	}
	percent := int32(used * 100 / requested)
	return int64(percent), float64(percent) / float64(a.target), ""
}
