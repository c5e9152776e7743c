package ask_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/ask"
)

// query asks for one place of an answer.
type query struct {
	page  string
	place int
}

func requestOf(q query) string { return q.page }

func read(q query, answer []float64) scalers.Reading {
	return scalers.Reading{Value: answer[q.place]}
}

func TestEachRequestIsMadeOnce(t *testing.T) {
	var asked atomic.Int32
	readings, err := ask.Once(t.Context(), 2, []query{{"a", 0}, {"bad", 0}, {"a", 1}, {"b", 0}, {"a", 0}, {"bad", 1}}, requestOf,
		func(_ context.Context, page string) ([]float64, error) {
			asked.Add(1)
			if page == "bad" {
				return nil, errors.New("refused")
			}
			return []float64{float64(page[0]), float64(page[0]) + 0.5}, nil
		}, read)
	const want = "[97 refused 97.5 98 97 refused]"
	var got []any
	for _, r := range readings {
		if r.Err != nil {
			got = append(got, r.Err)
		} else {
			got = append(got, r.Value)
		}
	}
	if err != nil || fmt.Sprint(got) != want || asked.Load() != 3 {
		t.Errorf("got %v, %v after %d requests; want %s after 3", got, err, asked.Load(), want)
	}
}

func TestAtMostSoManyRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queries := make([]query, 10)
		for i := range queries {
			queries[i].page = fmt.Sprint(i)
		}
		began := time.Now()
		_, err := ask.Once(t.Context(), 4, queries, requestOf, func(context.Context, string) ([]float64, error) {
			time.Sleep(time.Second)
			return []float64{1}, nil
		}, read)
		if took := time.Since(began); err != nil || took != 3*time.Second {
			t.Errorf("10 requests of 1 s took %v, %v; want 3s", took, err)
		}
	})
}

func TestNothingIsAskedWithoutTimeOrQueries(t *testing.T) {
	never := func(context.Context, string) ([]float64, error) {
		t.Error("asked")
		return nil, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask.Once(ctx, 1, []query{{}}, requestOf, never, read); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: %v", err)
	}
	if readings, err := ask.Once(t.Context(), 1, nil, requestOf, never, read); err != nil || len(readings) != 0 {
		t.Errorf("without queries: %v, %v", readings, err)
	}
}
