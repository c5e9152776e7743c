package scalertest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// valuesOf makes values of an example.
func valuesOf(e scalers.Example) param.Values {
	return e.Values()
}

// clone copies v so that its maps can be changed.
func clone(v param.Values) param.Values {
	for _, m := range []*map[string]string{&v.Metadata, &v.Env, &v.Auth} {
		if *m = maps.Clone(*m); *m == nil {
			*m = map[string]string{}
		}
	}
	return v
}

// put sets p in one place. The other places keep what they have, and so do p's
// aliases.
func put(v *param.Values, p param.Info, place param.Place, value string) {
	switch place {
	case param.Metadata:
		v.Metadata[p.Name] = value
	case param.Auth:
		v.Auth[p.Name] = value
	case param.Env:
		variable := "VARIABLE_" + p.Name
		v.Metadata[p.Name+"FromEnv"], v.Env[variable] = variable, value
	}
}

// given reports whether v has p, or an alias of it, anywhere.
func given(v param.Values, p param.Info) bool {
	return slices.ContainsFunc(append([]string{p.Name}, p.Aliases...), func(n string) bool {
		return v.Metadata[n] != "" || v.Metadata[n+"FromEnv"] != "" || v.Auth[n] != ""
	})
}

// random gives about half of the parameters a value, mostly a good one, on top of
// one of the examples or of nothing.
func random(r *rand.Rand, def *scalers.Definition) param.Values {
	v := param.Values{}
	if n := r.IntN(len(def.Examples) + 1); n > 0 {
		v = valuesOf(def.Examples[n-1])
	}
	v = clone(v)
	v.FormulaOnly = r.IntN(4) == 0
	for _, p := range def.Params {
		if len(p.From) > 0 && r.IntN(2) == 0 {
			put(&v, p, p.From[r.IntN(len(p.From))], draw(r, p))
		}
	}
	return v
}

// draw makes a value for p.
func draw(r *rand.Rand, p param.Info) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	if r.IntN(10) == 0 {
		return pick("junk", " ", "-1", "0", "a b", "\x00")
	}
	if len(p.OneOf) > 0 {
		return pick(p.OneOf...)
	}
	switch p.Kind {
	case param.KindInteger:
		return strconv.Itoa(r.IntN(100))
	case param.KindNumber:
		return strconv.FormatFloat(r.Float64()*100, 'f', 2, 64)
	case param.KindBoolean:
		return pick("true", "false")
	case param.KindDuration:
		return pick("5s", "250")
	case param.KindList:
		return pick("a", "a,b", "a:1, b:2")
	case param.KindURL:
		return pick("http://h:1/x", "https://u:p@h/", "amqp://h", "amqps://u:p@h:5671/v")
	case param.KindString, param.KindSecret:
	}
	return pick("word", "two words", "a/b.c", "h:1")
}
