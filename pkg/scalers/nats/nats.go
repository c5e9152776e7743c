// Package nats scales on the messages that a NATS JetStream consumer has yet to
// handle, read from the monitoring port of the servers.
//
// A source is one server or cluster. All consumers of an account that one server
// leads are read with one request; where JetStream is a cluster, each consumer is
// read from the server that leads it, since the others lag behind.
package nats

import (
	"context"
	"net"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the nats-jetstream scaler type.
var Scaler = scalers.Define(scalers.Spec[settings, consumer]{
	Type:     "nats-jetstream",
	Summary:  "Scales on the messages that a NATS JetStream consumer has yet to deliver or to see acknowledged.",
	Unit:     "messages",
	Settings: (*settings).bind,
	Query:    (*consumer).bind,
	Target:   scalers.Target{Param: "lagThreshold", Default: 10, Activation: "activationLagThreshold", Whole: true},
	MetricName: func(_ settings, c consumer) string {
		return "nats-jetstream-" + c.stream
	},
	Open: func(_ context.Context, env scalers.Env, s settings) (scalers.Source[consumer], error) {
		return open(env, s)
	},
	Page:     page(),
	Examples: examples(),
})

func page() scalers.Page {
	return scalers.Page{
		Measures: "The consumer's messages that were not delivered yet, plus those that were delivered and not acknowledged (`num_pending` and `num_ack_pending`).\n\n" +
			"In a cluster the number is taken from the server that leads the consumer. The servers are found through `/varz` of the endpoint: those that it advertises to clients, on the endpoint's port; where it advertises none, the first label of each of its cluster routes, before the endpoint's host name, as a headless Service of Kubernetes gives them names.",
		Permissions: "None: the monitoring port has no login. It shows much of the server to whoever reaches it, so keep it inside the cluster, with a network policy.",
		Batching:    "One request per account for a single server. In a cluster, one per account and server that leads a consumer asked for, over up to 8 connections; after a leader moved, and while a consumer is missing, one per account and server. The servers are looked up again when a leader is not among them, at most once a minute.",
		Failures: "- An account, stream or consumer that does not exist fails its triggers alone. In a cluster that is known once every server has answered; before, it counts as unreachable.\n" +
			"- While a consumer has no leader, its triggers fail.\n" +
			"- A server with so many streams that its answer exceeds 64 MiB cannot be read.",
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{Title: "Minimal", Metadata: map[string]string{
			"natsServerMonitoringEndpoint": "nats:8222", "account": "$G", "stream": "orders", "consumer": "billing",
		}},
		{Title: "Production", Metadata: map[string]string{
			"natsServerMonitoringEndpoint": "nats-headless.messaging.svc:8222", "account": "SHOP", "stream": "orders", "consumer": "billing",
			"lagThreshold": "100", "activationLagThreshold": "5", "useHttps": "true",
		}},
	}
}

// settings say where the servers are.
type settings struct {
	host, port string // port may be empty: the scheme's
	https      bool
	malformed  bool // it cannot be connected to
}

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	var endpoint string
	p.String(&endpoint, "natsServerMonitoringEndpoint", "Monitoring address of a server, or of a Service with all of them, as `host:port`.", param.Required, param.From(param.Auth, param.Metadata))
	p.Bool(&s.https, "useHttps", "Ask by HTTPS.")
	p.Check(func() error {
		s.split(endpoint, p)
		return nil
	}, "natsServerMonitoringEndpoint")
}

// split takes the endpoint apart.
func (s *settings) split(endpoint string, p *param.Set) {
	var err error
	if s.host, s.port, err = net.SplitHostPort(endpoint); err != nil {
		s.host, s.port = endpoint, ""
	}
	if s.malformed = !isHost(s.host) || !isPort(s.port); s.malformed {
		s.host, s.port = "", "" // it may hold anything
		if endpoint != "" {
			p.Warn("natsServerMonitoringEndpoint", "cannot be connected to; give it as host:port, without http://")
		}
	}
}

// consumer is one consumer of a stream.
type consumer struct {
	account      account // that it is in
	stream, name string
}

// account is an account under any of its names. One that is not known is the same
// as the other.
type account struct{ name, id string }

// bind implements Spec.Query.
func (c *consumer) bind(p *param.Set) {
	from := param.From(param.Auth, param.Metadata)
	p.String(&c.account.name, "account", "Name of the account; `$G` where the servers have no accounts.", from)
	p.String(&c.account.id, "accountID", "Identifier of the account, where that differs from its name.", from)
	p.String(&c.stream, "stream", "Stream that the consumer is on.", param.Required)
	p.String(&c.name, "consumer", "Consumer to measure.", param.Required)
	p.Check(func() error {
		a := &c.account
		switch {
		case a.name == "" && a.id == "":
			return param.Wrong("account", `is required, or "accountID"`)
		case a.id == "":
			a.id = a.name
		case a.name == "":
			a.name = a.id
		}
		return nil
	}, "account", "accountID")
}
