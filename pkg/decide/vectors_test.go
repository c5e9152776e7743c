package decide_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
)

// epoch is the Now of tests; objects were created an hour before.
var epoch = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// vector is one row of the behaviour table: bounds, replicas and what triggers say,
// then the outcome. An unset min, idle or max is -1.
type vector struct {
	row            int
	min, idle, cur int32
	triggers       string // words of trigger, space separated
	extra          func(*decide.Input)
	to             int32 // -1: none
	last           bool  // LastActive becomes Now
	ready, active  string
}

const (
	none = -1

	isTrue   = "True/ScaledObjectReady"
	partial  = "Unknown/PartialTriggerError"
	failed   = "False/TriggerError"
	isActive = "True/ScalerActive"
	inactive = "False/ScalerNotActive"
	cooldown = "False/ScalerCooldown"
	asItWas  = "/"
)

func lastActive(ago time.Duration) func(*decide.Input) {
	return func(in *decide.Input) { in.LastActive = in.Now.Add(-ago) }
}

func created(ago, initial time.Duration) func(*decide.Input) {
	return func(in *decide.Input) { in.Created, in.InitialCooldown = in.Now.Add(-ago), initial }
}

func fallback(n int32) func(*decide.Input) {
	return func(in *decide.Input) { in.Fallback, in.FallbackReplicas = true, n }
}

func both(a, b func(*decide.Input)) func(*decide.Input) {
	return func(in *decide.Input) { a(in); b(in) }
}

func vectors() []vector {
	cooled, recent := lastActive(time.Hour), lastActive(10*time.Second)
	force := func(in *decide.Input) { in.ForceActivation = true }
	noIn := func(in *decide.Input) { in.PausedScaleIn = true }
	noOut := func(in *decide.Input) { in.PausedScaleOut = true }
	pause := func(in *decide.Input) { in.Paused = true }
	pauseAt := func(in *decide.Input) { in.PausedReplicas = new(int32(4)) }
	noCooldown := func(in *decide.Input) { in.Cooldown = 0 }
	max100 := func(in *decide.Input) { in.Max = 100 }
	return []vector{
		{1, none, none, 0, "busy", nil, 1, true, isTrue, isActive},
		{2, 0, none, 0, "busy", nil, 1, true, isTrue, isActive},
		{3, 5, none, 0, "busy", nil, 5, true, isTrue, isActive},
		{4, 5, none, 3, "busy", nil, none, true, isTrue, isActive},
		{5, 5, 0, 3, "busy", nil, 5, true, isTrue, isActive},
		{6, 5, 2, 2, "busy", nil, 5, true, isTrue, isActive},
		{7, 5, 0, 7, "busy", nil, none, true, isTrue, isActive},
		{8, none, none, 200, "busy", max100, none, true, isTrue, isActive},
		{9, none, none, 0, "busy error", nil, 1, true, isTrue, isActive},
		// Fix 11: work refreshes LastActive also while another trigger fails; KEDA freezes it.
		{10, none, none, 3, "busy error", nil, none, true, partial, isActive},
		// Fix 11.
		{11, none, none, 3, "busy error", fallback(6), none, true, partial, isActive},
		{12, none, none, 0, "idle", nil, none, false, isTrue, inactive},
		// Fix 10: the correction to the minimum is an action with an event, here to 14.
		{13, 3, none, 0, "idle", nil, 3, false, isTrue, inactive},
		{14, 3, none, 1, "idle", nil, 3, false, isTrue, inactive},
		{15, 3, none, 3, "idle", nil, none, false, isTrue, inactive},
		{16, 3, none, 10, "idle", nil, none, false, isTrue, inactive},
		{17, none, none, 5, "idle", nil, 0, false, isTrue, inactive},
		{18, none, none, 5, "idle", created(time.Minute, 2*time.Minute), none, false, isTrue, cooldown},
		{19, none, none, 5, "idle", lastActive(100 * time.Second), none, false, isTrue, cooldown},
		{20, none, none, 5, "idle", lastActive(301 * time.Second), 0, false, isTrue, inactive},
		{21, none, none, 5, "idle", both(lastActive(301*time.Second), created(time.Minute, time.Hour)), 0, false, isTrue, inactive},
		{22, none, none, 5, "idle", both(lastActive(5*time.Second), noCooldown), 0, false, isTrue, inactive},
		{23, 5, 0, 10, "idle", cooled, 0, false, isTrue, inactive},
		{24, 5, 2, 10, "idle", cooled, 2, false, isTrue, inactive},
		{25, 5, 2, 0, "idle", nil, none, false, isTrue, inactive},
		{26, 5, 2, 2, "idle", nil, none, false, isTrue, inactive},
		{27, 5, 0, 10, "idle", recent, none, false, isTrue, cooldown},
		{28, none, none, 5, "error error", cooled, none, false, failed, inactive},
		{29, none, none, 5, "error error", both(cooled, fallback(6)), none, false, isTrue, inactive},
		// Fix 12: errors hold also with fallback.replicas 0; KEDA goes to 0.
		{30, none, none, 5, "error error", both(cooled, fallback(0)), none, false, isTrue, inactive},
		// Fix 12: held by the error, so no cooldown runs; KEDA says ScalerCooldown.
		{31, none, none, 5, "error error", both(recent, fallback(0)), none, false, isTrue, inactive},
		{32, 3, none, 0, "error error", fallback(6), none, false, isTrue, inactive},
		{33, 3, none, 0, "error error", nil, none, false, failed, inactive},
		{34, none, none, 0, "idle", force, 1, true, isTrue, isActive},
		{35, none, none, 4, "idle", both(cooled, force), none, true, isTrue, isActive},
		// Fix 11: forced counts as active, also with errors.
		{36, none, none, 4, "error error", force, none, true, partial, isActive},
		{37, none, none, 5, "idle", both(cooled, noIn), none, false, isTrue, inactive},
		{38, none, none, 0, "busy", noOut, none, false, isTrue, isActive},
		// Fix 10: the correction honours paused-scale-out; KEDA sets 3.
		{39, 3, none, 1, "idle", noOut, none, false, isTrue, inactive},
		{40, none, none, 4, "busy", noOut, none, true, isTrue, isActive},
		{41, none, none, 0, "busy", pause, none, false, isTrue, asItWas},
		{42, none, none, 9, "idle", both(cooled, pauseAt), none, false, isTrue, asItWas},
		{43, none, none, 0, "busy", pause, none, false, isTrue, asItWas}, // paused: "off" is read as true by the caller
		{44, none, none, 0, "busy", nil, 1, true, isTrue, isActive},      // paused: "false", as no annotation
		{45, none, none, 0, "idle", both(noOut, force), none, false, isTrue, isActive},
		{46, 1, none, 1, "idle", cooled, none, false, isTrue, inactive},
		{47, 5, 0, 5, "error error", cooled, none, false, failed, inactive},
		// Fix 12: a fallback to no replicas wakes nothing; KEDA goes to 1 and is Active.
		{48, none, none, 0, "fallback fallback", fallback(0), none, false, isTrue, inactive},
	}
}

