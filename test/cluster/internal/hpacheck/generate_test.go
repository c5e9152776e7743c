package hpacheck

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// kind is a family of cases, with how likely what is in it.
type kind struct {
	name     string
	external []string // target types of external metrics
	resource []metric // resource metrics, whose targets are drawn
	syncs    int
	behavior float64 // there is one
	failing  float64 // a metric cannot be read
	odd      float64 // a pod is not ready, not measured or otherwise odd
	edits    float64 // the spec changes before a sync
	sets     float64 // somebody else sets the replicas before a sync
	edges    float64 // a value is next to a boundary of the tolerance
	idle     float64 // there is no load at all
	zero     bool    // minReplicas is 0
}

func kinds() []kind {
	cpu := metric{Kind: "Resource", Name: "cpu", Type: "Utilization"}
	memory := metric{Kind: "Resource", Name: "memory", Type: "AverageValue"}
	inContainer := metric{Kind: "ContainerResource", Name: "cpu", Container: "work", Type: "Utilization"}
	average, value := "AverageValue", "Value"
	return []kind{
		{name: "average value", external: []string{average}, syncs: 16, behavior: .3},
		{name: "behaviours", external: []string{average}, syncs: 24, behavior: 1, sets: .03},
		{name: "without behaviour", external: []string{average}, syncs: 24, idle: .2, sets: .03},
		{name: "tolerance", external: []string{average, value}, syncs: 12, behavior: .7, edges: .7},
		{name: "value", external: []string{value}, syncs: 12, behavior: .5, odd: .15},
		{name: "several, some failing", external: []string{average, average, value}, syncs: 12, behavior: .5, failing: .25},
		{name: "changes of the spec", external: []string{average}, syncs: 24, behavior: .6, edits: .3, sets: .06},
		{name: "zero", external: []string{average}, syncs: 24, behavior: .6, idle: .7, zero: true, edits: .05, sets: .08},
		{name: "zero and value", external: []string{value}, syncs: 16, behavior: .6, idle: .7, zero: true, sets: .04},
		{name: "cpu", resource: []metric{cpu}, syncs: 10, behavior: .5, odd: .05},
		{name: "cpu of odd pods", resource: []metric{cpu}, syncs: 10, behavior: .5, odd: .3, failing: .05},
		{name: "memory of odd pods", resource: []metric{memory}, syncs: 10, behavior: .5, odd: .25, failing: .05},
		{name: "containers of odd pods", resource: []metric{inContainer}, syncs: 10, behavior: .5, odd: .25, failing: .05},
		{name: "average cpu", resource: []metric{{Kind: "Resource", Name: "cpu", Type: average}}, syncs: 10, behavior: .5, odd: .2, edges: .3},
		{name: "cpu beside external", external: []string{average}, resource: []metric{cpu}, syncs: 10, behavior: .7, odd: .15, failing: .15, edits: .05},
		{name: "zero with cpu beside", external: []string{average}, resource: []metric{cpu}, syncs: 14, behavior: .7, odd: .1, idle: .7, zero: true},
	}
}

// maker makes one case.
type maker struct {
	kind
	*rand.Rand
	record *record
	spec   *spec
	level  float64 // replicas that the load asks for
	idling bool
	pods   []pod
	before map[string]pod // at the last sync
	status int32          // at the last sync
	born   int            // pods so far
}

// generate makes the case of a number, and has the controller run on it.
func generate(t *testing.T, seed uint64, number int) record {
	t.Helper()
	k := kinds()[number%len(kinds())]
	m := &maker{kind: k, Rand: rand.New(rand.NewPCG(seed, uint64(number)))}
	m.record = &record{Name: fmt.Sprintf("%03d %s", number, k.name), Period: pick(m, 15, 15, 15, 10, 7, 2), Flags: flags{Tolerance: .1, Downscale: 300, CPUInit: 300, Delay: 30}}
	if m.chance(.3) {
		m.record.Flags = flags{Tolerance: pick(m, .1, .05, .25), Downscale: pick(m, 30, 60, 100), CPUInit: pick(m, 20, 60), Delay: pick(m, 5, 10, 30)}
	}
	if m.zero {
		m.record.Flags.Downscale = pick(m, 30, 60, 100)
	}
	if m.withPods() {
		m.record.Templates = m.templates()
	}
	m.spec = m.newSpec()
	replicas := m.spec.Min + m.Int32N(m.spec.Max-m.spec.Min+1)
	m.level = float64(replicas)
	m.record.Syncs = []sync{{Spec: m.spec, Set: &replicas}}
	run(t, m.record, k.syncs, m.next, m.edit)
	return *m.record
}

func (m *maker) chance(p float64) bool { return m.Float64() < p }

func pick[T any](m *maker, of ...T) T { return of[m.IntN(len(of))] }

// withPods reports whether pods play a part.
func (m *maker) withPods() bool {
	return len(m.resource) > 0 || slices.Contains(m.external, "Value")
}

