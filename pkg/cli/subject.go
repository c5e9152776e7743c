package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/triggers"
)

// subject is what problems are about: an object of the input, or a file that
// could not be read.
type subject struct {
	file, kind, namespace, name string

	object       map[string]any         // as written
	scaledObject *v1alpha1.ScaledObject // set for this kind
	scaledJob    *v1alpha1.ScaledJob    // set for this kind
	// authentication is set for the two kinds of it
	authentication *v1alpha1.TriggerAuthenticationSpec
	undecoded      bool     // the typed object is not complete
	missing        bool     // triggers refer to what is not in the input
	refusals       []string // the fields that the schema has refused

	problems, warnings []triggers.Problem
	triggers           []outcome // one per trigger, in order
}

// outcome is what one trigger comes to.
type outcome struct {
	kind     string            // type of the trigger, as written
	parsed   *triggers.Trigger // nil when it has problems
	complete bool              // all its credentials are known
	reading  *measurement      // what it measured; nil when it was not
}

// readByHPA reports whether the trigger is one that nobody but the HPA measures.
func (o outcome) readByHPA() bool { return o.parsed != nil && o.parsed.Resource != nil }

// unreadable is the subject of a document that could not be read.
func unreadable(d document) *subject {
	s := &subject{file: d.file}
	s.add("", "%v", d.err)
	return s
}

// scales reports whether the subject is a ScaledObject or ScaledJob.
func (s *subject) scales() bool { return s.scaledObject != nil || s.scaledJob != nil }

// ref is the subject as something to depend on.
func (s *subject) ref() kube.Ref {
	return kube.Ref{Kind: s.kind, Namespace: s.namespace, Name: s.name}
}

// String describes the subject for people: `ScaledObject ns/name`.
func (s *subject) String() string {
	name := cmp.Or(s.name, "(no name)")
	if s.namespace == "" {
		return s.kind + " " + name
	}
	return s.kind + " " + s.namespace + "/" + name
}

func (s *subject) add(field, format string, args ...any) {
	s.problems = append(s.problems, triggers.Problem{Trigger: -1, Field: field, Message: fmt.Sprintf(format, args...)})
}

// metadata checks what the schema leaves out: a name, and that labels and
// annotations are strings. Those that are not are quoted, so that the rest can
// be checked.
func (s *subject) metadata() {
	if s.name == "" {
		s.add("metadata.name", "is required")
	}
	metadata, ok := s.object["metadata"].(map[string]any)
	if !ok {
		return
	}
	for _, field := range []string{"annotations", "labels"} {
		values, ok := metadata[field].(map[string]any)
		if !ok {
			continue
		}
		for _, k := range quote(values) {
			s.add(fmt.Sprintf("metadata.%s[%q]", field, k), mustBeString)
		}
	}
}

// refused reports whether the schema has refused a field, what the field belongs
// to, or a part of it. A trigger is checked although parts of it are refused.
func (s *subject) refused(field string) bool {
	return slices.ContainsFunc(s.refusals, func(at string) bool {
		return at == field || strings.HasPrefix(field, at+".") ||
			strings.HasPrefix(at, field+".") && !strings.HasSuffix(field, "]")
	})
}

// merge adds what the rules found, except where the schema has refused a field,
// and sorts everything by trigger.
func (s *subject) merge(problems, warnings []triggers.Problem) {
	problems = slices.DeleteFunc(problems, func(p triggers.Problem) bool { return s.refused(p.Field) })
	s.problems = byTrigger(append(s.problems, problems...))
	s.warnings = byTrigger(append(s.warnings, warnings...))
}

// byTrigger sorts problems: those of the object, then those of each trigger.
func byTrigger(list []triggers.Problem) []triggers.Problem {
	for i := range list {
		if list[i].Trigger < 0 {
			list[i].Trigger = triggerOf(list[i].Field)
		}
	}
	slices.SortStableFunc(list, func(a, b triggers.Problem) int { return a.Trigger - b.Trigger })
	return list
}

// triggerOf returns the trigger that a field belongs to, or -1.
func triggerOf(field string) int {
	rest, ok := strings.CutPrefix(field, "spec.triggers[")
	index, _, closed := strings.Cut(rest, "]")
	i, err := strconv.Atoi(index)
	if !ok || !closed || err != nil {
		return -1
	}
	return i
}

// duplicates reports objects that are in the input twice.
func duplicates(subjects []*subject) {
	same := map[string][]*subject{}
	for _, s := range subjects {
		if s.object != nil && s.name != "" {
			same[s.String()] = append(same[s.String()], s)
		}
	}
	for _, list := range same {
		for i, s := range list {
			if len(list) > 1 {
				other := list[(i+1)%len(list)]
				s.add("metadata.name", "the same object is also in %v (%s); keep one of the two", other, other.file)
			}
		}
	}
}
