// Package azureeventhub scales on the events of an Azure Event Hub that a
// consumer group has not processed yet: the newest sequence number of each
// partition, less the checkpoint that the consumers keep in a storage container.
//
// The SDK connects to each hub by itself. All partitions of a hub are asked for
// on its one connection, for all consumer groups together; the checkpoints of
// all groups come in listings.
package azureeventhub

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the scaler of this package.
var Scaler = scalers.Define(scalers.Spec[settings, query]{
	Type:       "azure-eventhub",
	Summary:    "Scales on the events of an Azure Event Hub that a consumer group has not processed yet.",
	Unit:       "events",
	Settings:   func(s *settings, p *param.Set) { s.bind(p) },
	Query:      (*query).bind,
	Thresholds: (*query).thresholds,
	MetricName: func(_ settings, q query) string { return "azure-eventhub-" + q.group },
	Open:       open,
	Page:       page(),
	Examples:   examples(),
})

// open prepares clients. Nothing is sent: the SDK connects to a hub, and which
// hubs there are is told by the queries.
func open(_ context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
	const op = "connecting to Event Hubs"
	if s.provider != "" {
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: op, Err: errors.New("the pod identity cannot be used here"),
			Hint: "set podIdentity azure-workload, or give connection strings",
		}
	}
	d, err := s.dialer(env)
	if err != nil {
		return nil, err
	}
	storage, err := s.storage.Open(env, azstorage.Blob, blobsAtOnce)
	if err != nil {
		return nil, err
	}
	blobs, err := azstorage.NewBlobs(storage)
	if err != nil {
		return nil, err
	}
	return &source{
		namespace: s.namespaceOf(), open: d.hub, hubs: map[string]*hub{},
		checkpoints: newCheckpoints(blobs), storage: storage,
	}, nil
}

// dialer makes the hubs of a namespace.
type dialer struct {
	env        scalers.Env
	host       string // of the namespace, perhaps with a port
	address    string // to connect to
	tls        *tls.Config
	connection param.Secret
	credential azcore.TokenCredential // nil with a connection string
}

// dialer finds out how to connect. The errors are of kind Invalid.
func (s settings) dialer(env scalers.Env) (*dialer, error) {
	d := &dialer{env: env, host: s.host, connection: s.connection}
	emulator := false
	if s.identity.IsZero() {
		parsed, ok := parseConnection(s.connection)
		if !ok {
			return nil, &scalers.Error{
				Kind: scalers.Invalid, Op: "reading the Event Hubs connection string",
				Err:  errors.New("it lacks Endpoint, SharedAccessKeyName with SharedAccessKey, or SharedAccessSignature"),
				Hint: "copy it from the namespace's shared access policies",
			}
		}
		emulator = parsed.Emulator
	}
	u, err := url.Parse("https://" + d.host + "/")
	if err != nil || u.Host != d.host || u.Hostname() == "" {
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: "finding the Event Hubs namespace", Err: errors.New("its name makes no host name"),
			Hint: "correct the connection string's Endpoint, or eventHubNamespace and the suffix of the cloud",
		}
	}
	port := u.Port()
	switch {
	case port == "" && emulator:
		port = "5672"
	case port == "":
		port = "5671"
	}
	d.address = net.JoinHostPort(u.Hostname(), port)
	if !emulator {
		d.tls = &tls.Config{RootCAs: env.RootCAs, MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	}
	if s.identity.IsZero() {
		return d, nil
	}
	if err := s.identity.MayReach(u.Hostname(), azureauth.Everywhere(func(c azureauth.Cloud) string { return c.ServiceBus })...); err != nil {
		return nil, err
	}
	d.credential, err = s.identity.Credential(env)
	return d, err
}

// hub makes a hub that connects when it is asked for the first time.
func (d *dialer) hub(name string) (*hub, error) {
	h := &hub{name: name, line: &line{reach: d.env.Dial, address: d.address, tls: d.tls, conns: map[*tracked]struct{}{}}}
	options := &azeventhubs.ProducerClientOptions{
		ApplicationID:    d.env.ClientName,
		NewWebSocketConn: h.line.connect,
		RetryOptions:     azeventhubs.RetryOptions{MaxRetries: -1}, // hub.read does what is worth it
	}
	var err error
	if d.credential != nil {
		h.tokens = newTokens(d.credential)
		h.client, err = azeventhubs.NewProducerClient(d.host, name, h.tokens, options)
	} else {
		h.client, err = azeventhubs.NewProducerClientFromConnectionString(d.connection.Reveal(), name, options)
	}
	if err != nil || strings.TrimSpace(name) == "" {
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: h.op(), Err: errors.New("the client refuses the connection string or the name"),
			Hint: "check the connection string and eventHubName",
		}
	}
	return h, nil
}
