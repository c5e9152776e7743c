package external_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/external"
	pb "github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what a test may wait for; nothing healthy takes a tenth of it.
const soon = 20 * time.Second

// server is an external scaler. What it answers depends on the metadata "case" of
// whoever asks.
type server struct {
	pb.UnimplementedExternalScalerServer
	mu     sync.Mutex
	refs   []*pb.ScaledObjectRef // of GetMetricSpec
	calls  map[string]int
	events chan bool // what StreamIsActive sends; closing it ends the streams
	specs  chan *pb.GetMetricSpecResponse
	most   atomic.Int32 // calls of GetMetrics at a time
	now    atomic.Int32
}

func newServer() *server {
	return &server{calls: map[string]int{}, events: make(chan bool), specs: make(chan *pb.GetMetricSpecResponse)}
}

func (s *server) count(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call]++
}

func (s *server) counted(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

func kind(ref *pb.ScaledObjectRef) string { return ref.GetScalerMetadata()["case"] }

func (s *server) IsActive(_ context.Context, ref *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	s.count("IsActive")
	if kind(ref) == "activity" {
		return nil, status.Error(codes.Internal, "no idea")
	}
	return &pb.IsActiveResponse{Result: kind(ref) != "idle"}, nil
}

func (s *server) GetMetricSpec(_ context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	s.count("GetMetricSpec")
	s.mu.Lock()
	s.refs = append(s.refs, ref)
	s.mu.Unlock()
	specs := []*pb.MetricSpec{{MetricName: "d", TargetSize: 4, TargetSizeFloat: 1.25}, {MetricName: "a/b.c", TargetSize: 4}}
	switch kind(ref) {
	case "no metrics":
		specs = nil
	case "empty name":
		specs[1].MetricName = ""
	case "twice":
		specs[1].MetricName = "d"
	case "target zero":
		specs[1].TargetSize = 0
	case "target negative":
		specs[1].TargetSizeFloat = -1
	case "target NaN":
		specs[1].TargetSizeFloat = math.NaN()
	case "many metrics":
		specs = make([]*pb.MetricSpec, 101)
	case "huge":
		specs[1].MetricName = strings.Repeat("x", 1<<20)
	case "missing":
		return nil, status.Error(codes.NotFound, "no such thing as "+ref.GetScalerMetadata()["whoFromEnv"])
	case "forbidden":
		return nil, status.Error(codes.PermissionDenied, "go away")
	case "busy":
		return nil, status.Error(codes.ResourceExhausted, "later")
	}
	return &pb.GetMetricSpecResponse{MetricSpecs: specs}, nil
}

func (s *server) GetMetrics(ctx context.Context, r *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	s.count("GetMetrics")
	now := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	time.Sleep(time.Millisecond) // the latency of a network, not a synchronisation
	value := &pb.MetricValue{MetricName: "ignored", MetricValue: 3}
	if r.GetMetricName() == "d" {
		value.MetricValueFloat = 0.5
	}
	values := []*pb.MetricValue{value}
	switch kind(r.GetScaledObjectRef()) {
	case "hanging":
		<-ctx.Done()
		return nil, ctx.Err()
	case "several":
		values = append(values, &pb.MetricValue{MetricValue: 10})
	case "no value":
		values = nil
	case "negative":
		value.MetricValue = -3
	case "infinite":
		value.MetricValueFloat = math.Inf(1)
	case "too much":
		value.MetricValueFloat = math.MaxFloat64
		values = append(values, value)
	}
	return &pb.GetMetricsResponse{MetricValues: values}, nil
}

func (s *server) StreamIsActive(ref *pb.ScaledObjectRef, to grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	s.count("StreamIsActive")
	switch kind(ref) {
	case "no stream":
		return status.Error(codes.Unimplemented, "not here")
	case "refused stream":
		return status.Error(codes.InvalidArgument, "not you")
	case "quiet":
		<-to.Context().Done()
		return nil
	}
	s.mu.Lock()
	events := s.events
	s.mu.Unlock()
	for {
		select {
		case <-to.Context().Done():
			return nil
		case active, more := <-events:
			if !more {
				return nil
			}
			if err := to.Send(&pb.IsActiveResponse{Result: active}); err != nil {
				return err
			}
		}
	}
}

func (s *server) StreamMetricSpec(ref *pb.ScaledObjectRef, to grpc.ServerStreamingServer[pb.GetMetricSpecResponse]) error {
	s.count("StreamMetricSpec")
	if kind(ref) != "specs" {
		return status.Error(codes.Unimplemented, "not here")
	}
	for {
		select {
		case <-to.Context().Done():
			return nil
		case specs := <-s.specs:
			if err := to.Send(specs); err != nil {
				return err
			}
		}
	}
}

// counting is a listener that counts connections.
type counting struct {
	net.Listener
	accepted *atomic.Int32
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}

// running is a server with its address.
type running struct {
	address  string
	accepted atomic.Int32
	grpc     *grpc.Server
	done     chan struct{}
}

// start serves impl until the test ends, by TLS when secure is not nil. The
// address is a free one of loopback when it is empty.
func start(t *testing.T, impl pb.ExternalScalerServer, secure *tls.Config, address string) *running {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	transport := insecure.NewCredentials()
	if secure != nil {
		transport = credentials.NewTLS(secure)
	}
	r := &running{address: l.Addr().String(), grpc: grpc.NewServer(grpc.Creds(transport)), done: make(chan struct{})}
	pb.RegisterExternalScalerServer(r.grpc, impl)
	go func() {
		defer close(r.done)
		if err := r.grpc.Serve(counting{l, &r.accepted}); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serving: %v", err)
		}
	}()
	t.Cleanup(r.stop)
	return r
}

// stop ends the server and all its connections.
func (r *running) stop() {
	r.grpc.Stop()
	<-r.done
}

// certificate returns a certificate for 127.0.0.1 and the authority that vouches
// for it, as PEM text.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0], string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// pemPair writes a certificate and its key as PEM text.
func pemPair(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func definition(t *testing.T, typ string) *scalers.Definition {
	t.Helper()
	r, err := scalers.NewRegistry(external.Scalers()...)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.Find(typ)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// values are those of a trigger of object "shop/worker"; pairs are metadata.
func values(address string, pairs ...string) param.Values {
	v := param.Values{Namespace: "shop", Name: "worker", Metadata: map[string]string{"scalerAddress": address}}
	for i := 0; i < len(pairs); i += 2 {
		v.Metadata[pairs[i]] = pairs[i+1]
	}
	return v
}

func parse(t *testing.T, typ string, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := definition(t, typ).Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}

func open(t *testing.T, trigger scalers.Trigger) scalers.Conn {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), scalers.Env{Log: slog.New(slog.DiscardHandler), ClientName: "weir-test"})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return conn
}
