package liiklus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"google.golang.org/grpc"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/grpcx"
	pb "github.com/weir-sh/weir/pkg/scalers/liiklus/liikluspb"
)

// source is an open connection to one server.
type source struct {
	conn   *grpc.ClientConn
	client pb.LiiklusServiceClient
	// calls makes one call each. A call is a topic whose end is asked for when it
	// has no group, else what a group has committed.
	calls scalers.Source[*call]
	where string
}

// call is one call and its answer.
type call struct {
	committed
	end     bool // of the topic; else what the group has committed
	offsets map[uint32]uint64
}

// open prepares the connection. It is made with the first Fetch.
func open(env scalers.Env, s settings) (*source, error) {
	conn, err := grpcx.Connect(env, s.address, nil)
	if err != nil {
		return nil, err
	}
	src := &source{conn: conn, client: pb.NewLiiklusServiceClient(conn), where: s.address}
	src.calls = scalers.Each(grpcx.InFlight, src.call, nil)
	return src, nil
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	var calls []*call
	ends, commits := map[string]int{}, map[committed]int{}
	for _, q := range queries {
		if _, known := ends[q.topic]; !known {
			ends[q.topic] = len(calls)
			calls = append(calls, &call{committed: committed{topic: q.topic}, end: true})
		}
		if _, known := commits[q.committed]; !known {
			commits[q.committed] = len(calls)
			calls = append(calls, &call{committed: q.committed})
		}
	}
	outcomes, err := s.calls.Fetch(ctx, calls)
	if err != nil {
		return nil, &scalers.Error{Kind: scalers.Unreachable, Op: "asking Liiklus at " + s.where, Err: err}
	}
	if err := grpcx.Lost(outcomes); err != nil {
		return nil, err
	}
	readings := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		end, commit := ends[q.topic], commits[q.committed]
		if readings[i].Err = cmp.Or(outcomes[end].Err, outcomes[commit].Err); readings[i].Err != nil {
			continue
		}
		readings[i] = scalers.Reading{
			Value: behind(calls[end].offsets, calls[commit].offsets, q.cap),
			// So does a server answer that has lost sight of the topic.
			FalseZero: len(calls[end].offsets) == 0,
		}
	}
	return readings, nil
}

// call makes one call. Only the error of the reading counts.
func (s *source) call(ctx context.Context, c *call) scalers.Reading {
	if c.end {
		answer, err := s.client.GetEndOffsets(ctx, &pb.GetEndOffsetsRequest{Topic: c.topic})
		c.offsets = answer.GetOffsets()
		return s.outcome(fmt.Sprintf("asking Liiklus at %s for the end of topic %q", s.where, c.topic), err)
	}
	answer, err := s.client.GetOffsets(ctx, &pb.GetOffsetsRequest{Topic: c.topic, Group: c.group, GroupVersion: uint32(c.version)})
	c.offsets = answer.GetOffsets()
	return s.outcome(fmt.Sprintf("asking Liiklus at %s for what group %q has committed of topic %q", s.where, c.group, c.topic), err)
}

func (s *source) outcome(op string, err error) scalers.Reading {
	if err == nil {
		return scalers.Reading{}
	}
	err = grpcx.Failed(op, err, nil)
	if e, ok := errors.AsType[*scalers.Error](err); ok && e.Kind == scalers.Unreachable {
		e.Hint = "check that the server runs and that address is right"
	}
	return scalers.Reading{Err: err}
}

// behind adds up what has not been committed. Where the sum divided by limit,
// rounded down, is above the number of partitions, limit times that number is
// told. A limit of zero or less is none.
func behind(ends, commits map[uint32]uint64, limit int64) float64 {
	total := uint64(0)
	for partition, end := range ends {
		lag := end - min(commits[partition], end)
		total += min(lag, math.MaxUint64-total)
	}
	if n := uint64(len(ends)); limit > 0 && total/uint64(limit) > n {
		total = uint64(limit) * n
	}
	return float64(total)
}

// Close implements scalers.Source.
func (s *source) Close() error { return s.conn.Close() }
