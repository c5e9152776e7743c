package param_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// one parses a single parameter "p" and returns the error's text, or "".
func one(t *testing.T, value string, bind func(*param.Set)) string {
	t.Helper()
	in := param.Values{Metadata: map[string]string{"p": value}, Auth: map[string]string{"p": value}}
	warnings, err := param.Parse(in, bind)
	if err == nil {
		return ""
	}
	if len(warnings) > 1 {
		t.Errorf("warnings %v", warnings)
	}
	return err.Error()
}

func TestIntAcceptsJSONIntegersOnly(t *testing.T) {
	const bad = `parameter "p" must be a whole number, written with digits only`
	for _, c := range []struct {
		value string
		want  int64
		err   string
	}{
		{value: "5", want: 5},
		{value: "-3", want: -3},
		{value: "0"},
		{value: " 7\n", want: 7},
		{value: "9223372036854775807", want: math.MaxInt64},
		{value: "9223372036854775808", err: bad},
		{value: "05", err: bad},
		{value: "+5", err: bad},
		{value: "1.5", err: bad},
		{value: "5.0", err: bad},
		{value: "1e2", err: bad},
		{value: "0x10", err: bad},
		{value: "1_000", err: bad},
		{value: "five", err: bad},
		{value: "5 6", err: bad},
	} {
		got := int64(0)
		err := one(t, c.value, func(s *param.Set) { s.Int(&got, math.MinInt64, math.MaxInt64, "p", "A number.") })
		if err != c.err || got != c.want {
			t.Errorf("%q: got %d, %q; want %d, %q", c.value, got, err, c.want, c.err)
		}
	}
}

func TestIntSaysItsRange(t *testing.T) {
	for _, c := range []struct {
		lo, hi int64
		value  string
		err    string
	}{
		{1, 10, "1", ""},
		{1, 10, "10", ""},
		{1, 10, "0", `parameter "p" must be a whole number from 1 to 10`},
		{1, 10, "11", `parameter "p" must be a whole number from 1 to 10`},
		{1, math.MaxInt64, "0", `parameter "p" must be a whole number of at least 1`},
		{0, math.MaxInt64, "-1", `parameter "p" must be a whole number of at least 0`},
		{math.MinInt64, 5, "6", `parameter "p" must be a whole number of at most 5`},
	} {
		var n int64
		if err := one(t, c.value, func(s *param.Set) { s.Int(&n, c.lo, c.hi, "p", "A number.") }); err != c.err {
			t.Errorf("%s in [%d, %d]: got %q, want %q", c.value, c.lo, c.hi, err, c.err)
		}
	}
}

func TestFloatAcceptsJSONNumbersOnly(t *testing.T) {
	const bad = `parameter "p" must be a number such as "5" or "0.25"`
	for _, c := range []struct {
		value string
		want  float64
		err   string
	}{
		{value: "5", want: 5},
		{value: "5.25", want: 5.25},
		{value: "1e2", want: 100},
		{value: "-3", want: -3},
		{value: "0.0", want: 0},
		{value: ".5", err: bad},
		{value: "5.", err: bad},
		{value: "+5", err: bad},
		{value: "05", err: bad},
		{value: "NaN", err: bad},
		{value: "inf", err: bad},
		{value: "Infinity", err: bad},
		{value: "1e999", err: bad},
		{value: "0x1p4", err: bad},
		{value: "1_0", err: bad},
		{value: "null", err: bad},
		{value: `"5"`, err: bad},
	} {
		got := 0.0
		err := one(t, c.value, func(s *param.Set) { s.Float(&got, "p", "A number.") })
		if err != c.err || got != c.want {
			t.Errorf("%q: got %v, %q; want %v, %q", c.value, got, err, c.want, c.err)
		}
	}
}

