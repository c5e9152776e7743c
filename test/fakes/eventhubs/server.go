// Package eventhubs is an Azure Event Hubs namespace for tests: an AMQP 1.0
// server that the unmodified SDK logs in to and asks for partitions. What it
// answers is said in README.md.
package eventhubs

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The one shared access policy.
const (
	KeyName = "weir"
	Key     = "bm90LWEtc2VjcmV0"
)

// Partition is what the namespace knows of one partition.
type Partition struct {
	Begin int64 // sequence number of the oldest event that is kept
	Last  int64 // sequence number of the newest event; -1 when there never was one
}

// Options refine a server. The zero value is what an emulator does.
type Options struct {
	// TLS makes the server speak TLS; nil is plain TCP.
	TLS *tls.Config
	// Token is the JWT to accept besides the shared access policy; empty accepts
	// none.
	Token string
}

// Counts are what clients have done so far.
type Counts struct {
	Connections    int // accepted
	Claims         int // tokens presented
	HubReads       int // requests for the partitions of a hub
	PartitionReads int // requests for one partition
}

// Server is a namespace. Its methods are safe for use by several goroutines.
type Server struct {
	options  Options
	listener net.Listener
	serving  sync.WaitGroup

	mu      sync.Mutex // guards the rest
	hubs    map[string][]Partition
	refused map[string]answer // by hub
	counts  Counts
	conns   map[net.Conn]struct{}
	held    []func() // answers kept back
	holding bool
	stopped bool
}

// answer is the reply to one request.
type answer struct {
	status      int // as in HTTP
	description string
	body        any
}

// Start starts a server on a free port of the loopback interface.
func Start(o Options) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		l = tls.NewListener(l, o.TLS)
	}
	s := &Server{
		options: o, listener: l,
		hubs: map[string][]Partition{}, refused: map[string]answer{}, conns: map[net.Conn]struct{}{},
	}
	s.serving.Go(s.accept)
	return s, nil
}

func (s *Server) accept() {
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			return // Stop closed it
		}
		if !s.add(raw) {
			return
		}
		s.serving.Go(func() {
			defer s.remove(raw)
			c := &conn{server: s, raw: raw, links: map[linkKey]*link{}, next: map[uint16]uint32{}}
			_ = c.serve() //nolint:errcheck // the client sees that the connection is gone
		})
	}
}

// add notes a connection, unless the server has stopped.
func (s *Server) add(raw net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		_ = raw.Close() //nolint:errcheck // nobody is waiting for it
		return false
	}
	s.counts.Connections++
	s.conns[raw] = struct{}{}
	return true
}

func (s *Server) remove(raw net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, raw)
	_ = raw.Close() //nolint:errcheck // it is over either way
}

// Stop ends the server and waits for its goroutines.
func (s *Server) Stop() error {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	err := s.listener.Close()
	s.Disconnect()
	s.serving.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil // stopped before
	}
	return err
}

// Disconnect breaks all connections without a word.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for raw := range s.conns {
		_ = raw.Close() //nolint:errcheck // to break it is all that is wanted
	}
}

// Addr returns host and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// ConnectionString is that of the shared access policy, without an EntityPath. It
// asks for plain TCP when the server speaks no TLS.
func (s *Server) ConnectionString() string {
	out := "Endpoint=sb://" + s.Addr() + "/;SharedAccessKeyName=" + KeyName + ";SharedAccessKey=" + Key
	if s.options.TLS == nil {
		out += ";UseDevelopmentEmulator=true"
	}
	return out
}

// SetHub creates a hub, or replaces it.
func (s *Server) SetHub(name string, partitions ...Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hubs[name] = slices.Clone(partitions)
}

// Refuse answers all questions about a hub with a status such as 401, until
// Accept is called.
func (s *Server) Refuse(hub string, status int, description string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[hub] = answer{status: status, description: description}
}

// Accept undoes Refuse.
func (s *Server) Accept(hub string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.refused, hub)
}

// Hold keeps back all answers until release is called.
func (s *Server) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = true
	return func() {
		s.mu.Lock()
		held := s.held
		s.held, s.holding = nil, false
		s.mu.Unlock()
		for _, send := range held {
			send()
		}
	}
}

