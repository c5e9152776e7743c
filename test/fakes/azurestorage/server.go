// Package azurestorage is an Azure storage account for tests: the queue and blob
// services over HTTP, for the unmodified SDKs. What it answers is said in
// README.md.
package azurestorage

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// The account that exists, and its key.
const (
	AccountName = "weirtest"
	AccountKey  = "bm90LWEtc2VjcmV0LWJ1dC1hLWtleQ=="
)

// Account is a storage account. Its methods are safe for use by several
// goroutines.
type Account struct {
	queueServer, blobServer *httptest.Server

	mu         sync.Mutex // guards the rest
	queues     map[string]*queue
	containers map[string]map[string]blob
	token      string
	counts     map[string]int
	conns      int
	fault      http.HandlerFunc // nil when there is none
}

// New makes an account without queues and containers that is not served yet. See
// Queues and Blobs.
func New() *Account {
	return &Account{queues: map[string]*queue{}, containers: map[string]map[string]blob{}, counts: map[string]int{}}
}

// Start makes an account and serves it over plain HTTP on two free ports of the
// loopback interface, as emulators do.
func Start() *Account {
	a := New()
	a.queueServer, a.blobServer = a.serve(a.Queues()), a.serve(a.Blobs())
	return a
}

func (a *Account) serve(h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.conns++
		}
	}
	s.Start()
	return s
}

// Stop ends what Start began.
func (a *Account) Stop() {
	for _, s := range []*httptest.Server{a.queueServer, a.blobServer} {
		s.CloseClientConnections()
		s.Close()
	}
}

// Disconnect breaks all connections.
func (a *Account) Disconnect() {
	a.queueServer.CloseClientConnections()
	a.blobServer.CloseClientConnections()
}

// QueueEndpoint and BlobEndpoint are the addresses of the services, with the
// account's name as their path.
func (a *Account) QueueEndpoint() string { return a.queueServer.URL + "/" + AccountName }

// BlobEndpoint is like QueueEndpoint.
func (a *Account) BlobEndpoint() string { return a.blobServer.URL + "/" + AccountName }

// ConnectionString is that of the account's key.
func (a *Account) ConnectionString() string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;QueueEndpoint=%s",
		AccountName, AccountKey, a.BlobEndpoint(), a.QueueEndpoint())
}

// AllowToken accepts a bearer token besides the account's key.
func (a *Account) AllowToken(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = token
}

// Fault answers all requests with f; nil ends that.
func (a *Account) Fault(f http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = f
}

// Refuse makes a fault that answers with an error as the real service words it.
func Refuse(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, failure{status, code, message}) }
}

// Requests tells how often an operation was asked for since the account was made,
// by its name in the documentation of the REST API, such as "Get Queue Metadata".
func (a *Account) Requests(operation string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[operation]
}

// AllRequests is the number of requests of every kind, refused ones included.
func (a *Account) AllRequests() int { return a.Requests("") }

// Connections is the number of connections accepted by the servers of Start.
func (a *Account) Connections() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conns
}

// failure is an error answer.
type failure struct {
	status        int
	code, message string
}

// Error implements error.
func (f failure) Error() string { return f.code }

// refuse writes an error as the service does.
func refuse(w http.ResponseWriter, f failure) {
	w.Header().Set("x-ms-error-code", f.code)
	writeXML(w, f.status, struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: f.code, Message: f.message})
}

// writeXML writes an answer. That it cannot be written shows at the client.
func writeXML(w http.ResponseWriter, status int, v any) {
	body, err := xml.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(err.Error())
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), body...)) //nolint:errcheck // see above
}

// request is a request that was let in, with the path split up.
type request struct {
	*http.Request
	resource string // queue or container
	object   string // the rest of the path: a blob, or "messages"
}

// handler answers a request, or returns a failure. It runs with Account.mu held.
type handler func(http.ResponseWriter, request) error

// service serves one of the account's services. Routes are by operation; which
// names the operation of a request, or "".
func (a *Account) service(sas byte, routes map[string]handler, which func(request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := a.arrived(); fault != nil {
			fault(w, r)
			return
		}
		w.Header().Set("x-ms-version", r.Header.Get("x-ms-version"))
		a.mu.Lock()
		defer a.mu.Unlock()
		req := split(r)
		operation := which(req)
		err := a.authorize(r, sas)
		if route := routes[operation]; err == nil && route != nil {
			a.counts[operation]++
			err = route(w, req)
		} else if err == nil {
			err = failure{http.StatusNotImplemented, "NotImplemented", "This account does not know the operation."}
		}
		if f, ok := errors.AsType[failure](err); ok {
			refuse(w, f)
		} else if err != nil {
			refuse(w, failure{http.StatusInternalServerError, "InternalError", err.Error()})
		}
	})
}

// arrived counts a request and returns the fault that answers it.
func (a *Account) arrived() http.HandlerFunc {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts[""]++
	return a.fault
}

// split finds queue or container and what is in it. The account's name is the
// first part of the path where it is not part of the host's name.
func split(r *http.Request) request {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if rest, ok := strings.CutPrefix(path, AccountName+"/"); ok {
		path = rest
	}
	resource, object, _ := strings.Cut(path, "/")
	return request{r, resource, object}
}
