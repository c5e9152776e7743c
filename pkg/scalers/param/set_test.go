package param_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

type kv = map[string]string

// outcome is what Parse gave, as text: errors, then "warning: " lines.
func outcome(warnings []param.Warning, err error) string {
	var lines []string
	if err != nil {
		lines = append(lines, err.Error())
	}
	for _, w := range warnings {
		lines = append(lines, "warning: "+w.String())
	}
	return strings.Join(lines, "\n")
}

func TestPlacesAreTriedInTheirOrder(t *testing.T) {
	in := param.Values{
		Metadata: kv{"p": "meta", "pFromEnv": "P"},
		Env:      kv{"P": "env"},
		Auth:     kv{"p": "auth"},
	}
	const M, E, A = param.Metadata, param.Env, param.Auth
	for _, c := range []struct {
		from    []param.Place
		drop    []param.Place // places whose value is blank
		want    string
		problem string
	}{
		{from: []param.Place{M, E, A}, want: "meta"},
		{from: []param.Place{M, A, E}, drop: []param.Place{M}, want: "auth"},
		{from: []param.Place{M, E, A}, drop: []param.Place{M}, want: "env"},
		{from: []param.Place{A, E}, want: "auth", problem: `warning: parameter "p" is ignored in metadata; set it as an authentication parameter, or through pFromEnv, naming a variable that the workload's container sets`},
		{from: []param.Place{A, E, M}, drop: []param.Place{A}, want: "env"},
		{from: []param.Place{M}, want: "meta", problem: `warning: parameter "pFromEnv" is ignored: "p" is not read from the environment; set it in the trigger's metadata`},
		{from: []param.Place{M, A}, drop: []param.Place{M, A}, problem: `parameter "p" is required; set it in the trigger's metadata, or as an authentication parameter` + "\n" +
			`warning: parameter "pFromEnv" is ignored: "p" is not read from the environment; set it in the trigger's metadata, or as an authentication parameter`},
		{from: []param.Place{M, E}, drop: []param.Place{M, E}, problem: `parameter "p" is required; set it in the trigger's metadata, or through pFromEnv, naming a variable that the workload's container sets` + "\n" +
			`warning: parameter "pFromEnv" names a variable that the workload's container does not set`},
	} {
		v := param.Values{Metadata: kv{}, Env: kv{}, Auth: kv{}}
		for place, m := range map[param.Place][2]kv{M: {v.Metadata, in.Metadata}, E: {v.Env, in.Env}, A: {v.Auth, in.Auth}} {
			maps.Copy(m[0], m[1])
			if slices.Contains(c.drop, place) {
				for k := range m[0] {
					if k != "pFromEnv" {
						m[0][k] = " \t\n"
					}
				}
			}
		}
		got := ""
		problem := outcome(param.Parse(v, func(s *param.Set) {
			s.String(&got, "p", "A name.", param.Required, param.From(c.from...))
		}))
		if got != c.want || problem != c.problem {
			t.Errorf("from %v without %v: got %q\n%s\nwant %q\n%s", c.from, c.drop, got, problem, c.want, c.problem)
		}
	}
}

func TestBlankIsAbsent(t *testing.T) {
	for _, blank := range []string{"", " ", "\t\n "} {
		got := "default"
		warnings, err := param.Parse(param.Values{Metadata: kv{"p": blank}}, func(s *param.Set) {
			s.String(&got, "p", "A name.")
			s.Check(func() error {
				if s.Given("p") {
					t.Errorf("%q counts as given", blank)
				}
				return nil
			})
		})
		if err != nil || len(warnings) > 0 || got != "default" {
			t.Errorf("%q: got %q, %v, %v", blank, got, warnings, err)
		}
	}
}

func TestAliasesAreTriedWithinEachPlace(t *testing.T) {
	for _, c := range []struct {
		in   param.Values
		want string
	}{
		{param.Values{Metadata: kv{"p": "name", "old": "alias"}}, "name"},
		{param.Values{Metadata: kv{"p": " ", "old": "alias"}, Auth: kv{"p": "auth"}}, "alias"},
		{param.Values{Auth: kv{"older": "b", "old": "a"}}, "a"},
		{param.Values{Metadata: kv{"oldFromEnv": "V"}, Env: kv{"V": "env"}, Auth: kv{"p": "auth"}}, "auth"},
		{param.Values{Metadata: kv{"oldFromEnv": " V "}, Env: kv{"V": "env"}}, "env"},
	} {
		var got string
		warnings, err := param.Parse(c.in, func(s *param.Set) {
			s.String(&got, "p", "A name.", param.Alias("old", "older"), param.From(param.Metadata, param.Auth, param.Env))
		})
		if err != nil || len(warnings) > 0 || got != c.want {
			t.Errorf("%+v: got %q, %v, %v; want %q", c.in, got, warnings, err, c.want)
		}
	}
}

