//go:build integration

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/weir-sh/weir/internal/brokers/fauxqs"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/awssqs"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

const region = "eu-west-1"

// amazon is a server and a client of it.
type amazon struct {
	*sqs.Client
	url string
}

func startSQS(t *testing.T) amazon {
	t.Helper()
	s, err := fauxqs.Start(within(t, started))
	s = run(t, s, err)
	return amazon{sqs.New(sqs.Options{
		Region: region, BaseEndpoint: aws.String(s.URL()), HTTPClient: client(t), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AK", "SK", ""),
	}), s.URL()}
}

// queue makes a queue and returns its URL as the server tells it.
func (a amazon) queue(ctx context.Context, t *testing.T, name string, visible, delayed int) *string {
	t.Helper()
	q, err := a.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	for i := range visible + delayed {
		m := &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("hello")}
		if i >= visible {
			m.DelaySeconds = 900
		}
		if _, err := a.SendMessage(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	return q.QueueUrl
}

// at are the values of a trigger.
func (a amazon) at(queue string, metadata ...string) param.Values {
	return with(param.Values{
		Metadata: meta("queueURL", queue, "awsRegion", region, "awsEndpoint", a.url),
		Auth:     meta("awsAccessKeyID", "AK", "awsSecretAccessKey", "SK"),
	}, metadata...)
}

func TestFauxqs(t *testing.T) {
	a := startSQS(t)
	ctx := within(t, soon)
	url := a.queue(ctx, t, "orders", 8, 2)
	orders := aws.ToString(url)
	empty := aws.ToString(a.queue(ctx, t, "empty", 0, 0))
	received, err := a.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 3, VisibilityTimeout: 900})
	if err != nil || len(received.Messages) != 3 {
		t.Fatalf("receiving: %d messages, %v", len(received.Messages), err)
	}
	scalertest.Run(t, awssqs.Scaler, []scalertest.Case{
		{Name: "messages that wait or are in flight", Values: a.at(orders), Want: 8, MetricName: "s0-aws-sqs-orders"},
		{Name: "messages that wait", Values: a.at(orders, "scaleOnInFlight", "false"), Want: 5},
		{Name: "messages that wait or are delayed", Values: a.at(orders, "scaleOnInFlight", "false", "scaleOnDelayed", "true"), Want: 7},
		{Name: "all messages", Values: a.at(orders, "scaleOnDelayed", "true"), Want: 10},
		{Name: "an empty queue", Values: a.at(empty)},
		{
			Name: "a missing queue", Values: a.at(a.url + "/000000000000/none"), Kind: scalers.NotFound,
			Err: `measuring queue "none": the queue does not exist; check the queue's name, its account and the region, or create the queue`,
		},
	})

	// What was handled counts no more.
	trigger := parse(t, awssqs.Scaler, a.at(orders))
	if _, err := a.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: received.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	if got := value(t, trigger); got != 7 {
		t.Errorf("a message was deleted: got %v, want 7", got)
	}
}

func TestManyQueuesOfFauxqs(t *testing.T) {
	const n = 100
	a := startSQS(t)
	ctx := within(t, soon)
	var triggers []scalers.Trigger
	for i := range n {
		address := a.url + "/000000000000/none"
		if i != n/2 {
			address = aws.ToString(a.queue(ctx, t, fmt.Sprint("q", i), i%5, 0))
		}
		triggers = append(triggers, parse(t, awssqs.Scaler, a.at(address)))
	}
	conn := open(t, triggers[0])
	began := time.Now()
	for i, r := range measure(t, conn, triggers...) {
		switch {
		case i == n/2 && scalers.KindOf(r.Err) != scalers.NotFound:
			t.Errorf("the missing queue gave %v, %v", r.Value, r.Err)
		case i != n/2 && (r.Err != nil || r.Value != float64(i%5)):
			t.Errorf("queue %d gave %v, %v, want %d", i, r.Value, r.Err, i%5)
		}
	}
	t.Logf("%d queues in %v", n, time.Since(began))
}
