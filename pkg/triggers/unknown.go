package triggers

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Unknown says which values of a trigger have not been looked up, as opposed to
// those that are missing. A problem counts only where it is there whatever the
// unknown values are. The zero value says that everything is known.
type Unknown struct {
	// Env is the environment of the workload.
	Env bool
	// Auth is every authentication parameter without a value, and the pod identity.
	Auth bool
	// Given narrows Auth down to the parameters of these names and a known
	// identity; nil does not.
	Given []string
}

// worlds returns what the values of a trigger may be: first as they are, then
// with the unknown ones filled in by examples. More of them make less of what is
// doubtful a problem.
func (u Unknown) worlds(def *scalers.Definition, v param.Values) []param.Values {
	out := []param.Values{v}
	if !u.Env && !u.Auth {
		return out
	}
	guesses := u.guesses(def, v)
	all := filled(v, guesses)
	out = append(out, all)
	for _, g := range guesses {
		for _, other := range g.others {
			world := filled(all, nil)
			g.in(&world)[g.key] = other
			out = append(out, world)
		}
	}
	if u.Auth && u.Given == nil && v.Identity == (param.Identity{}) {
		for _, provider := range []string{"aws", "aws-eks", "azure-workload", "gcp"} {
			world := all
			world.Identity.Provider = provider
			out = append(out, world)
		}
	}
	return out
}

// guess is an unknown value.
type guess struct {
	env    bool // of the environment, else of the authentication
	key    string
	value  string
	others []string // that it may as well be
}

func (g guess) in(v *param.Values) map[string]string {
	if g.env {
		return v.Env
	}
	return v.Auth
}

// filled returns a copy of v with guesses filled in.
func filled(v param.Values, guesses []guess) param.Values {
	v.Env, v.Auth = clone(v.Env), clone(v.Auth)
	for _, g := range guesses {
		g.in(&v)[g.key] = g.value
	}
	return v
}

func clone(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

// guesses returns the unknown values that the scaler would read.
func (u Unknown) guesses(def *scalers.Definition, v param.Values) (out []guess) {
	for _, i := range def.Params {
		value, others := example(def, i)
		names := append([]string{i.Name}, i.Aliases...)
		if u.Env && slices.Contains(i.From, param.Env) {
			for _, name := range names {
				variable := strings.TrimSpace(v.Metadata[name+fromEnv])
				if variable != "" && v.Env[variable] == "" {
					out = append(out, guess{true, variable, value, others})
				}
			}
		}
		if u.Auth && slices.Contains(i.From, param.Auth) {
			for _, name := range u.given(names) {
				if v.Auth[name] == "" {
					out = append(out, guess{false, name, value, others})
				}
			}
		}
	}
	return out
}

// given returns under which of its names a parameter may have a value.
func (u Unknown) given(names []string) []string {
	if u.Given == nil {
		return names[:1]
	}
	return slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(u.Given, name) })
}

// fromEnv is what users append to a parameter's name to name a variable.
const fromEnv = "FromEnv"

// example returns a value that the parameter may have, and those it may as well
// have where there are few.
func example(def *scalers.Definition, i param.Info) (value string, others []string) {
	switch {
	case len(i.OneOf) > 0:
		return i.OneOf[0], i.OneOf[1:]
	case i.Kind == param.KindBoolean:
		return "true", []string{"false"}
	}
	for _, e := range def.Examples {
		value = cmp.Or(value, e.Auth[i.Name])
	}
	usual := "unknown"
	switch i.Kind {
	case param.KindInteger, param.KindNumber:
		usual = "1"
	case param.KindDuration:
		usual = "1s"
	case param.KindURL:
		usual = "http://unknown"
	case param.KindString, param.KindSecret, param.KindList, param.KindBoolean:
	}
	return cmp.Or(value, i.Default, usual), nil
}

// parse parses values of which some may be unknown: what is wrong, or doubtful, in
// every world. Complete is false where the values do not suffice to measure.
func (u Unknown) parse(def *scalers.Definition, v param.Values) (t scalers.Trigger, complete bool, wrong []*param.Error, doubts []param.Warning) {
	for k, world := range u.worlds(def, v) {
		parsed, warnings, err := def.Parse(world)
		found := param.Errors(err)
		if k == 0 {
			t, complete, wrong, doubts = parsed, err == nil, found, warnings
			continue
		}
		wrong = slices.DeleteFunc(wrong, func(e *param.Error) bool {
			return !slices.ContainsFunc(found, func(other *param.Error) bool { return *other == *e })
		})
		doubts = slices.DeleteFunc(doubts, func(w param.Warning) bool { return !slices.Contains(warnings, w) })
	}
	return t, complete, wrong, doubts
}
