package formula_test

import (
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/weir-sh/weir/pkg/formula"
)

func TestFormulasGiveNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want float64 // with a = 3 and b = 2
	}{
		{"a+b", 5},
		{"a/b", 1.5},
		{"a ** 2", 9},
		{"max(a,b)", 3},
		{"min(a,b,3)", 2},
		{"sum([a,b])", 5},
		{"mean([a,b])", 2.5},
		{"ceil(a/3)", 1},
		{"int(a) % 2", 1},
		{"a > 2 ? 1 : 2", 1},
		{"count([a,b],{#>1}) > 1 ? 5 : 0", 5},
		{"float(a) > 2 ? 1 : 2", 1}, // KEDA leaves an int there, and then fails
		{"a ?? b", 3},
		{"a ?? b ?? 8", 3},
		{"(a ?? 0) > 2 ? 1 : 0", 1}, // an int from a formula that may be nil
		{"b - a", 0},                // less than zero counts as zero
		{"0 * -a", 0},
		{"a / (b + 1)", 1}, // the dry run divides by zero
		{"int(a) % int(b + 1)", 0},
		{"[0, 7][int(b) - 1]", 7}, // the dry run is outside of the list
		{"a == nil ? 0 : a", 3},
		{"sum(map([a, b], # * 2))", 10},
		{"reduce([a, b], #acc + #)", 5},
		{"let x = a; x + b", 5},
		{"median([a, b, 10])", 3},
		{"bitand(6, 3)", 2},
		{"a\n+\nb", 5},
	} {
		f, err := formula.Compile(c.text, []string{"a", "b"})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, isNil, err := f.Eval(map[string]float64{"a": 3, "b": 2})
		if err != nil || isNil || got != c.want || math.Signbit(got) {
			t.Errorf("%s: %v %t %v, want %v", c.text, got, isNil, err, c.want)
		}
		if f.String() != c.text {
			t.Errorf("%s is called %s", c.text, f)
		}
	}
}

func TestWhatNeverGivesANumberIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a % 2":                                 "compiling the formula: invalid operation: % (mismatched types float64 and int) (1:3)",
		"a > 2":                                 "compiling the formula: expected float64, but got bool",
		"nil":                                   "compiling the formula: expected float64, but got unknown",
		"c + 1":                                 "compiling the formula: unknown name c (1:1)",
		"a +\n+ cpu":                            "compiling the formula: unknown name cpu (2:3)",
		"(a ?? b) > 2":                          "compiling the formula: expected float64, but got bool",
		"":                                      "compiling the formula: unexpected token EOF (1:1)",
		"[a, b]":                                "compiling the formula: expected float64, but got []interface {}",
		"a.size":                                "compiling the formula: type float64 has no field size (1:3)",
		"1e400":                                 `compiling the formula: invalid float literal: strconv.ParseFloat: parsing "1e400": value out of range (1:5)`,
		"len('work')":                           "compiling the formula: text in quotes is of no use: a formula computes with numbers",
		"now().Hour()":                          "compiling the formula: unknown name now (1:1)",
		"$env":                                  "trying the formula with all values at -1: invalid operation: float(map[string]interface {}) (1:1)",
		"int(a) % 0":                            "trying the formula with all values at -1: runtime error: integer divide by zero (1:8)",
		"int(a) % (1-1)":                        "trying the formula with all values at -1: runtime error: integer divide by zero (1:8)",
		"a > b ? a : nil":                       "trying the formula with all values at -1: invalid operation: float(<nil>) (1:1)",
		"(a > b ? a : b > a ? b : nil) ?? true": "trying the formula with all values at -1: the result is a bool, not a number",
	} {
		if _, err := formula.Compile(text, []string{"a", "b"}); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

// TestWorkIsBounded holds what would take seconds, or all memory.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"len(1..1000000000)":              "memory budget exceeded",
		"sum(1..900, {sum(1..900, {#})})": "memory budget exceeded",
		"let r = 1..900; count(r, {count(r, {count(r, {# > 1}) > 1}) > 1})": "it takes more than 10000 steps",
		"reduce(1..60, concat(#acc, #acc), [1])[0]":                         "memory budget exceeded",
		"reduce(1..60, #acc + #acc, 'x') == 'x' ? 1 : 0":                    "text in quotes is of no use",
		strings.Repeat("a + ", 1000) + "a":                                  "exceeds maximum allowed nodes",
		strings.Repeat("(", 5000) + "a" + strings.Repeat(")", 5000):         "it has more than 10000 characters; shorten it",
	} {
		if _, err := formula.Compile(text, []string{"a"}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %v\nwant %s", text, err, want)
		}
	}
}

func TestAVariableWithoutAValueIsNil(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		want  float64
		isNil bool
		err   string
	}{
		{"a ?? b", 2, false, ""},
		{"a ?? a", 0, true, ""},
		{"(a ?? 4) + b", 6, false, ""},
		{"b + 0 * (a ?? 0)", 2, false, ""},
		{"a + b", 0, false, "evaluating the formula without a value of a: invalid operation: <nil> + float64 (1:3)"},
		{"b > 0 ? a : b", 0, false, "evaluating the formula without a value of a: invalid operation: float(<nil>) (1:1)"},
		{"a ?? true", 0, false, "evaluating the formula without a value of a: the result is a bool, not a number"},
		{"b", 2, false, ""},
	} {
		f, err := formula.Compile(c.text, []string{"a", "b"})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, isNil, err := f.Eval(map[string]float64{"b": 2})
		if got != c.want || isNil != c.isNil || text(err) != c.err {
			t.Errorf("%s: %v %t %v\nwant %v %t %s", c.text, got, isNil, err, c.want, c.isNil, c.err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestTheWorkedExample is the documented example of a formula and its inputs.
func TestTheWorkedExample(t *testing.T) {
	t.Parallel()
	f, err := formula.Compile("ta / tb", []string{"ta", "tb"})
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := f.Eval(map[string]float64{"ta": 3, "tb": 2}); v != 1.5 || err != nil {
		t.Errorf("3/2 is %v, %v", v, err)
	}
	for ta, want := range map[float64]string{3: "+Inf", 0: "NaN"} {
		v, isNil, err := f.Eval(map[string]float64{"ta": ta, "tb": 0})
		want = "evaluating the formula: the result is " + want + ", as after a division by zero; make the formula provide for that"
		if v != 0 || isNil || text(err) != want {
			t.Errorf("%v/0 is %v, %t, %v", ta, v, isNil, err)
		}
	}
}

func TestAFormulaIsForManyAtOnce(t *testing.T) {
	t.Parallel()
	f, err := formula.Compile("sum(map([a, a], # + 1))", []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				if v, _, err := f.Eval(map[string]float64{"a": float64(i)}); err != nil || v != float64(2*i+2) {
					t.Errorf("%d: %v %v", i, v, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzFormulasNeverGiveWhatCannotBeUsed(f *testing.F) {
	for _, text := range []string{"a+b", "a ?? b", "count([a],{#>1})", "1..9", "{a: b}", "let a = 1; a", "a?.b", "a | max(b)", "int(a) % 2"} {
		f.Add(text, 1.0, 2.0)
	}
	f.Fuzz(func(t *testing.T, text string, a, b float64) {
		c, err := formula.Compile(text, []string{"a", "b"})
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q has lines", err)
			}
			return
		}
		v, isNil, err := c.Eval(map[string]float64{"a": a, "b": b})
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || (err != nil || isNil) && v != 0 {
			t.Errorf("%s: %v %t %v", text, v, isNil, err)
		}
	})
}
