package secretstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store answers each read after a second with how many there were, or an error.
type store struct {
	mu      sync.Mutex
	err     error
	openErr error
	life    time.Duration
	hangs   bool
	reads   map[string]int // by login and item
	open    int
}

func (s *store) Open(login string) (secretstore.Session[string], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.openErr != nil {
		return nil, s.openErr
	}
	s.open++
	return session{s, login}, nil
}

func (s *store) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) count() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.reads, " open ", s.open)
}

type session struct {
	*store
	login string
}

func (s session) Read(ctx context.Context, item string) (secretstore.Secret, error) {
	time.Sleep(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads[s.login+item]++
	if s.hangs {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return secretstore.Secret{}, ctx.Err()
	}
	if s.err != nil {
		return secretstore.Secret{}, s.err
	}
	return secretstore.Secret{Fields: map[string]string{"": fmt.Sprintf("%s%d", item, s.reads[s.login+item])}, Life: s.life}, nil
}

func (s session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	return nil
}

// world is a cache with its store, in a bubble.
type world struct {
	*testing.T
	store   *store
	cache   *secretstore.Cache[string, string]
	log     *bytes.Buffer
	mu      sync.Mutex
	results []string
}

// in runs f in a bubble of virtual time.
func in(t *testing.T, c secretstore.Config, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, store: &store{reads: map[string]int{}}, log: &bytes.Buffer{}}
		c.Name, c.Log = "fake", slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		c.Observe = func(result string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.results = append(w.results, result)
		}
		w.cache = secretstore.New(w.store, c)
		f(w)
		if err := w.cache.Close(); err != nil {
			t.Error(err)
		}
		if w.store.open != 0 {
			t.Errorf("%d sessions are still open", w.store.open)
		}
		if strings.Contains(w.log.String(), "canceled") {
			t.Errorf("logged %s", w.log)
		}
		if _, err := w.cache.Read(t.Context(), "l", "a"); text(err) != "reading a secret: the cache is closed" {
			t.Errorf("after Close: %v", err)
		}
	})
}

// reads reads a secret and compares the outcome: the value, whether it is stale,
// for how long it is fresh, or the error.
func (w *world) reads(login, item, want string) {
	w.Helper()
	got, err := w.cache.Read(w.Context(), login, item)
	out := fmt.Sprintf("%s for %v", got.Fields[""], got.FreshFor)
	if got.Stale {
		out = "stale " + out
	}
	if err != nil {
		out = fmt.Sprintf("%v, again in %v", err, got.FreshFor)
	}
	if out != want {
		w.Errorf("got %s, want %s", out, want)
	}
}

// asked compares how often the store was asked.
func (w *world) asked(want string) {
	w.Helper()
	if got := w.store.count(); got != want {
		w.Errorf("got %s, want %s", got, want)
	}
}

func (w *world) observed(want string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.results, " "); got != want {
		w.Errorf("observed %s, want %s", got, want)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func fault(kind scalers.Kind) error {
	return &scalers.Error{Kind: kind, Op: "reading", Err: errors.New("boom")}
}

func TestASecretIsReadOnceInItsTime(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		w.reads("l", "a", "a1 for 1m0s")
		time.Sleep(20 * time.Second)
		w.reads("l", "a", "a1 for 40s")
		w.reads("l", "b", "b1 for 1m0s")
		w.reads("m", "a", "a1 for 1m0s")
		time.Sleep(38 * time.Second)
		w.reads("l", "a", "a2 for 1m0s") // the TTL has just ended
		w.asked("map[la:2 lb:1 ma:1] open 2")
		w.observed("ok ok ok ok")
	})
}

func TestTheTTLCanBeSet(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{TTL: time.Hour}, func(w *world) {
		w.reads("l", "a", "a1 for 1h0m0s")
	})
}

func TestWhatTheStoreSaysOfTheLifeCounts(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		w.store.life = 10 * time.Hour
		w.reads("l", "a", "a1 for 8h0m0s")
		time.Sleep(8*time.Hour - time.Second)
		w.reads("l", "a", "a1 for 1s")
		w.store.fails(fault(scalers.Unreachable))
		time.Sleep(time.Second)
		w.reads("l", "a", "stale a1 for 5s") // four fifths have passed, but not all
		time.Sleep(2 * time.Hour)
		w.reads("l", "a", "reading: boom, again in 10s") // all have
		w.asked("map[la:3] open 1")
	})
}

func TestReadsAtTheSameTimeAreOne(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { w.reads("l", "a", "a1 for 1m0s") })
		}
		wg.Wait()
		w.asked("map[la:1] open 1")
	})
}

func TestWhoGivesUpDoesNotEndTheReadForOthers(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		ctx, stop := context.WithTimeout(w.Context(), time.Millisecond)
		defer stop()
		if _, err := w.cache.Read(ctx, "l", "a"); text(err) != "waiting for the secret store: context deadline exceeded" {
			w.Errorf("got %v", err)
		}
		w.reads("l", "a", "a1 for 1m0s")
		w.asked("map[la:1] open 1")
	})
}

