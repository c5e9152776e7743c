package scalers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

type kv = map[string]string

// server and list are settings and query of a made-up scaler that uses every
// type a scaler may have in them.
type server struct {
	host     param.URL
	password param.Secret
	wait     time.Duration
	names    param.List
}

type list struct {
	name  string
	atMin float64
}

// spec is a well-formed Spec for tests to spoil.
func spec() scalers.Spec[server, list] {
	return scalers.Spec[server, list]{
		Type: "fake", Summary: "Scales on nothing.", Unit: "things",
		Target: scalers.Target{Param: "length", Activation: "activationLength", Default: 5, Whole: true, Aliases: []string{"len"}},
		Settings: func(s *server, p *param.Set) {
			p.URL(&s.host, "host", "Address.", param.From(param.Metadata, param.Auth))
			p.Secret(&s.password, "password", "Password.")
			p.Duration(&s.wait, "timeout", "Time.")
			p.List(&s.names, "names", "Names.")
		},
		Query: func(q *list, p *param.Set) { p.String(&q.name, "list", "List.", param.Required) },
		Thresholds: func(q *list, th *scalers.Thresholds, p *param.Set) {
			p.Check(func() error { q.atMin = min(th.Target, 100); return nil })
		},
		MetricName: func(_ server, q list) string { return "fake-" + q.name },
		Open: func(context.Context, scalers.Env, server) (scalers.Source[list], error) {
			return scalers.Each(4, func(_ context.Context, q list) scalers.Reading {
				return scalers.Reading{Value: float64(len(q.name))}
			}, nil), nil
		},
	}
}

func parse(t *testing.T, metadata, auth kv) scalers.Trigger {
	t.Helper()
	tr, warnings, err := scalers.Define(spec()).Parse(param.Values{Metadata: metadata, Auth: auth})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Parse: %v, %v", err, warnings)
	}
	return tr
}

// TestSecretsStayInside prints a trigger in every way a careless line could.
func TestSecretsStayInside(t *testing.T) {
	tr := parse(t, kv{"list": "a"}, kv{"password": "hunter2", "host": "amqp://hunter2:hunter2@h/?k=hunter2"})
	var out bytes.Buffer
	for _, v := range []any{tr, &tr, tr.Query, &tr.Query, tr.Source, &tr.Source, []scalers.Trigger{tr}, map[string]any{"x": tr.Query}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, fmt.Errorf("measuring %v: %w", v, &scalers.Error{Op: fmt.Sprint(v), Hint: fmt.Sprint(v)}))
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("v", v))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", slog.Any("v", v))
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%d", []byte("hunter2"))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("leak:\n%s", out.String())
		}
	}
}

func TestSourcesAndQueriesSayWhatIsSet(t *testing.T) {
	tr := parse(t,
		kv{"list": "jobs", "host": "http://u:p@h:1/v", "timeout": "1500", "names": "a,b"}, kv{"password": "x"})
	if got, want := tr.Source.String(), "fake{host:http://h:1/v password:[redacted] wait:1.5s names:a,b}"; got != want {
		t.Errorf("source: got %s, want %s", got, want)
	}
	if got, want := tr.String(), "fake{host:http://h:1/v password:[redacted] wait:1.5s names:a,b}{name:jobs atMin:5}"; got != want {
		t.Errorf("query: got %s, want %s", got, want)
	}
	if got := new(scalers.Query).String(); got != "" {
		t.Errorf("zero query: %q", got)
	}
	if (scalers.SourceKey{}).Type() != "" || (scalers.SourceKey{}).Definition() != nil || tr.Source.Type() != "fake" {
		t.Error("a source knows its scaler, the zero key has none")
	}
}