func (m *maker) templates() []template {
	work := func(v int64) container {
		return container{"work", map[string]int64{"cpu": v, "memory": v * 1_000_000}}
	}
	proxy := container{"proxy", map[string]int64{"cpu": 50, "memory": 20_000_000}}
	plain := []template{{Containers: []container{work(250)}}, {Containers: []container{work(500), proxy}}}
	if m.chance(.5) {
		plain = plain[:1]
	}
	if m.chance(.1) { // the pod as a whole requests
		plain = append(plain, template{Containers: []container{{Name: "work"}}, Requests: map[string]int64{"cpu": 300, "memory": 300_000_000}})
	}
	if m.chance(.1) { // a request is missing
		plain = append(plain, template{Containers: []container{work(100), {Name: "helper"}}})
	}
	return plain
}

func (m *maker) newSpec() *spec {
	s := &spec{Min: 1 + m.Int32N(3)}
	if m.zero {
		s.Min = 0
	}
	s.Max = s.Min + 1 + m.Int32N(60)
	if m.withPods() {
		s.Max = s.Min + 1 + m.Int32N(7)
	}
	for i, kind := range m.external {
		s.Metrics = append(s.Metrics, metric{Kind: "External", Name: fmt.Sprintf("s%d", i), Type: kind, Target: pick[int64](m, 1000, 5000, 10_000, 2500, 333, 100_000)})
	}
	for _, r := range m.resource {
		r.Target = pick[int64](m, 50, 80, 120)
		if r.Type == "AverageValue" {
			r.Target = pick[int64](m, 100, 250, 333)
			if r.Name == "memory" {
				r.Target *= 1_000_000
			}
		}
		s.Metrics = append(s.Metrics, r)
	}
	s.Behavior = m.newBehavior()
	return s
}

func (m *maker) newBehavior() *behavior {
	if !m.chance(m.behavior) {
		return nil
	}
	return &behavior{ScaleUp: m.newRules(), ScaleDown: m.newRules()}
}

func (m *maker) newRules() rules {
	var r rules
	if m.chance(.6) {
		r.Window = new(pick[int32](m, 0, 0, 10, 15, 30, 47, 60, 120))
	}
	if m.chance(.4) {
		r.Select = pick(m, "Max", "Min", "Min", "Disabled")
	}
	if m.chance(.6) {
		for range 1 + m.IntN(3) {
			p := policy{Type: "Pods", Value: 1 + m.Int32N(6), Period: pick[int32](m, 1, 5, 7, 15, 20, 30, 45, 60, 100)}
			if m.chance(.5) {
				p.Type, p.Value = "Percent", pick[int32](m, 7, 10, 20, 25, 30, 50, 100, 150)
			}
			r.Policies = append(r.Policies, p)
		}
	}
	if m.chance(.3 + m.edges/2) {
		r.Tolerance = new(pick(m, 0, .01, .05, .2, .15, .5))
	}
	return r
}

// edit changes the spec now and then; it is asked once a second.
func (m *maker) edit() *spec {
	if !m.chance(m.edits / float64(m.record.Period)) {
		return nil
	}
	s := *m.spec
	switch m.IntN(4) {
	case 0:
		s.Max = s.Min + 1 + m.Int32N(s.Max)
	case 1:
		s.Min = m.Int32N(s.Max) + 1
	case 2:
		s.Behavior = m.newBehavior()
	default:
		s.Metrics = slices.Clone(s.Metrics)
		s.Metrics[0].Target += s.Metrics[0].Target / 2
	}
	m.spec = &s
	return &s
}

// next makes the inputs of a sync that finds replicas.
func (m *maker) next(replicas int32, at int) sync {
	var s sync
	if m.chance(m.sets) {
		replicas = pick(m, 0, 1, replicas+3, m.spec.Max+2)
		s.Set = &replicas
	}
	status := replicas
	if m.chance(.15) { // it lags, or a rollout adds to it
		status = max(0, replicas+m.Int32N(5)-2)
	}
	if status != m.status {
		s.Status, m.status = &status, status
	}
	if m.withPods() {
		m.age(int(status), at)
		s.Pods, s.Gone = m.changes()
	}
	m.load()
	for _, metric := range m.spec.Metrics {
		s.Readings = append(s.Readings, m.reading(metric, replicas, status))
	}
	return s
}

// load moves the level: mostly a little, sometimes to anywhere.
func (m *maker) load() {
	limit := 1.3 * float64(m.spec.Max)
	switch {
	case m.chance(.15):
		m.level = m.Float64() * m.Float64() * limit
		m.idling = m.chance(m.idle)
	default:
		m.level = min(max(0, m.level*(.8+.4*m.Float64())+m.Float64()-.5), limit)
	}
}

func (m *maker) reading(metric metric, replicas, status int32) reading {
	switch {
	case m.chance(m.failing):
		return reading{Err: true}
	case m.chance(.02): // an answer without values
		return reading{}
	case metric.Kind == "External":
		return reading{Values: m.values(metric, replicas, status)}
	}
	out := reading{Pods: map[string][]int64{}}
	ratio := m.level / max(1, float64(status))
	for _, p := range m.pods {
		if m.chance(m.odd / 2) {
			continue
		}
		out.Pods[p.Name] = []int64{m.use(metric, p, ratio)}
		if m.chance(.2 + m.odd) {
			out.Pods[p.Name] = append(out.Pods[p.Name], pick[int64](m, 0, 10, 45), pick[int64](m, 15, 60))
		}
	}
	if m.chance(m.odd / 4) {
		out.Pods["gone"] = []int64{metric.Target}
	}
	return out
}