func TestBoolAcceptsTwelveSpellings(t *testing.T) {
	const bad = `parameter "p" must be "true" or "false"`
	for value, want := range map[string]bool{
		"1": true, "t": true, "T": true, "TRUE": true, "true": true, "True": true,
		"0": false, "f": false, "F": false, "FALSE": false, "false": false, "False": false,
	} {
		got := !want
		if err := one(t, value, func(s *param.Set) { s.Bool(&got, "p", "A switch.") }); err != "" || got != want {
			t.Errorf("%q: got %v, %q; want %v", value, got, err, want)
		}
	}
	for _, value := range []string{"yes", "on", "2", "enabled", "tRUE", "no"} {
		var got bool
		if err := one(t, value, func(s *param.Set) { s.Bool(&got, "p", "A switch.") }); err != bad || got {
			t.Errorf("%q: got %v, %q; want %q", value, got, err, bad)
		}
	}
}

func TestDurationTakesBareNumbersForMilliseconds(t *testing.T) {
	const bad = `parameter "p" must be a duration such as "30s", or a whole number of milliseconds`
	for _, c := range []struct {
		value string
		want  time.Duration
		err   string
	}{
		{value: "30s", want: 30 * time.Second},
		{value: "1m30s", want: 90 * time.Second},
		{value: "250ms", want: 250 * time.Millisecond},
		{value: "1500", want: 1500 * time.Millisecond},
		{value: "0", want: 0},
		{value: "-5s", err: bad},
		{value: "-1", err: bad},
		{value: "1.5", err: bad},
		{value: "fast", err: bad},
		{value: "9223372036855", err: bad},        // more milliseconds than a duration holds
		{value: "-9223372036854775807", err: bad}, // overflows to a positive duration when multiplied
		{value: "-18446744073709", err: bad},
	} {
		got := time.Duration(0)
		err := one(t, c.value, func(s *param.Set) { s.Duration(&got, "p", "A time.") })
		if err != c.err || got != c.want {
			t.Errorf("%q: got %v, %q; want %v, %q", c.value, got, err, c.want, c.err)
		}
	}
}

func TestStringRefusesControlCharacters(t *testing.T) {
	for value, want := range map[string]string{
		"a b":       "",
		" ünï ":     "",
		"a\nb":      `parameter "p" must not contain control characters`,
		"a\r\nQUIT": `parameter "p" must not contain control characters`,
		"a\x00b":    `parameter "p" must not contain control characters`,
		"a\u0085b":  `parameter "p" must not contain control characters`,
	} {
		var got string
		if err := one(t, value, func(s *param.Set) { s.String(&got, "p", "A name.") }); err != want {
			t.Errorf("%q: got %q, want %q", value, err, want)
		} else if err == "" && got != strings.TrimSpace(value) {
			t.Errorf("%q: got %q", value, got)
		}
	}
}

func TestListTrimsItemsAndKeepsEmptyOnes(t *testing.T) {
	for value, want := range map[string][]string{
		"a":       {"a"},
		"a, b ,c": {"a", "b", "c"},
		"a,,b":    {"a", "", "b"},
		",":       {"", ""},
	} {
		var got param.List
		if err := one(t, value, func(s *param.Set) { s.List(&got, "p", "Names.") }); err != "" || !slices.Equal(got.Items(), want) {
			t.Errorf("%q: got %q, %q; want %q", value, got.Items(), err, want)
		}
	}
	var got param.List
	if err := one(t, "a,b\tc", func(s *param.Set) { s.List(&got, "p", "Names.") }); err != `parameter "p" must not contain control characters` {
		t.Errorf("control character: %q", err)
	}
}

func TestListComparesByItems(t *testing.T) {
	a, b := param.NewList("a", "b"), param.NewList("a", "b")
	if a != b || a == param.NewList("b", "a") || a == param.NewList("a,b") {
		t.Error("lists are equal when, and only when, their items are")
	}
	if a.String() != "a,b" {
		t.Errorf("String: %q", a.String())
	}
	if items := (param.List{}).Items(); items != nil {
		t.Errorf("the empty list has items %q", items)
	}
}