func TestEqualParametersShare(t *testing.T) {
	base := parse(t, kv{"list": "a"}, kv{"password": "old"})
	def := scalers.Define(spec())
	again, _, err := def.Parse(param.Values{Metadata: kv{"list": " a "}, Auth: kv{"password": "old\n"}})
	if err != nil {
		t.Fatal(err)
	}
	twice, _, err := def.Parse(param.Values{Metadata: kv{"list": "a"}, Auth: kv{"password": "old"}})
	if err != nil {
		t.Fatal(err)
	}
	if again != twice {
		t.Error("parsing the same twice gives equal triggers")
	}
	if base.Source == again.Source {
		t.Error("two definitions never share a source")
	}
	for _, c := range []struct {
		name                   string
		metadata, auth         kv
		sameSource, sameQuery  bool
		sameTrigger, sameWords bool
	}{
		{"nothing changes", kv{"list": "a"}, kv{"password": "old"}, true, true, true, true},
		{"a rotated password is another source", kv{"list": "a"}, kv{"password": "new"}, false, false, false, true},
		{"another list is another query", kv{"list": "b"}, kv{"password": "old"}, true, false, false, false},
		{"another activation is measured together", kv{"list": "a", "activationLength": "3"}, kv{"password": "old"}, true, true, false, true},
		{"a target that completes the query is measured apart", kv{"list": "a", "length": "7"}, kv{"password": "old"}, true, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			other, _, err := def.Parse(param.Values{Metadata: c.metadata, Auth: c.auth})
			if err != nil {
				t.Fatal(err)
			}
			got := [4]bool{twice.Source == other.Source, twice.Query == other.Query, twice == other, twice.String() == other.String()}
			if want := [4]bool{c.sameSource, c.sameQuery, c.sameTrigger, c.sameWords}; got != want {
				t.Errorf("source, query, trigger, text equal: got %v, want %v", got, want)
			}
		})
	}
}

func TestThresholdsBelongToTheTrigger(t *testing.T) {
	for _, c := range []struct {
		metadata kv
		want     scalers.Thresholds
		err      string
	}{
		{kv{"list": "a"}, scalers.Thresholds{Target: 5}, "<nil>"},
		{kv{"list": "a", "length": "9", "activationLength": "2"}, scalers.Thresholds{Target: 9, Activation: 2}, "<nil>"},
		{kv{"list": "a", "len": "8"}, scalers.Thresholds{Target: 8}, "<nil>"},
		{kv{"list": "a", "length": "-1"}, scalers.Thresholds{Target: -1}, "<nil>"},
		{kv{"length": "x", "activationLength": "1.5"}, scalers.Thresholds{}, `parameter "activationLength" must be a whole number, written with digits only
parameter "length" must be a whole number, written with digits only
parameter "list" is required; set it in the trigger's metadata`},
	} {
		tr, _, err := scalers.Define(spec()).Parse(param.Values{Metadata: c.metadata})
		if fmt.Sprint(err) != c.err || tr.Thresholds != c.want {
			t.Errorf("%v: got %+v, %v; want %+v, %s", c.metadata, tr.Thresholds, err, c.want, c.err)
		}
	}
	fraction := spec()
	fraction.Target.Whole = false
	tr, _, err := scalers.Define(fraction).Parse(param.Values{Metadata: kv{"list": "a", "length": "0.25", "activationLength": "1e2"}})
	if want := (scalers.Thresholds{Target: 0.25, Activation: 100}); err != nil || tr.Thresholds != want {
		t.Errorf("fractions: got %+v, %v", tr.Thresholds, err)
	}
}