func TestErrorsNameWhatTheUserWrote(t *testing.T) {
	var n int64
	_, err := param.Parse(param.Values{Metadata: kv{"oldFromEnv": "V"}, Env: kv{"V": "x"}}, func(s *param.Set) {
		s.Int(&n, 0, 9, "p", "A number.", param.Alias("old"), param.From(param.Metadata, param.Env))
	})
	if want := `parameter "oldFromEnv" must be a whole number, written with digits only`; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// rules binds parameters with every kind of cross rule.
func rules(s *param.Set) {
	var a, b, c, user, old string
	var n int64
	var pw param.Secret
	s.String(&a, "a", "A.")
	s.String(&b, "b", "B.")
	s.String(&c, "c", "C.")
	s.String(&user, "user", "U.")
	s.Secret(&pw, "password", "P.", param.From(param.Auth, param.Metadata))
	s.Int(&n, 0, 9, "n", "N.")
	s.String(&old, "old", "O.", param.Deprecated("use a"))
	s.Exclusive("a", "b", "c")
	s.Together("user", "password")
	s.Check(func() error {
		if s.Given("n") && n != 1 {
			return errors.Join(param.Wrong("n", "must be 1"), param.Wrong("m", "must agree with n"))
		}
		return nil
	}, "n")
	s.Check(func() error {
		if a == "plain" {
			return errors.New("an error of no parameter")
		}
		return nil
	})
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name string
		in   param.Values
		want string
	}{
		{"nothing given", param.Values{}, ""},
		{"one of an exclusive set", param.Values{Metadata: kv{"b": "x"}}, ""},
		{"two of an exclusive set", param.Values{Metadata: kv{"a": "x", "c": "x"}}, `parameter "c" cannot be combined with "a"; keep one of them`},
		{"three of an exclusive set", param.Values{Metadata: kv{"a": "x", "b": "x", "c": "x"}}, `parameter "c" cannot be combined with "a" and "b"; keep one of them`},
		{"both of a pair", param.Values{Metadata: kv{"user": "x"}, Auth: kv{"password": "x"}}, ""},
		{"the first of a pair", param.Values{Metadata: kv{"user": "x"}}, `parameter "password" is required when "user" is set`},
		{"the second of a pair", param.Values{Auth: kv{"password": "x"}}, `parameter "user" is required when "password" is set`},
		{"a check that gives two errors", param.Values{Metadata: kv{"n": "2"}}, "parameter \"m\" must agree with n\nparameter \"n\" must be 1"},
		{"a check is skipped when its parameter was refused", param.Values{Metadata: kv{"n": "x"}}, `parameter "n" must be a whole number, written with digits only`},
		{"an error without a parameter", param.Values{Metadata: kv{"a": "plain"}}, "an error of no parameter"},
		{"a deprecated parameter", param.Values{Metadata: kv{"old": "x"}}, `warning: parameter "old" is deprecated; use a`},
		{"a secret in plain sight", param.Values{Metadata: kv{"password": "x", "user": "u"}}, `warning: parameter "password" is a secret written in plain text; move it to an authentication object`},
		{
			"everything at once, sorted",
			param.Values{Metadata: kv{"user": "x", "n": "x", "b": "\x00y", "a": "x", "A": "x", "old": "y", "zzzz": "y"}},
			`parameter "b" cannot be combined with "a"; keep one of them
parameter "b" must not contain control characters
parameter "n" must be a whole number, written with digits only
parameter "password" is required when "user" is set
warning: parameter "A" is not known; did you mean "a"?
warning: parameter "old" is deprecated; use a
warning: parameter "zzzz" is not known and is ignored; see the scaler's page for its parameters`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 5 { // map order must not show
				if got := outcome(param.Parse(c.in, rules)); got != c.want {
					t.Fatalf("got\n%s\nwant\n%s", got, c.want)
				}
			}
		})
	}
}