func TestOneOfIsCaseSensitive(t *testing.T) {
	mode := func(s *param.Set) {
		got := "sum"
		s.String(&got, "p", "A mode.", param.OneOf("sum", "avg"))
	}
	modes := func(s *param.Set) {
		var got param.List
		s.List(&got, "p", "Modes.", param.OneOf("sum", "avg"))
	}
	const bad = `parameter "p" must be one of sum, avg`
	for _, c := range []struct {
		bind  func(*param.Set)
		value string
		err   string
	}{
		{mode, "avg", ""},
		{mode, "AVG", bad},
		{mode, "sum,avg", bad},
		{modes, "sum, avg", ""},
		{modes, "avg", ""},
		{modes, "sum,max", bad},
		{modes, "sum,", bad},
	} {
		if err := one(t, c.value, c.bind); err != c.err {
			t.Errorf("%q: got %q, want %q", c.value, err, c.err)
		}
	}
}

func TestURLSplitsCredentialsOff(t *testing.T) {
	for _, c := range []struct {
		raw                             string
		base, scheme, user, pass, query string
	}{
		{"http://h:15672/vhost", "http://h:15672/vhost", "http", "", "", ""},
		{"AMQP://u:p%40ss@h:5672/%2f", "amqp://h:5672/%2f", "amqp", "u", "p@ss", ""},
		{"amqps://u@h", "amqps://h", "amqps", "u", "", ""},
		{"https://h/a?token=t0p&x=1", "https://h/a", "https", "", "", "token=t0p&x=1"},
		{"https://h/a?", "https://h/a", "https", "", "", ""},
		{"http://u@h:1/a%40b", "http://h:1/a%40b", "http", "u", "", ""},
		{"http://h/a@b", "http://h/a@b", "http", "", "", ""},
	} {
		var u param.URL
		if err := one(t, c.raw, func(s *param.Set) { s.URL(&u, "p", "An address.") }); err != "" {
			t.Errorf("%s: %s", c.raw, err)
			continue
		}
		got := []string{u.Base, u.Scheme, u.User.Reveal(), u.Password.Reveal(), u.Query.Reveal()}
		if want := []string{c.base, c.scheme, c.user, c.pass, c.query}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", c.raw, got, want)
		}
		if u.String() != c.base || u.IsZero() {
			t.Errorf("%s: String gives %q, IsZero %v", c.raw, u.String(), u.IsZero())
		}
		full := c.base
		if c.query != "" {
			full += "?" + c.query
		}
		if got := u.WithQuery(); got != full {
			t.Errorf("%s: WithQuery gives %q, want %q", c.raw, got, full)
		}
	}
}

func TestURLRefusesWithoutRepeatingTheInput(t *testing.T) {
	const bad = `parameter "p" must be an absolute URL such as "scheme://host:port/path", with reserved characters of the user name and password percent-encoded`
	for _, raw := range []string{
		"h:5672",
		"/path",
		"amqp://",
		"mailto:a@b",
		"http://h\x7f/",
		"http://%zz/",
		"amqp://u:hun/ter2@h:5672/", // the password's slash ends the host
		"amqp://u:12/34@h:5672/",    // ... and what precedes it passes for a port
		"amqp://u:12?34@h:5672/",
		"amqp://u:12#34@h:5672/",
		"amqp://u:p@x:12/3@h:5672/",
		"amqp://u:@x/3@h:5672/",
		"amqp://u:/3@h:5672/",
	} {
		var u param.URL
		if err := one(t, raw, func(s *param.Set) { s.URL(&u, "p", "An address.") }); err != bad || !u.IsZero() {
			t.Errorf("%s: got %q, %q", raw, u, err)
		}
	}
}

func TestTextSpansLines(t *testing.T) {
	for value, want := range map[string]string{
		"sum(\n\trate(x[5m])\r\n)": "", "one": "", "a\x00b": "control", "a\x1b[31mb": "control", "a\u0085b": "control",
	} {
		var got string
		err := one(t, value, func(s *param.Set) { s.Text(&got, "p", "A query.") })
		if want == "" && (err != "" || got != value) || want != "" && err != `parameter "p" must not contain control characters other than tabs and line breaks` {
			t.Errorf("%q: got %q, %q", value, got, err)
		}
	}
}
