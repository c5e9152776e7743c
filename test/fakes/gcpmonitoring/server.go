// Package gcpmonitoring is a fake of Google Cloud Monitoring for tests: the gRPC
// service that lists time series. The README says what it reproduces.
package gcpmonitoring

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Options say how the server runs. The zero value speaks plain text.
type Options struct {
	// TLS makes the server speak TLS and ask for tokens.
	TLS *tls.Config
	// Key verifies the tokens; nil accepts any.
	Key *rsa.PublicKey
	// Echo answers every call with an error that repeats the token.
	Echo bool
}

// Server is a running fake. Its methods are safe for use by several goroutines.
type Server struct {
	monitoringpb.UnimplementedMetricServiceServer
	options  Options
	grpc     *grpc.Server
	listener *counted

	mu       sync.Mutex // guards the rest
	series   []*entry
	requests []*monitoringpb.ListTimeSeriesRequest
	faults   []error
	hang     bool
	served   chan struct{} // closed when the server has ended
}

// entry is a time series, or one whose value is asked for when it is listed.
type entry struct {
	series *monitoringpb.TimeSeries
	live   func() int64
}

// Start runs a server on a free loopback port. The caller stops it.
func Start(ctx context.Context, o Options) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a fake of Cloud Monitoring: %w", err)
	}
	var options []grpc.ServerOption
	if o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	s := &Server{options: o, grpc: grpc.NewServer(options...), listener: &counted{Listener: l}, served: make(chan struct{})}
	monitoringpb.RegisterMetricServiceServer(s.grpc, s)
	go func() {
		defer close(s.served)
		_ = s.grpc.Serve(s.listener) //nolint:errcheck // it ends when it is stopped
	}()
	return s, nil
}

// Stop ends the server and its connections.
func (s *Server) Stop() {
	s.grpc.Stop()
	<-s.served
}

// Addr is where the server listens, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// counted counts connections.
type counted struct {
	net.Listener
	mu sync.Mutex
	n  int
}

// Accept implements net.Listener.
func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		c.n++
		c.mu.Unlock()
	}
	return conn, err
}

// Connections is how many connections were made so far.
func (s *Server) Connections() int {
	s.listener.mu.Lock()
	defer s.listener.mu.Unlock()
	return s.listener.n
}

// Requests returns the requests since the last call.
func (s *Server) Requests() []*monitoringpb.ListTimeSeriesRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// Fail answers the next calls with errors, one each.
func (s *Server) Fail(errs ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, errs...)
}

// Hang lets calls wait for their end from now on, or no longer.
func (s *Server) Hang(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = on
}

// Put adds a time series with its points, newest first. The resource's label
// project_id says whose it is.
func (s *Server) Put(series *monitoringpb.TimeSeries) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.series = append(s.series, &entry{series: series})
}

// PutLive adds a gauge whose newest value, of this second, is what read returns.
func (s *Server) PutLive(series *monitoringpb.TimeSeries, read func() int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.series = append(s.series, &entry{series, read})
}

// Series makes a gauge of a Pub/Sub subscription or topic: name is
// projects/P/subscriptions/ID or projects/P/topics/ID. Ages are those of the
// values, in order.
func Series(name, metricType string, value *monitoringpb.TypedValue, ages ...time.Duration) *monitoringpb.TimeSeries {
	parts := strings.Split(name, "/")
	kind := strings.TrimSuffix(parts[2], "s")
	out := &monitoringpb.TimeSeries{
		Metric: &metric.Metric{Type: "pubsub.googleapis.com/" + kind + "/" + metricType}, MetricKind: metric.MetricDescriptor_GAUGE,
		Resource: &monitoredres.MonitoredResource{
			Type:   "pubsub_" + kind,
			Labels: map[string]string{"project_id": parts[1], kind + "_id": parts[3]},
		},
	}
	for _, age := range ages {
		end := timestamppb.New(time.Now().Add(-age))
		out.Points = append(out.Points, &monitoringpb.Point{Interval: &monitoringpb.TimeInterval{StartTime: end, EndTime: end}, Value: value})
	}
	return out
}

