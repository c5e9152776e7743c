package azurestorage

import (
	"context"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// parallel is how many requests of one source run at a time.
const parallel = 16

// peekMost is the most messages that one request may look at.
const peekMost = 32

// queueQuery is a queue, and which of its messages count.
type queueQuery struct {
	name        string
	visibleOnly bool
}

func (q *queueQuery) bind(p *param.Set) {
	strategy := "all"
	p.String(&q.name, "queueName", "Queue to measure.", param.Required)
	p.String(&strategy, "queueLengthStrategy",
		"Which messages count: `all`, or `visibleonly`, those that can be received now. With 32 visible ones or more, all are counted in either case.",
		param.OneOf("all", "visibleonly"))
	p.Check(func() error {
		q.visibleOnly = strategy == "visibleonly"
		return nil
	}, "queueLengthStrategy")
}

// queues measures queues of one account.
type queues struct{ service *azqueue.ServiceClient }

func newQueues(c *azstorage.Client) (queues, error) {
	options := &azqueue.ClientOptions{ClientOptions: c.Options}
	var s *azqueue.ServiceClient
	var err error
	switch {
	case c.Credential != nil:
		s, err = azqueue.NewServiceClient(c.URL, c.Credential, options)
	case c.Key != "":
		var key *azqueue.SharedKeyCredential
		if key, err = azqueue.NewSharedKeyCredential(c.Account, c.Key); err == nil {
			s, err = azqueue.NewServiceClientWithSharedKeyCredential(c.URL, key, options)
		}
	default:
		s, err = azqueue.NewServiceClientWithNoCredential(c.URL, options)
	}
	if err != nil {
		return queues{}, azstorage.Failed("preparing the queue client", err)
	}
	return queues{s}, nil
}

// measure counts the messages of one queue. The service's count is approximate,
// so that a zero is asked for again.
func (s queues) measure(ctx context.Context, q queueQuery) scalers.Reading {
	n, err := s.count(ctx, q)
	if err != nil {
		return scalers.Reading{Err: azstorage.Failed("measuring queue \""+q.name+"\"", err)}
	}
	return scalers.Reading{Value: float64(n), FalseZero: n == 0}
}

func (s queues) count(ctx context.Context, q queueQuery) (int64, error) {
	client := s.service.NewQueueClient(q.name)
	if q.visibleOnly {
		most := int32(peekMost)
		seen, err := client.PeekMessages(ctx, &azqueue.PeekMessagesOptions{NumberOfMessages: &most})
		switch {
		case err != nil:
			return 0, err
		case seen.Version == nil: // the SDK takes any other document for no messages
			return 0, notTheService("looking at the queue's messages")
		case len(seen.Messages) < peekMost:
			return int64(len(seen.Messages)), nil
		}
	}
	properties, err := client.GetProperties(ctx, nil)
	if err != nil {
		return 0, err
	}
	if n := properties.ApproximateMessagesCount; n != nil && *n >= 0 {
		return *n, nil
	}
	return 0, notTheService("reading the queue's metadata")
}

// notTheService is the error of an answer that lacks what the service always
// says.
func notTheService(op string) error {
	return &scalers.Error{
		Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer is not one of the queue service"),
		Hint: "check that the address is the account's and not a proxy's",
	}
}
