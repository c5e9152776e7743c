package telemetry

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-sh/weir/pkg/snapshot"
)

// requests counts the HTTP requests that scalers make to measure.
type requests struct {
	perObject bool // keep times per object too

	mu     sync.Mutex // guards the rest
	counts map[request]uint64
	times  map[request]*times
}

// request is what requests are counted by. of is empty where one request serves
// several objects or queries.
type request struct {
	of           object
	scaler, code string
}

// requestCount is one count.
type requestCount struct {
	scaler, code string
	n            uint64
}

// times is a histogram.
type times struct {
	sum     float64
	count   uint64
	buckets map[float64]uint64 // by upper bound, each with those below
}

func newRequests(perObject bool) *requests {
	return &requests{perObject: perObject, counts: map[request]uint64{}, times: map[request]*times{}}
}

// add counts one request.
func (r *requests) add(of request, took time.Duration, bounds []float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[of]++
	if !r.perObject {
		of.of = object{}
	}
	h := r.times[of]
	if h == nil {
		h = &times{buckets: make(map[float64]uint64, len(bounds))}
		r.times[of] = h
	}
	seconds := took.Seconds()
	h.sum += seconds
	h.count++
	for _, bound := range bounds {
		h.buckets[bound] += uint64(truth(seconds <= bound))
	}
}

// byObject returns a copy of the counts.
func (r *requests) byObject() map[object][]requestCount {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[object][]requestCount{}
	for of, n := range r.counts {
		out[of.of] = append(out[of.of], requestCount{of.scaler, of.code, n})
	}
	return out
}

// histogram returns a copy of the times of one count, or nil.
func (r *requests) histogram(of request) *times {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.times[of]
	if h == nil {
		return nil
	}
	return &times{h.sum, h.count, maps.Clone(h.buckets)}
}

// shared returns what times are kept that are no object's.
func (r *requests) shared() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(r.times)), func(of request) bool { return of.of != object{} })
}

// forget drops what is kept of objects that are gone.
func (r *requests) forget(live map[object]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := func(of request) bool { return of.of != object{} && !live[of.of] }
	maps.DeleteFunc(r.counts, func(of request, _ uint64) bool { return gone(of) })
	maps.DeleteFunc(r.times, func(of request, _ *times) bool { return gone(of) })
}

// objectOf is the object that Config.Call names; the zero object when it names
// none.
func objectOf(name string) object {
	kind, rest, _ := strings.Cut(name, "/")
	namespace, name, ok := strings.Cut(rest, "/")
	switch {
	case ok && kind == typeScaledObject:
		return object{kindScaledObject, namespace, name}
	case ok && kind == typeScaledJob:
		return object{kindScaledJob, namespace, name}
	}
	return object{}
}

// http collects the requests made for one object, or of the zero object those
// that served several.
func (s *scrape) http(of object, triggers []snapshot.Trigger) {
	for _, c := range s.requests[of] {
		trigger, metric := only(triggers, c.scaler)
		values := []string{of.namespace, of.name, c.scaler, trigger, metric, c.code}
		s.emit(httpRequests, s.known[httpRequests].labels(values...), float64(c.n))
		if s.objects.requests.perObject && of != (object{}) {
			s.histogram(request{of, c.scaler, c.code}, values)
		}
	}
	if of != (object{}) {
		return
	}
	for _, r := range s.objects.requests.shared() {
		values := []string{r.scaler, r.code}
		if s.objects.requests.perObject {
			values = []string{"", "", r.scaler, "", "", r.code}
		}
		s.histogram(r, values)
	}
}

// histogram collects the times of requests.
func (s *scrape) histogram(of request, labels []string) {
	if h := s.objects.requests.histogram(of); h != nil {
		s.to <- prometheus.MustNewConstHistogram(s.known[httpDuration].desc, h.count, h.sum, h.buckets, labels...)
	}
}

// only is the name and the metric of the one trigger of a type; empty when there
// are several, as a request does not tell which it is for.
func only(triggers []snapshot.Trigger, scaler string) (name, metric string) {
	n := 0
	for i := range triggers {
		if triggers[i].Type == scaler {
			n++
			name, metric = triggers[i].Name, triggers[i].Metric
		}
	}
	if n != 1 {
		return "", ""
	}
	return name, metric
}

// Transport is a transport that counts what is sent through another to measure:
// requests whose context Config.Call knows.
type Transport struct {
	next http.RoundTripper
	told *Telemetry
}

// Transport counts requests made through next.
func (t *Telemetry) Transport(next http.RoundTripper) *Transport { return &Transport{next, t} }

// Unwrap returns the transport that does the work.
func (t *Transport) Unwrap() http.RoundTripper { return t.next }

// Around counts for another transport, such as a clone of Unwrap's with settings
// of its own.
func (t *Transport) Around(next http.RoundTripper) http.RoundTripper {
	return &Transport{next, t.told}
}

// CloseIdleConnections closes those of the transport that does the work.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	scaler, object := t.told.cfg.Call(req.Context())
	if scaler == "" {
		return t.next.RoundTrip(req)
	}
	start := time.Now()
	resp, err := t.next.RoundTrip(req)
	code := "error"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
	}
	t.told.requests.add(request{objectOf(object), scaler, code}, time.Since(start), t.told.objects.known[httpDuration].metric.buckets)
	return resp, err
}
