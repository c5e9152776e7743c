// Package awsfake answers the calls to AWS that Weir makes, on one address: SQS,
// CloudWatch, Kinesis, STS, Secrets Manager and the credentials agent of EKS. It
// speaks the protocols of the unmodified SDK and verifies its signatures.
// README.md says which calls, and which documented answers it gives.
//
// Tests set what is there (SetQueue, SetMetric, ...), break things (Fail), and
// look at what was asked (Requests).
package awsfake

import (
	"cmp"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// The operations, as Fail, Requests and Count call them.
const (
	GetQueueAttributes        = "sqs:GetQueueAttributes"
	GetMetricData             = "cloudwatch:GetMetricData"
	DescribeStreamSummary     = "kinesis:DescribeStreamSummary"
	AssumeRole                = "sts:AssumeRole"
	AssumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity"
	GetSecretValue            = "secretsmanager:GetSecretValue"
	AgentCredentials          = "agent:Credentials" //nolint:gosec // the name of an operation
)

// Server is the fake. It is an http.Handler; Start serves it. All methods may be
// called while it is used.
type Server struct {
	// URL is where Start serves it.
	URL string

	mu       sync.Mutex // guards all below
	keys     map[string]key
	issued   int // temporary keys
	faults   map[string]func(n int) *Fault
	requests map[string][]Request
	conns    int

	queues      map[string]Queue
	streams     map[string]int
	secrets     map[string][]SecretVersion
	roles       map[string]Role
	agent       agent
	series      map[Metric]Series
	expressions map[string][]Series
	page        int // data points a page of GetMetricData has; 0 means 100,800
}

// Request is one that was received, refused ones included.
type Request struct {
	KeyID   string // who signed it; empty when nobody did
	Region  string // that it was signed for
	Session string // name of the session, where a role is assumed
	Body    string
}

// Fault is what a request gets instead of its answer.
type Fault struct {
	Status     int    // 0 means 400
	Code       string // such as "ThrottlingException"
	Message    string
	RetryAfter string // header; empty sends none
	Raw        string // body that is none of AWS; Code is then not sent
	Stall      bool   // no answer until the client gives up
}

// New makes a server that has nothing and accepts no key.
func New() *Server {
	return &Server{
		keys: map[string]key{}, faults: map[string]func(int) *Fault{}, requests: map[string][]Request{},
		queues: map[string]Queue{}, streams: map[string]int{}, secrets: map[string][]SecretVersion{}, roles: map[string]Role{},
		series: map[Metric]Series{}, expressions: map[string][]Series{},
	}
}

// Start serves a new fake on a loopback port until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that give up are part of tests
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s
}

// Fail makes f decide what becomes of each request of an operation; n counts
// them from 1. Nil from f, or for f, lets them pass.
func (s *Server) Fail(operation string, f func(n int) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[operation] = f
}

// Always is a decision for Fail: every request gets f.
func Always(f Fault) func(int) *Fault { return func(int) *Fault { return &f } }

// Requests returns what was received for an operation, in order.
func (s *Server) Requests(operation string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests[operation]...)
}

// Count is how many requests were received for an operation.
func (s *Server) Count(operation string) int { return len(s.Requests(operation)) }

// Connections is how many connections were opened.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// call is one request with what answers it.
type call struct {
	operation string
	protocol  protocol
	unsigned  bool
	request   Request
	answer    func(body []byte) (reply, *Fault) // holds s.mu
}

// reply is encoded by the protocol.
type reply any

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return // the client went away
	}
	c, ok := s.route(r, body)
	if !ok {
		http.Error(w, "this fake does not know the operation", http.StatusNotFound)
		return
	}
	out, fault := s.handle(c, r, body)
	if fault == nil {
		c.protocol.answer(w, c.operation, out)
		return
	}
	if fault.Stall {
		<-r.Context().Done()
		return
	}
	if fault.RetryAfter != "" {
		w.Header().Set("Retry-After", fault.RetryAfter)
	}
	status := cmp.Or(fault.Status, http.StatusBadRequest)
	if fault.Raw != "" {
		w.WriteHeader(status)
		write(w, []byte(fault.Raw))
		return
	}
	c.protocol.fail(w, status, fault.Code, fault.Message)
}

// handle notes the request, and answers it unless it is to fail.
func (s *Server) handle(c call, r *http.Request, body []byte) (reply, *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var refused *Fault
	if !c.unsigned {
		c.request.KeyID, c.request.Region, refused = s.verify(r, body)
	}
	c.request.Body = string(body)
	s.requests[c.operation] = append(s.requests[c.operation], c.request)
	if decide := s.faults[c.operation]; decide != nil {
		if f := decide(len(s.requests[c.operation])); f != nil {
			return nil, f
		}
	}
	if refused != nil {
		return nil, refused
	}
	return c.answer(body)
}

// route finds the operation by what its protocol puts into headers, path or form.
func (s *Server) route(r *http.Request, body []byte) (call, bool) {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case target == "AmazonSQS.GetQueueAttributes":
		return call{operation: GetQueueAttributes, protocol: jsonProtocol("1.0"), answer: s.queueAttributes}, true
	case target == "Kinesis_20131202.DescribeStreamSummary":
		return call{operation: DescribeStreamSummary, protocol: jsonProtocol("1.1"), answer: s.streamSummary}, true
	case target == "secretsmanager.GetSecretValue":
		return call{operation: GetSecretValue, protocol: jsonProtocol("1.1"), answer: s.secretValue}, true
	case strings.HasSuffix(r.URL.Path, "/operation/GetMetricData") && r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		return call{operation: GetMetricData, protocol: cborProtocol(), answer: s.metricData}, true
	case r.Method == http.MethodGet && r.URL.Path == agentPath:
		return call{operation: AgentCredentials, protocol: jsonProtocol("1.1"), unsigned: true, answer: s.agentAnswer(r.Header.Get("Authorization"))}, true
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return s.routeSTS(body)
	}
	return call{}, false
}
