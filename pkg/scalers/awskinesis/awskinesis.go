// Package awskinesis scales on the open shards of Amazon Kinesis data streams,
// as told by DescribeStreamSummary.
//
// The number of shards changes when a stream is resharded, not with its load:
// one shard is read by one consumer, so the workload follows the stream's size.
package awskinesis

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the aws-kinesis-stream scaler type.
var Scaler = scalers.Define(scalers.Spec[awsauth.Settings, stream]{
	Type:       "aws-kinesis-stream",
	Summary:    "Scales on the number of open shards of an Amazon Kinesis data stream.",
	Unit:       "shards",
	Target:     scalers.Target{Param: "shardCount", Activation: "activationShardCount", Default: 2, Whole: true},
	Settings:   func(s *awsauth.Settings, p *param.Set) { s.Bind(p, awsauth.Options{Endpoint: "kinesis"}) },
	Query:      (*stream).bind,
	MetricName: func(_ awsauth.Settings, q stream) string { return "aws-kinesis-" + q.name },
	Open:       open,
	PerQuery:   true,
	Page:       page(),
	Examples:   examples(),
})

type stream struct{ name string }

func (q *stream) bind(p *param.Set) {
	p.String(&q.name, "streamName", "Name of the stream.", param.Required)
}

// parallel is how many requests run at a time. Few, since an account may make 20
// a second in a region.
const parallel = 2

func open(ctx context.Context, env scalers.Env, s awsauth.Settings) (scalers.Source[stream], error) {
	cfg, closeAll, err := s.Connect(ctx, env, parallel)
	if err != nil {
		return nil, err
	}
	return awsauth.Each(cfg, parallel, upstream{kinesis.NewFromConfig(cfg)}.measure, closeAll), nil
}

type upstream struct{ client *kinesis.Client }

// measure asks for one stream.
func (u upstream) measure(ctx context.Context, q stream) scalers.Reading {
	op := fmt.Sprintf("measuring stream %q", q.name)
	out, err := u.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(q.name)})
	if err != nil {
		return scalers.Reading{Err: failed(op, err)}
	}
	if out.StreamDescriptionSummary == nil || out.StreamDescriptionSummary.OpenShardCount == nil {
		return scalers.Reading{Err: &scalers.Error{
			Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer has no number of open shards"), Hint: "check that the endpoint is Kinesis",
		}}
	}
	return scalers.Reading{Value: float64(max(0, *out.StreamDescriptionSummary.OpenShardCount))}
}

func failed(op string, err error) error {
	e := awsauth.Failed(op, err, "kinesis:DescribeStreamSummary on the stream")
	if e.Kind == scalers.NotFound {
		e.Err, e.Hint = errors.New("the stream does not exist"), "check the stream's name and the region, or create the stream"
	}
	return e
}
