package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
)

// annotationsPage lists annotations, labels and the finalizer.
func annotationsPage(s source) (string, error) {
	var b strings.Builder
	b.WriteString(header + "# Annotations and labels\n\nThose that mean something to Weir. A change takes effect at once.\n")
	for _, part := range []struct{ title, prefix string }{{"Annotations", "Annotation"}, {"Labels", "Label"}} {
		groups, err := s.with(part.prefix)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n## %s\n\n| Key | Meaning |\n|---|---|\n", part.title)
		for _, g := range groups {
			for _, c := range g.consts {
				_, text := s.said(c)
				text = strings.ReplaceAll(text, " (see LenientBool)", "")
				text = strings.ReplaceAll(text, "lenient bool", "[lenient bool](#lenient-bool)")
				fmt.Fprintf(&b, "| `%s` | %s |\n", c.value, cell(text))
			}
		}
	}
	lenient, ok := strings.CutPrefix(s.funcs["LenientBool"], "LenientBool interprets the value of an annotation that is present. ")
	if !ok {
		return "", fmt.Errorf("the comment of LenientBool begins otherwise than this program expects: %q", s.funcs["LenientBool"])
	}
	fmt.Fprintf(&b, "\n## Lenient bool\n\nThe value of such an annotation, when it is present: %s\n", lower(lenient))
	finalizer, err := s.with("Finalizer")
	if err != nil {
		return "", err
	}
	_, text := s.said(finalizer[0].consts[0])
	fmt.Fprintf(&b, "\n## Finalizer\n\n`%s`: %s\n", v1alpha1.Finalizer, text)
	return b.String(), nil
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// conditionsPage lists the types of conditions, each with its reasons.
func conditionsPage(s source) (string, error) {
	types, err := s.with("Condition")
	if err != nil {
		return "", err
	}
	groups, err := s.with("Reason")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(header + `# Conditions

` + "`status.conditions`" + ` holds one entry per type. An entry is written when it changes, never at rest: its ` + "`lastTransitionTime`" + ` tells when
the status became what it is, its ` + "`message`" + ` is a sentence for people that may change from version to version. Types and reasons are API.
`)
	of := regexp.MustCompile(`^Reasons of the (\w+) condition\.\s*`)
	documented := map[string]bool{}
	for _, c := range types[0].consts {
		_, text := s.said(c)
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", c.value, text)
		for _, g := range groups {
			m := of.FindStringSubmatch(g.doc)
			if m == nil {
				return "", fmt.Errorf("the reasons beginning with %s are of no condition; say in their comment \"Reasons of the X condition.\"", g.consts[0].name)
			}
			if m[1] != c.value {
				continue
			}
			documented[c.value] = true
			if rest := g.doc[len(m[0]):]; rest != "" {
				fmt.Fprintf(&b, "\n%s\n", rest)
			}
			reasons(&b, s, g, "Status", "")
		}
		if !documented[c.value] {
			return "", fmt.Errorf("condition %s has no reasons", c.value)
		}
	}
	if len(documented) != countOf(groups) {
		return "", fmt.Errorf("%d groups of reasons for %d conditions", countOf(groups), len(documented))
	}
	b.WriteString("\n## See also\n\n- [Troubleshooting](../troubleshooting.md): what to do about each\n- [Decisions](decisions.md)\n")
	return b.String(), nil
}

// countOf returns how many different comments groups have.
func countOf(groups []group) int {
	var docs []string
	for _, g := range groups {
		docs = append(docs, g.doc)
	}
	slices.Sort(docs)
	return len(slices.Compact(docs))
}

// reasons writes a table of constants. What their comments note in parentheses is
// a column; unnoted ones have usual in it.
func reasons(b *strings.Builder, s source, g group, column, usual string) {
	fmt.Fprintf(b, "\n| Reason | %s | When |\n|---|---|---|\n", column)
	for _, c := range g.consts {
		note, text := s.said(c)
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", c.value, cmp.Or(note, usual), cell(text))
	}
}

// eventsPage lists the reasons of events.
func eventsPage(s source) (string, error) {
	groups, err := s.with("Event")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(header + `# Events

Events tell what changed, on the object they are about; nothing is told at rest. Kubernetes keeps them for an hour.
Conditions tell what holds now.
`)
	about := regexp.MustCompile(`^Reasons of events about ([^.]+)\.`)
	for _, g := range groups {
		m := about.FindStringSubmatch(g.doc)
		if m == nil {
			return "", fmt.Errorf("the events beginning with %s are about nothing; say in their comment \"Reasons of events about X.\"", g.consts[0].name)
		}
		fmt.Fprintf(&b, "\n## About %s\n", m[1])
		reasons(&b, s, g, "Type", "Normal")
	}
	return b.String(), nil
}

// decisionsPage lists what may be decided, and why.
func decisionsPage(root string) (string, error) {
	var b strings.Builder
	b.WriteString(header + `# Decisions

After each reading Weir decides what to do. ` + "`weir explain NAME`" + ` prints the newest decisions with the readings they rest on; the debug route
` + "`/debug/weir/objects/{namespace}/{name}`" + ` of the leading replica serves them. For each kind the rules are tried in the order of its table, and the
first that applies decides. Codes are API; sentences may change.
`)
	var objects, perJob [][2]string
	for _, r := range decide.Reasons() {
		objects = append(objects, [2]string{string(r.Reason), r.Text})
	}
	for _, r := range jobs.Reasons() {
		perJob = append(perJob, [2]string{string(r.Reason), r.Text})
	}
	for _, part := range []struct {
		title, dir string
		reasons    [][2]string
		actions    []string
	}{
		{
			"ScaledObjects", "pkg/decide", objects,
			[]string{string(decide.Hold), string(decide.Activate), string(decide.Deactivate), string(decide.Correct)},
		},
		{"ScaledJobs", "pkg/decide/jobs", perJob, []string{string(jobs.Hold), string(jobs.Create)}},
	} {
		src, err := constants(filepath.Join(root, part.dir))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n## %s\n\n| Reason | When |\n|---|---|\n", part.title)
		for _, r := range part.reasons {
			fmt.Fprintf(&b, "| `%s` | %s |\n", r[0], cell(r[1]))
		}
		b.WriteString("\n| Action | What it does |\n|---|---|\n")
		for _, action := range part.actions {
			text, err := src.comment(action)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", action, cell(text))
		}
	}
	return b.String(), nil
}

// comment returns the comment of the constant of that value, as a sentence.
func (s source) comment(value string) (string, error) {
	for _, g := range s.groups {
		for _, c := range g.consts {
			if c.value == value && c.doc != "" {
				return strings.ToUpper(c.doc[:1]) + strings.TrimSuffix(c.doc[1:], ".") + ".", nil
			}
		}
	}
	return "", fmt.Errorf("no constant with a comment has the value %q; adapt this program", value)
}
