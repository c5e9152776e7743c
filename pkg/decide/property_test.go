package decide_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
)

// draws is the number of random inputs per property; the seed is fixed.
const draws = 20_000

// random draws an Input whose values lie close together, so that bounds meet, and
// which may be as wrong as the API server lets pass and worse.
func random(r *rand.Rand) decide.Input {
	coin := func() bool { return r.IntN(2) == 0 }
	rarely := func() bool { return r.IntN(8) == 0 }
	in := decide.Input{
		Now: epoch, Replicas: r.Int32N(9), ReplicasKnown: !rarely(),
		Min: r.Int32N(8) - 1, Max: r.Int32N(8), HasIdle: coin(), Idle: r.Int32N(6) - 1,
		Created:  epoch.Add(-seconds(r, 600)),
		Cooldown: seconds(r, 400), InitialCooldown: seconds(r, 400),
		Paused: rarely(), PausedScaleIn: rarely(), PausedScaleOut: rarely(), ForceActivation: rarely(),
		Fallback: coin(), FallbackReplicas: r.Int32N(4) - 1,
	}
	if rarely() {
		in.Created = time.Time{}
	}
	if rarely() {
		in.PausedReplicas = new(r.Int32N(9))
	}
	if coin() {
		in.LastActive = epoch.Add(seconds(r, 60) - seconds(r, 600))
	}
	numbers := []float64{0, 0.1, 5, 1e18, -3, math.NaN(), math.Inf(1), math.Inf(-1)}
	for range r.IntN(5) {
		t := decide.Trigger{
			Name: "s0-redis-jobs", State: decide.State(r.IntN(3)), FallbackActive: rarely(), Resource: rarely(), Feeds: rarely(), Formula: rarely(),
			Value: numbers[r.IntN(5)], Target: 5, Age: seconds(r, 90),
		}
		if rarely() {
			t.Err = "connection refused"
		}
		if rarely() {
			t.Value = numbers[r.IntN(len(numbers))]
		}
		if rarely() {
			t.Activation = numbers[r.IntN(len(numbers))]
		}
		if rarely() {
			t.State = decide.State(r.IntN(256))
		}
		in.Triggers = append(in.Triggers, t)
	}
	return in
}

func seconds(r *rand.Rand, most int) time.Duration { return time.Duration(r.IntN(most)) * time.Second }

// always checks a property against random inputs. It fails when the property was
// about fewer than a hundred of them.
func always(t *testing.T, property func(in decide.Input, d decide.Decision) (relevant bool, err error)) {
	t.Helper()
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	n := 0
	for range draws {
		in := random(r)
		d := decide.Decide(in)
		relevant, err := property(in, d)
		if err != nil {
			t.Fatalf("%v\ninput: %+v\ndecision: %s", err, in, d)
		}
		if relevant {
			n++
		}
	}
	if n < 100 {
		t.Errorf("only %d of %d inputs had to do with it", n, draws)
	}
}

// readable says that t has a fresh and usable reading.
func readable(t decide.Trigger) bool {
	sum := t.Value + t.Activation // not finite when one of them is not: none is near the largest number
	return t.Err == "" && !t.FallbackActive && !math.IsNaN(sum) && !math.IsInf(sum, 0) &&
		(t.State == decide.Idle || t.State == decide.Busy)
}

// feeds says that not t but a formula that it feeds says whether there is work.
func feeds(in decide.Input, t decide.Trigger) bool {
	return t.Feeds && !t.Formula && slices.ContainsFunc(in.Triggers, func(t decide.Trigger) bool { return t.Formula && !t.Resource })
}

// busy says that something is known to have work.
func busy(in decide.Input) bool {
	return slices.ContainsFunc(in.Triggers, func(t decide.Trigger) bool {
		return !t.Resource && !feeds(in, t) && readable(t) && t.State == decide.Busy
	})
}

func TestReplicasAreNeverTakenAwayWithoutAFreshReadingOfEveryTrigger(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		blind := slices.ContainsFunc(in.Triggers, func(t decide.Trigger) bool {
			provided := feeds(in, t) && t.FallbackActive // the formula was told
			return !t.Resource && !provided && !readable(t)
		})
		if (blind || !in.ReplicasKnown) && d.To < d.From {
			return true, fmt.Errorf("took replicas away blindly")
		}
		return blind, nil
	})
}

func TestWorkIsNeverPutToRest(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		busy := in.ForceActivation || busy(in)
		if busy && d.To < d.From {
			return true, fmt.Errorf("took replicas away from work")
		}
		return busy, nil
	})
}

