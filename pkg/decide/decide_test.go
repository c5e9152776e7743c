package decide_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
)

func TestAZeroInputHolds(t *testing.T) {
	d := decide.Decide(decide.Input{})
	const want = "hold (ReplicasUnknown): the replica count of the target cannot be read"
	if d.String() != want || d.From != -1 || d.To != -1 {
		t.Errorf("%s (%d to %d), want %s", d, d.From, d.To, want)
	}
}

func TestTheInitialCooldownIsNotCutByAMissingOrFutureCreation(t *testing.T) {
	for _, created := range []time.Time{{}, epoch.Add(time.Hour)} {
		d := decide.Decide(decide.Input{
			Now: epoch, Created: created, Replicas: 1, ReplicasKnown: true, InitialCooldown: time.Minute,
			Triggers: triggers(t, []string{"idle"}),
		})
		if d.Recheck != time.Minute || d.Reason != decide.CoolingDown {
			t.Errorf("created %s: %s, again in %s", created, d, d.Recheck)
		}
	}
}

func TestANegativeMinimumIsNone(t *testing.T) {
	d := decide.Decide(decide.Input{Now: epoch, Min: -1, Replicas: 2, ReplicasKnown: true, Triggers: triggers(t, []string{"idle"})})
	if d.Action != decide.Deactivate || d.To != 0 {
		t.Error(d)
	}
}

func TestWithoutAFallbackNothingStandsIn(t *testing.T) {
	d := decide.Decide(decide.Input{Now: epoch, ReplicasKnown: true, FallbackReplicas: 6, Triggers: triggers(t, []string{"fallback"})})
	if d.Reason != decide.TriggersFailing || brief(d.Ready) != failed || brief(d.Fallback) != "False/NoFallbackFound" {
		t.Errorf("%s, %s, %s", d, brief(d.Ready), brief(d.Fallback))
	}
	const reason, known = "s0-redis-jobs cannot be read (connection refused)", "no trigger is known to have work"
	if d.Ready.Message != reason || d.Active.Message != known {
		t.Errorf("Ready says %q and Active %q", d.Ready.Message, d.Active.Message)
	}
}

