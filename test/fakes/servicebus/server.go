// Package servicebus is a stand-in for the management endpoint of an Azure Service
// Bus namespace, as far as clients read queues, topics and subscriptions there. It
// speaks the real protocol, Atom over HTTP, to the unmodified client of the Azure
// SDK. README.md says what it reproduces.
package servicebus

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// MaxPage is the most entities that one page of a list holds.
const MaxPage = 100

// Counts are the messages of a queue or a subscription.
type Counts struct{ Active, DeadLetter, Scheduled, Transfer, TransferDeadLetter int32 }

// Requests says how often clients asked for what.
type Requests struct{ Reads, Pages, Refused int }

// Answer replaces what the server would answer. Zero fields are left out.
type Answer struct {
	Status     int
	RetryAfter string // the header of that name
	Location   string // the header of that name
	Body       string
}

// Server is a namespace. It is an http.Handler, for httptest.NewServer as an
// emulator has it, or for httptest.NewTLSServer as Azure has it. The zero value
// is not usable; see New.
type Server struct {
	mu       sync.Mutex // guards all below
	queues   map[string]Counts
	topics   map[string]map[string]Counts
	keys     map[string]string
	token    func(string) bool
	fail     func(*http.Request) *Answer
	requests Requests
}

// New makes a namespace that is empty and lets nobody in.
func New() *Server {
	return &Server{
		queues: map[string]Counts{}, topics: map[string]map[string]Counts{}, keys: map[string]string{},
		token: func(string) bool { return false }, fail: func(*http.Request) *Answer { return nil },
	}
}

// AllowKey lets in who signs with a key. The same name with an empty key revokes it.
func (s *Server) AllowKey(name, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[name] = key
}

// AllowTokens lets in who holds a token that valid accepts. Valid must be safe for
// use by several goroutines.
func (s *Server) AllowTokens(valid func(token string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = valid
}

// SetQueue makes a queue, or changes it.
func (s *Server) SetQueue(name string, c Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[name] = c
}

// DeleteQueue removes a queue.
func (s *Server) DeleteQueue(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queues, name)
}

// SetTopic makes a topic without subscriptions.
func (s *Server) SetTopic(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[name] = map[string]Counts{}
}

// SetSubscription makes a subscription of a topic that exists, or changes it.
func (s *Server) SetSubscription(topic, name string, c Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[topic][name] = c
}

// Intercept asks f for every request before anything else; what f returns is
// answered, unless it is nil. F must not call the server.
func (s *Server) Intercept(f func(*http.Request) *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// TakeRequests returns what was asked since the last call.
func (s *Server) TakeRequests() Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests
	s.requests = Requests{}
	return r
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.fail(r); a != nil {
		a.write(w)
		return
	}
	if reason := s.refuse(r); reason != "" {
		s.requests.Refused++
		write(w, http.StatusUnauthorized, problem(http.StatusUnauthorized, reason))
		return
	}
	if r.Method != http.MethodGet || r.URL.Query().Get("api-version") == "" {
		write(w, http.StatusBadRequest, problem(http.StatusBadRequest, "Only GET with an api-version is served."))
		return
	}
	s.answer(w, r)
}

// answer serves one GET of who may ask.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(r.URL.Path, "/")
	if path == "$Resources/Queues" {
		s.list(w, r, "Queues", queue, s.queues)
		return
	}
	topic, subscription, below := cutLast(path, "/Subscriptions")
	_, subscriptions, ok := find(s.topics, topic)
	if below && subscription == "" {
		if !ok {
			s.requests.Reads++
			write(w, http.StatusNotFound, problem(http.StatusNotFound, "Entity '"+topic+"' was not found."))
			return
		}
		s.list(w, r, "Subscriptions", subscriptionEntry, subscriptions)
		return
	}
	s.requests.Reads++
	if below {
		if name, c, ok := find(subscriptions, subscription); ok {
			write(w, http.StatusOK, entry(name, subscriptionEntry, c))
			return
		}
		write(w, http.StatusNotFound, problem(http.StatusNotFound, "Entity '"+path+"' was not found."))
		return
	}
	if name, c, ok := find(s.queues, path); ok {
		write(w, http.StatusOK, entry(name, queue, c))
		return
	}
	if name, below, ok := find(s.topics, path); ok {
		write(w, http.StatusOK, topicEntry(name, len(below)))
		return
	}
	write(w, http.StatusOK, feed("Publicly Listed Services", nil))
}

// find looks a name up, whose case does not matter, and returns it as it was made.
func find[V any](all map[string]V, name string) (as string, v V, ok bool) {
	for as, v := range all {
		if strings.EqualFold(as, name) {
			return as, v, true
		}
	}
	return "", v, false
}

// cutLast takes topic and subscription out of a path.
func cutLast(path, sep string) (before, after string, found bool) {
	at := strings.LastIndex(path, sep)
	if at < 0 {
		return path, "", false
	}
	rest := path[at+len(sep):]
	if rest != "" && rest[0] != '/' {
		return path, "", false
	}
	return path[:at], strings.TrimPrefix(rest, "/"), true
}

// list answers one page, in the order of names.
func (s *Server) list(w http.ResponseWriter, r *http.Request, title string, kind kind, all map[string]Counts) {
	s.requests.Pages++
	names := slices.Sorted(maps.Keys(all))
	skip, top := number(r, "$skip", 0), number(r, "$top", MaxPage)
	names = names[min(skip, len(names)):]
	names = names[:min(top, MaxPage, len(names))]
	entries := make([]string, len(names))
	for i, n := range names {
		entries[i] = entry(n, kind, all[n])
	}
	write(w, http.StatusOK, feed(title, entries))
}

// number reads a parameter of the query that is a number of zero or more.
func number(r *http.Request, name string, otherwise int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 {
		return otherwise
	}
	return n
}
