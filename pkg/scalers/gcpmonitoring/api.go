package gcpmonitoring

import (
	"context"
	"errors"
	"io"
	"time"

	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weir-sh/weir/pkg/cloud/gcpauth"
	"github.com/weir-sh/weir/pkg/scalers"
)

// atOnce is how many calls of one source run at a time, over one connection.
const atOnce = 8

// api is Cloud Monitoring under one identity. It is safe for use by several
// goroutines.
type api struct {
	credentials *gcpauth.Credentials
	client      *monitoring.MetricClient
	conn        io.Closer
}

// open makes the connection, which connects when it is first used.
func (s settings) open(ctx context.Context, env scalers.Env) (*api, error) {
	credentials, err := s.auth.Open(ctx, env, gcpauth.ReadMetrics)
	if err != nil {
		return nil, err
	}
	conn, err := credentials.Dial(env, s.endpoint)
	if err != nil {
		return nil, err
	}
	// The connection is ours, so that the library neither looks for credentials
	// nor connects by itself.
	client, err := monitoring.NewMetricClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		return nil, errors.Join(&scalers.Error{Kind: scalers.Unreachable, Op: "preparing the Cloud Monitoring client", Err: err}, conn.Close())
	}
	client.CallOptions.ListTimeSeries = nil // no retries: the engine backs off
	return &api{credentials, client, conn}, nil
}

// close ends the connection.
func (a *api) close() error { return a.conn.Close() }

// request is one ListTimeSeries call.
type request struct {
	op          string // for errors: what is tried
	project     string
	filter      string
	span        time.Duration // how far back; > 0
	aggregation *monitoringpb.Aggregation
}

// most bounds what one request reads, so that an endpoint that never stops
// sending is given up.
const most = 1 << 20

// list reads time series and hands them to each, until it returns false. Points
// are newest first. Size is the most points of one page; zero leaves it to the
// server.
func (a *api) list(ctx context.Context, r request, size int32, each func(*monitoringpb.TimeSeries) bool) error {
	now := time.Now()
	it := a.client.ListTimeSeries(ctx, &monitoringpb.ListTimeSeriesRequest{
		Name: "projects/" + r.project, Filter: r.filter, Aggregation: r.aggregation, PageSize: size,
		Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(now.Add(-r.span)), EndTime: timestamppb.New(now)},
	})
	for range most {
		series, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return a.credentials.Failed(ctx, r.op, "grant the account the role roles/monitoring.viewer on the project", err)
		}
		if !each(series) {
			return nil
		}
	}
	return &scalers.Error{Kind: scalers.BadAnswer, Op: r.op, Err: errors.New("the answer has no end")}
}
