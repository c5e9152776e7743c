// Package awssqs scales on the messages of Amazon SQS queues, as told by
// GetQueueAttributes.
//
// SQS has no call that measures several queues. The requests of one identity in
// one region share a client; AWS asking for less slows all of them down.
package awssqs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the aws-sqs-queue scaler type.
var Scaler = scalers.Define(scalers.Spec[awsauth.Settings, queue]{
	Type:       "aws-sqs-queue",
	Summary:    "Scales on the number of messages in an Amazon SQS queue.",
	Unit:       "messages",
	Target:     scalers.Target{Param: "queueLength", Activation: "activationQueueLength", Default: 5, Whole: true},
	Settings:   func(s *awsauth.Settings, p *param.Set) { s.Bind(p, awsauth.Options{Endpoint: "sqs"}) },
	Query:      (*queue).bind,
	MetricName: func(_ awsauth.Settings, q queue) string { return "aws-sqs-" + q.name },
	Open:       open,
	PerQuery:   true,
	Page:       page(),
	Examples:   examples(),
})

// queue is what to count of which queue.
type queue struct {
	address           string // URL or name, as SQS is asked for it
	name              string // the last part of address
	inFlight, delayed bool
}

func (q *queue) bind(p *param.Set) {
	q.inFlight = true
	p.String(&q.address, "queueURL", "URL of the queue, or its name when it is in the account of the identity.", param.Required, param.From(param.Metadata, param.Env))
	p.Bool(&q.inFlight, "scaleOnInFlight", "Also count messages that a consumer has received and not deleted yet.")
	p.Bool(&q.delayed, "scaleOnDelayed", "Also count messages that are delayed and cannot be received yet.")
	p.Check(func() error {
		name, ok := nameOf(q.address)
		if !ok {
			return param.Wrong("queueURL", "must be a queue's name, or a URL whose path is the account and the queue, such as https://sqs.eu-west-1.amazonaws.com/111122223333/orders")
		}
		q.name = name
		return nil
	}, "queueURL")
}

// nameOf returns the name in a URL whose path is "/account/name", or the address
// when it is no URL.
func nameOf(address string) (name string, ok bool) {
	u, err := url.ParseRequestURI(address)
	if err != nil {
		return address, true
	}
	parts := strings.Split(u.Path, "/")
	if len(parts) != 3 || parts[2] == "" {
		return "", false
	}
	return parts[2], true
}

// parallel is how many requests run at a time, each on a connection that stays
// open. At 20 ms each they are 800 a second.
const parallel = 16

func open(ctx context.Context, env scalers.Env, s awsauth.Settings) (scalers.Source[queue], error) {
	cfg, closeAll, err := s.Connect(ctx, env, parallel)
	if err != nil {
		return nil, err
	}
	return awsauth.Each(cfg, parallel, upstream{sqs.NewFromConfig(cfg)}.measure, closeAll), nil
}

type upstream struct{ client *sqs.Client }

// measure asks for one queue.
func (u upstream) measure(ctx context.Context, q queue) scalers.Reading {
	names := q.attributes()
	op := fmt.Sprintf("measuring queue %q", q.name)
	out, err := u.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(q.address), AttributeNames: names})
	if err != nil {
		return scalers.Reading{Err: failed(op, err)}
	}
	sum := int64(0)
	for _, name := range names {
		n, err := strconv.ParseInt(out.Attributes[string(name)], 10, 64)
		if err != nil {
			return scalers.Reading{Err: &scalers.Error{
				Kind: scalers.BadAnswer, Op: op, Err: fmt.Errorf("the answer has no number for %s", name), Hint: "check that the endpoint is SQS",
			}}
		}
		sum += n
	}
	// The counts may lag behind for a minute: a zero is not the last word.
	return scalers.Reading{Value: float64(max(0, sum)), FalseZero: true}
}

// attributes are the counts to ask for.
func (q queue) attributes() []types.QueueAttributeName {
	names := []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages}
	if q.inFlight {
		names = append(names, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
	}
	if q.delayed {
		names = append(names, types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	}
	return names
}

func failed(op string, err error) error {
	e := awsauth.Failed(op, err, "sqs:GetQueueAttributes on the queue")
	if e.Kind == scalers.NotFound {
		e.Err, e.Hint = errors.New("the queue does not exist"), "check the queue's name, its account and the region, or create the queue"
	}
	return e
}