func (v vector) input(t *testing.T) decide.Input {
	t.Helper()
	in := decide.Input{
		Now: epoch, Replicas: v.cur, ReplicasKnown: true, Min: max(v.min, 0), HasIdle: v.idle != none, Idle: max(v.idle, 0),
		Created: epoch.Add(-time.Hour), Cooldown: 5 * time.Minute, Triggers: triggers(t, strings.Fields(v.triggers)),
	}
	if v.extra != nil {
		v.extra(&in)
	}
	return in
}

func TestEveryRowOfTheBehaviourTable(t *testing.T) {
	rows := vectors()
	if len(rows) != 48 {
		t.Fatalf("%d rows, want 48", len(rows))
	}
	for i, v := range rows {
		t.Run(fmt.Sprintf("row %d", v.row), func(t *testing.T) {
			if v.row != i+1 {
				t.Fatalf("row %d stands at %d", v.row, i+1)
			}
			in := v.input(t)
			d := decide.Decide(in)
			to := int32(none)
			if d.Action != decide.Hold {
				to = d.To
			}
			if to != v.to || d.From != v.cur {
				t.Errorf("scales %d to %d, want %d to %d", d.From, to, v.cur, v.to)
			}
			want := in.LastActive
			if v.last {
				want = in.Now
			}
			if !d.LastActive.Equal(want) {
				t.Errorf("LastActive %s, want %s", d.LastActive, want)
			}
			if got := brief(d.Ready); got != v.ready {
				t.Errorf("Ready %s, want %s", got, v.ready)
			}
			if got := brief(d.Active); got != v.active {
				t.Errorf("Active %s, want %s", got, v.active)
			}
			paused := in.Paused || in.PausedReplicas != nil || in.PausedScaleIn || in.PausedScaleOut
			if got := d.Paused.Status == decide.StatusTrue; got != paused {
				t.Errorf("Paused is %s", brief(d.Paused))
			}
			if got := d.Fallback.Status == decide.StatusTrue; got != (v.row == 48) {
				t.Errorf("Fallback is %s", brief(d.Fallback))
			}
			if t.Failed() {
				t.Log(d)
			}
		})
	}
}

func brief(c decide.Condition) string { return fmt.Sprintf("%s/%s", c.Status, c.Reason) }

// triggers makes one trigger of each word: busy, idle, pending, error, fallback or
// cpu, each with "=VALUE" or, for error, "=TEXT" with _ for spaces. After "feeds-"
// the trigger feeds a formula, after "formula-" it is the result of one.
func triggers(t *testing.T, words []string) []decide.Trigger {
	t.Helper()
	var ts []decide.Trigger
	for i, word := range words {
		kind, arg, _ := strings.Cut(word, "=")
		tr := decide.Trigger{Name: fmt.Sprintf("s%d-redis-jobs", i), Type: "redis", Target: 5, Age: time.Second}
		kind, tr.Feeds = strings.CutPrefix(kind, "feeds-")
		if kind, tr.Formula = strings.CutPrefix(kind, "formula-"); tr.Formula {
			tr.Name, tr.Type = "composite-metric", ""
		}
		switch kind {
		case "busy":
			tr.State = decide.Busy
			scan(t, cmp.Or(arg, "12"), &tr.Value)
		case "idle":
			tr.State = decide.Idle
			scan(t, cmp.Or(arg, "0"), &tr.Value)
		case "pending":
		case "error":
			tr.Err = strings.ReplaceAll(cmp.Or(arg, "connection refused"), "_", " ")
		case "fallback":
			tr.Err, tr.FallbackActive = "connection refused", true
		case "cpu":
			tr.Name, tr.Type, tr.Resource = "", "cpu", true
			tr.Err = strings.ReplaceAll(arg, "_", " ")
		default:
			t.Fatalf("no trigger is called %q", kind)
		}
		ts = append(ts, tr)
	}
	return ts
}

func scan[T any](t *testing.T, text string, into *T) {
	t.Helper()
	if _, err := fmt.Sscan(text, into); err != nil {
		t.Fatalf("reading %q: %v", text, err)
	}
}
