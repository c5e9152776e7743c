package engine

import (
	"context"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Fetch is one attempt to measure a batch, as Config.OnFetch is told of it.
type Fetch struct {
	Type    string    // the scaler's
	Source  string    // describes the settings, without secrets
	Queries int       // how many were asked for at once
	Start   time.Time // when the attempt began, with the connection if there was none
	// Opening is how long connecting took; zero when there was a connection.
	Opening time.Duration
	Opened  bool // a connection was made
	// Fetched says that Fetch was called: false when there was no connection and
	// none could be made.
	Fetched bool
	// Took is how long Fetch took; zero when it was not called.
	Took time.Duration
	// Err says why there are no readings at all; nil when there are. No secrets.
	Err error
	// QueryErrors counts the queries without a usable reading although Err is nil.
	QueryErrors int
}

// Call is what a scaler is called for.
type Call struct {
	Type string // the scaler's
	// Owner is who uses what is being measured. It is empty unless the call
	// measures one query that one owner uses.
	Owner Owner
}

type callKey struct{}

// CallOf returns what the call is for whose context ctx is or comes from: Open
// and Fetch of a scaler. It is the zero Call for any other context.
func CallOf(ctx context.Context) Call {
	c, _ := ctx.Value(callKey{}).(Call)
	return c
}

// withCall lets scalers' transports see what they are called for.
func withCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callFor says what a Fetch of entries is for. The caller holds s.mu.
func (s *source) callFor(entries []*entry) Call {
	c := Call{Type: s.key.Type()}
	if len(entries) == 1 && len(entries[0].users) == 1 {
		c.Owner = entries[0].users[0].owner.name
	}
	return c
}

// note calls OnFetch. No lock may be held.
func (e *Engine) note(f Fetch) {
	if e.cfg.OnFetch != nil {
		e.cfg.OnFetch(f)
	}
}

// failures counts readings that are none.
func failures(readings []scalers.Reading) int {
	n := 0
	for i := range readings {
		if wrong(&readings[i]) != nil {
			n++
		}
	}
	return n
}
