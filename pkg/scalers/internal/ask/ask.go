// Package ask measures queries of which several are answered by one request.
package ask

import (
	"context"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Once makes each distinct request of queries once, at most parallel at a time,
// and reads every query's value from the answer to its own. Request may be called
// for several requests at a time. An error of it is that of every query that the
// request is for; what the context's end leaves unasked fails as scalers.Each
// says. Once implements Fetch.
func Once[Q any, R comparable, A any](
	ctx context.Context, parallel int, queries []Q,
	requestOf func(Q) R, request func(context.Context, R) (A, error), read func(Q, A) scalers.Reading,
) ([]scalers.Reading, error) {
	place := make(map[R]int, len(queries))
	var distinct []R
	for _, q := range queries {
		r := requestOf(q)
		if _, again := place[r]; !again {
			place[r] = len(distinct)
			distinct = append(distinct, r)
		}
	}
	answers := make([]A, len(distinct))
	outcomes, err := scalers.Each(parallel, func(ctx context.Context, r R) (out scalers.Reading) {
		answers[place[r]], out.Err = request(ctx, r)
		return out
	}, nil).Fetch(ctx, distinct)
	if err != nil {
		return nil, err
	}
	readings := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		at := place[requestOf(q)]
		if readings[i] = outcomes[at]; readings[i].Err == nil {
			readings[i] = read(q, answers[at])
		}
	}
	return readings, nil
}
