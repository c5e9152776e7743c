package engine

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

func TestNextIsWithinTheIntervalAndFindsThePhase(t *testing.T) {
	t.Parallel()
	for range 10_000 {
		interval := time.Second + rand.N(time.Hour)
		phase, now := rand.N(24*time.Hour), rand.N(48*time.Hour)
		for range 11 {
			at := next(now, interval, phase)
			if gap := at - now; gap > interval || gap < interval-interval/10 {
				t.Fatalf("next(%v, %v, %v) is %v later", now, interval, phase, gap)
			}
			now = at
		}
		if (now-phase)%interval != 0 {
			t.Fatalf("interval %v is off its phase %v by %v after eleven polls", interval, phase, (now-phase)%interval)
		}
		if at := next(now, interval, phase); at != now+interval {
			t.Fatalf("on its phase, the next poll is %v later, want %v", at-now, interval)
		}
	}
}

func TestScheduleGivesWhatIsDueWhateverHappens(t *testing.T) {
	t.Parallel()
	var h schedule
	due := map[*entry]instant{}
	var all []*entry
	for range 20_000 {
		switch k := rand.N(10); {
		case k < 3 || len(all) == 0:
			e := &entry{interval: time.Second + rand.N(99*time.Second)}
			due[e] = rand.N(1000 * time.Second)
			h.add(e, due[e])
			all = append(all, e)
		case k < 5:
			i := rand.N(len(all))
			e := all[i]
			h.remove(e)
			delete(due, e)
			all = slices.Delete(all, i, i+1)
		case k < 9:
			e := all[rand.N(len(all))]
			due[e] = rand.N(1000 * time.Second)
			h.move(e, due[e])
		default:
			some := all[:rand.N(len(all)+1)]
			for _, e := range some {
				due[e] = rand.N(1000 * time.Second)
			}
			h.moveAll(some, func(e *entry) instant { return due[e] })
		}
		if first, ok := h.first(); ok != (len(all) > 0) || ok && first != due[h.items[0].e] {
			t.Fatal("first is wrong")
		}
	}
	now := 400 * time.Second
	got := map[*entry]int{}
	h.collect(now, func(e *entry) { got[e]++ })
	wanted := 0
	for e, at := range due {
		want := 0
		if at-e.interval/10 <= now {
			want = 1
			wanted++
		}
		if got[e] != want {
			t.Errorf("an entry due at %v with interval %v was collected %d times at %v", at, e.interval, got[e], now)
		}
	}
	if wanted == 0 || wanted == len(due) {
		t.Errorf("%d of %d were due: the test tests nothing", wanted, len(due))
	}
}

func TestBackoffGrowsToItsCapWithJitter(t *testing.T) {
	t.Parallel()
	for attempt := range 100 {
		most := time.Minute
		if attempt < 6 {
			most = time.Second << attempt
		}
		seen := map[time.Duration]bool{}
		for range 50 {
			d := backoff(attempt, time.Second, time.Minute)
			if d < most/2 || d > most {
				t.Fatalf("attempt %d waits %v, want %v to %v", attempt, d, most/2, most)
			}
			seen[d] = true
		}
		if len(seen) < 40 {
			t.Errorf("attempt %d has no jitter", attempt)
		}
	}
}

func TestHuntFindsCulpritsCheaply(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		size, bad        int
		mostProbes       int
		wantAlive, total bool // total: every culprit is found in one hunt
	}{
		{"one of one", 1, 1, 0, false, true},
		{"two of two", 2, 2, 2, false, true},
		{"one of two", 2, 1, 2, true, true},
		{"one of 10,000", 10_000, 1, 28, true, true},
		{"three of 10,000", 10_000, 3, 84, true, true},
		{"fifty of 10,000", 10_000, 50, 128, true, false},
		{"all of 10,000", 10_000, 10_000, 18, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := func(i int) bool { return i < tt.bad }
			var h hunt[int]
			seen := map[int]int{}
			h.probe = func(part []int) (bool, error) {
				if slices.ContainsFunc(part, bad) {
					return false, errors.New("poison")
				}
				for _, i := range part {
					seen[i]++
				}
				return false, nil
			}
			all := make([]int, tt.size)
			for i := range all {
				all[i] = i
			}
			h.run(all, errors.New("poison"))
			if h.probes > tt.mostProbes || h.alive != tt.wantAlive {
				t.Errorf("%d probes, alive %v", h.probes, h.alive)
			}
			if tt.total && (len(h.culprits) != tt.bad || len(h.rest) != 0) {
				t.Errorf("%d culprits, %d not looked into", len(h.culprits), len(h.rest))
			}
			for _, c := range h.culprits {
				if !bad(c.who) {
					t.Errorf("%d is innocent", c.who)
				}
			}
			if n := len(seen) + len(h.culprits) + len(h.rest); n != tt.size {
				t.Errorf("%d of %d are accounted for", n, tt.size)
			}
		})
	}
}

func TestErrorsOfASourceAreToldFromThoseOfAQuery(t *testing.T) {
	t.Parallel()
	for kind, want := range map[scalers.Kind]bool{
		scalers.Unreachable: true, scalers.Unauthorized: true, scalers.Throttled: true,
		scalers.NotFound: false, scalers.BadAnswer: false, scalers.Unknown: false, scalers.Invalid: false,
	} {
		if got := ofSource(&scalers.Error{Kind: kind, Op: "x"}); got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
