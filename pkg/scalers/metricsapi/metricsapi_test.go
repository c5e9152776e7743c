package metricsapi_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/metricsapi"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type kv = map[string]string

// values are those of a trigger; pairs are more metadata.
func values(url string, auth kv, pairs ...string) param.Values {
	v := param.Values{Metadata: kv{"url": url, "valueLocation": "n", "targetValue": "2"}, Auth: auth}
	for i := 0; i < len(pairs); i += 2 {
		v.Metadata[pairs[i]] = pairs[i+1]
	}
	return v
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := metricsapi.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}

// fetch measures triggers of one source.
func fetch(t *testing.T, all ...param.Values) []scalers.Reading {
	t.Helper()
	conn, err := parse(t, all[0]).Source.Open(t.Context(), scalers.Env{HTTP: &http.Client{Transport: &http.Transport{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	queries := make([]scalers.Query, len(all))
	for i, v := range all {
		queries[i] = parse(t, v).Query
	}
	readings, err := conn.Fetch(t.Context(), queries)
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

// pages serves bodies by path and counts.
type pages struct {
	*httptest.Server

	requests, connections atomic.Int32
}

func serve(t *testing.T, bodies kv) *pages {
	t.Helper()
	p := new(pages)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		body, ok := bodies[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Error(err)
		}
	}))
	p.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			p.connections.Add(1)
		}
	}
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 3, metricsapi.Scaler) }