func TestAStoreThatDoesNotAnswerLeavesWhatThereIs(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		w.reads("l", "a", "a1 for 1m0s")
		w.reads("l", "b", "b1 for 1m0s")
		w.store.fails(fault(scalers.Unreachable))
		time.Sleep(time.Minute)
		w.reads("l", "a", "stale a1 for 5s")
		w.reads("l", "b", "stale b1 for 5s")            // nobody asks again so soon
		w.reads("l", "c", "reading: boom, again in 5s") // nor for what was never read
		w.reads("m", "a", "reading: boom, again in 5s") // another login may fare better
		for _, rest := range []string{"10s", "20s", "40s", "1m0s", "1m0s"} {
			time.Sleep(time.Minute)
			w.reads("l", "a", "stale a1 for "+rest)
		}
		w.store.fails(nil)
		w.reads("l", "a", "stale a1 for 1m0s")
		time.Sleep(time.Minute)
		w.reads("l", "a", "a8 for 1m0s")
		w.reads("l", "b", "b2 for 1m0s")
		w.asked("map[la:8 lb:2 ma:1] open 2")
		want := `level=WARN msg="a secret store does not answer; secrets read before stay in use" store=fake error="reading: boom"` + "\n"
		if got := w.log.String(); got != want+want+`level=INFO msg="a secret store answers again" store=fake`+"\n" {
			w.Errorf("logged\n%s", got)
		}
	})
}

func TestStaleSecretsAreCounted(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		w.reads("l", "a", "a1 for 1m0s")
		w.store.fails(errors.New("boom"))
		time.Sleep(time.Minute)
		w.reads("l", "a", "stale a1 for 5s")
		w.reads("l", "a", "stale a1 for 5s")
		w.observed("ok Unknown Stale Stale")
	})
}

func TestAStoreThatAsksForLessIsLeftAlone(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		w.store.fails(&scalers.Error{Kind: scalers.Throttled, Op: "reading", RetryAfter: 30 * time.Second})
		w.reads("l", "a", "reading, again in 30s")
		time.Sleep(29 * time.Second)
		w.reads("l", "b", "reading, again in 1s")
		w.asked("map[la:1] open 1")
	})
}

func TestADefiniteAnswerIsTheEndOfASecret(t *testing.T) {
	t.Parallel()
	for _, kind := range []scalers.Kind{scalers.NotFound, scalers.Unauthorized, scalers.Invalid} {
		in(t, secretstore.Config{}, func(w *world) {
			w.reads("l", "a", "a1 for 1m0s")
			time.Sleep(time.Minute)
			w.store.fails(fault(kind))
			w.reads("l", "a", "reading: boom, again in 5s")
			w.reads("l", "a", "reading: boom, again in 5s")
			w.reads("l", "b", "reading: boom, again in 5s") // it says nothing of other secrets
			time.Sleep(5 * time.Second)
			w.reads("l", "a", "reading: boom, again in 10s")
			time.Sleep(10 * time.Second)
			w.store.fails(nil)
			w.reads("l", "a", "a4 for 1m0s")
			w.asked("map[la:4 lb:1] open 1")
			w.observed(strings.ReplaceAll("ok K K K ok", "K", string(kind)))
			if w.log.Len() > 0 {
				w.Errorf("logged %s", w.log)
			}
		})
	}
}

func TestALoginThatCannotBeRightIsAnAnswer(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		w.store.openErr = fault(scalers.Invalid)
		w.reads("l", "a", "reading: boom, again in 5s")
		w.asked("map[] open 0")
	})
}

func TestAReadThatHangsEnds(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{Timeout: 3 * time.Second}, func(w *world) {
		w.store.hangs = true
		start := time.Now()
		w.reads("l", "a", "context deadline exceeded, again in 5s")
		if d := time.Since(start); d != 3*time.Second {
			w.Errorf("it took %v", d)
		}
	})
}

func TestCloseEndsReads(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{Timeout: time.Hour}, func(w *world) {
		w.store.hangs = true
		ctx, stop := context.WithTimeout(w.Context(), time.Minute)
		defer stop()
		if _, err := w.cache.Read(ctx, "l", "a"); err == nil {
			w.Error("it was read")
		}
		// in closes the cache: without an end to the read it would hang for an hour.
		start := time.Now()
		w.Cleanup(func() {
			if d := time.Since(start); d > time.Second {
				w.Errorf("Close took %v", d)
			}
		})
	})
}

func TestTheSizeIsBounded(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{Size: 10}, func(w *world) {
		for i := range 12 {
			w.reads(fmt.Sprint("login", i), "a", "a1 for 1m0s")
		}
		w.reads("login11", "a", "a1 for 1m0s")
		w.reads("login0", "a", "a2 for 1m0s") // was the one asked for longest ago
		if w.store.open > 10 {
			w.Errorf("%d sessions are open", w.store.open)
		}
		names := slices.Sorted(maps.Keys(w.store.reads))
		if len(names) != 12 {
			w.Errorf("read %v", names)
		}
	})
}

func TestWhatNobodyAsksForIsForgotten(t *testing.T) {
	t.Parallel()
	in(t, secretstore.Config{}, func(w *world) {
		w.reads("l", "a", "a1 for 1m0s")
		w.store.life = 10 * time.Hour
		w.reads("m", "a", "a1 for 8h0m0s")
		time.Sleep(time.Hour)
		w.store.life = 0
		w.reads("n", "a", "a1 for 1m0s")
		w.asked("map[la:1 ma:1 na:1] open 2") // l is gone; what m read is still good
		w.reads("m", "a", "a1 for 6h59m59s")
	})
}

func TestAServersWordsAreCutAndHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ said, want string }{
		{"", "the server gives no reason"},
		{"permission denied", "permission denied"},
		{"token canary is wrong, canary!", "token [redacted] is wrong, [redacted]!"},
	} {
		if got := secretstore.Refusal(tc.said, param.NewSecret("canary"), param.Secret{}).Error(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	if got := secretstore.Refusal(strings.Repeat("x", 1000)).Error(); len(got) > 210 {
		t.Errorf("%d bytes", len(got))
	}
}
