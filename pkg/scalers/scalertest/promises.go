package scalertest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
)

// promises checks what needs an upstream and holds for every case.
func (u *upstream) promises(t *testing.T, cases []Case) {
	t.Helper()
	t.Run("parsing a case twice gives equal triggers", func(t *testing.T) {
		for _, c := range cases {
			parsesEqually(t, u.def, c.Name, c.Values)
		}
	})
	if len(u.sources) == 0 {
		t.Error("no case could be measured, so that no promise could be checked")
		return
	}
	t.Run("the table has a bad query beside a good one", u.hasBadBesideGood)
	t.Run("a batch gives what its queries give alone, in order", u.batches)
	t.Run("a cancelled Fetch ends and says so", u.cancelledBefore)
	t.Run("a Fetch cancelled midway ends and leaves nothing for the next", u.cancelledMidway)
	t.Run("Close leaves no goroutine", u.closes)
	if u.def.Watches {
		t.Run("Watch runs beside Fetch and ends with its context", u.watches)
		return
	}
	t.Run("a scaler that does not announce Watch has none", u.watchesNot)
}

// each opens every source once and hands it to f with its queries.
func (u *upstream) each(t *testing.T, f func(scalers.Conn, []scalers.Query)) {
	t.Helper()
	for _, key := range u.sources {
		conn, err := u.open(t.Context(), key)
		if err != nil {
			t.Errorf("opening the source again: %v", err)
			continue
		}
		f(conn, u.queries[key])
		if err := conn.Close(); err != nil {
			t.Logf("closing the source: %v", err) // closes is the test of it
		}
	}
}

func (u *upstream) hasBadBesideGood(t *testing.T) {
	for _, queries := range u.queries {
		bad := slices.ContainsFunc(queries, func(q scalers.Query) bool { return u.single[q].Err != nil })
		good := slices.ContainsFunc(queries, func(q scalers.Query) bool { return u.single[q].Err == nil })
		if bad && good {
			return
		}
	}
	t.Error("add a case whose reading has an error and whose settings equal those of a case without: " +
		"otherwise nothing shows that a bad query does not fail its neighbours")
}

func (u *upstream) batches(t *testing.T) {
	u.each(t, func(conn scalers.Conn, queries []scalers.Query) {
		queries = slices.Clone(queries)
		for range 2 {
			u.sameAsAlone(t, conn, queries)
			slices.Reverse(queries)
		}
	})
}

// sameAsAlone compares one batch with what its queries gave alone.
func (u *upstream) sameAsAlone(t *testing.T, conn scalers.Conn, queries []scalers.Query) {
	t.Helper()
	asked := slices.Clone(queries)
	readings, err := u.fetch(t.Context(), conn, queries)
	if err != nil {
		t.Errorf("a batch of %d failed as a whole: %v", len(queries), err)
		return
	}
	if !slices.Equal(asked, queries) {
		t.Error("Fetch changed the queries it was given")
	}
	for i, got := range readings {
		want := u.single[asked[i]]
		if scalers.KindOf(got.Err) != scalers.KindOf(want.Err) {
			t.Errorf("%v: the error is %v in a batch and %v alone", asked[i], got.Err, want.Err)
		} else if same := got.Value == want.Value || odd(want) != ""; got.Err == nil && !same {
			t.Errorf("%v: got %v in a batch and %v alone", asked[i], got.Value, want.Value)
		} else if problem := oddMetrics(u.def, got.Metrics); got.Err == nil && problem != "" && oddMetrics(u.def, want.Metrics) == "" {
			t.Errorf("%v in a batch: %s", asked[i], problem)
		}
	}
}

func (u *upstream) cancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u.each(t, func(conn scalers.Conn, queries []scalers.Query) {
		err := within(t, "Fetch with a cancelled context", func() error {
			_, err := conn.Fetch(ctx, queries[:1])
			return err
		})
		if err == nil {
			t.Error("Fetch with a cancelled context gave readings")
		}
	})
}

// cancelledMidway cuts Fetch off at many points in time. What it asks for then
// may still be answered: on a connection where answers follow in order, the next
// Fetch must not take them for its own.
func (u *upstream) cancelledMidway(t *testing.T) {
	u.each(t, func(conn scalers.Conn, queries []scalers.Query) {
		for after := time.Microsecond; after < 20*time.Millisecond; after *= 2 {
			err := within(t, "Fetch with a context that ends", func() error {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				_, err := conn.Fetch(ctx, queries[:1])
				return err
			})
			if err == nil {
				continue // it was done in time
			}
			next := queries[len(queries)-1]
			readings, err := u.fetch(t.Context(), conn, []scalers.Query{next})
			if err != nil {
				return // the connection is spent, and says so
			}
			if got, want := readings[0], u.single[next]; scalers.KindOf(got.Err) != scalers.KindOf(want.Err) ||
				got.Err == nil && got.Value != want.Value && odd(want) == "" {
				t.Errorf("after a Fetch cancelled at %v, %v gave %v, %v; want %v, %v", after, next, got.Value, got.Err, want.Value, want.Err)
				return
			}
		}
	})
}

func (u *upstream) closes(t *testing.T) {
	for _, key := range u.sources {
		before := goleak.IgnoreCurrent()
		conn, err := u.open(t.Context(), key)
		if err != nil {
			t.Errorf("opening the source again: %v", err)
			continue
		}
		if _, err := u.fetch(t.Context(), conn, u.queries[key]); err != nil {
			t.Logf("measuring: %v", err) // batches is the test of it
		}
		if err := within(t, "Close", conn.Close); err != nil {
			t.Errorf("closing the source: %v", err)
		}
		u.transport.CloseIdleConnections()
		if err := goleak.Find(before); err != nil {
			t.Errorf("after Close: %v", err)
		}
	}
}

func (u *upstream) watches(t *testing.T) {
	u.each(t, func(conn scalers.Conn, queries []scalers.Query) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var readies, wakes atomic.Int32
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- conn.Watch(ctx, queries, func() {
				if readies.Add(1) == 1 {
					close(ready)
				}
			}, func(scalers.Query) { wakes.Add(1) })
		}()
		select {
		case err := <-ended:
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Watch ended before its context: %v", err)
			}
			return // this upstream cannot signal changes
		case <-ready:
		case <-time.After(patience):
			t.Errorf("Watch has not called ready after %v", patience)
		}
		for range 5 {
			u.sameAsAlone(t, conn, queries)
		}
		cancel()
		// What Watch returns after its context ended is of no interest.
		if err := within(t, "Watch with a cancelled context", func() error { return <-ended }); errors.Is(err, errors.ErrUnsupported) {
			t.Error("Watch is unsupported after it was ready")
		}
		if n := readies.Load(); n > 1 {
			t.Errorf("Watch called ready %d times", n)
		}
	})
}

func (u *upstream) watchesNot(t *testing.T) {
	u.each(t, func(conn scalers.Conn, queries []scalers.Query) {
		ctx, cancel := context.WithTimeout(t.Context(), patience/5)
		defer cancel()
		err := within(t, "Watch", func() error {
			return conn.Watch(ctx, queries, func() {}, func(scalers.Query) {})
		})
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("the source has a Watch (it returned %v); set Spec.Watches, or return errors.ErrUnsupported", err)
		}
	})
}
