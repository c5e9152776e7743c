package scalertest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Describe checks what needs no upstream.
func Describe(t *testing.T, def *scalers.Definition) {
	t.Helper()
	for _, c := range []struct {
		promise string
		check   func(*testing.T, *scalers.Definition)
	}{
		{"type and parameter names are well formed", wellFormed},
		{"every doc is a sentence", documented},
		{"the unit is stated", unitStated},
		{"a default that is written out changes nothing", defaultsParse},
		{"examples parse without a warning", examplesParse},
		{"parsing an example twice gives equal triggers", examplesParseEqually},
		{"bindings do not depend on values", unconditional},
		{"errors and warnings show no value", errorsShowNoValue},
		{"triggers show no secret", triggersShowNoSecret},
		{"the metric name is stable", metricNameStable},
	} {
		t.Run(c.promise, func(t *testing.T) { c.check(t, def) })
	}
}

func wellFormed(t *testing.T, def *scalers.Definition) {
	t.Helper()
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(def.Type) {
		t.Errorf("type %q: write it in lower case with single dashes", def.Type)
	}
	name := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
	for _, p := range def.Params {
		for _, n := range append([]string{p.Name}, p.Aliases...) {
			if !name.MatchString(n) || strings.HasSuffix(n, "FromEnv") {
				t.Errorf("parameter %q: write it in letters and digits, not ending in FromEnv", n)
			}
		}
		if len(p.From) == 0 {
			t.Errorf("parameter %q is read from nowhere", p.Name)
		}
	}
}

func documented(t *testing.T, def *scalers.Definition) {
	t.Helper()
	if !strings.HasPrefix(def.Summary, "Scales on ") || !sentence(def.Summary) {
		t.Errorf(`the summary %q is not a sentence that begins with "Scales on"`, def.Summary)
	}
	for _, p := range def.Params {
		if !sentence(p.Doc) {
			t.Errorf("the doc of %q is not a sentence with a capital and a full stop: %q", p.Name, p.Doc)
		}
		if p.Deprecated != "" && (sentence(p.Deprecated) || strings.HasSuffix(p.Deprecated, ".")) {
			t.Errorf(`the deprecation of %q continues "is deprecated; ": no capital, no full stop: %q`, p.Name, p.Deprecated)
		}
	}
	page := reflect.ValueOf(def.Page)
	for f, v := range page.Fields() {
		if text := v.String(); text != "" && !strings.HasSuffix(strings.TrimSpace(text), ".") {
			t.Errorf("Page.%s does not end with a full stop", f.Name)
		}
	}
}

// sentence reports whether s has a capital (or a quoted name) and a full stop.
func sentence(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	return strings.HasSuffix(s, ".") && !unicode.IsLower(first) && strings.TrimSpace(s) == s
}

func unitStated(t *testing.T, def *scalers.Definition) {
	t.Helper()
	if !regexp.MustCompile(`^[a-z][a-zA-Z /]*$`).MatchString(def.Unit) {
		t.Errorf("the unit %q is not a plural in lower case, such as messages", def.Unit)
	}
}

func defaultsParse(t *testing.T, def *scalers.Definition) {
	t.Helper()
	for _, e := range def.Examples {
		base := valuesOf(e)
		want, _, err := def.Parse(base)
		if err != nil {
			continue // examplesParse is the test of it
		}
		for _, p := range def.Params {
			if p.Default == "" || given(base, p) {
				continue
			}
			v := clone(base)
			put(&v, p, p.From[0], p.Default)
			got, _, err := def.Parse(v)
			if err != nil {
				t.Errorf("example %q with %q set to its default: %v", e.Title, p.Name, err)
			} else if got != want && (!def.NamesMetrics || got.Source != want.Source) {
				// An upstream that names its metrics may get to see what is written.
				t.Errorf("example %q with %q set to its default %q is another trigger: %v, not %v", e.Title, p.Name, p.Default, got, want)
			}
		}
	}
}

func examplesParse(t *testing.T, def *scalers.Definition) {
	t.Helper()
	if len(def.Examples) == 0 {
		t.Error("there is no example; the reference page needs one")
	}
	seen := map[string]bool{}
	for _, e := range def.Examples {
		if e.Title == "" || seen[e.Title] {
			t.Errorf("the title %q is empty or used twice", e.Title)
		}
		seen[e.Title] = true
		_, warnings, err := def.Parse(valuesOf(e))
		if err != nil || len(warnings) > 0 {
			t.Errorf("example %q: %v, warnings %v", e.Title, err, warnings)
		}
	}
}