// Int is a whole number.
func Int(n int64) *monitoringpb.TypedValue {
	return &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_Int64Value{Int64Value: n}}
}

// Double is a real number.
func Double(f float64) *monitoringpb.TypedValue {
	return &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_DoubleValue{DoubleValue: f}}
}

// ListTimeSeries implements the service.
func (s *Server) ListTimeSeries(ctx context.Context, r *monitoringpb.ListTimeSeriesRequest) (*monitoringpb.ListTimeSeriesResponse, error) {
	if err := s.arrived(ctx, r); err != nil {
		return nil, err
	}
	if err := s.authorized(ctx); err != nil {
		return nil, err
	}
	project, ok := strings.CutPrefix(r.GetName(), "projects/")
	if !ok || r.GetInterval().GetEndTime() == nil {
		return nil, status.Error(codes.InvalidArgument, "name and interval.end_time are required")
	}
	match, err := parseFilter(r.GetFilter())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "Field filter had an invalid value: %v", err)
	}
	known, selected := s.choose(project, match, r.GetInterval())
	if !known {
		return nil, status.Error(codes.NotFound, "Cannot find metric(s) that match type.")
	}
	if selected, err = aggregate(selected, r.GetAggregation(), r.GetInterval()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return page(selected, int(r.GetPageSize()), r.GetPageToken())
}

// arrived notes a request, and gives the fault that is to answer it.
func (s *Server) arrived(ctx context.Context, r *monitoringpb.ListTimeSeriesRequest) error {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	hang := s.hang
	var fault error
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	return fault
}

// authorized asks for a token over TLS, and for none without.
func (s *Server) authorized(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	given := md.Get("authorization")
	switch {
	case s.options.TLS == nil && len(given) > 0:
		return status.Error(codes.InvalidArgument, "a token was sent in plain text")
	case s.options.TLS == nil:
		return nil
	case len(given) != 1:
		return status.Error(codes.Unauthenticated, "Request is missing required authentication credential.")
	}
	if s.options.Echo {
		return status.Error(codes.DataLoss, "you sent "+given[0])
	}
	token, ok := strings.CutPrefix(given[0], "Bearer ")
	if !ok || s.options.Key != nil && !signed(token, s.options.Key) {
		return status.Error(codes.Unauthenticated, "Request had invalid authentication credentials.")
	}
	return nil
}

// choose returns the series that match, with their points in the interval, and
// whether the metric type is known.
func (s *Server) choose(project string, match filter, in *monitoringpb.TimeInterval) (known bool, out []*monitoringpb.TimeSeries) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.series {
		if match.metric != e.series.GetMetric().GetType() {
			continue
		}
		known = true
		series := e.inside(in)
		if e.series.GetResource().GetLabels()["project_id"] == project && match.takes(e.series) && len(series.GetPoints()) > 0 {
			out = append(out, series)
		}
	}
	return known, out
}

// inside copies the series with its points in the interval.
func (e *entry) inside(in *monitoringpb.TimeInterval) *monitoringpb.TimeSeries {
	points := e.series.GetPoints()
	if e.live != nil {
		now := timestamppb.New(in.GetEndTime().AsTime().Truncate(time.Second))
		points = []*monitoringpb.Point{{Interval: &monitoringpb.TimeInterval{StartTime: now, EndTime: now}, Value: Int(e.live())}}
	}
	points = slices.DeleteFunc(slices.Clone(points), func(p *monitoringpb.Point) bool {
		end := p.GetInterval().GetEndTime().AsTime()
		return !end.After(in.GetStartTime().AsTime()) || end.After(in.GetEndTime().AsTime())
	})
	return &monitoringpb.TimeSeries{
		Metric: e.series.GetMetric(), Resource: e.series.GetResource(), MetricKind: e.series.GetMetricKind(),
		ValueType: e.series.GetValueType(), Points: points,
	}
}
