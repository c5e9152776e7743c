package nats

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// answer is what one server said about one account.
type answer struct {
	base    string
	account account
	err     error // the rest is empty then
	jetStream
}

// jetStream is the part of an answer to /jsz that counts.
type jetStream struct {
	ID   string `json:"server_id"`
	Meta struct {
		Size int `json:"cluster_size"`
	} `json:"meta_cluster"`
	Accounts []struct {
		Name    string `json:"name"`
		ID      string `json:"id"`
		Streams []struct {
			Name      string   `json:"name"`
			Consumers []detail `json:"consumer_detail"`
		} `json:"stream_detail"`
	} `json:"account_details"`
}

// detail is one consumer.
type detail struct {
	Name       string `json:"name"`
	Pending    uint64 `json:"num_pending"`
	AckPending uint64 `json:"num_ack_pending"`
	Cluster    struct {
		Leader string `json:"leader"` // the name of a server; empty without one
	} `json:"cluster"`
}

// The things that a consumer is in, from the outside in.
const (
	inNothing = iota
	inAccount
	inStream
)

// find returns what a says of c, or how far into its account it got.
func (a *answer) find(c consumer) (d *detail, got int) {
	if a.err != nil || a.account != c.account {
		return nil, inNothing
	}
	for _, acc := range a.Accounts {
		if acc.ID != c.account.id && acc.Name != c.account.name {
			continue
		}
		got = max(got, inAccount)
		for _, s := range acc.Streams {
			if s.Name != c.stream {
				continue
			}
			got = inStream
			for i := range s.Consumers {
				if s.Consumers[i].Name == c.name {
					return &s.Consumers[i], got
				}
			}
		}
	}
	return nil, got
}

// round is one Fetch.
type round struct {
	source  *source
	queries []consumer
	asked   map[place]bool
	answers []answer
}

// place is what one request asks for.
type place struct {
	base    string
	account account
}

func newRound(s *source, queries []consumer) *round {
	return &round{source: s, queries: queries, asked: map[place]bool{}}
}

// ask asks each of bases for the accounts of queries, as far as that was not asked
// in this round. The error says that ctx has ended.
func (r *round) ask(ctx context.Context, bases []string, queries []consumer) error {
	each := map[string][]consumer{}
	for _, base := range bases {
		each[base] = queries
	}
	return r.askEach(ctx, each)
}

// askEach asks each server for the accounts of its queries.
func (r *round) askEach(ctx context.Context, queries map[string][]consumer) error {
	var answers []answer
	for base, some := range queries {
		for _, q := range some {
			if at := (place{base, q.account}); !r.asked[at] {
				r.asked[at] = true
				answers = append(answers, answer{base: base, account: q.account})
			}
		}
	}
	calls := make([]*call, len(answers))
	for i := range answers {
		a := &answers[i]
		calls[i] = &call{
			op:   "reading the account's JetStream at " + a.base,
			url:  a.base + "/jsz?acc=" + url.QueryEscape(a.account.id) + "&consumers=true",
			into: &a.jetStream,
		}
	}
	outcomes, err := r.source.calls.Fetch(ctx, calls)
	if err != nil {
		return err
	}
	for i := range answers {
		answers[i].err = outcomes[i].Err
	}
	r.answers = append(r.answers, answers...)
	return nil
}

// silence returns an error when nobody has answered.
func (r *round) silence() error {
	if len(r.answers) == 0 || slices.ContainsFunc(r.answers, func(a answer) bool { return a.err == nil }) {
		return nil
	}
	return r.answers[0].err
}

// isCluster reports whether a server says that it is part of one.
func (r *round) isCluster() bool {
	return slices.ContainsFunc(r.answers, func(a answer) bool { return a.Meta.Size > 1 })
}

// stranger reports whether a server has answered whose name is not known.
func (r *round) stranger() bool {
	return slices.ContainsFunc(r.answers, func(a answer) bool { return a.err == nil && r.source.names[a.ID] == "" })
}

// missing returns the queries that no leader has answered, and notes where the
// others were read.
func (r *round) missing() []consumer {
	var out []consumer
	for _, q := range r.queries {
		if base, found := r.seat(q); found {
			r.source.leaders[q] = seat{base, time.Now()}
		} else {
			out = append(out, q)
		}
	}
	return out
}

// seat returns the address of the server that leads q.
func (r *round) seat(q consumer) (base string, found bool) {
	for i := range r.answers {
		a := &r.answers[i]
		if d, _ := a.find(q); d != nil && r.source.leads(a, d.Cluster.Leader) {
			return a.base, true
		}
	}
	return "", false
}

// readings reads each query from the answer of its leader.
func (r *round) readings() []scalers.Reading {
	out := make([]scalers.Reading, len(r.queries))
	for i, q := range r.queries {
		out[i] = r.reading(q)
	}
	return out
}

func (r *round) reading(q consumer) scalers.Reading {
	var known knowledge
	if r.source.bases != nil && r.source.silent {
		known.failed = errors.New("a server of the cluster does not answer")
	}
	for i := range r.answers {
		a := &r.answers[i]
		if a.err != nil && a.account == q.account {
			known.failed = a.err
		}
		d, in := a.find(q)
		known.in = max(known.in, in)
		if d == nil {
			continue
		}
		if r.source.leads(a, d.Cluster.Leader) {
			return scalers.Reading{Value: float64(d.Pending) + float64(d.AckPending)}
		}
		known.follows, known.leader = true, d.Cluster.Leader
	}
	return scalers.Reading{Err: known.problem(q)}
}

// knowledge is what is known of a consumer that was not read.
type knowledge struct {
	in      int    // how far into its account it was looked for
	follows bool   // a server that follows has it
	leader  string // that it follows; empty for none
	failed  error  // a server that could not be asked
}

// problem says why there is no reading of q.
func (k knowledge) problem(q consumer) error {
	e := &scalers.Error{Kind: scalers.NotFound, Op: fmt.Sprintf("measuring consumer %q of stream %q", q.name, q.stream)}
	switch {
	case k.follows && k.leader == "":
		e.Kind, e.Err = scalers.Unreachable, errors.New("it has no leader")
	case k.follows:
		e.Kind, e.Err = scalers.Unreachable, fmt.Errorf("its leader %q does not answer", scalers.Excerpt(k.leader))
		e.Hint = "let every server's monitoring port be reached under the name or address that /varz tells"
	case k.failed != nil:
		e.Kind, e.Err = scalers.Unreachable, fmt.Errorf("not every server was asked: %w", k.failed)
	case k.in == inNothing:
		e.Err, e.Hint = errors.New("the account has no JetStream"), "check account and accountID"
	case k.in == inAccount:
		e.Err, e.Hint = errors.New("the stream does not exist"), "create it, or check stream and account"
	default:
		e.Err, e.Hint = errors.New("the consumer does not exist"), "create it as a durable consumer"
	}
	return e
}
