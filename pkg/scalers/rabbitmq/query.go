package rabbitmq

import (
	"fmt"
	"math"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// The modes.
const (
	queueLength      = "QueueLength"
	messageRate      = "MessageRate"
	deliverGetRate   = "DeliverGetRate"
	deliveredRatio   = "PublishedToDeliveredRatio"
	expectedDuration = "ExpectedQueueConsumptionTime"
)

// query says what to measure. What does not bear on that is left zero, so that
// equal measurements compare equal.
type query struct {
	vhost     string // HTTP only
	name      string // of the queue, or a regular expression
	mode      string
	readyOnly bool // leave out messages that were delivered and not acknowledged

	regex     bool
	operation string // with regex: how queues are combined; checked when there are some
	pageSize  int64  // with regex: the most queues that the server's own match may find

	// activation is in the query for the two modes that report it as the value.
	activation float64
}

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	q.operation, q.pageSize = "sum", 100
	p.String(&q.name, "queueName", "Queue to measure, or a regular expression with useRegex.", param.Required)
	p.Bool(&q.regex, "useRegex", "Measure all queues whose name matches queueName, anywhere in the name and in any case. HTTP only.")
	p.String(&q.operation, "operation", "How queues that match are combined: sum, avg or max.")
	p.Int(&q.pageSize, 1, math.MaxInt64, "pageSize", "The most queues that may match where the server does the matching; it allows at most 500.")
	p.Bool(&q.readyOnly, "excludeUnacknowledged", "Count ready messages only, not those delivered and not acknowledged yet. HTTP only; over AMQP it is always so.")
}

// bindThresholds implements Spec.Thresholds. It completes the query, which
// depends on the protocol and the mode.
func (q *query) bindThresholds(th *scalers.Thresholds, p *param.Set) {
	var length float64
	p.String(&q.mode, "mode", "What to measure. All but QueueLength need HTTP.",
		param.OneOf(queueLength, messageRate, deliverGetRate, deliveredRatio, expectedDuration))
	p.Float(&th.Target, "value", "How much one replica should carry: messages, messages per second, a ratio or seconds, as the mode says. 20 messages when neither it nor the mode is given.")
	p.Float(&length, "queueLength", "How many messages one replica should carry.", param.Deprecated(`set "mode" to "QueueLength" and "value" to the number`))
	p.Float(&th.Activation, "activationValue", "How much is not yet work: the workload wakes from zero above this.")
	p.Check(func() error {
		// Refused parameters are reported by the settings; what is missing of them
		// here only skips the rules that need the protocol.
		w := new(written)
		if _, err := param.Parse(p.Values(), w.bind); err != nil && w.protocol == protocolAuto {
			return nil
		}
		if err := q.needsHTTP(w); err != nil {
			return err
		}
		if err := q.target(th, length, w); err != nil {
			return err
		}
		th.Target = max(0, th.Target) // a target below zero has always been zero
		q.narrow(w, th.Activation)
		if q.regex && !validOperation(q.operation) {
			p.Warn("operation", "is none of sum, avg and max: measuring fails as soon as a queue matches")
		}
		return nil
	}, "queueName", "useRegex", "excludeUnacknowledged", "mode", "value", "queueLength", "activationValue")
}

func (q *query) needsHTTP(w *written) error {
	switch {
	case w.protocol == protocolHTTP:
	case q.regex:
		return param.Wrong("useRegex", "needs the management API; give its http address")
	case q.readyOnly:
		return param.Wrong("excludeUnacknowledged", "needs the management API; over AMQP unacknowledged messages are never counted")
	}
	return nil
}

// target settles mode and target. Zero is as good as absent.
func (q *query) target(th *scalers.Thresholds, length float64, w *written) error {
	given := q.mode != "" || th.Target != 0
	switch {
	case !given && length == 0:
		q.mode, th.Target = queueLength, 20
		return nil
	case !given:
		q.mode, th.Target = queueLength, length
		return nil
	case length != 0:
		return param.Wrong("queueLength", `cannot be combined with "mode" and "value"; keep those`)
	case q.mode == "":
		return param.Wrong("mode", `is required when "value" is set`)
	case th.Target == 0:
		return param.Wrong("value", `is required when "mode" is set, and must not be zero`)
	}
	return q.overHTTP(w)
}

// overHTTP holds the rules that apply only where mode and value are given.
func (q *query) overHTTP(w *written) error {
	switch {
	case w.protocol == protocolHTTP:
		return nil
	case q.mode != queueLength:
		return param.Wrong("mode", "needs the management API except for QueueLength; give its http address")
	case w.timeout != 0:
		return param.Wrong("timeout", "applies to HTTP only; remove it")
	}
	return nil
}

// narrow clears what does not bear on the measurement.
func (q *query) narrow(w *written, activation float64) {
	if w.protocol == protocolHTTP {
		q.vhost = w.vhost
	}
	if !q.regex {
		q.operation, q.pageSize = "", 0
	}
	if !q.counts() {
		q.readyOnly = false
	}
	if q.mode == deliveredRatio || q.mode == expectedDuration {
		q.activation = activation
	}
}

// counts reports whether the mode looks at messages and not at rates alone.
func (q query) counts() bool { return q.mode != deliverGetRate && q.mode != deliveredRatio }

// rates reports whether the mode needs the server's statistics.
func (q query) rates() bool { return q.mode != queueLength }

// op says what is tried, for errors.
func (q query) op() string {
	if q.regex {
		return fmt.Sprintf("measuring queues that match %q", q.name)
	}
	return fmt.Sprintf("measuring queue %q", q.name)
}

func validOperation(op string) bool { return strings.Contains(" sum avg max ", " "+op+" ") }