// use is what a pod uses when all are at the ratio on average.
func (m *maker) use(metric metric, p pod, ratio float64) int64 {
	full := float64(metric.Target)
	if metric.Type == "Utilization" {
		kind := m.record.Templates[p.Template]
		request := kind.Requests[metric.Name]
		for _, c := range kind.Containers {
			if metric.Container == "" || metric.Container == c.Name {
				request += c.Requests[metric.Name]
			}
		}
		full *= float64(request) / 100
	}
	if m.chance(m.edges) {
		return int64(full * pick(m, .9, 1, 1.1))
	}
	return int64(full * ratio * (.8 + .4*m.Float64()))
}

// values are those of an external metric: one, or several that add up.
func (m *maker) values(metric metric, replicas, status int32) []int64 {
	target := float64(metric.Target)
	total := int64(target * m.level)
	if metric.Type == "Value" && replicas > 0 {
		total = int64(target * m.level / float64(replicas))
	}
	switch {
	case m.idling:
		total = 0
	case m.chance(m.edges):
		n := int64(1)
		if metric.Type == "AverageValue" {
			n = int64(status)
		}
		total = metric.Target*n*pick[int64](m, 80, 85, 90, 95, 99, 100, 101, 105, 110, 115, 120, 150)/100 + pick[int64](m, -1, 0, 0, 1)
	case m.chance(.01):
		total = -metric.Target
	case m.chance(.01) && metric.Type == "AverageValue": // more than can be counted
		return []int64{6e18, 6e18}
	}
	if total > 3 && m.chance(.2) {
		return []int64{total / 3, total - total/3}
	}
	return []int64{total}
}

// age moves the pods on: n of them, new ones at their start.
func (m *maker) age(n, at int) {
	for i := range m.pods {
		m.grow(&m.pods[i], at)
	}
	m.pods = slices.DeleteFunc(m.pods, func(p pod) bool { return (p.Deleting || p.Phase == "Failed") && m.chance(.7) })
	if len(m.pods) > n {
		m.pods = m.pods[len(m.pods)-n:]
	}
	for len(m.pods) < n {
		p := pod{Name: fmt.Sprintf("p%d", m.born), Template: m.IntN(len(m.record.Templates))}
		m.born++
		if at > 0 || m.chance(.3) {
			p.Phase, p.Ready, p.Started, p.Since = "Pending", "False", &at, &at
		}
		m.pods = append(m.pods, p)
	}
}

// grow is what may become of a pod from one sync to the next.
func (m *maker) grow(p *pod, at int) {
	switch {
	case p.Phase == "Pending":
		if m.chance(.8 - m.odd) {
			p.Phase = ""
		}
	case p.Ready == "False":
		if m.chance(.8 - m.odd) {
			p.Ready, p.Since = "", &at
		}
	case m.chance(m.odd / 3):
		p.Ready, p.Since = pick(m, "False", "False", "Unknown", "-"), &at
	case m.chance(m.odd / 6):
		p.Phase = pick(m, "Failed", "Succeeded")
	case m.chance(m.odd / 6):
		p.Deleting = true
	case m.chance(m.odd / 10):
		p.NoStart = true
	}
}

// changes returns what became of the pods since the sync before: new and changed
// ones, and the names of those that went.
func (m *maker) changes() (changed []pod, gone []string) {
	for _, p := range m.pods {
		if before, ok := m.before[p.Name]; !ok || !same(p, before) {
			changed = append(changed, p)
		}
	}
	now := map[string]pod{}
	for _, p := range m.pods {
		now[p.Name] = p
	}
	for name := range m.before {
		if _, ok := now[name]; !ok {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	m.before = now
	return changed, gone
}

// same compares what would be written of two pods.
func same(a, b pod) bool {
	equal := func(x, y *int) bool { return x == y || x != nil && y != nil && *x == *y }
	ok := equal(a.Started, b.Started) && equal(a.Since, b.Since)
	a.Started, a.Since, b.Started, b.Since = nil, nil, nil, nil
	return ok && a == b
}

// coverage counts what the records have in them.
func coverage(all []record) map[string]int {
	out := map[string]int{}
	for _, r := range all {
		var able, active, limit string
		for _, s := range r.Syncs {
			out["syncs"]++
			for condition, v := range map[*string]string{&able: s.Want.Able, &active: s.Want.Active, &limit: s.Want.Limit} {
				if v != "" {
					*condition = v
				}
			}
			out["able "+able]++
			out["active "+active]++
			out["limit "+limit]++
			out["zero "+s.Want.Zero]++
		}
	}
	maps.DeleteFunc(out, func(k string, _ int) bool { return k == "limit " || k == "zero " })
	return out
}
