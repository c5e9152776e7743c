package scalers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// scripted is a source whose methods the test writes.
type scripted struct {
	fetch func(context.Context, []list) ([]scalers.Reading, error)
	watch func([]list, func(), func(list)) error
	close error
}

func (s scripted) Fetch(ctx context.Context, q []list) ([]scalers.Reading, error) {
	return s.fetch(ctx, q)
}

func (s scripted) Watch(_ context.Context, q []list, ready func(), wake func(list)) error {
	return s.watch(q, ready, wake)
}

func (s scripted) Close() error { return s.close }

// open parses a trigger for each name and opens their source.
func open(t *testing.T, src scalers.Source[list], names ...string) (scalers.Conn, []scalers.Query) {
	t.Helper()
	s := spec()
	if src != nil {
		s.Open = func(context.Context, scalers.Env, server) (scalers.Source[list], error) { return src, nil }
	}
	def := scalers.Define(s)
	var queries []scalers.Query
	for _, n := range names {
		tr, _, err := def.Parse(param.Values{Metadata: kv{"list": n}})
		if err != nil {
			t.Fatal(err)
		}
		queries = append(queries, tr.Query)
	}
	conn, err := queries[0].Source.Open(t.Context(), scalers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return conn, queries
}

func TestEachMeasuresInOrder(t *testing.T) {
	conn, queries := open(t, nil, "a", "bbb", "cc")
	got, err := conn.Fetch(t.Context(), queries)
	if err != nil || fmt.Sprint(got[0].Value, got[1].Value, got[2].Value) != "1 3 2" {
		t.Errorf("got %v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conn.Fetch(ctx, queries); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	if err := conn.Watch(t.Context(), queries, nil, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a source that is no Watcher: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close without a function: %v", err)
	}
	failed := errors.New("stopped badly")
	src := scalers.Each(1, func(context.Context, list) scalers.Reading { return scalers.Reading{} }, func() error { return failed })
	if err := src.Close(); !errors.Is(err, failed) {
		t.Errorf("Close: %v", err)
	}
}

func TestEachKeepsWhatItReachedWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src := scalers.Each(1, func(_ context.Context, q int) scalers.Reading {
		cancel()
		return scalers.Reading{Value: float64(q)}
	}, nil)
	got, err := src.Fetch(ctx, []int{1, 2, 3})
	if err != nil || got[0].Value != 1 || got[0].Err != nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	for _, r := range got[1:] {
		if scalers.KindOf(r.Err) != scalers.Unreachable || r.Err.Error() != "measuring: the time was up before its turn" {
			t.Errorf("what was not reached: %v", r.Err)
		}
	}
	if _, err := src.Fetch(ctx, []int{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestEachContainsPanics(t *testing.T) {
	src := scalers.Each(2, func(_ context.Context, q int) scalers.Reading {
		if q == 2 {
			panic("a secret")
		}
		return scalers.Reading{Value: float64(q)}
	}, nil)
	got, err := src.Fetch(t.Context(), []int{1, 2, 3})
	if err != nil || got[0].Value != 1 || got[2].Value != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if want := "measuring: the scaler panicked with a string; report it as a bug of the scaler"; got[1].Err == nil || got[1].Err.Error() != want {
		t.Errorf("got %v, want %s", got[1].Err, want)
	}
}

func TestEachRunsNoMoreThanItMayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		src := scalers.Each(3, func(context.Context, int) scalers.Reading {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
			return scalers.Reading{}
		}, nil)
		began := time.Now()
		if _, err := src.Fetch(t.Context(), make([]int, 10)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 4*time.Second || most.Load() != 3 {
			t.Errorf("10 calls of a second, 3 at a time, took %v with %d at a time", took, most.Load())
		}
	})
}

func TestFetchRefusesWrongAnswers(t *testing.T) {
	down := errors.New("down")
	for want, fetch := range map[string]func(context.Context, []list) ([]scalers.Reading, error){
		"down": func(context.Context, []list) ([]scalers.Reading, error) { return nil, down },
		"the source returned 1 readings for 2 queries": func(context.Context, []list) ([]scalers.Reading, error) {
			return make([]scalers.Reading, 1), nil
		},
	} {
		conn, queries := open(t, scripted{fetch: fetch}, "a", "b")
		if got, err := conn.Fetch(t.Context(), queries); fmt.Sprint(err) != want || got != nil {
			t.Errorf("got %v, %v; want %s", got, err, want)
		}
	}
}

func TestASourceTakesOnlyItsOwnQueries(t *testing.T) {
	conn, _ := open(t, scripted{}, "a")
	const want = "a query of type <nil> was given to a source for scalers_test.list"
	if _, err := conn.Fetch(t.Context(), make([]scalers.Query, 1)); fmt.Sprint(err) != want {
		t.Errorf("Fetch: %v", err)
	}
	if err := conn.Watch(t.Context(), make([]scalers.Query, 1), nil, nil); fmt.Sprint(err) != want {
		t.Errorf("Watch: %v", err)
	}
	if _, err := (scalers.SourceKey{}).Open(t.Context(), scalers.Env{}); fmt.Sprint(err) != "opening a source that has no scaler" {
		t.Errorf("Open: %v", err)
	}
}

func TestOpenPassesTheErrorOn(t *testing.T) {
	s := spec()
	refused := &scalers.Error{Kind: scalers.Unreachable, Op: "connecting"}
	s.Open = func(context.Context, scalers.Env, server) (scalers.Source[list], error) { return nil, refused }
	tr, _, err := scalers.Define(s).Parse(param.Values{Metadata: kv{"list": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := tr.Source.Open(t.Context(), scalers.Env{}); conn != nil || scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("got %v, %v", conn, err)
	}
}

func TestWatchGivesQueriesBack(t *testing.T) {
	var woken []scalers.Query
	isReady := false
	broken := errors.New("stream broke")
	conn, queries := open(t, scripted{
		watch: func(q []list, ready func(), wake func(list)) error {
			ready()
			wake(q[1])
			wake(list{name: "a stranger"})
			wake(q[0])
			return broken
		},
		close: errors.New("closed badly"),
	}, "a", "b")
	err := conn.Watch(t.Context(), queries, func() { isReady = true }, func(q scalers.Query) { woken = append(woken, q) })
	if !errors.Is(err, broken) || !isReady || len(woken) != 2 || woken[0] != queries[1] || woken[1] != queries[0] {
		t.Errorf("got %v, ready %v, woken %v", err, isReady, woken)
	}
	if err := conn.Close(); fmt.Sprint(err) != "closed badly" {
		t.Errorf("Close: %v", err)
	}
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("ä", 150)
	for in, want := range map[string]string{
		"":                        "",
		" a\r\nb\x1b[31m\x00c\t ": "a b [31m c",
		"left\u202eright\u2028x":  "left right x",
		"bad\xff\xfeutf8":         "badutf8",
		strings.Repeat("x", 200):  strings.Repeat("x", 200),
		strings.Repeat("x", 201):  strings.Repeat("x", 197) + "...",
		long:                      strings.Repeat("ä", 98) + "...",
	} {
		if got := scalers.Excerpt(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\a" + strings.Repeat("ü\xff", 200))
	f.Fuzz(func(t *testing.T, in string) {
		got := scalers.Excerpt(in)
		if len(got) > 200 || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q holds what cannot be printed", got)
		}
		if len(got) < 200 && scalers.Excerpt(got) != got {
			t.Errorf("%q changes when quoted again", got)
		}
	})
}

func TestOpenRefusesAWatchesFlagWithoutAWatcher(t *testing.T) {
	s := spec()
	s.Watches = true
	tr, _, err := scalers.Define(s).Parse(param.Values{Metadata: kv{"list": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "opening fake: its Spec says Watches, but scalers.each[github.com/weir-sh/weir/pkg/scalers_test.list] has no Watch"
	if _, err := tr.Source.Open(t.Context(), scalers.Env{}); fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
