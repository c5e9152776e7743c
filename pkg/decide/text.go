package decide

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	shown     = 3   // triggers named in a message; the rest are counted
	errorSize = 200 // bytes of an error in a message
)

// cause says why the object is active, with the values.
func (s *situation) cause() string {
	switch {
	case s.hasWork():
		return fmt.Sprintf("%s work: %s", s.those(len(s.busy)), list(s.busy, reading))
	case s.hasStandIn():
		return fmt.Sprintf("the fallback asks for %s: %s", count(s.FallbackReplicas, "replica"), list(s.standIn, failure))
	case s.resourceOnly():
		return "the HPA measures cpu and memory only while there are replicas"
	}
	return "force-activation is set by annotation"
}

// activeBecause is cause without running values, for the condition.
func (s *situation) activeBecause() string {
	switch {
	case s.hasWork():
		return "at least one trigger has work"
	case s.hasStandIn():
		return "the fallback stands in for at least one trigger"
	}
	return s.cause()
}

func (s *situation) noWork() string {
	what := count(s.voting, "trigger")
	if s.formula && s.voting == 1 {
		what = "the formula"
	}
	return fmt.Sprintf("no work in %s: %s", what, list(s.idle, reading))
}

// those is the subject of a sentence about n triggers, with its verb.
func (s *situation) those(n int) string {
	if s.formula && s.voting == 1 {
		return "the formula has"
	}
	return fmt.Sprintf("%d of %s %s", n, count(s.voting, "trigger"), verb(n, "has", "have"))
}

func (s *situation) holding() string { return "holding " + count(s.Replicas, "replica") }

func (s *situation) staying() string {
	return count(s.Replicas, "replica") + verb(s.Replicas, " stays", " stay")
}

func (s *situation) missing() string {
	return fmt.Sprintf("%s, fewer than the minimum of %d", count(s.Replicas, "replica"), s.Min)
}

func (s *situation) failures() string { return list(s.failing, failure) }

// StandsInFor says for which triggers the fallback stands in, and why.
func (d Decision) StandsInFor() string {
	var out []Trigger
	for _, t := range d.Triggers {
		if t.FallbackActive && !t.Formula {
			out = append(out, t)
		}
	}
	return list(out, failure)
}

// reading says what was measured. A scaler may tell activity by itself, and then the
// numbers explain nothing.
func reading(t Trigger) string {
	above := t.Value > t.Activation
	switch {
	case t.State == Busy && !above:
		return fmt.Sprintf("%s has %s and says there is work", t.Name, number(t.Value))
	case t.State == Idle && above:
		return fmt.Sprintf("%s has %s and says there is no work", t.Name, number(t.Value))
	}
	where, target := "above", ""
	if !above {
		where = "not above"
	}
	if t.Target > 0 {
		target = ", target " + number(t.Target)
	}
	return fmt.Sprintf("%s has %s (%s %s%s)", t.Name, number(t.Value), where, number(t.Activation), target)
}

func failure(t Trigger) string {
	why := strings.Join(strings.FieldsFunc(t.Err, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(why) > errorSize {
		why = strings.ToValidUTF8(why[:errorSize], "") + "…"
	}
	if why == "" {
		why = "no reason given"
	}
	if t.Formula {
		return fmt.Sprintf("%s has no result (%s)", t.Name, why)
	}
	return fmt.Sprintf("%s cannot be read (%s)", t.Name, why)
}

func names(ts []Trigger) string {
	return list(ts, func(t Trigger) string { return t.Name })
}

func list(ts []Trigger, say func(Trigger) string) string {
	var parts []string
	for _, t := range ts[:min(len(ts), shown)] {
		parts = append(parts, say(t))
	}
	if more := len(ts) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

// number prints thousandths, as quantities in Kubernetes do, so that 0.1+0.2 is 0.3.
// What would vanish, or is too large to have a fraction, keeps its magnitude.
func number(v float64) string {
	if v == 0 {
		return "0" // minus zero, too
	}
	if abs := math.Abs(v); abs < 0.001 || abs >= 1e15 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// span prints whole seconds, or milliseconds below one second.
func span(d time.Duration) string {
	unit := time.Second
	if d < time.Second {
		unit = time.Millisecond
	}
	s := d.Round(unit).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func count[N int | int32](n N, what string) string {
	return fmt.Sprintf("%d %s%s", n, what, verb(n, "", "s"))
}

func verb[N int | int32](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
