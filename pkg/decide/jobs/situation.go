package jobs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
)

// situation is an Input with what follows from it.
type situation struct {
	Input

	strategy Strategy
	share    float64 // of the Jobs there are, with Custom

	triggers                     []decide.Trigger // as they are counted
	busy, idle, failing, pending []decide.Trigger // the same, by what they say

	most, least int32   // Jobs, least <= most, neither negative
	work        float64 // of the triggers with work together
	wanted      float64 // Jobs that this asks for, at most what the minimum leaves of the maximum
	missing     int32   // Jobs to the minimum
	more        int32   // Jobs to create for the work
	// inRounds says that deciding again on the same readings would create again.
	inRounds bool
}

func observe(in Input) *situation {
	s := &situation{Input: in, triggers: make([]decide.Trigger, len(in.Triggers))}
	s.strategy, s.share = in.effectiveStrategy()
	s.Unfinished, s.Pending, s.Recent = max(in.Unfinished, 0), max(in.Pending, 0), max(in.Recent, 0)
	s.most = max(in.Max, 0)
	s.least = min(max(in.Min, 0), s.most)
	for i, t := range in.Triggers {
		t = counted(t, i)
		s.triggers[i] = t
		switch {
		case t.State == decide.Busy:
			s.busy = append(s.busy, t)
		case t.State == decide.Idle:
			s.idle = append(s.idle, t)
		case t.Err != "":
			s.failing = append(s.failing, t)
		default:
			s.pending = append(s.pending, t)
		}
	}
	s.demand()
	if !in.Known || in.Paused {
		return s
	}
	s.missing = max(s.least-s.Unfinished, 0)
	s.more = whole(min(s.byStrategy(), float64(s.most)-float64(s.Unfinished)))
	// With a target below one, too: a decision creates no more Jobs than there is
	// work, though it asks for more.
	s.inRounds = s.strategy != Default || s.work < s.wanted
	return s
}

// counted returns t with the State that counts and finite numbers.
func counted(t decide.Trigger, index int) decide.Trigger {
	if t.Name == "" {
		t.Name = fmt.Sprintf("trigger %d", index)
	}
	for _, n := range []*float64{&t.Value, &t.Target, &t.Activation} {
		if math.IsNaN(*n) || math.IsInf(*n, 0) {
			if t.Err == "" {
				t.Err = fmt.Sprintf("%v is not a usable number", *n)
			}
			*n = 0
		}
	}
	if t.Err != "" || t.State > decide.Busy {
		t.State = decide.Unknown
	}
	return t
}

// effectiveStrategy is Default for what is none and for a Custom without a number.
func (in Input) effectiveStrategy() (Strategy, float64) {
	switch in.Strategy {
	case Accurate, Eager:
		return in.Strategy, 0
	case Custom:
		share, err := strconv.ParseFloat(in.Percentage, 64)
		if err == nil && !math.IsNaN(share) && !math.IsInf(share, 0) {
			return Custom, share
		}
	case Default:
	}
	return Default, 0
}

// room is how many Jobs the work may have beside those of the minimum.
func (s *situation) room() float64 { return float64(s.most - s.least) }

// demand combines the triggers with work. In every calculation work and wanted
// come from the same triggers.
func (s *situation) demand() {
	n := float64(len(s.busy))
	for _, t := range s.busy {
		value := max(t.Value, 0)
		wanted := s.wants(value, t.Target)
		switch s.Calculation {
		case Sum:
			s.work, s.wanted = s.work+value, s.wanted+wanted
		case Avg:
			s.work, s.wanted = s.work+value/n, s.wanted+wanted/n
		case Min:
			// A trigger that has work but no value asks for nothing, in whatever
			// place: it would stop the others for good.
			if value > 0 && (s.work == 0 || value < s.work) {
				s.work, s.wanted = value, wanted
			}
		default:
			if value > s.work {
				s.work, s.wanted = value, wanted
			}
		}
	}
	s.work, s.wanted = ceil(s.work), min(ceil(s.wanted), s.room())
}

// wants is how many Jobs a value asks for. Without a target it asks for none.
func (s *situation) wants(value, target float64) float64 {
	if target <= 0 {
		return 0
	}
	return min(value/target, s.room())
}

// running is how many Jobs beside those of the minimum may have the work in hand.
func (s *situation) running() float64 {
	return float64(s.Unfinished) + float64(s.Recent) - float64(s.least)
}

// byStrategy is how many Jobs the strategy creates, without regard to the maximum
// and maybe fewer than none. No strategy creates more than there is work, but Eager.
func (s *situation) byStrategy() float64 {
	room, pending := s.room(), float64(s.Pending)
	running := s.running()
	switch s.strategy {
	case Custom:
		return min(s.work, room, s.wanted-float64(s.Deduction)-math.Trunc(running*s.share))
	case Accurate:
		if s.wanted+running-pending > room {
			return min(s.work, room-running)
		}
		return min(s.work, s.wanted-pending)
	case Eager:
		return min(room, s.wanted, room-running-pending)
	case Default:
	}
	return min(s.work, s.wanted-running)
}

// early is the part of an interval by which a poll may come before its time: it
// goes with another that is due.
const early = 0.1

// untilRound is when the next round of creation may begin.
func (s *situation) untilRound() time.Duration {
	return s.LastRound.Add(time.Duration((1 - early) * float64(s.Interval))).Sub(s.Now)
}

// freshSince reports whether all the work was measured after an instant.
func (s *situation) freshSince(at time.Time) bool {
	return !slices.ContainsFunc(s.busy, func(t decide.Trigger) bool { return !s.Now.Add(-t.Age).After(at) })
}

// ceil rounds up. A billionth is an error of rounding: 0.3/0.1 is 3.
func ceil(v float64) float64 { return max(math.Ceil(v-1e-9), 0) }

// whole is v as a count.
func whole(v float64) int32 { return int32(min(max(v, 0), math.MaxInt32)) }
