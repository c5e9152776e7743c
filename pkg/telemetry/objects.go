package telemetry

import (
	"cmp"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/weir-sh/weir/pkg/snapshot"
)

// objects collects the metrics that are read from snapshots. What it keeps is
// forgotten at the first scrape after the object is gone.
type objects struct {
	cfg      *Config
	known    map[string]*described // by name; only read
	names    map[string]string     // implementations; only read
	requests *requests

	mu      sync.Mutex // guards the rest
	decided map[object]int32
	counted map[series]counted
}

// object names a ScaledObject or ScaledJob.
type object struct{ kind, namespace, name string }

// series is a counter of an object: of a trigger by its metric name, or of the
// object itself where that is empty.
type series struct {
	of      object
	metric  string
	counter string // which of them
}

// counted is the state of a counter that may start anew while its object lives,
// as when a password is rotated and the trigger is measured as another query.
type counted struct{ base, last uint64 }

func newObjects(c *Config, known map[string]*described, r *requests) *objects {
	return &objects{
		cfg: c, known: known, names: implementations(), requests: r, decided: map[object]int32{}, counted: map[series]counted{},
	}
}

// Describe implements prometheus.Collector.
func (o *objects) Describe(to chan<- *prometheus.Desc) {
	for _, name := range []string{
		buildInfo, scalerValue, scalerLatency, scalerActive, scalerErrors, emptyAnswers, objectErrors, jobErrors, objectPaused,
		triggersRegistered, resourcesRegistered, loopLatency, httpRequests, httpDuration,
		desiredReplicas, readingAge, sources, sourceQueries, sourceConnections,
	} {
		to <- o.known[name].desc
	}
}

// decide keeps what the newest decision about an object came to.
func (o *objects) decide(of object, to int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.decided[of] = to
}

