package scalers

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Each makes a Source of a function that measures one query, for upstreams that
// have no batch call; such a scaler sets Spec.PerQuery. At most parallel calls
// run at a time, so the function must be safe for that. Stop may be nil.
//
// What the context's end leaves unmeasured fails alone, so that a slow upstream
// costs the readings that were not reached and no others. A panic of the function
// is the error of its reading.
func Each[Q comparable](parallel int, measure func(context.Context, Q) Reading, stop func() error) Source[Q] {
	return each[Q]{parallel, measure, stop}
}

type each[Q comparable] struct {
	parallel int
	measure  func(context.Context, Q) Reading
	stop     func() error
}

// Fetch implements Source.
func (e each[Q]) Fetch(ctx context.Context, queries []Q) ([]Reading, error) {
	out := make([]Reading, len(queries))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(e.parallel, len(queries)) {
		workers.Go(func() {
			for i := range next {
				out[i] = e.contained(ctx, queries[i])
			}
		})
	}
	reached := 0
	for reached < len(queries) && ctx.Err() == nil {
		select {
		case next <- reached:
			reached++
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	if reached == 0 {
		return out, ctx.Err()
	}
	for i := reached; i < len(queries); i++ {
		out[i].Err = &Error{Kind: Unreachable, Op: "measuring", Err: errors.New("the time was up before its turn")}
	}
	return out, nil
}

// contained measures one query. Nobody else would catch a panic here: the goroutine
// is not the caller's.
func (e each[Q]) contained(ctx context.Context, q Q) (r Reading) {
	defer func() {
		if p := recover(); p != nil {
			r = Reading{Err: &Error{
				Kind: BadAnswer, Op: "measuring", Err: fmt.Errorf("the scaler panicked with a %T", p), Hint: "report it as a bug of the scaler",
			}}
		}
	}()
	return e.measure(ctx, q)
}

// Close implements Source.
func (e each[Q]) Close() error {
	if e.stop == nil {
		return nil
	}
	return e.stop()
}
