package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// The bursts: the second comes while the first is being worked on.
const (
	firstBurst  = 60
	secondBurst = 90
	secondAfter = 6 * time.Second
)

// play sends the messages and watches until all is back at zero.
func (s *scene) play(ctx context.Context, out io.Writer, subjects []*subject) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.atRest(ctx, subjects); err != nil {
		return err
	}
	if err := s.burst(ctx, subjects, firstBurst); err != nil {
		return err
	}
	err := s.observe(ctx, newTable(out, s.log.start), subjects)
	return errors.Join(err, s.summary(out, subjects))
}

// burst sends n messages to each.
func (s *scene) burst(ctx context.Context, subjects []*subject, n int) error {
	s.log.say("sending %d messages to each", n)
	for _, sub := range subjects {
		if err := sub.burst(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// atRest waits until nothing runs.
func (s *scene) atRest(ctx context.Context, subjects []*subject) error {
	return s.wait(ctx, "both workloads to be at zero", time.Minute, func(ctx context.Context) error {
		for _, sub := range subjects {
			if err := s.replicas(ctx, sub, time.Now()); err != nil {
				return err
			}
			if sub.seen.replicas > 0 || sub.seen.ready > 0 {
				return fmt.Errorf("%s still has %d replicas", sub.deployment, sub.seen.replicas)
			}
		}
		return nil
	})
}

// observe follows the workloads to the end of the cycle.
func (s *scene) observe(ctx context.Context, t *table, subjects []*subject) error {
	fast, slow := time.NewTicker(50*time.Millisecond), time.NewTicker(time.Second)
	defer fast.Stop()
	defer slow.Stop()
	second := time.After(secondAfter)
	for {
		select {
		case <-ctx.Done():
			return errors.New("the cycle did not come to an end in time; see the summary")
		case <-second:
			if err := s.burst(ctx, subjects, secondBurst); err != nil {
				return err
			}
		case now := <-fast.C:
			for _, sub := range subjects {
				if err := s.replicas(ctx, sub, now); err != nil {
					return err
				}
			}
		case now := <-slow.C:
			over, err := s.row(ctx, subjects, now)
			if err != nil {
				return err
			}
			t.print(subjects, now)
			if over {
				return nil
			}
		}
		if err := s.weir.Ended(); err != nil {
			return err
		}
	}
}

// row refreshes the table's data; over says that the cycle has ended.
func (s *scene) row(ctx context.Context, subjects []*subject, now time.Time) (over bool, err error) {
	over = true
	for _, sub := range subjects {
		if err := s.look(ctx, sub); err != nil {
			return false, err
		}
		empty := sub.marks.peak > 0 && sub.seen.replicas == 0 && sub.seen.ready == 0 && sub.seen.backlog == 0 && len(sub.sent) > firstBurst
		switch {
		case !empty:
			sub.marks.zero = time.Time{}
		case sub.marks.zero.IsZero():
			sub.marks.zero = now
		}
		over = over && empty
	}
	return over, nil
}

// summary says what was seen, and returns an error unless it was all of it.
func (s *scene) summary(out io.Writer, subjects []*subject) error {
	var errs []error
	fmt.Fprintf(out, "\n%-16s %10s %10s %10s %10s %6s %6s %10s %6s\n", "", "message>1", ">ready", ">peak", ">0", "peak", "sent", "processed", "lost")
	for _, sub := range subjects {
		done, err := s.processed(sub)
		errs = append(errs, err)
		lost := 0
		for _, body := range sub.sent {
			if done[body] == 0 {
				lost++
			}
		}
		m := sub.marks
		fmt.Fprintf(out, "%-16s %10s %10s %10s %10s %6d %6d %10d %6d\n", sub.name,
			since(sub.first, m.one), since(sub.first, m.ready), since(sub.first, m.most), since(sub.first, m.zero), m.peak, len(sub.sent), len(done), lost)
		for _, check := range []struct {
			bad  bool
			what string
		}{
			{m.one.IsZero(), "never woke"},
			{m.peak < 2, "never grew beyond one replica"},
			{m.zero.IsZero(), "did not come back to zero"},
			{lost > 0, fmt.Sprintf("lost %d messages", lost)},
		} {
			if check.bad {
				errs = append(errs, fmt.Errorf("%s %s", sub.name, check.what))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nThe whole cycle was seen, and every message was processed.")
	return nil
}

func since(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%.2fs", to.Sub(from).Seconds())
}

// table prints rows: in place on a terminal, one after the other elsewhere.
type table struct {
	out      io.Writer
	start    time.Time
	terminal bool
	printed  int    // lines to go back
	last     string // what was printed last
}

func newTable(out io.Writer, start time.Time) *table {
	t := &table{out: out, start: start}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			t.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return t
}

// print shows the rows. Elsewhere than on a terminal it prints changes only.
func (t *table) print(subjects []*subject, now time.Time) {
	var b strings.Builder
	for _, sub := range subjects {
		v := sub.seen
		fmt.Fprintf(&b, "%-16s backlog %4d  metric %4s  desired %2d  replicas %2d  ready %2d  %s\n",
			sub.name, v.backlog, v.metric, v.desired, v.replicas, v.ready, v.reason)
	}
	text := b.String()
	if !t.terminal {
		if text == t.last {
			return
		}
		t.last = text
		for line := range strings.Lines(text) {
			fmt.Fprintf(t.out, "%6.1fs  %s", now.Sub(t.start).Seconds(), line)
		}
		return
	}
	if t.printed > 0 {
		fmt.Fprintf(t.out, "\x1b[%dA", t.printed)
	}
	t.printed = 0
	for line := range strings.Lines(fmt.Sprintf("%6.1fs\n%s", now.Sub(t.start).Seconds(), text)) {
		fmt.Fprint(t.out, "\x1b[2K", line)
		t.printed++
	}
}
