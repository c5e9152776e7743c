package param

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Set collects bindings. A scaler's bind functions get one and call its
// methods; they never make one.
type Set struct {
	in     *Values // nil while describing
	infos  []Info
	errs   []*Error
	warns  []Warning
	given  map[string]bool // canonical names that had a value somewhere
	failed map[string]bool // canonical names whose value was refused
	checks []check
	others bool // metadata that is no parameter is known, too
}

// check is a rule across parameters.
type check struct {
	rule  func() error
	needs []string // skipped when one of these was refused already
}

// Option refines one binding.
type Option func(*Info)

// Required makes a missing value an error.
func Required(i *Info) { i.Required = true }

// From sets the places a value may come from, in the order they are tried.
// Without it a parameter comes from metadata only.
func From(places ...Place) Option { return func(i *Info) { i.From = places } }

// Alias adds other names for the parameter. Within each place the names are
// tried in order, the parameter's own name first.
func Alias(names ...string) Option { return func(i *Info) { i.Aliases = names } }

// Deprecated marks the parameter: using it gives a warning that says instead.
func Deprecated(instead string) Option { return func(i *Info) { i.Deprecated = instead } }

// OneOf restricts the value, or each item of a list, to those listed, compared
// case-sensitively.
func OneOf(allowed ...string) Option { return func(i *Info) { i.OneOf = allowed } }

// Hidden marks a value that is not a Secret by type but must not be shown.
func Hidden(i *Info) { i.Secret = true }

// Given reports whether the parameter had a value in any of its places. It is
// for checks; while describing it is false.
func (s *Set) Given(name string) bool { return s.given[name] }

// Values returns what is being parsed, for the few rules that depend on more
// than parameters. While describing it is the zero Values.
func (s *Set) Values() Values {
	if s.in == nil {
		return Values{}
	}
	return *s.in
}

// Check adds a rule across parameters. It runs after everything is parsed, and
// is skipped when one of needs was refused, so that one mistake gives one error.
// The rule may also complete the bound values. It returns nil, an *Error (see
// Wrong), or several joined by errors.Join.
func (s *Set) Check(rule func() error, needs ...string) {
	s.checks = append(s.checks, check{rule, needs})
}

// Exclusive refuses more than one of the named parameters.
func (s *Set) Exclusive(names ...string) {
	s.Check(func() error {
		set := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !s.given[n] })
		if len(set) < 2 {
			return nil
		}
		last := len(set) - 1
		return Wrong(set[last], "cannot be combined with %s; keep one of them", quoted(set[:last]))
	})
}

// Together refuses some but not all of the named parameters.
func (s *Set) Together(names ...string) {
	s.Check(func() error {
		missing := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return s.given[n] })
		if len(missing) == 0 || len(missing) == len(names) {
			return nil
		}
		return Wrong(missing[0], "is required when %s is set",
			quoted(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !s.given[n] })))
	})
}

// AllowOther makes all other metadata known, for scalers that hand metadata on to
// an upstream which has parameters of its own. Only what differs from a parameter
// in nothing but case is still warned of.
func (s *Set) AllowOther() { s.others = true }

// Warn adds a warning about a parameter.
func (s *Set) Warn(name, format string, args ...any) {
	s.warns = append(s.warns, Warning{Param: name, Reason: fmt.Sprintf(format, args...)})
}

// bind records i and, while parsing, looks its value up and hands it to parse,
// which returns a reason to refuse it, or "".
func (s *Set) bind(i Info, opts []Option, parse func(string) string) {
	i.From = []Place{Metadata}
	for _, o := range opts {
		o(&i)
	}
	i.Secret = i.Secret || i.Kind == KindSecret
	if i.Required {
		i.Default = ""
	}
	s.infos = append(s.infos, i)
	if s.in == nil {
		return
	}
	v, as, from, ok := s.lookup(i)
	if !ok {
		if i.Required {
			s.refuse(i.Name, as, "is required; set it "+ways(i))
		}
		return
	}
	s.given[i.Name] = true
	if i.Deprecated != "" {
		s.Warn(as, "is deprecated; %s", i.Deprecated)
	}
	if i.Secret && from == Metadata {
		s.Warn(as, "is a secret written in plain text; move it to an authentication object")
	}
	if !i.allows(v) {
		s.refuse(i.Name, as, "must be one of "+strings.Join(i.OneOf, ", "))
		return
	}
	if reason := parse(v); reason != "" {
		s.refuse(i.Name, as, reason)
	}
}