func TestRefusedParameters(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"zero target":   {values("http://h", nil, "targetValue", "0"), `parameter "targetValue" is required and must not be zero`},
		"format":        {values("http://h", nil, "format", "JSON"), `parameter "format" must be one of json, xml, yaml, prometheus`},
		"aggregation":   {values("http://h", nil, "aggregationType", "median"), `parameter "aggregationType" must be one of average, sum, max, min`},
		"all endpoints": {values("http://h", nil, "aggregateFromKubeServiceEndpoints", "true"), `parameter "aggregateFromKubeServiceEndpoints" is not supported by this version; let one address answer for all endpoints, or use the prometheus trigger`},
	} {
		if _, _, err := metricsapi.Scaler.Parse(c.v); fmt.Sprint(err) != c.want {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
}

func TestTargets(t *testing.T) {
	formula := values("http://h", nil, "targetValue", "")
	formula.FormulaOnly = true
	for name, c := range map[string]struct {
		v    param.Values
		want float64
	}{
		"a fraction":   {values("http://h", nil, "targetValue", "8.8"), 8.8},
		"below zero":   {values("http://h", nil, "targetValue", "-1"), 0},
		"in a formula": {formula, 0},
	} {
		if got := parse(t, c.v).Target; got != c.want {
			t.Errorf("%s: target %v, want %v", name, got, c.want)
		}
	}
}

func TestSelectorsThatMayNotMeanWhatTheySay(t *testing.T) {
	for location, want := range map[string]string{
		`jobs`:               "[]",
		`jobs{queue="a"}`:    "[]",
		`jobs{queue=~"a|b"}`: `[parameter "valueLocation" is compared with = whatever its operators are]`,
		`jobs{queue="a"`:     `[parameter "valueLocation" cannot be measured: it is not a selector such as name{label="value"}]`,
	} {
		_, warnings, err := metricsapi.Scaler.Parse(values("http://h", nil, "format", "prometheus", "valueLocation", location))
		if err != nil || fmt.Sprint(warnings) != want {
			t.Errorf("%s: %v, %v; want %s", location, warnings, err, want)
		}
	}
}

// measured is a body, a location in it and what is there.
type measured struct {
	body, location string
	want           float64
	err            string // the cause alone; empty is none
}

func (c measured) check(t *testing.T, format string) {
	t.Helper()
	srv := serve(t, kv{"/": c.body})
	r := fetch(t, values(srv.URL+"/", nil, "format", format, "valueLocation", c.location))[0]
	if c.err == "" && (r.Err != nil || r.Value != c.want) {
		t.Errorf("%s of %s: %v, %v; want %v", c.location, c.body, r.Value, r.Err, c.want)
	}
	if got, _, _ := strings.Cut(fmt.Sprint(r.Err), ";"); c.err != "" && got != "asking the API: "+c.err {
		t.Errorf("%s of %s: %v, want %s", c.location, c.body, r.Err, c.err)
	}
}

const (
	nothing  = "nothing is at valueLocation"
	noNumber = `what is at valueLocation is not a number, nor text such as "5" or "1k"`
	infinite = "the number at valueLocation is not finite"
)

func TestJSON(t *testing.T) {
	const body = `{"components":[{"id":"x","tasks":32,"text":"64","k":"1.5k","bad":"NaN"}],"count":2.43,"below":-4,"yes":true,"no":null,"big":1e999}`
	for _, c := range []measured{
		{body, "components.0.tasks", 32, ""},
		{body, `components.#(id=="x").tasks`, 32, ""},
		{body, "components.#", 1, ""},
		{body, "components.0.text", 64, ""},
		{body, "components.0.k", 1500, ""},
		{body, "count", 2.43, ""},
		{body, "below", 0, ""},
		{"{\"n\":1}\n{\"n\":2}", "..1.n", 2, ""},
		{body, "components.0.bad", 0, noNumber},
		{body, "yes", 0, noNumber},
		{body, "no", 0, noNumber},
		{body, "components", 0, noNumber},
		{body, "big", 0, infinite},
		{body, "components.1.tasks", 0, nothing},
		{"<html>", "count", 0, "the answer is not JSON"},
		{"", "count", 0, "the answer is not JSON"},
	} {
		c.check(t, "json")
	}
}

func TestYAML(t *testing.T) {
	const body = "foo: {bar: 42}\nlist: [{bar: 4.5}, {bar: 100m}]\n7: {x: 18446744073709551615}\nnan: .nan\nyes: true\n"
	for _, c := range []measured{
		{body, "foo.bar", 42, ""},
		{body, "list.0.bar", 4.5, ""},
		{body, "list.1.bar", 0.1, ""},
		{body, "7.x", 18446744073709551615, ""},
		{"[3]", "0", 3, ""},
		{body, "nan", 0, infinite},
		{body, "yes", 0, noNumber},
		{body, "foo", 0, noNumber},
		{body, "list.2.bar", 0, nothing},
		{body, "list.-1.bar", 0, nothing},
		{body, "foo.0.bar", 0, nothing},
		{"", "foo", 0, nothing},
		{"a: b: c4n4ry", "foo", 0, "the answer is not YAML"},
	} {
		c.check(t, "yaml")
	}
}

func TestXML(t *testing.T) {
	const body = `<?xml version="1.0" encoding="ISO-8859-1"?><!-- c --><stats><worker tasks="3"><id> 5 </id></worker><worker tasks="4">9</worker><one>1k</one><s:ns xmlns:s="u">7</s:ns><stats>8</stats></stats>`
	for _, c := range []measured{
		{body, "stats.worker.0.@tasks", 3, ""},
		{body, "stats.worker.1.-tasks", 4, ""},
		{body, "stats.worker.0.id", 5, ""},
		{body, "stats.worker.1", 9, ""},
		{body, "worker.1.#text", 9, ""},
		{body, "one", 1000, ""},
		{body, "stats.one.0", 1000, ""},
		{body, "stats.ns", 7, ""},
		{body, "stats.stats", 8, ""},
		{"<n>6</n>", "n", 6, ""},
		{body, "stats.worker", 0, noNumber},
		{body, "stats.worker.0", 0, noNumber},
		{body, "stats.worker.2", 0, nothing},
		{body, "none", 0, nothing},
		{"{}", "n", 0, "the answer is not XML"},
		{"<n>6", "n", 0, "the answer is not XML"},
		{strings.Repeat("<n>", 100_000) + "6" + strings.Repeat("</n>", 100_000), "n", 0, "the answer is not XML"},
	} {
		c.check(t, "xml")
	}
}

func TestPagesOfMetrics(t *testing.T) {
	const body = "# HELP jobs waiting\r\n# TYPE jobs gauge\r\njobs{queue=\"a\",x=\"1\"} 3\r\njobs{queue=\"b\",x=\"}\\\"\"} 4\r\n" +
		"# TYPE done_total counter\ndone_total 17\nplain{q=\"a\"} 5\nodd NaN\n# TYPE took histogram\ntook_bucket{le=\"+Inf\"} 2\ntook_sum 1\ntook_count 2"
	for _, c := range []measured{
		{body, "jobs", 3, ""},
		{body, `jobs{queue="b"}`, 4, ""},
		{body, ` jobs { queue = 'b' , x="}\"", } `, 4, ""},
		{body, "jobs{x=`1`}", 3, ""},
		{body, `{__name__="jobs",queue=~"b"}`, 4, ""},
		{body, "jobs{}", 3, ""},
		{body, "done_total", 17, ""},
		{body, "plain", 5, ""},
		{body, "odd", 0, infinite},
		{body, "took", 0, nothing},
		{body, "took_sum", 0, nothing},
		{body, `jobs{queue="c"}`, 0, nothing},
		{body, `jobs{none=""}`, 0, nothing},
		{body, "none", 0, nothing},
		{body, "jobs{", 0, "valueLocation is not a selector of metrics"},
		{body, `jobs{queue=b}`, 0, "valueLocation is not a selector of metrics"},
		{body, `jobs{__name__="plain"}`, 0, "valueLocation is not a selector of metrics"},
		{body, `jobs{queue="b" x="1"}`, 0, "valueLocation is not a selector of metrics"},
		{body, `{queue="b"}`, 0, "valueLocation is not a selector of metrics"},
		{"<html>", "jobs", 0, "the answer is not a page of metrics"},
	} {
		c.check(t, "prometheus")
	}
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]float64{
		"5": 5, "+5": 5, "-5": 0, "1.5": 1.5, ".5": 0.5, "5.": 5, "3e2": 300, "3E-1": 0.3, "1E": 1e18, "100m": 0.1, "2k": 2000, "1M": 1e6,
		"1Ki": 1024, "2Gi": 2 << 30, "1Ei": 1 << 60, "8u": 8e-6, "1n": 1e-9,
	} {
		measured{`{"n":"` + text + `"}`, "n", want, ""}.check(t, "json")
	}
	for _, text := range []string{"", " 5", "5 ", "1K", "1ki", "1mi", "e5", ".", "1_0", "0x10", "Inf", "five", "1e999"} {
		measured{`{"n":"` + text + `"}`, "n", 0, noNumber}.check(t, "json")
	}
}