// Counts returns what clients have done since the server started.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// answer replies to a request, now or when it is no longer held.
func (s *Server) answer(c *conn, node string, m message) {
	s.mu.Lock()
	a := s.respond(node, m)
	send := func() { _ = c.reply(m, a) } //nolint:errcheck // the connection is gone then, and serve ends
	if s.holding {
		s.held = append(s.held, send)
		send = func() {}
	}
	s.mu.Unlock()
	send()
}

// respond finds the answer. S.mu is held.
func (s *Server) respond(node string, m message) answer {
	if strings.HasSuffix(node, "$cbs") {
		s.counts.Claims++
		return s.claim(m)
	}
	hub := m.text("name")
	if a, ok := s.refused[hub]; ok {
		return a
	}
	partitions, ok := s.hubs[hub]
	if !ok {
		return answer{status: http.StatusNotFound, description: "The messaging entity '" + hub + "' could not be found."}
	}
	switch m.text("type") {
	case "com.microsoft:eventhub":
		s.counts.HubReads++
		ids := make([]string, len(partitions))
		for i := range ids {
			ids[i] = strconv.Itoa(i)
		}
		return answer{http.StatusOK, "OK", map[string]any{
			"name": hub, "type": m.text("type"), "created_at": time.UnixMilli(0),
			"partition_count": int32(len(ids)), "partition_ids": ids, "georeplication_factor": int32(1),
		}}
	case "com.microsoft:partition":
		s.counts.PartitionReads++
		i, err := strconv.Atoi(m.text("partition"))
		if err != nil || i < 0 || i >= len(partitions) {
			return answer{status: http.StatusNotFound, description: "The partition could not be found."}
		}
		p := partitions[i]
		return answer{http.StatusOK, "OK", map[string]any{
			"name": hub, "type": m.text("type"), "partition": m.text("partition"),
			"begin_sequence_number": p.Begin, "last_enqueued_sequence_number": p.Last,
			"last_enqueued_offset": strconv.FormatInt(p.Last, 10), "last_enqueued_time_utc": time.UnixMilli(0),
			"is_partition_empty": p.Last < p.Begin,
		}}
	}
	return answer{status: http.StatusBadRequest, description: "The type is not known."}
}

// claim checks a token, as the real service does when a link is to be opened.
func (s *Server) claim(m message) answer {
	token, _ := m.value.(string)
	var err error
	switch m.text("type") {
	case "servicebus.windows.net:sastoken":
		err = checkSignature(token, m.text("name"), time.Now())
	case "jwt":
		if s.options.Token == "" || token != s.options.Token {
			err = errors.New("the token is not accepted")
		}
	default:
		err = errors.New("the type of the token is not known")
	}
	if err != nil {
		return answer{status: http.StatusUnauthorized, description: "Unauthorized access. 'Listen' claim(s) are required to perform this operation: " + err.Error() + "."}
	}
	return answer{status: http.StatusAccepted, description: "Accepted"}
}

// checkSignature verifies a shared access signature for audience.
func checkSignature(token, audience string, now time.Time) error {
	fields, ok := strings.CutPrefix(token, "SharedAccessSignature ")
	given, err := url.ParseQuery(fields)
	if err != nil || !ok {
		return errors.New("the signature is malformed")
	}
	mac := hmac.New(sha256.New, []byte(Key))
	fmt.Fprintf(mac, "%s\n%s", strings.ToLower(url.QueryEscape(given.Get("sr"))), given.Get("se"))
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if given.Get("skn") != KeyName || !hmac.Equal([]byte(want), []byte(given.Get("sig"))) {
		return errors.New("the signature does not match")
	}
	if !strings.Contains(strings.ToLower(audience), given.Get("sr")) {
		return errors.New("the signature is for something else")
	}
	if until, err := strconv.ParseInt(given.Get("se"), 10, 64); err != nil || now.Unix() > until {
		return errors.New("the signature has expired")
	}
	return nil
}

// enqueued takes events that a client sent to a hub, or to one of its partitions.
// They only move the sequence numbers.
func (s *Server) enqueued(node string, events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hub, id, _ := strings.Cut(node, "/Partitions/")
	partitions := s.hubs[hub]
	if i, err := strconv.Atoi(id); err == nil && i >= 0 && i < len(partitions) {
		partitions[i].Last += int64(events)
	} else if len(partitions) > 0 {
		partitions[0].Last += int64(events)
	}
}