func TestEveryErrorIsAParamError(t *testing.T) {
	_, err := param.Parse(param.Values{Metadata: kv{"n": "x", "a": "plain", "user": "u"}}, rules)
	got := param.Errors(err)
	want := []param.Error{
		{Reason: "an error of no parameter"},
		{Param: "n", Reason: "must be a whole number, written with digits only"},
		{Param: "password", Reason: `is required when "user" is set`},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i, e := range got {
		if *e != want[i] {
			t.Errorf("got %+v, want %+v", *e, want[i])
		}
	}
	if param.Errors(nil) != nil {
		t.Error("nil has errors")
	}
	if got := param.Errors(fmt.Errorf("parsing: %w", param.Wrong("n", "is %s", "odd"))); len(got) != 1 || got[0].Param != "n" {
		t.Errorf("wrapped: %v", got)
	}
}

func TestUnknownMetadata(t *testing.T) {
	bind := func(s *param.Set) {
		var queue, vhost, host, token string
		s.String(&queue, "queueName", "Q.")
		s.String(&vhost, "vhostName", "V.", param.Alias("vhost"))
		s.String(&host, "host", "H.", param.From(param.Metadata, param.Env))
		s.String(&token, "token", "T.", param.From(param.Auth))
	}
	for key, want := range map[string]string{
		"queueName":        "",
		"vhost":            "",
		"hostFromEnv":      "",
		"vHostName":        `did you mean "vhostName"?`,
		"queuename":        `did you mean "queueName"?`,
		"queueNmae":        `did you mean "queueName"?`,
		"VHOST":            `did you mean "vhost"?`,
		"hots":             "is not known and is ignored", // two of four letters are wrong
		"somethingElse":    "is not known and is ignored",
		"somethingFromEnv": "is not known and is ignored",
		"token":            "is ignored in metadata; set it as an authentication parameter",
		"tokenFromEnv":     `is ignored: "token" is not read from the environment`,
		"queueNameFromEnv": `is ignored: "queueName" is not read from the environment`,
	} {
		in := param.Values{Metadata: kv{key: "VALUE"}, Env: kv{"VALUE": "x"}}
		got := outcome(param.Parse(in, bind))
		if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
		if strings.Contains(got, "VALUE") {
			t.Errorf("%s: the warning shows the value: %s", key, got)
		}
	}
}

func TestOtherMetadataCanBeAllowed(t *testing.T) {
	bind := func(s *param.Set) {
		var queue, host, token string
		s.String(&queue, "queueName", "Q.")
		s.String(&host, "host", "H.", param.From(param.Metadata, param.Env))
		s.String(&token, "token", "T.", param.From(param.Auth))
		s.AllowOther()
	}
	for key, want := range map[string]string{
		"anything":         "",
		"queueNmae":        "",
		"anythingFromEnv":  "",
		"queuename":        `warning: parameter "queuename" is not known; did you mean "queueName"?`,
		"token":            `warning: parameter "token" is ignored in metadata; set it as an authentication parameter`,
		"queueNameFromEnv": `warning: parameter "queueNameFromEnv" is ignored: "queueName" is not read from the environment; set it in the trigger's metadata`,
	} {
		if got := outcome(param.Parse(param.Values{Metadata: kv{key: "x"}, Env: kv{"x": "y"}}, bind)); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

func TestClosest(t *testing.T) {
	names := []string{"rabbitmq", "redis", "redis-streams", "kafka"}
	for typed, want := range map[string]string{
		"rabbitMQ": "rabbitmq", "rabitmq": "rabbitmq", "redi": "redis", "redis-stream": "redis-streams",
		"kafak": "", "": "", "x": "", "postgresql": "", "kafkaa": "kafka",
	} {
		if got := param.Closest(typed, names); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}

func TestDescribeGivesWhatParseReads(t *testing.T) {
	bind := func(s *param.Set) {
		mode, n, must := "sum", int64(5), int64(0)
		var pw param.Secret
		s.String(&mode, "mode", "How to add up.", param.OneOf("sum", "avg"), param.Alias("m"), param.Hidden)
		s.Int(&n, 0, 9, "n", "A number.", param.Deprecated("use mode"))
		s.Int(&must, 0, 9, "must", "A number.", param.Required)
		s.Secret(&pw, "password", "A secret.")
		if s.Given("mode") || s.Values().Metadata != nil {
			t.Error("something is given while describing")
		}
	}
	want := []string{
		`{Name:mode Doc:How to add up. Kind:string Default:sum Required:false OneOf:[sum avg] From:[metadata] Aliases:[m] Deprecated: Secret:true}`,
		`{Name:n Doc:A number. Kind:integer Default:5 Required:false OneOf:[] From:[metadata] Aliases:[] Deprecated:use mode Secret:false}`,
		`{Name:must Doc:A number. Kind:integer Default: Required:true OneOf:[] From:[metadata] Aliases:[] Deprecated: Secret:false}`,
		`{Name:password Doc:A secret. Kind:secret Default: Required:false OneOf:[] From:[authentication] Aliases:[] Deprecated: Secret:true}`,
	}
	got := param.Describe(bind)
	if len(got) != len(want) {
		t.Fatalf("got %d parameters", len(got))
	}
	for i, info := range got {
		if s := fmt.Sprintf("%+v", info); s != want[i] {
			t.Errorf("got  %s\nwant %s", s, want[i])
		}
	}
}

func TestANameIsBoundOnce(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); got != `param: "b" is bound twice` {
			t.Errorf("panic %s", got)
		}
	}()
	param.Describe(func(s *param.Set) {
		var a, b string
		s.String(&a, "a", "A.", param.Alias("b"))
		s.String(&b, "b", "B.")
	})
}

func TestPlacesHaveNames(t *testing.T) {
	if got := fmt.Sprint(param.Metadata, param.Env, param.Auth, param.Place(9)); got != "metadata environment authentication Place(9)" {
		t.Error(got)
	}
}
