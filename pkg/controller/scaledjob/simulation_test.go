package scaledjob_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
)

// simulation is a queue, Jobs that take one message each, and a Job controller,
// in virtual time. Everything takes a random while: a Job to begin, its work, the
// news of it to the cache, a measurement.
type simulation struct {
	*world

	r                *rand.Rand
	events           []occasion
	waiting          int // messages in the queue
	done             int // messages that were worked off
	wasted           int // Jobs that found no message
	begun            int // Jobs that have begun their life
	unfinished, most int // Jobs, and how many there may be
	pace             int // in ms: the longest that a Job takes to begin, and to work
	life             int // of weir, which ends with a crash
}

// occasion is something that happens at a moment.
type occasion struct {
	at   time.Time
	what func()
}

// after lets something happen after up to so many milliseconds.
func (s *simulation) after(most int, what func()) {
	at := s.now.Add(time.Duration(1+s.r.IntN(most)) * time.Millisecond)
	i, _ := slices.BinarySearchFunc(s.events, at, func(o occasion, t time.Time) int { return o.at.Compare(t) })
	s.events = slices.Insert(s.events, i, occasion{at, what})
}

// reconciles lets the reconciler look at the object, and gives life to what it
// created.
func (s *simulation) reconciles() {
	if _, err := s.tries(); err != nil {
		s.after(500, s.reconciles)
	}
	for _, name := range s.made[s.begun:] {
		s.begun++
		s.unfinished++
		s.news(name, 4000)
		s.after(s.pace, func() { s.begins(name) })
	}
	if s.unfinished > s.most {
		s.T.Fatalf("%d Jobs, at most %d", s.unfinished, s.most)
	}
}

// begins lets a Job take a message and work.
func (s *simulation) begins(name string) {
	if s.waiting == 0 {
		s.wasted++
		s.after(s.pace, func() { s.finishes(name) })
		return
	}
	s.waiting--
	s.after(s.pace, func() {
		s.done++
		s.after(s.pace, func() { s.finishes(name) })
	})
}

// finishes lets the Job controller see the end of a Job.
func (s *simulation) finishes(name string) {
	j := s.job(name)
	ends(j, batchv1.JobComplete, s.now)
	if err := s.api.Status().Update(s.T.Context(), j); err != nil {
		s.T.Fatal(err)
	}
	s.unfinished--
	s.news(name, 4000)
}

func (s *simulation) job(name string) *batchv1.Job {
	j := new(batchv1.Job)
	if err := s.api.Get(s.T.Context(), client.ObjectKey{Namespace: "ns", Name: name}, j); err != nil {
		s.T.Fatal(err)
	}
	return j
}

// news brings a Job as it is now to the cache, after a while. What is older than
// what the cache shows is left out, as in a watch.
func (s *simulation) news(name string, most int) {
	j := s.job(name)
	s.after(most, func() {
		if had := s.cache[name]; had == nil || len(had.Status.Conditions) <= len(j.Status.Conditions) {
			s.shows(j)
		}
		if len(s.queue.Taken()) > 0 {
			s.after(50, s.reconciles)
		}
	})
}

// measures reads the length of the queue: what is stored later was true now.
func (s *simulation) measures(every int) {
	began, value, life := s.now, float64(s.waiting), s.life
	s.after(300, func() {
		if life == s.life && len(s.engine.Uses) > 0 {
			s.engine.Samples[s.query("jobs")] = engine.Sample{OK: true, Value: value, Work: value, At: began, Measured: s.now, Took: s.now.Sub(began)}
			s.after(20, s.reconciles)
		}
		s.after(every, func() { s.measures(every) })
	})
}

// crashes lets weir lose its memory. A measurement that is under way is lost too.
func (s *simulation) crashes() {
	stale := s.cache
	s.restart()
	for name := range s.cache { // the new cache may be behind as well
		if stale[name] == nil && s.r.IntN(2) == 0 {
			delete(s.cache, name)
			s.news(name, 4000)
		}
	}
	s.life++
	s.after(100, s.reconciles)
}

// run lets things happen until the queue is empty and all Jobs have ended.
func (s *simulation) run(limit time.Duration, idle func() bool) {
	for end := s.now.Add(limit); !idle(); {
		if len(s.events) == 0 || s.now.After(end) {
			s.T.Fatalf("%d messages are left after %s", s.waiting, limit)
		}
		next := s.events[0]
		s.events = s.events[1:]
		s.now = next.at
		next.what()
	}
}

// TestAHundredMessagesAreAHundredJobs is the promise of the package: no message
// gets two Jobs, none is forgotten, and there are never too many at a time,
// however late the news is, when answers are lost and when weir restarts.
func TestAHundredMessagesAreAHundredJobs(t *testing.T) {
	t.Parallel()
	const messages, seeds = 100, 6
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			most := []int{3, 17, 60, 200}[r.IntN(4)]
			w := newWorld(t, scaledJob(between(0, int32(most)), func(sj *v1alpha1.ScaledJob) { sj.Spec.PollingInterval = new(int32(2)) }))
			s := &simulation{world: w, r: r, most: most, pace: []int{50, 500, 4000}[r.IntN(3)]}
			s.lagging = true
			s.Fail = func(call string) error {
				if (call == "create Job" || call == "list Job") && r.IntN(10) == 0 {
					return errors.New("connection refused")
				}
				return nil
			}
			s.lose = func() bool { return r.IntN(10) == 0 }
			for range messages / 10 {
				s.after(20_000, func() { s.waiting += 10 })
			}
			for range 5 {
				s.after(25_000, s.crashes)
			}
			s.after(1, s.reconciles)
			s.measures(2000)
			s.run(time.Hour, func() bool { return s.done == messages })
			quiet := s.now.Add(30 * time.Second)
			s.run(time.Hour, func() bool { return s.now.After(quiet) })
			if s.begun != messages || s.wasted > 0 || s.done != messages {
				t.Errorf("%d Jobs for %d messages; %d found none", s.begun, messages, s.wasted)
			}
		})
	}
}