// Collect implements prometheus.Collector.
func (o *objects) Collect(to chan<- prometheus.Metric) {
	s := &scrape{
		objects: o, to: to, now: time.Now(), live: map[object]bool{},
		triggers: map[string]int{}, registered: map[registered]int{}, requests: o.requests.byObject(),
	}
	var all []snapshot.Object
	if o.cfg.Objects != nil {
		all = o.cfg.Objects()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range all {
		s.object(&all[i])
	}
	s.sums()
	s.sources()
	s.http(object{}, nil)
	s.emit(buildInfo, s.known[buildInfo].labels(o.cfg.build()...), 1)
	s.forget()
}

// scrape is one run of Collect.
type scrape struct {
	*objects
	to         chan<- prometheus.Metric
	now        time.Time
	live       map[object]bool
	triggers   map[string]int // by type
	registered map[registered]int
	requests   map[object][]requestCount
}

// registered is what objects are counted by.
type registered struct{ kind, namespace string }

func (s *scrape) emit(name string, pairs []*dto.LabelPair, value float64) {
	s.to <- sample{s.known[name], pairs, value}
}

// object collects what is known of one.
func (s *scrape) object(o *snapshot.Object) {
	of := object{o.Kind, o.Namespace, o.Name}
	s.live[of] = true
	kind, count, errors := typeScaledObject, registeredObject, objectErrors
	if o.Kind == kindScaledJob {
		kind, count, errors = typeScaledJob, registeredJob, jobErrors
	} else {
		s.emit(objectPaused, s.known[objectPaused].labels(o.Namespace, o.Name), truth(o.Paused))
	}
	s.emit(errors, s.known[errors].labels(o.Namespace, o.Name), s.rise(series{of: of, counter: errors}, o.Errors))
	s.registered[registered{count, o.Namespace}]++
	for i := range o.Triggers {
		s.trigger(of, kind, &o.Triggers[i])
	}
	if late, ok := lateness(o, s.now); ok {
		s.emit(loopLatency, s.known[loopLatency].labels(o.Namespace, kind, o.Name), late.Seconds())
	}
	stage := s.known[desiredReplicas]
	if n, ok := asked(o.Triggers); ok {
		s.emit(desiredReplicas, stage.labels(o.Kind, o.Namespace, o.Name, stageAsked), n)
		if o.Max > 0 {
			s.emit(desiredReplicas, stage.labels(o.Kind, o.Namespace, o.Name, stageLimited), min(max(n, float64(o.Min)), float64(o.Max)))
		}
	}
	if n, ok := s.decided[of]; ok {
		s.emit(desiredReplicas, stage.labels(o.Kind, o.Namespace, o.Name, stageDecided), float64(n))
	}
	s.http(of, o.Triggers)
}

// trigger collects what is known of one trigger, or of the result of a formula.
func (s *scrape) trigger(of object, kind string, t *snapshot.Trigger) {
	scaler, index := cmp.Or(t.Name, s.names[t.Type], t.Type), t.Index
	if formula := t.Index < 0; formula {
		scaler, index = compositeMetric, 0 // as KEDA has it
	} else {
		s.triggers[t.Type]++
	}
	pairs := s.known[scalerValue].labels(of.namespace, t.Metric, of.name, scaler, strconv.Itoa(index), kind)
	s.emit(scalerActive, pairs, truth(t.Active || t.Resource))
	if t.Resource {
		return
	}
	if t.Known {
		s.emit(scalerValue, pairs, t.Value)
	}
	if t.Index < 0 {
		return
	}
	if !t.Measured.IsZero() || t.Failures > 0 {
		s.emit(scalerLatency, pairs, float64(t.Took))
	}
	s.emit(scalerErrors, pairs, s.rise(series{of, t.Metric, scalerErrors}, t.Failures))
	counts := strconv.FormatBool(!t.EmptyFails)
	if n := s.rise(series{of, t.Metric, emptyAnswers + counts}, t.Empty); n > 0 {
		s.emit(emptyAnswers, s.known[emptyAnswers].labels(of.namespace, of.name, t.Name, t.Metric, of.kind, counts), n)
	}
}

// rise returns what a counter shows: it goes on where what it reads starts anew.
func (s *scrape) rise(of series, reads uint64) float64 {
	c, ok := s.counted[of]
	if reads == 0 && !ok {
		return 0
	}
	if reads < c.last {
		c.base += c.last
	}
	c.last = reads
	s.counted[of] = c
	return float64(c.base + c.last)
}

// sums collects the counts over all objects.
func (s *scrape) sums() {
	for scaler, n := range s.triggers {
		s.emit(triggersRegistered, s.known[triggersRegistered].labels(scaler), float64(n))
	}
	if s.cfg.Authentications != nil {
		for _, a := range s.cfg.Authentications() {
			if a.Cluster {
				s.registered[registered{registeredClusterAuth, clusterScoped}] += a.Count
			} else {
				s.registered[registered{registeredAuth, a.Namespace}] += a.Count
			}
		}
	}
	for r, n := range s.registered {
		s.emit(resourcesRegistered, s.known[resourcesRegistered].labels(r.kind, r.namespace), float64(n))
	}
}

// forget drops what is kept of objects that are gone.
func (s *scrape) forget() {
	for of := range s.decided {
		if !s.live[of] {
			delete(s.decided, of)
		}
	}
	for of := range s.counted {
		if !s.live[of.of] {
			delete(s.counted, of)
		}
	}
	s.objects.requests.forget(s.live)
}

// lateness is by how much the stalest trigger is past its interval; ok is false
// when none was measured.
func lateness(o *snapshot.Object, now time.Time) (late time.Duration, ok bool) {
	for i := range o.Triggers {
		if t := &o.Triggers[i]; !t.Measured.IsZero() && t.Index >= 0 {
			late, ok = max(late, now.Sub(t.Measured)-o.Interval.Duration()), true
		}
	}
	return late, ok
}

// asked is how many replicas triggers ask for. It is known only where the HPA
// divides values by targets per replica and reads nothing by itself; a formula
// stands for all others.
func asked(triggers []snapshot.Trigger) (replicas float64, ok bool) {
	if n := len(triggers); n > 0 && triggers[n-1].Index < 0 {
		triggers = triggers[n-1:]
	}
	for i := range triggers {
		t := &triggers[i]
		if t.Resource || t.MetricType != "AverageValue" || t.Target <= 0 {
			return 0, false
		}
		if t.Known {
			replicas, ok = max(replicas, math.Ceil(t.Value/t.Target)), true
		}
	}
	return replicas, ok
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