// allows reports whether v, or each item of v when i is a list, is among those
// that OneOf lists.
func (i Info) allows(v string) bool {
	if len(i.OneOf) == 0 {
		return true
	}
	items := []string{v}
	if i.Kind == KindList {
		items = split(v)
	}
	return !slices.ContainsFunc(items, func(item string) bool { return !slices.Contains(i.OneOf, item) })
}

func (s *Set) refuse(canonical, as, reason string) {
	s.failed[canonical] = true
	s.errs = append(s.errs, &Error{Param: as, Reason: reason})
}

// lookup finds the first value for i and the name it was found under.
func (s *Set) lookup(i Info) (value, as string, from Place, ok bool) {
	names := append([]string{i.Name}, i.Aliases...)
	for _, p := range i.From {
		for _, n := range names {
			switch p {
			case Metadata:
				value, as = s.in.Metadata[n], n
			case Auth:
				value, as = s.in.Auth[n], n
			case Env:
				value, as = s.in.Env[strings.TrimSpace(s.in.Metadata[n+fromEnv])], n+fromEnv
			}
			if value = strings.TrimSpace(value); value != "" {
				return value, as, p, true
			}
		}
	}
	return "", i.Name, 0, false
}

// fromEnv is what users append to a parameter's name to say that its value is
// the name of an environment variable of the workload.
const fromEnv = "FromEnv"

// ways says how a parameter can be given.
func ways(i Info) string {
	out := make([]string, len(i.From))
	for k, p := range i.From {
		switch p {
		case Metadata:
			out[k] = "in the trigger's metadata"
		case Env:
			out[k] = fmt.Sprintf("through %s, naming a variable that the workload's container sets", i.Name+fromEnv)
		case Auth:
			out[k] = "as an authentication parameter"
		}
	}
	return strings.Join(out, ", or ")
}

// Describe returns what bind declares. It panics when a name is declared twice,
// which is a bug in the scaler.
func Describe(bind func(*Set)) []Info {
	s := new(Set)
	bind(s)
	seen := map[string]bool{}
	for _, i := range s.infos {
		for _, n := range append([]string{i.Name}, i.Aliases...) {
			if seen[n] {
				panic(fmt.Sprintf("param: %q is bound twice", n))
			}
			seen[n] = true
		}
	}
	return s.infos
}

// Bound returns what bind declares while it parses v. In a correct scaler that is
// what Describe returns, whatever v holds; the conformance suite compares them.
func Bound(v Values, bind func(*Set)) []Info {
	s := newSet(v)
	bind(s)
	return s.infos
}

func newSet(v Values) *Set {
	return &Set{in: &v, given: map[string]bool{}, failed: map[string]bool{}}
}

// Parse runs bind over v. Every problem is in the error, sorted, as *Error
// values joined; the warnings are sorted too. What bind filled in is to be used
// only when the error is nil.
func Parse(v Values, bind func(*Set)) ([]Warning, error) {
	s := newSet(v)
	bind(s)
	s.runChecks()
	s.unknown()
	slices.SortStableFunc(s.errs, func(a, b *Error) int {
		return cmp.Or(strings.Compare(a.Param, b.Param), strings.Compare(a.Reason, b.Reason))
	})
	slices.SortStableFunc(s.warns, func(a, b Warning) int {
		return cmp.Or(strings.Compare(a.Param, b.Param), strings.Compare(a.Reason, b.Reason))
	})
	joined := make([]error, len(s.errs))
	for i, e := range s.errs {
		joined[i] = e
	}
	return slices.Compact(s.warns), errors.Join(joined...)
}

func (s *Set) runChecks() {
	for _, c := range s.checks {
		if slices.ContainsFunc(c.needs, func(n string) bool { return s.failed[n] }) {
			continue
		}
		s.errs = append(s.errs, Errors(c.rule())...)
	}
}

// Errors returns the *Error values in err, looking through errors.Join. Any
// other error becomes one with its text as the reason and no parameter.
func Errors(err error) []*Error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*Error
		for _, e := range many.Unwrap() {
			out = append(out, Errors(e)...)
		}
		return out
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return []*Error{e}
	}
	return []*Error{{Reason: err.Error()}}
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, " and ")
}
