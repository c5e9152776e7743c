package azureeventhub

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// listedFor is how long the ids of a hub's partitions are believed. They only
	// change when somebody adds partitions.
	listedFor = 5 * time.Minute
	// partitionsAtOnce is how many partitions of a hub are asked for at a time, on
	// its one connection.
	partitionsAtOnce = 32
	// goodbye bounds how long closing a connection in an orderly way may take.
	goodbye = time.Second
)

// hub is one Event Hub: the SDK has a connection for each.
type hub struct {
	name   string
	line   *line
	client *azeventhubs.ProducerClient // unlike the consumer's, its Close ends all it started
	tokens *tokens                     // nil with a connection string
	used   time.Time                   // when it was last asked for

	ids    []string // of its partitions
	listed time.Time
	proven bool // the connection has worked
	broken bool // and does not any more
}

// read asks for all partitions.
func (h *hub) read(ctx context.Context) ([]partition, error) {
	if ctx.Err() != nil { // do not cut what is well
		return nil, &scalers.Error{Kind: scalers.Unreachable, Op: h.op(), Err: errors.New("the time was up before its turn")}
	}
	if h.tokens != nil {
		if err := h.tokens.fetch(ctx); err != nil {
			return nil, h.failed(ctx, err)
		}
	}
	defer h.line.hangUpAfter(ctx)()
	out, err := h.ask(ctx)
	h.proven = h.proven || err == nil
	h.broken = scalers.KindOf(err) == scalers.Unreachable
	return out, err
}

// spent reports whether the hub is to be closed.
func (h *hub) spent() bool { return h.broken || h.line.wasCut() }

func (h *hub) ask(ctx context.Context) ([]partition, error) {
	if time.Since(h.listed) > listedFor {
		properties, err := h.client.GetEventHubProperties(ctx, nil)
		if err != nil {
			return nil, h.failed(ctx, err)
		}
		if len(properties.PartitionIDs) == 0 {
			return nil, &scalers.Error{Kind: scalers.BadAnswer, Op: h.op(), Err: errors.New("the service names no partition")}
		}
		h.ids, h.listed = properties.PartitionIDs, time.Now()
	}
	out, errs := make([]partition, len(h.ids)), make([]error, len(h.ids))
	atOnce(partitionsAtOnce, len(h.ids), func(i int) {
		p, err := h.client.GetPartitionProperties(ctx, h.ids[i], nil)
		out[i] = partition{id: h.ids[i], begin: p.BeginningSequenceNumber, last: p.LastEnqueuedSequenceNumber}
		errs[i] = err
	})
	for _, err := range errs {
		if err != nil {
			h.listed = time.Time{} // it may be that a partition is gone
			return nil, h.failed(ctx, err)
		}
	}
	return out, nil
}

// close ends the connection; at once when it is spent. That ctx has ended does not
// matter.
func (h *hub) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if h.spent() {
		h.line.hangUp()
	}
	if h.tokens != nil {
		close(h.tokens.ended)
	}
	release := h.line.hangUpAfter(ctx)
	defer h.line.hangUp()
	defer release()
	_ = h.client.Close(ctx) //nolint:errcheck // nothing is lost; what is not closed in time is cut
}

func (h *hub) op() string { return "measuring event hub \"" + h.name + "\"" }

// failed makes the error of a request for partitions.
func (h *hub) failed(ctx context.Context, err error) *scalers.Error {
	e := explain(err)
	e.Op = h.op()
	if cause := ctx.Err(); cause != nil { // whatever the cut connection says
		e.Kind, e.Hint, e.Err = scalers.Unreachable, "", cause
	}
	return e
}

// rpcError is what the SDK makes of an answer that is a refusal.
type rpcError interface {
	error
	RPCCode() int
}

// statusError explains a refusal by its status, which is as in HTTP. What the
// service says besides is not repeated.
func statusError(status int) *scalers.Error {
	e := &scalers.Error{Kind: scalers.BadAnswer, Err: errors.New(statusText(status))}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return unauthorized()
	case http.StatusNotFound:
		return missing()
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.Kind = scalers.Throttled
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		e.Kind = scalers.Unreachable
	}
	return e
}

// atOnce calls f for 0 to n-1, at most most at a time, and waits for all.
func atOnce(most, n int, f func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(most, n) {
		workers.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}
