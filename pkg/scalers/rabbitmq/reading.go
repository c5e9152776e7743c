package rabbitmq

import (
	"errors"
	"fmt"
	"math"

	"github.com/weir-sh/weir/pkg/scalers"
)

// queue is one queue as the management API tells it.
type queue struct {
	Name string `json:"name"`
	// Nil when the API does not say: the queue was declared a moment ago, or is
	// down.
	Messages *float64 `json:"messages"`
	Ready    *float64 `json:"messages_ready"`
	// Absent when nothing ever passed.
	Stats struct {
		Publish struct {
			Rate float64 `json:"rate"`
		} `json:"publish_details"`
		DeliverGet struct {
			Rate float64 `json:"rate"`
		} `json:"deliver_get_details"`
	} `json:"message_stats"`
}

// amounts are what the modes calculate with: messages, and messages per second
// that are published and delivered.
type amounts struct{ messages, published, delivered float64 }

// read gives one reading for all of queues, which are one without regex.
func (q query) read(queues []queue) scalers.Reading {
	if len(queues) > 0 && q.regex && !validOperation(q.operation) {
		return scalers.Reading{Err: &scalers.Error{
			Kind: scalers.Invalid, Op: q.op(), Err: errors.New("the operation is not known"), Hint: `set "operation" to sum, avg or max`,
		}}
	}
	var all amounts
	for _, one := range queues {
		a, ok := q.amounts(one)
		if !ok {
			return scalers.Reading{Err: &scalers.Error{
				Kind: scalers.BadAnswer, Op: q.op(), Err: fmt.Errorf("the server does not know how many messages are in %q", one.Name),
				Hint: "if this lasts for more than a few seconds, see whether the queue's node is down and statistics are enabled",
			}}
		}
		all = all.with(a, q.operation)
	}
	if q.operation == "avg" && len(queues) > 0 {
		n := float64(len(queues))
		all = amounts{math.Trunc(all.messages / n), all.published / n, all.delivered / n}
	}
	return q.reading(all)
}

// amounts picks from one queue; not ok when a count that matters is unknown.
func (q query) amounts(one queue) (amounts, bool) {
	a := amounts{published: one.Stats.Publish.Rate, delivered: one.Stats.DeliverGet.Rate}
	count := one.Messages
	if q.readyOnly {
		count = one.Ready
	}
	if !q.counts() {
		return a, true
	}
	if count == nil {
		return a, false
	}
	a.messages = *count
	return a, true
}

func (a amounts) with(b amounts, operation string) amounts {
	if operation == "max" {
		return amounts{max(a.messages, b.messages), max(a.published, b.published), max(a.delivered, b.delivered)}
	}
	return amounts{a.messages + b.messages, a.published + b.published, a.delivered + b.delivered}
}

// reading applies the mode. The two modes that divide report the activation
// value itself where nothing is delivered yet, and say themselves whether there
// is work.
func (q query) reading(a amounts) scalers.Reading {
	switch q.mode {
	case messageRate:
		return scalers.Reading{Value: a.published, Work: max(a.published, a.messages)}
	case deliverGetRate:
		return scalers.Reading{Value: a.delivered}
	case deliveredRatio:
		return q.decided(ratio(a, q.activation), a.published > 0 && a.delivered == 0)
	case expectedDuration:
		return q.decided(expected(a, q.activation), a.messages > 0 && a.delivered == 0)
	}
	return scalers.Reading{Value: a.messages}
}

func ratio(a amounts, activation float64) float64 {
	switch {
	case a.published == 0:
		return 0
	case a.delivered == 0:
		return activation
	}
	return a.published / a.delivered
}

// expected is the time to consume what waits and what comes meanwhile. It is
// negative where consumers are faster than publishers by more than the backlog.
func expected(a amounts, activation float64) float64 {
	switch {
	case a.messages == 0:
		return 0
	case a.delivered == 0:
		return activation
	}
	return (a.published-a.delivered)/a.delivered + a.messages/a.delivered
}

func (q query) decided(value float64, stuck bool) scalers.Reading {
	r := scalers.Reading{Value: max(0, value), Activity: scalers.Idle}
	if stuck || value > q.activation {
		r.Activity = scalers.Busy
	}
	return r
}