func TestConformance(t *testing.T) {
	srv := serve(t, kv{
		"/json": `{"n":3,"text":"x"}`, "/yaml": "n: 4", "/xml": "<s><n>5</n></s>", "/metrics": "n{a=\"b\"} 6\n",
	})
	at := func(path string, pairs ...string) param.Values { return values(srv.URL+path, nil, pairs...) }
	scalertest.Run(t, metricsapi.Scaler, []scalertest.Case{
		{Name: "JSON", Values: at("/json"), Want: 3, MetricName: "s0-metric-api-n"},
		{Name: "YAML", Values: at("/yaml", "format", "yaml"), Want: 4},
		{Name: "XML", Values: at("/xml", "format", "xml"), Want: 5},
		{Name: "a page of metrics", Values: at("/metrics", "format", "prometheus", "valueLocation", `n{a="b"}`), Want: 6, MetricName: `s0-metric-api-n{a="b"}`},
		{Name: "nothing there", Values: at("/json", "valueLocation", "m"), Err: nothing, Kind: scalers.NotFound, Empty: true},
		{Name: "no number", Values: at("/json", "valueLocation", "text"), Err: "not a number", Kind: scalers.BadAnswer},
		{Name: "another format", Values: at("/json", "format", "xml"), Err: "not XML", Kind: scalers.BadAnswer},
		{Name: "no selector", Values: at("/metrics", "format", "prometheus", "valueLocation", "n{"), Err: "not a selector", Kind: scalers.Invalid},
		{Name: "no such address", Values: at("/none"), Err: "status 404", Kind: scalers.NotFound},
		{Name: "no address", Values: values("h:1", nil), Err: "the address cannot be used", Kind: scalers.Invalid},
	})
}

func TestFiveHundredNumbersShareRequestsAndConnections(t *testing.T) {
	bodies := kv{}
	all := make([]param.Values, 500)
	for path := range 50 {
		var b strings.Builder
		for n := range 10 {
			fmt.Fprintf(&b, "n%d: %d\n", n, path*10+n)
		}
		bodies[fmt.Sprintf("/%d", path)] = b.String()
	}
	delete(bodies, "/13")
	srv := serve(t, bodies)
	for i := range all {
		all[i] = values(fmt.Sprintf("%s/%d", srv.URL, i/10), nil, "format", "yaml", "valueLocation", fmt.Sprintf("n%d", i%10))
	}
	for i, r := range fetch(t, all...) {
		if i/10 == 13 {
			if scalers.KindOf(r.Err) != scalers.NotFound {
				t.Errorf("%d: %v", i, r.Err)
			}
		} else if r.Err != nil || r.Value != float64(i) {
			t.Errorf("%d: %v, %v", i, r.Value, r.Err)
		}
	}
	if srv.requests.Load() != 50 || srv.connections.Load() > 8 {
		t.Errorf("%d requests over %d connections", srv.requests.Load(), srv.connections.Load())
	}
}

func TestAnAddressIsAskedAsItIsWritten(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		if _, err := io.WriteString(w, `{"n":1}`); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	for _, path := range []string{"/", "/a/b/", "/a%2Fb?x=%20&y", "/?q=1"} {
		if r := fetch(t, values(srv.URL+path, nil))[0]; r.Err != nil || asked.Load().RequestURI != path {
			t.Errorf("%s was asked as %s (%v)", path, asked.Load().RequestURI, r.Err)
		}
	}
	withKey := values(srv.URL+"/a?x=1", kv{"apiKey": "k&y"}, "authMode", "apiKey", "method", "query")
	if r := fetch(t, withKey)[0]; r.Err != nil || asked.Load().RequestURI != "/a?api_key=k%26y&x=1" {
		t.Errorf("with a key it was %s (%v)", asked.Load().RequestURI, r.Err)
	}
}