func examplesParseEqually(t *testing.T, def *scalers.Definition) {
	t.Helper()
	for _, e := range def.Examples {
		parsesEqually(t, def, e.Title, valuesOf(e))
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same values in every run
	for range 100 {
		parsesEqually(t, def, "random values", random(r, def))
	}
}

// parsesEqually fails when v gives two triggers that are not equal. The copies
// differ in address, so that a pointer that slipped in is found.
func parsesEqually(t *testing.T, def *scalers.Definition, name string, v param.Values) {
	t.Helper()
	one, _, err := def.Parse(clone(v))
	two, _, again := def.Parse(clone(v))
	if fmt.Sprint(err) != fmt.Sprint(again) || one != two {
		t.Errorf("%s: parsing twice gives unequal triggers or errors: %v, %v and %v, %v", name, one, err, two, again)
	}
}

func unconditional(t *testing.T, def *scalers.Definition) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same values in every run
	for range 300 {
		v := random(r, def)
		if got := def.Bound(v); !reflect.DeepEqual(got, def.Params) {
			t.Fatalf("with %v the parameters are\n%+v\nand by the description\n%+v\nbind every parameter whatever the values are, and use Check",
				slices.Sorted(maps.Keys(v.Metadata)), got, def.Params)
		}
	}
}

// canary is looked for in everything that is printed.
const canary = "c4n4ry"

// spoiled returns values that parsers like to quote: a word, a line break, a URL
// that cannot be parsed, one that can, a number that is none.
func spoiled() []string {
	return []string{
		canary, canary + "\n" + canary, "http://u:" + canary + "/@h", "http://" + canary + ":" + canary + "@h:1/?k=" + canary,
		"9" + canary, canary + "," + canary, "-1" + canary + "s", "%zz" + canary, "{" + canary, canary + "=" + canary + "=",
	}
}

func errorsShowNoValue(t *testing.T, def *scalers.Definition) {
	t.Helper()
	bases := []param.Values{{}}
	for _, e := range def.Examples {
		bases = append(bases, valuesOf(e))
	}
	for _, base := range bases {
		for _, bad := range spoiled() {
			all := clone(base)
			for _, p := range def.Params {
				for _, place := range []param.Place{param.Metadata, param.Env, param.Auth} {
					v := clone(base)
					put(&v, p, place, bad)
					put(&all, p, place, bad)
					silent(t, def, p.Name, v)
				}
			}
			silent(t, def, "every parameter", all)
		}
	}
}

// silent parses v, which holds the canary in the parameter called name.
func silent(t *testing.T, def *scalers.Definition, name string, v param.Values) {
	t.Helper()
	_, warnings, err := def.Parse(v)
	var said strings.Builder
	fmt.Fprintf(&said, "%v %+v %#v %v %+v", err, err, err, warnings, warnings)
	for _, e := range param.Errors(err) {
		fmt.Fprintf(&said, " %+v %#v", *e, *e)
	}
	if strings.Contains(said.String(), canary) {
		t.Errorf("%s: an error or warning shows the value: %s", name, said.String())
	}
}

func triggersShowNoSecret(t *testing.T, def *scalers.Definition) {
	t.Helper()
	for _, e := range def.Examples {
		for _, p := range def.Params {
			bad := secretFor(p, e)
			if bad == "" {
				continue
			}
			for _, place := range p.From {
				v := clone(valuesOf(e))
				put(&v, p, place, bad)
				trigger, _, err := def.Parse(v)
				if err != nil {
					continue // errorsShowNoValue has seen it
				}
				encoded, err := json.Marshal(trigger)
				said := fmt.Sprintf("%v %+v %#v %v %s %s %v", trigger, trigger, trigger, trigger.Source, trigger.MetricName(0), encoded, err)
				if strings.Contains(said, canary) {
					t.Errorf("%s from %v: the trigger shows it: %s", p.Name, place, said)
				}
			}
		}
	}
}

// secretFor makes a value of p with the canary where p may hold a secret: all of
// it, or the credentials of an address. It returns "" when p holds none. An
// address is known by its kind or by what the example gives it.
func secretFor(p param.Info, e scalers.Example) string {
	if p.Secret {
		return canary
	}
	scheme, _, isURL := strings.Cut(cmp.Or(e.Metadata[p.Name], e.Auth[p.Name]), "://")
	switch {
	case isURL:
		return scheme + "://user:" + canary + "@host:5672/"
	case p.Kind == param.KindURL:
		return "http://" + canary + ":" + canary + "@host:5672/?k=" + canary
	}
	return ""
}

func metricNameStable(t *testing.T, def *scalers.Definition) {
	t.Helper()
	for _, e := range def.Examples {
		trigger, _, err := def.Parse(valuesOf(e))
		if err != nil {
			continue // examplesParse is the test of it
		}
		zero, _ := strings.CutPrefix(trigger.MetricName(0), "s0-")
		seven, ok := strings.CutPrefix(trigger.MetricName(7), "s7-")
		if !ok || zero != seven || zero == "" {
			t.Errorf("example %q: the name is %s at index 0 and %s at index 7", e.Title, trigger.MetricName(0), trigger.MetricName(7))
		}
		again, _, err := def.Parse(valuesOf(e))
		if err != nil || again.MetricName(0) != trigger.MetricName(0) {
			t.Errorf("example %q: the name is %s first and %s then (%v)", e.Title, trigger.MetricName(0), again.MetricName(0), err)
		}
	}
}
