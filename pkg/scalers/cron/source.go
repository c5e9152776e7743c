package cron

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/weir-sh/weir/pkg/scalers"
)

// source tells the time.
type source struct {
	zones sync.Map // *time.Location by name; there are some 600
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	now := time.Now()
	readings := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w, err := s.window(q)
		if err != nil {
			readings[i].Err = err
			continue
		}
		readings[i].Activity = scalers.Idle
		if w.open(now) {
			readings[i].Activity, readings[i].Value = scalers.Busy, max(0, float64(q.replicas))
		}
	}
	return readings, nil
}

// Close implements scalers.Source.
func (s *source) Close() error { return nil }

// look is how long Watch sleeps at most: the clock may be set meanwhile.
const look = time.Minute

// Watch implements scalers.Watcher: it wakes each query when its window begins and
// when it ends.
func (s *source) Watch(ctx context.Context, queries []query, ready func(), wake func(query)) error {
	windows := make(map[query]window, len(queries))
	turns := make(map[query]time.Time, len(queries))
	for _, q := range queries {
		w, err := s.window(q)
		if err != nil {
			continue // its readings tell
		}
		windows[q], turns[q] = w, w.turn(time.Now())
	}
	ready()
	for last := time.Now().Round(0); ; { // without the monotonic clock, which is never set back
		now := time.Now().Round(0)
		next := now.Add(look)
		for q, turn := range turns {
			if turn.IsZero() {
				continue
			}
			due := !turn.After(now)
			if due {
				wake(q)
			}
			if due || now.Before(last) {
				turn = windows[q].turn(now)
				turns[q] = turn
			}
			if turn.Before(next) {
				next = turn
			}
		}
		last = now
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// window is a query that was understood.
type window struct {
	start, end cron.Schedule
	zone       *time.Location
}

// window returns the window of q; the error is of kind Invalid.
func (s *source) window(q query) (window, error) {
	invalid := func(what string, err error) error {
		return &scalers.Error{Kind: scalers.Invalid, Op: "reading " + what, Err: err, Hint: "correct the trigger"}
	}
	zone, err := s.location(q.zone)
	if err != nil {
		return window{}, invalid(fmt.Sprintf("timezone %q", q.zone), errors.New("there is no time zone of that name"))
	}
	w := window{zone: zone}
	if w.start, err = parse(q.start); err != nil {
		return w, invalid("start", err)
	}
	if w.end, err = parse(q.end); err != nil {
		return w, invalid("end", err)
	}
	return w, nil
}

// location is time.LoadLocation, which reads a file each time.
func (s *source) location(name string) (*time.Location, error) {
	if known, ok := s.zones.Load(name); ok {
		if zone, ok := known.(*time.Location); ok {
			return zone, nil
		}
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		s.zones.Store(name, zone)
	}
	return zone, err
}

// open reports whether the window is open at now: its end comes next, or with its
// start. An end that never comes leaves it open, and a start that never comes
// leaves it shut: the library then answers the zero time, before all others.
func (w window) open(now time.Time) bool {
	now = now.In(w.zone)
	return !w.end.Next(now).After(w.start.Next(now))
}

// turn is when the window begins or ends next; zero when it never does.
func (w window) turn(now time.Time) time.Time {
	now = now.In(w.zone)
	start, end := w.start.Next(now), w.end.Next(now)
	if start.IsZero() || !end.IsZero() && end.Before(start) {
		return end
	}
	return start
}

// parse reads an expression of five fields.
func parse(expression string) (cron.Schedule, error) {
	// The library takes a zone in the expression, and panics when nothing follows.
	if strings.Contains(expression, "TZ=") && !strings.Contains(expression, " ") {
		return nil, errors.New("nothing follows the time zone")
	}
	return cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(expression)
}
