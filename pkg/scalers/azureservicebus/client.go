package azureservicebus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// pageSize is the most entities that the service puts on a page of a list.
	pageSize = 100
	// parallel is how many requests run at a time.
	parallel = 8
	// maxPages bounds a list: a namespace has at most 10,000 entities.
	maxPages = 1000

	opening    = "opening the namespace"
	permission = "use a key with the claim Manage, or give the identity the role Azure Service Bus Data Owner"
)

// client asks one namespace. It is safe for use by several goroutines.
type client struct {
	admin *admin.Client
	carry *carrier
}

func newClient(env scalers.Env, s settings) (*client, error) {
	carry := &carrier{Transport: azureauth.NewTransport(env, parallel)}
	options := &admin.ClientOptions{ClientOptions: carry.Options(env)}
	options.Transport = carry
	if s.identity.IsZero() {
		carry.emulator, _ = endpoint(s.connection)
		made, err := admin.NewClientFromConnectionString(s.connection.Reveal(), options)
		if err != nil { // it may quote the string
			return nil, &scalers.Error{
				Kind: scalers.Invalid, Op: opening, Err: errors.New("the connection string cannot be used"),
				Hint: `give "Endpoint=sb://...;SharedAccessKeyName=...;SharedAccessKey=..." as the portal shows it`,
			}
		}
		return &client{made, carry}, nil
	}
	err := s.identity.MayReach(s.host, azureauth.Everywhere(func(c azureauth.Cloud) string { return c.ServiceBus })...)
	if err != nil {
		return nil, err
	}
	if carry.credential, err = s.identity.Credential(env); err != nil {
		return nil, azureauth.Failed(opening, err)
	}
	made, err := admin.NewClient(s.host, nobody{}, options)
	if err != nil {
		return nil, azureauth.Failed(opening, err)
	}
	return &client{made, carry}, nil
}

// read returns the active messages of one entity.
func (c *client) read(ctx context.Context, q query) (count int32, err error) {
	defer contain(q.op(), &err)
	found := false
	if q.topic == "" {
		var r *admin.GetQueueRuntimePropertiesResponse
		if r, err = c.admin.GetQueueRuntimeProperties(ctx, escape(q.name), nil); r != nil {
			count, found = r.ActiveMessageCount, true
		}
	} else {
		var r *admin.GetSubscriptionRuntimePropertiesResponse
		if r, err = c.admin.GetSubscriptionRuntimeProperties(ctx, escape(q.topic), escape(q.name), nil); r != nil {
			count, found = r.ActiveMessageCount, true
		}
	}
	switch {
	case err != nil:
		return 0, failed(q.op(), err)
	case !found:
		return 0, &scalers.Error{Kind: scalers.NotFound, Op: q.op(), Err: errors.New("it does not exist in this namespace")}
	}
	return max(0, count), nil
}

// topic reports whether a topic exists.
func (c *client) topic(ctx context.Context, name string) (exists bool, err error) {
	op := fmt.Sprintf("looking for topic %q", scalers.Excerpt(name))
	defer contain(op, &err)
	r, err := c.admin.GetTopicRuntimeProperties(ctx, escape(name), nil)
	if err != nil {
		return false, failed(op, err)
	}
	return r != nil, nil
}

// entity is a queue or subscription of a list.
type entity struct {
	name   string
	active int32
}

// pages calls yield with the pages of a list, the subscriptions of a topic or all
// queues, until it returns false.
func (c *client) pages(ctx context.Context, topic string, yield func([]entity) bool) (err error) {
	op := "listing the queues"
	next := c.queues()
	if topic != "" {
		op = fmt.Sprintf("listing the subscriptions of topic %q", scalers.Excerpt(topic))
		next = c.subscriptions(topic)
	}
	defer contain(op, &err)
	for range maxPages {
		page, more, err := next(ctx)
		if err != nil {
			return failed(op, err)
		}
		if !yield(page) || !more {
			return nil
		}
	}
	return &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: fmt.Errorf("the list does not end within %d pages", maxPages)}
}

// turn returns the next page, and whether there are more.
type turn func(context.Context) ([]entity, bool, error)

func (c *client) queues() turn {
	// Without a page size the client cannot tell which page is the last.
	pager := c.admin.NewListQueuesRuntimePropertiesPager(&admin.ListQueuesRuntimePropertiesOptions{MaxPageSize: pageSize})
	return func(ctx context.Context) ([]entity, bool, error) {
		page, err := pager.NextPage(ctx)
		out := make([]entity, len(page.QueueRuntimeProperties))
		for i, q := range page.QueueRuntimeProperties {
			out[i] = entity{q.QueueName, max(0, q.ActiveMessageCount)}
		}
		return out, pager.More(), err
	}
}

func (c *client) subscriptions(topic string) turn {
	pager := c.admin.NewListSubscriptionsRuntimePropertiesPager(escape(topic), &admin.ListSubscriptionsRuntimePropertiesOptions{MaxPageSize: pageSize})
	return func(ctx context.Context) ([]entity, bool, error) {
		page, err := pager.NextPage(ctx)
		out := make([]entity, len(page.SubscriptionRuntimeProperties))
		for i, s := range page.SubscriptionRuntimeProperties {
			out[i] = entity{s.SubscriptionName, max(0, s.ActiveMessageCount)}
		}
		return out, pager.More(), err
	}
}

// contain makes an error of a panic: the SDK takes some documents for complete
// that are not.
func contain(op string, err *error) {
	if recover() != nil {
		*err = &scalers.Error{
			Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer is not what Service Bus sends"),
			Hint: "check that the endpoint is a Service Bus namespace's",
		}
	}
}

// failed is azureauth.Failed with what helps here.
func failed(op string, err error) error {
	err = azureauth.Failed(op, err)
	if e, ok := errors.AsType[*scalers.Error](err); ok && e.Hint == "" {
		switch e.Kind {
		case scalers.Unauthorized:
			e.Hint = permission
		case scalers.BadAnswer:
			e.Hint = "check that the endpoint is a Service Bus namespace's, and that a queue is not a topic"
		default:
		}
	}
	return err
}

// escape makes a name fit for the path that the SDK puts it into as it is. Names
// may hold slashes.
func escape(name string) string { return strings.ReplaceAll(url.PathEscape(name), "%2F", "/") }

// carrier carries requests. It puts the identity's token on them, since the SDK
// would ask for tokens without the request's context.
type carrier struct {
	*azureauth.Transport
	emulator   string                 // host that is spoken to in plain HTTP; empty for none
	credential azcore.TokenCredential // nil when the SDK signs
}

// Do implements policy.Transporter.
func (c *carrier) Do(req *http.Request) (*http.Response, error) {
	if c.emulator != "" {
		req.URL.Scheme = "http"
	}
	if c.credential != nil {
		token, err := c.credential.GetToken(req.Context(), policy.TokenRequestOptions{Scopes: []string{"https://servicebus.azure.net//.default"}})
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", token.Token)
	}
	return c.Transport.Do(req)
}

// nobody is the credential of a client whose carrier has the real one.
type nobody struct{}

// GetToken implements azcore.TokenCredential.
func (nobody) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, nil
}
