// Package scalers defines what a scaler is: a way to turn trigger parameters
// into a number that says how much work is waiting.
//
// A scaler has three parts, each a plain value:
//
//   - settings S: where to connect and as whom. Triggers whose settings are
//     equal (==) share one open Source.
//   - query Q: what to measure there. Triggers whose queries are equal are
//     measured once.
//   - a Source: the open connection, which measures many queries per call.
//
// S and Q are comparable types without pointers, so that sharing, caching and
// change detection all come down to ==. What a reading means for one workload
// (target and activation) belongs to the trigger, not to the scaler.
//
// The package knows nothing of Kubernetes and of no client library.
package scalers

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Source is an open connection to one upstream under one identity.
//
// The engine calls Fetch from one goroutine at a time; Watch runs beside it.
type Source[Q comparable] interface {
	// Fetch measures queries in as few round trips as the upstream allows and
	// returns one Reading per query, in order. What concerns one query (the
	// queue does not exist) goes into that Reading's Err. An error from Fetch
	// means that the whole source failed and the readings are to be ignored.
	// Fetch returns soon after ctx ends. It must not keep queries.
	Fetch(ctx context.Context, queries []Q) ([]Reading, error)

	// Close releases the connection. The engine calls it once, after the last
	// Fetch and Watch have returned.
	Close() error
}

// Watcher is implemented by sources that can tell before the next poll that a
// query may have changed. Spec.Watches announces it.
type Watcher[Q comparable] interface {
	// Watch blocks until ctx ends or the stream breaks, calling wake for each
	// of queries that may have changed since Watch was called. It uses a
	// connection of its own. A wake carries no value: the engine answers it with
	// Fetch, so a repeated wake costs time, never correctness. A lost wake is
	// made up for by the next poll.
	//
	// Watch calls ready once, when from then on no change goes unnoticed; the
	// engine measures all of queries at that point. Wake and ready return at
	// once. The error is errors.ErrUnsupported when this upstream cannot signal
	// changes; the engine then does not ask again on this connection.
	Watch(ctx context.Context, queries []Q, ready func(), wake func(Q)) error
}

// Reading is one measurement.
type Reading struct {
	// Value is in the scaler's Unit; finite and >= 0. The HPA divides it by the
	// target.
	Value float64
	// Work is compared with the activation threshold where that is more than
	// Value, such as a backlog in a mode whose Value is a rate. Zero or anything
	// below Value means Value.
	Work float64
	// At is when the upstream says the value was true. Zero means when Fetch
	// returned.
	At time.Time
	// Activity overrides the comparison with the activation threshold.
	Activity Activity
	// FalseZero marks a zero that the upstream may also answer while it cannot
	// tell. The engine takes it for a zero only after asking again.
	FalseZero bool
	// Metrics are what the HPA gets instead of Value, where the upstream names
	// its metrics (Spec.NamesMetrics). Sorted by name; names are unique.
	Metrics []Metric
	// Empty says that the upstream answered and had no result for the query, so that
	// Value, or Err, is what the trigger's parameters make of none. It is counted.
	Empty bool
	// Err says why there is no value. Of the other fields only Empty counts then.
	Err error
}

// Metric is a number that the upstream named itself.
type Metric struct {
	Name   string  // as the upstream says it, without the prefix of the trigger
	Target float64 // the work one replica should carry, in the unit of Value
	Value  float64 // finite and >= 0
}

// Resource is a metric of the workload's pods which the HPA reads itself, such
// as CPU. A scaler whose query is a Resource has no Open and is never measured.
type Resource struct {
	Name      string // as Kubernetes calls it: "cpu" or "memory"
	Container string // the container that counts; empty means all of the pod
	Target    string // percent of the request for metric type Utilization, else a quantity per pod
}

// Activity overrides the 0 <-> 1 decision for upstreams whose value alone does
// not tell whether there is work, such as a rate that reads 0 before the first
// consumer starts.
type Activity uint8

// The activities.
const (
	ByThreshold Activity = iota // compare with the activation threshold
	Busy                        // there is work
	Idle                        // there is none
)

// Env is what a source may use of the process. Nothing else is ambient: no
// environment variables, no package state.
type Env struct {
	// Log is for what the owner of the process should know. Open gets a logger
	// that discards when it is nil.
	Log *slog.Logger
	// HTTP has proxy, timeout and limits set up; sources with TLS settings of
	// their own derive a client from it. Open gets a plain one when it is nil.
	HTTP *http.Client
	// ClientName tells the upstream who is connecting, where it has a place for
	// that; such as "weir".
	ClientName string
	// Dial opens connections of protocols other than HTTP. It refuses addresses
	// that no trigger may reach. Open gets net.Dialer's when it is nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs are the authorities to trust; nil means the system's. It is shared:
	// clone it before adding to it.
	RootCAs *x509.CertPool
	// Cluster answers what scalers ask of Kubernetes; nil where there is no
	// cluster, as on the command line.
	Cluster Cluster
}

// complete fills in what is nil.
func (e Env) complete() Env {
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	if e.HTTP == nil {
		e.HTTP = &http.Client{}
	}
	if e.Dial == nil {
		e.Dial = new(net.Dialer).DialContext
	}
	return e
}

// Cluster is the Kubernetes cluster that the workloads are in. Answers come from
// memory that is kept up to date.
type Cluster interface {
	// CountPods returns how many pods of a namespace match a label selector and
	// have not ended, and on how many nodes they are; pods without a node count on
	// none. Selector is in the syntax of kubectl.
	CountPods(ctx context.Context, namespace, selector string) (pods, nodes int, err error)
}

// Target names the two numbers of a simple trigger. They belong to the trigger,
// not to the query: triggers with different targets share one measurement.
type Target struct {
	Param      string   // as users write it, such as "listLength"
	Doc        string   // replaces the standard sentence when not empty
	Default    float64  // per replica, in the scaler's Unit; > 0
	Activation string   // such as "activationListLength"
	Whole      bool     // only whole numbers are accepted
	Aliases    []string // other names of Param
}

// Thresholds are what a trigger compares its readings with.
type Thresholds struct {
	// Target is the work one replica should carry, in the scaler's Unit.
	// Values of zero or less are accepted for compatibility and make no sense.
	Target float64
	// Activation is how much is no work yet: more than this wakes the workload.
	Activation float64
}

// Example is a trigger for the reference page and the CLI.
type Example struct {
	Title    string            // "Minimal", "Production"
	Metadata map[string]string // trigger metadata
	Auth     map[string]string // authentication parameters, with placeholder values
	Identity string            // provider of the pod identity; empty means none
	// MetricType is the trigger's; empty means the default.
	MetricType string
}

// Values returns the example as a trigger's values.
func (e Example) Values() param.Values {
	return param.Values{Metadata: e.Metadata, Auth: e.Auth, Identity: param.Identity{Provider: e.Identity}, MetricType: e.MetricType}
}

// Page is what a scaler's reference page says beyond its parameters. All fields
// are sentences in Markdown.
type Page struct {
	Measures    string // what the number means, and what it does not count
	Permissions string // what the identity must be allowed to do upstream
	Batching    string // how many round trips and connections N triggers cost
	Failures    string // what can go wrong and what it looks like
}