func TestActiveTriggersAreThoseWithWorkAndThoseInFallback(t *testing.T) {
	in := decide.Input{ReplicasKnown: true, Fallback: true, FallbackReplicas: 2, Triggers: triggers(t, []string{"idle", "busy", "cpu", "error", "fallback"})}
	in.Triggers[2].State, in.Triggers[2].FallbackActive = decide.Busy, true // the HPA measures it
	if got, want := decide.Decide(in).ActiveTriggers(), []string{"s1-redis-jobs", "s4-redis-jobs"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	in.FallbackReplicas = 0
	if got, want := decide.Decide(in).ActiveTriggers(), []string{"s1-redis-jobs"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMessagesSayTheValues(t *testing.T) {
	busy := func(v, activation float64) decide.Trigger {
		return decide.Trigger{Name: "s0-x", State: decide.Busy, Value: v, Activation: activation}
	}
	failing := func(err string) decide.Trigger { return decide.Trigger{Name: "s0-x", Err: err} }
	for _, c := range []struct {
		name     string
		triggers []decide.Trigger
		want     string
	}{
		{"float noise", []decide.Trigger{busy(0.1+0.2, 0.25)}, "1 of 1 trigger has work: s0-x has 0.3 (above 0.25)"},
		{"tiny", []decide.Trigger{busy(1.0/3000, 5e-7)}, "1 of 1 trigger has work: s0-x has 0.000333 (above 5e-07)"},
		{"large", []decide.Trigger{busy(123456789012, 1e15)}, "1 of 1 trigger has work: s0-x has 123456789012 and says there is work"},
		{"huge", []decide.Trigger{busy(1.2345e18, 0)}, "1 of 1 trigger has work: s0-x has 1.23e+18 (above 0)"},
		{"minus zero", []decide.Trigger{busy(1, math.Copysign(0, -1))}, "1 of 1 trigger has work: s0-x has 1 (above 0)"},
		{"whole tens", []decide.Trigger{busy(1200, 100)}, "1 of 1 trigger has work: s0-x has 1200 (above 100)"},
		{
			"quiet by its own account",
			[]decide.Trigger{{Name: "s0-x", State: decide.Idle, Value: 7}},
			"no work in 1 trigger: s0-x has 7 and says there is no work; 0 replicas stay",
		},
		{
			"many triggers", slices.Repeat([]decide.Trigger{busy(1, 0)}, 5),
			"5 of 5 triggers have work: s0-x has 1 (above 0), s0-x has 1 (above 0), s0-x has 1 (above 0), 2 more",
		},
		{
			"a target",
			[]decide.Trigger{{Name: "s0-x", State: decide.Busy, Value: 12, Target: 2.5}},
			"1 of 1 trigger has work: s0-x has 12 (above 0, target 2.5)",
		},
		{"no name", []decide.Trigger{{Err: "gone"}}, "holding 0 replicas: trigger 0 cannot be read (gone)"},
		{"lines and control characters", []decide.Trigger{failing("a\n\tb\x1b\x7fc")}, "holding 0 replicas: s0-x cannot be read (a b c)"},
		{"a long error is cut between runes", []decide.Trigger{failing("x" + strings.Repeat("é", 200))}, "holding 0 replicas: s0-x cannot be read (x" + strings.Repeat("é", 99) + "…)"},
		{"a silent failure", []decide.Trigger{{Name: "s0-x", FallbackActive: true}}, "holding 0 replicas: s0-x cannot be read (no reason given)"},
		{"NaN", []decide.Trigger{busy(math.NaN(), 0)}, "holding 0 replicas: s0-x cannot be read (NaN is not a usable number)"},
		{"infinite activation", []decide.Trigger{busy(1, math.Inf(1))}, "holding 0 replicas: s0-x cannot be read (+Inf is not a usable number)"},
		{"an error beside NaN", []decide.Trigger{{Name: "s0-x", Value: math.NaN(), Err: "gone"}}, "holding 0 replicas: s0-x cannot be read (gone)"},
		{"an error beside work", []decide.Trigger{{Name: "s0-x", State: decide.Busy, Err: "gone"}}, "holding 0 replicas: s0-x cannot be read (gone)"},
		{"not a state", []decide.Trigger{{Name: "s0-x", State: 9}}, "holding 0 replicas: not measured yet: s0-x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := decide.Decide(decide.Input{Now: epoch, ReplicasKnown: true, Triggers: c.triggers})
			if d.Message != c.want {
				t.Errorf("%s\nwant %s", d.Message, c.want)
			}
		})
	}
}

func TestDurationsAreShort(t *testing.T) {
	for ago, want := range map[time.Duration]string{
		0:                       "idle for 0s; 200h of the cooldown left",
		1500 * time.Microsecond: "idle for 2ms; 200h of the cooldown left",
		40 * time.Second:        "idle for 40s; 199h59m20s of the cooldown left",
		10 * time.Minute:        "idle for 10m; 199h50m of the cooldown left",
		110 * time.Minute:       "idle for 1h50m; 198h10m of the cooldown left",
		-time.Hour:              "idle for 0s; 200h of the cooldown left", // clocks differ
	} {
		d := decide.Decide(decide.Input{
			Now: epoch, LastActive: epoch.Add(-ago), Cooldown: 200 * time.Hour,
			Replicas: 1, ReplicasKnown: true, Triggers: triggers(t, []string{"idle"}),
		})
		if _, got, _ := strings.Cut(d.Message, "; "); got != want {
			t.Errorf("%s ago: %s, want %s", ago, got, want)
		}
	}
}

// TestConditionsHoldNoRunningValues keeps the promise that nothing is written at rest.
func TestConditionsHoldNoRunningValues(t *testing.T) {
	for _, words := range []string{"busy=1", "idle=0", "error", "busy=1 error", "fallback", "cpu"} {
		in := decide.Input{
			Now: epoch, LastActive: epoch.Add(-time.Second), Cooldown: time.Hour, Replicas: 2, ReplicasKnown: true,
			Fallback: strings.Contains(words, "fallback"), FallbackReplicas: 1, Triggers: triggers(t, strings.Fields(words)),
		}
		before := decide.Decide(in)
		in.Now, in.Replicas = in.Now.Add(30*time.Second), 3
		for i := range in.Triggers {
			in.Triggers[i].Value, in.Triggers[i].Age = in.Triggers[i].Value+1, time.Minute
		}
		after := decide.Decide(in)
		if before.Ready != after.Ready || before.Active != after.Active || before.Fallback != after.Fallback || before.Paused != after.Paused {
			t.Errorf("%s: conditions changed\n%+v\n%+v", words, before, after)
		}
		if before.Ready.Message == "" || before.Active.Message == "" {
			t.Errorf("%s: a condition says nothing", words)
		}
	}
}

func TestStatesHaveNames(t *testing.T) {
	for s, want := range map[decide.State]string{decide.Unknown: "unknown", decide.Idle: "idle", decide.Busy: "busy", 7: "unknown"} {
		if s.String() != want {
			t.Errorf("%d is called %s, want %s", s, s, want)
		}
	}
}

// TestEveryReasonIsListedWithItsComment reads the constants, so that one that no rule
// gives, or a page that says something else than the code, is found.
func TestEveryReasonIsListedWithItsComment(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var want []decide.ReasonDoc
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) > 0 {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || value != spec.Names[0].Name {
				t.Errorf("%s is %q: %v", spec.Names[0].Name, value, err)
			}
			want = append(want, decide.ReasonDoc{Reason: decide.Reason(value), Text: strings.TrimSpace(spec.Comment.Text())})
		}
		return true
	})
	if got := decide.Reasons(); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("Reasons():\n%q\nconstants:\n%q", got, want)
	}
}

// TestEveryReasonOccurs walks the rows of the behaviour table and what it leaves out.
func TestEveryReasonOccurs(t *testing.T) {
	missing := map[decide.Reason]bool{}
	for _, r := range decide.Reasons() {
		missing[r.Reason] = true
	}
	for _, v := range vectors() {
		delete(missing, decide.Decide(v.input(t)).Reason)
	}
	for _, words := range []string{"", "cpu", "pending", "fallback"} {
		in := decide.Input{ReplicasKnown: words != "", Fallback: true, FallbackReplicas: 1, Triggers: triggers(t, strings.Fields(words))}
		delete(missing, decide.Decide(in).Reason)
	}
	delete(missing, decide.Decide(decide.Input{ReplicasKnown: true}).Reason)
	if len(missing) > 0 {
		t.Errorf("never given: %v", slices.Sorted(maps.Keys(missing)))
	}
}