func TestMetricNamesReplaceSixCharacters(t *testing.T) {
	for name, want := range map[string]string{
		"jobs":            "s3-fake-jobs",
		"a/b.c:d%e(f)g":   "s3-fake-a-b-c-d-e-f-g",
		"Äb_c+d,e $f{g}=": "s3-fake-Äb_c+d,e $f{g}=",
		"//":              "s3-fake---",
	} {
		if got := parse(t, kv{"list": name}, nil).MetricName(3); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestDefineRefuses(t *testing.T) {
	refuses := func(want string, define func()) {
		t.Helper()
		defer func() {
			t.Helper()
			if got := fmt.Sprint(recover()); got != want {
				t.Errorf("panic %q, want %q", got, want)
			}
		}()
		define()
	}
	spoil := func(change func(*scalers.Spec[server, list])) func() {
		return func() { s := spec(); change(&s); scalers.Define(s) }
	}
	const incomplete = `scalers: incomplete Spec "fake"`
	refuses(`scalers: incomplete Spec ""`, spoil(func(s *scalers.Spec[server, list]) { s.Type = "" }))
	refuses(incomplete, spoil(func(s *scalers.Spec[server, list]) { s.Summary = "" }))
	refuses(incomplete, spoil(func(s *scalers.Spec[server, list]) { s.Unit = "" }))
	refuses(incomplete, spoil(func(s *scalers.Spec[server, list]) { s.Open = nil }))
	refuses(incomplete, spoil(func(s *scalers.Spec[server, list]) { s.MetricName = nil }))
	refuses(`scalers: fake: incomplete Target "length"`, spoil(func(s *scalers.Spec[server, list]) { s.Target.Activation = "" }))
	refuses(`scalers: fake: incomplete Target "length"`, spoil(func(s *scalers.Spec[server, list]) { s.Target.Default = 0 }))
	refuses(`param: "list" is bound twice`, spoil(func(s *scalers.Spec[server, list]) { s.Target.Param = "list" }))
	refuses(`scalers: bad: struct { p *int } holds a pointer; == would compare addresses`, define[struct{ p *int }])
	refuses(`scalers: bad: struct { p interface {} } holds a pointer; == would compare addresses`, define[struct{ p any }])
	refuses(`scalers: bad: struct { p chan int } holds a pointer; == would compare addresses`, define[struct{ p chan int }])
	refuses(`scalers: bad: [2]struct { e error } holds a pointer; == would compare addresses`, define[[2]struct{ e error }])
	refuses("<nil>", define[struct {
		a [2]param.URL
		b struct{ param.Secret }
		c param.List
		d time.Duration
	}])
}

// define defines a scaler with settings S.
func define[S comparable]() {
	scalers.Define(scalers.Spec[S, struct{}]{
		Type: "bad", Summary: "s", Unit: "u",
		MetricName: func(S, struct{}) string { return "" },
		Open:       func(context.Context, scalers.Env, S) (scalers.Source[struct{}], error) { return nil, nil },
	})
}

func TestRegistry(t *testing.T) {
	other := spec()
	other.Type = "another"
	r, err := scalers.NewRegistry(scalers.Define(spec()), scalers.Define(other))
	if err != nil {
		t.Fatal(err)
	}
	types := r.Types()
	if got := fmt.Sprint(types); got != "[another fake]" {
		t.Errorf("types %s", got)
	}
	types[0] = "changed"
	if r.Types()[0] != "another" {
		t.Error("the caller can change the registry")
	}
	for typ, want := range map[string]string{
		"fake":    "<nil>",
		"Fake":    `trigger type "Fake" is not known; did you mean "fake"?`,
		"anoter":  `trigger type "anoter" is not known; did you mean "another"?`,
		"mongodb": `trigger type "mongodb" is not supported by this version; measure it with type external, prometheus or metrics-api until it is`,
		"zebra":   `trigger type "zebra" is not known; weir scalers lists those that are`,
	} {
		d, err := r.Find(typ)
		if fmt.Sprint(err) != want || err == nil && d.Type != typ {
			t.Errorf("%s: got %v, want %s", typ, err, want)
		}
	}
	_, err = scalers.NewRegistry(scalers.Define(spec()), scalers.Define(spec()))
	if want := `building the registry: scaler type "fake" is defined twice`; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestErrorsSayWhatWasTriedAndWhatToDo(t *testing.T) {
	cause := errors.New("refused")
	for _, c := range []struct {
		err        error
		text       string
		kind       scalers.Kind
		hint       string
		holdsCause bool
	}{
		{nil, "<nil>", "", "", false},
		{cause, "refused", scalers.Unknown, "", true},
		{&scalers.Error{Op: "listing queues"}, "listing queues", scalers.Unknown, "", false},
		{&scalers.Error{Kind: scalers.Unauthorized, Op: "listing queues", Hint: "grant it", Err: cause}, "listing queues: refused; grant it", scalers.Unauthorized, "grant it", true},
		{&scalers.Error{Kind: scalers.NotFound, Op: "reading", Hint: "create it"}, "reading; create it", scalers.NotFound, "create it", false},
		{fmt.Errorf("outer: %w", &scalers.Error{Kind: scalers.Throttled, Op: "x", Err: cause}), "outer: x: refused", scalers.Throttled, "", true},
		{errors.Join(cause, &scalers.Error{Kind: scalers.Invalid, Op: "x", Hint: "h"}), "refused\nx; h", scalers.Invalid, "h", true},
	} {
		got := []any{fmt.Sprint(c.err), scalers.KindOf(c.err), scalers.HintOf(c.err), errors.Is(c.err, cause)}
		if want := []any{c.text, c.kind, c.hint, c.holdsCause}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
