package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/weir-sh/weir/pkg/triggers"
)

// entry is what "-o json" says of one trigger. Problems of an object concern all
// of its triggers, and are in the entry of each. What belongs to no trigger, such
// as a file that cannot be read, has an entry of its own with trigger -1.
type entry struct {
	File       string   `json:"file"`
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace"`
	Name       string   `json:"name"`
	Trigger    int      `json:"trigger"`
	Type       string   `json:"type"`
	OK         bool     `json:"ok"`
	MetricName string   `json:"metricName"`
	TargetType string   `json:"targetType"`
	Target     string   `json:"target"`
	Errors     []string `json:"errors"`
	Warnings   []string `json:"warnings"`
}

// entries returns the entries of a subject: none for objects other than
// ScaledObjects and ScaledJobs that are fine.
func (s *subject) entries() []entry {
	all := make([]entry, 0, len(s.triggers))
	for i, t := range s.triggers {
		e := s.entry(i)
		e.Type = t.kind
		if t.parsed != nil {
			e.MetricName, e.TargetType, e.Target = metric(t.parsed)
		}
		all = append(all, e)
	}
	if len(all) == 0 && (s.scales() || len(s.problems)+len(s.warnings) > 0) {
		all = append(all, s.entry(-1))
	}
	return all
}

// metric is what the HPA gets for a trigger. Where the upstream names its metrics,
// only the type of the target is known.
func metric(t *triggers.Trigger) (name, targetType, target string) {
	targetType = string(t.MetricType)
	switch {
	case t.Resource != nil && t.Resource.Target.AverageUtilization != nil:
		return t.MetricName, targetType, strconv.Itoa(int(*t.Resource.Target.AverageUtilization))
	case t.Resource != nil:
		return t.MetricName, targetType, t.Resource.Target.AverageValue.String()
	case t.Source.Definition().NamesMetrics:
		return "", targetType, ""
	}
	q := triggers.Quantity(t.Target)
	return t.MetricName, targetType, q.String()
}

// entry is what the problems say of trigger i, or of everything when i is -1.
func (s *subject) entry(i int) entry {
	e := entry{File: s.file, Kind: s.kind, Namespace: s.namespace, Name: s.name, Trigger: i, Errors: []string{}, Warnings: []string{}}
	for _, p := range s.problems {
		if s.concerns(p, i) {
			e.Errors = append(e.Errors, p.String())
		}
	}
	for _, p := range s.warnings {
		if s.concerns(p, i) {
			e.Warnings = append(e.Warnings, p.String())
		}
	}
	e.OK = len(e.Errors) == 0
	return e
}

// concerns reports whether a problem is about trigger i.
func (s *subject) concerns(p triggers.Problem, i int) bool {
	return i < 0 || p.Trigger == i || p.Trigger < 0 || p.Trigger >= len(s.triggers)
}

// writeJSON prints v for programs.
func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// totals counts what was found.
type totals struct{ objects, triggers, problems, warnings int }

func count(subjects []*subject) totals {
	var t totals
	for _, s := range subjects {
		if s.scales() {
			t.objects++
		}
		t.triggers += len(s.triggers)
		t.problems += len(s.problems)
		t.warnings += len(s.warnings)
	}
	return t
}

// String is the line below a report.
func (t totals) String() string {
	found := fmt.Sprintf("%s with %s", plural(t.objects, "object"), plural(t.triggers, "trigger"))
	if t.problems+t.warnings == 0 {
		return found + ": all fine"
	}
	var parts []string
	if t.problems > 0 {
		parts = append(parts, plural(t.problems, "error"))
	}
	if t.warnings > 0 {
		parts = append(parts, plural(t.warnings, "warning"))
	}
	return found + ": " + strings.Join(parts, ", ")
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// problemLines returns one line per problem, for people.
func problemLines(subjects []*subject) string {
	var b strings.Builder
	for _, s := range subjects {
		at := s.file + ": "
		if s.kind != "" {
			at += s.String() + ": "
		}
		for _, p := range s.problems {
			b.WriteString(printable(fmt.Sprintf("error: %s%v", at, p)) + "\n")
		}
		for _, p := range s.warnings {
			b.WriteString(printable(fmt.Sprintf("warning: %s%v", at, p)) + "\n")
		}
	}
	return b.String()
}

// printable replaces what would move a terminal's cursor or colour it: names come
// from files that anybody may have written.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, line)
}

// hint is what to know about references that are missing, or "".
func hint(subjects []*subject) string {
	if !slices.ContainsFunc(subjects, func(s *subject) bool { return s.missing && len(s.problems) > 0 }) {
		return ""
	}
	return "Only what is in the input counts as existing; --allow-missing-refs makes references to anything else warnings.\n"
}

// strict turns warnings into errors.
func strict(subjects []*subject) {
	for _, s := range subjects {
		s.problems, s.warnings = append(s.problems, s.warnings...), nil
	}
}