func TestWorkWakesWhateverElseFails(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		free := in.ReplicasKnown && in.Replicas == 0 && !in.Paused && in.PausedReplicas == nil && !in.PausedScaleOut
		busy := busy(in)
		if free && busy && (d.Action != decide.Activate || !d.LastActive.Equal(in.Now)) {
			return true, fmt.Errorf("work did not wake the workload")
		}
		return free && busy, nil
	})
}

func TestAPausedObjectIsNeverScaled(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		paused := in.Paused || in.PausedReplicas != nil
		switch {
		case paused && d.Action != decide.Hold:
			return true, fmt.Errorf("scaled while paused")
		case in.PausedScaleIn && d.To < d.From:
			return true, fmt.Errorf("scaled in while that is paused")
		case in.PausedScaleOut && d.To > d.From:
			return true, fmt.Errorf("scaled out while that is paused")
		case paused && !d.LastActive.Equal(in.LastActive):
			return true, fmt.Errorf("was active while paused")
		}
		return paused, nil
	})
}

func TestActionsGoTheirWayAndStayWithinBounds(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		floor, idle := max(in.Min, 0), int32(0)
		if in.Max > 0 {
			floor = min(floor, in.Max)
		}
		if in.HasIdle {
			idle = max(in.Idle, 0)
		}
		ok := false
		switch d.Action {
		case decide.Hold:
			ok = d.To == d.From
		case decide.Activate:
			ok = d.To > d.From && d.To == max(1, floor)
		case decide.Correct:
			ok = d.To > d.From && d.To == floor
		case decide.Deactivate:
			ok = d.To < d.From && d.To == idle
		}
		if !ok {
			return true, fmt.Errorf("%s from %d to %d", d.Action, d.From, d.To)
		}
		return d.Action != decide.Hold, nil
	})
}

func TestUnusableNumbersDecideNothing(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		if len(in.Triggers) == 0 || in.ForceActivation {
			return false, nil
		}
		for i := range in.Triggers {
			in.Triggers[i].Value, in.Triggers[i].Resource, in.Triggers[i].FallbackActive = math.NaN(), false, false
		}
		d = decide.Decide(in)
		if d.Action != decide.Hold {
			return true, fmt.Errorf("NaN made it %s", d)
		}
		return true, nil
	})
}

func TestADecisionIsAPureFunctionThatKeepsNothing(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		if again := decide.Decide(in); !reflect.DeepEqual(d, again) {
			return true, fmt.Errorf("another decision at the second time: %s", again)
		}
		for i := range in.Triggers {
			in.Triggers[i].Name = "changed later"
			if d.Triggers[i].Name != "s0-redis-jobs" {
				return true, fmt.Errorf("a decision changed with its input")
			}
		}
		return true, nil
	})
}

func TestEveryDecisionIsCompleteAndOneLine(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		text := d.String()
		switch {
		case d.Message == "" || d.Reason == "" || d.Paused.Status == "" || d.Fallback.Status == "":
			return true, fmt.Errorf("something is missing")
		case !d.At.Equal(in.Now) || len(d.Triggers) != len(in.Triggers):
			return true, fmt.Errorf("the inputs are missing")
		case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) || strings.Contains(text, "%!"):
			return true, fmt.Errorf("%q is not one clean line", text)
		case d.LastActive.Before(in.LastActive) && !d.LastActive.Equal(in.Now):
			return true, fmt.Errorf("LastActive went back")
		case d.Recheck < 0 || (d.Recheck > 0) != (d.Reason == decide.CoolingDown):
			return true, fmt.Errorf("recheck after %s", d.Recheck)
		}
		for _, t := range d.Triggers {
			if sum := t.Value + t.Activation; math.IsNaN(sum) || math.IsInf(sum, 0) {
				return true, fmt.Errorf("a number is not finite")
			}
			if t.State > decide.Busy {
				return true, fmt.Errorf("%d is not a state", t.State)
			}
		}
		return true, nil
	})
}

// TestARunningCooldownEndsAtItsRecheck follows the promise of Recheck: not earlier,
// and then at once.
func TestARunningCooldownEndsAtItsRecheck(t *testing.T) {
	always(t, func(in decide.Input, d decide.Decision) (bool, error) {
		in.Triggers = []decide.Trigger{{State: decide.Idle}}
		d = decide.Decide(in)
		if d.Reason != decide.CoolingDown || in.LastActive.After(in.Now) || in.Created.IsZero() {
			return false, nil
		}
		in.Now = in.Now.Add(d.Recheck - 1)
		if early := decide.Decide(in); early.Action != decide.Hold {
			return true, fmt.Errorf("too early: %s", early)
		}
		in.Now = in.Now.Add(1)
		if then := decide.Decide(in); then.Action != decide.Deactivate {
			return true, fmt.Errorf("at its end: %s", then)
		}
		return true, nil
	})
}
