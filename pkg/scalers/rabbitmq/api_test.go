package rabbitmq_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// queueJSON is one queue as the management API tells it.
func queueJSON(messages, ready, publish, deliver float64) string {
	return fmt.Sprintf(`{"messages":%g,"messages_ready":%g,"message_stats":{"publish_details":{"rate":%g},"deliver_get_details":{"rate":%g}}}`, messages, ready, publish, deliver)
}

// TestRequestTargets holds the addresses that a request goes to. Unlike other
// implementations a space is %20: in a path a plus sign is one.
func TestRequestTargets(t *testing.T) {
	for name, c := range map[string]struct {
		path     string
		metadata []string
		target   string
	}{
		"no path":                  {"", nil, "/api/queues/%2F/q%20x%2F1"},
		"slash":                    {"/", nil, "/api/queues/%2F/q%20x%2F1"},
		"virtual host":             {"/shop", nil, "/api/queues/shop/q%20x%2F1"},
		"prefix and virtual host":  {"/mgmt/shop", nil, "/mgmt/api/queues/shop/q%20x%2F1"},
		"prefix and default":       {"/mgmt/", []string{"vhostName", "/"}, "/mgmt/api/queues/%2F/q%20x%2F1"},
		"the parameter wins":       {"/mgmt/shop", []string{"vhostName", "a b"}, "/mgmt/api/queues/a%20b/q%20x%2F1"},
		"escaped in the address":   {"/%2Fodd", nil, "/api/queues/%2Fodd/q%20x%2F1"},
		"a question mark and more": {"/a?x=1#y", []string{"queueName", "50%?#é"}, "/api/queues/a/50%25%3F%23%C3%A9"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, map[string]string{c.target: queueJSON(10, 6, 6, 4)})
			v := values(nil, append([]string{"queueName", "q x/1", "host", srv.URL + c.path}, c.metadata...)...)
			if r := measure(t, v); r.Err != nil || r.Value != 10 {
				t.Errorf("got %v, %v", r.Value, r.Err)
			}
			if got := srv.asked(); !slices.Equal(got, []string{c.target}) {
				t.Errorf("asked %q, want %q", got, c.target)
			}
		})
	}
}

func TestModes(t *testing.T) {
	mode := func(mode, activation string) []string {
		return []string{"mode", mode, "value", "1", "activationValue", activation}
	}
	const ratio, duration = "PublishedToDeliveredRatio", "ExpectedQueueConsumptionTime"
	for name, c := range map[string]struct {
		body     string
		metadata []string
		value    float64
		active   bool
	}{
		"length":                           {queueJSON(10, 6, 6, 4), nil, 10, true},
		"ready only":                       {queueJSON(10, 6, 6, 4), []string{"excludeUnacknowledged", "true"}, 6, true},
		"no statistics yet":                {`{"messages":3}`, nil, 3, true},
		"no more than the activation":      {queueJSON(5, 5, 0, 0), []string{"activationValue", "5"}, 5, false},
		"publishing":                       {queueJSON(10, 6, 6, 4), mode("MessageRate", "0"), 6, true},
		"publishing, backlog alone":        {queueJSON(5, 5, 0, 0), mode("MessageRate", "4"), 0, true},
		"publishing, small backlog":        {queueJSON(4, 4, 0, 0), mode("MessageRate", "4"), 0, false},
		"delivering":                       {queueJSON(10, 6, 6, 4), mode("DeliverGetRate", "0"), 4, true},
		"delivering, messages unknown":     {`{"message_stats":{"deliver_get_details":{"rate":2}}}`, mode("DeliverGetRate", "0"), 2, true},
		"delivering, nothing ever passed":  {`{"messages":3}`, mode("DeliverGetRate", "0"), 0, false},
		"ratio":                            {queueJSON(10, 6, 6, 4), mode(ratio, "0"), 1.5, true},
		"ratio, nothing published":         {queueJSON(10, 6, 0, 4), mode(ratio, "-1"), 0, true},
		"ratio, nothing delivered":         {queueJSON(10, 6, 6, 0), mode(ratio, "3"), 3, true},
		"ratio of the activation":          {queueJSON(10, 6, 6, 2), mode(ratio, "3"), 3, false},
		"duration":                         {queueJSON(10, 6, 6, 4), mode(duration, "0"), 3, true},
		"duration, nothing delivered":      {queueJSON(10, 6, 6, 0), mode(duration, "3"), 3, true},
		"duration, nothing waits":          {queueJSON(0, 0, 1, 4), mode(duration, "0"), 0, false},
		"duration, fast consumers":         {queueJSON(1, 1, 0, 4), mode(duration, "0"), 0, false},
		"duration, negative activation":    {queueJSON(1, 1, 0, 4), mode(duration, "-0.5"), 0, false},
		"duration, activation below that":  {queueJSON(1, 1, 0, 4), mode(duration, "-1"), 0, true},
		"duration of ready messages alone": {queueJSON(10, 0, 6, 4), append(mode(duration, "0"), "excludeUnacknowledged", "true"), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, map[string]string{"/api/queues/%2F/orders": c.body})
			v := values(map[string]string{"username": "u", "password": "p"}, append([]string{"host", srv.URL}, c.metadata...)...)
			r := measure(t, v)
			if r.Err != nil || r.Value != c.value {
				t.Fatalf("got %v, %v; want %v", r.Value, r.Err, c.value)
			}
			if got := active(r, parse(t, v).Activation); got != c.active {
				t.Errorf("active %v, want %v: %+v", got, c.active, r)
			}
			if srv.user != "u:p" {
				t.Errorf("asked as %q", srv.user)
			}
		})
	}
}

// active is the engine's rule.
func active(r scalers.Reading, activation float64) bool {
	if r.Activity != scalers.ByThreshold {
		return r.Activity == scalers.Busy
	}
	return max(r.Value, r.Work) > activation
}

func TestTheServerMatchesExpressionsThatGoDoesNot(t *testing.T) {
	const target = "/api/queues/v?page=1&use_regex=true&pagination=false&name=%5Ea%28%3F%21b%29.%2A%24&page_size=7"
	three, four := queueJSON(3, 2, 1, 2), queueJSON(4, 3, 2, 4)
	for name, c := range map[string]struct {
		operation string
		body      string
		value     float64
		err       string
	}{
		"sum":                      {"sum", `{"page_count":1,"items":[` + three + "," + four + `]}`, 7, ""},
		"average":                  {"avg", `{"page_count":1,"items":[` + three + "," + four + `]}`, 3, ""},
		"maximum":                  {"max", `{"page_count":1,"items":[` + three + "," + four + `]}`, 4, ""},
		"unknown":                  {"median", `{"page_count":1,"items":[` + three + "," + four + `]}`, 0, `measuring queues that match "^a(?!b).*$": the operation is not known; set "operation" to sum, avg or max`},
		"unknown, nothing matches": {"median", `{"page_count":1,"items":[]}`, 0, ""},
		"too many":                 {"sum", `{"page_count":2,"items":[` + three + `]}`, 0, `measuring queues that match "^a(?!b).*$": more queues match than fit on one page; raise pageSize, or narrow the regular expression`},
		"one is unknown":           {"sum", `{"page_count":1,"items":[` + three + `,{"name":"new"}]}`, 0, `measuring queues that match "^a(?!b).*$": the server does not know how many messages are in "new"; if this lasts for more than a few seconds, see whether the queue's node is down and statistics are enabled`},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, map[string]string{target: c.body})
			r := measure(t, values(nil, "host", srv.URL+"/v", "queueName", "^a(?!b).*$", "useRegex", "true", "pageSize", "7", "operation", c.operation))
			if got := text(r.Err); got != c.err || r.Value != c.value {
				t.Errorf("got %v, %s\nwant %v, %s", r.Value, got, c.value, c.err)
			}
			if got := srv.asked(); !slices.Equal(got, []string{target}) {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestWhoMatchesAnExpression(t *testing.T) {
	const here, there = true, false
	for name, c := range map[string]struct {
		pattern, queue string
		where          bool
	}{
		"plain":                    {"order", "orders", here},
		"groups and classes":       {`^(?:a|o)[^0-9\].]\w+\.?$`, "orders", here},
		"repetition":               {`^o{1,2}r{1}d{1,}`, "orders", here},
		"any case":                 {"^ORDERS$", "orders", here},
		"look-ahead":               {"o(?=r)", "orders", there},
		"flags":                    {"(?i)o", "orders", there},
		"back reference":           {`(o).*\1`, "orders", there},
		"possessive":               {"o++", "orders", there},
		"verb":                     {"(*UTF8)o", "orders", there},
		"class by name":            {"[[:alpha:]]", "orders", there},
		"braces that are letters":  {"o{,3}", "orders", there},
		"quoting":                  {`\Qo\E`, "orders", there},
		"escape at the end":        {`o\`, "orders", there},
		"a pattern beyond ASCII":   {"ö", "orders", there},
		"a queue beyond ASCII":     {"o", "größe", there},
		"a queue with a line feed": {"o$", `o\n`, there},
	} {
		t.Run(name, func(t *testing.T) {
			byServer := "/api/queues/v?page=1&use_regex=true&pagination=false&name=" + url.QueryEscape(c.pattern) + "&page_size=100"
			srv := serve(t, map[string]string{
				totals:   `[{"name":"` + c.queue + `","messages":5},{"name":"-","messages":50}]`,
				byServer: `{"page_count":1,"items":[{"name":"x","messages":9}]}`,
			})
			r := measure(t, values(nil, "host", srv.URL+"/v", "queueName", c.pattern, "useRegex", "true"))
			want := map[bool]float64{here: 5, there: 9}[c.where]
			if r.Err != nil || r.Value != want {
				t.Errorf("got %v, %v; want %v", r.Value, r.Err, want)
			}
		})
	}
	srv := serve(t, map[string]string{totals: "[]"})
	if r := measure(t, values(nil, "host", srv.URL+"/v", "queueName", "x", "useRegex", "true")); r.Err != nil || r.Value != 0 || !r.FalseZero {
		t.Errorf("an empty list gives %+v", r)
	}
}

// The targets of the two batch requests on virtual host v.
const (
	totals = "/api/queues/v?disable_stats=true&enable_queue_totals=true&columns=name%2Cmessages%2Cmessages_ready"
	stats  = "/api/queues/v?columns=name%2Cmessages%2Cmessages_ready%2Cmessage_stats.publish_details.rate%2Cmessage_stats.deliver_get_details.rate"
	count  = "/api/queues/v?page=1&page_size=1&pagination=true&disable_stats=true&columns=name"
)

// named is a list of queues q0, q1 ... with as many messages as their number.
func named(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{"name":"q%d","messages":%d,"messages_ready":0}`, i, i)
	}
	return "[" + strings.Join(items, ",") + "]"
}

// each are values for the first n of them, with more metadata.
func each(host string, n int, metadata ...string) []param.Values {
	out := make([]param.Values, n)
	for i := range out {
		out[i] = values(nil, append([]string{"host", host, "queueName", fmt.Sprintf("q%d", i)}, metadata...)...)
	}
	return out
}

func TestAListIsUsedWhereItIsCheaper(t *testing.T) {
	single := map[string]string{}
	for i := range 20 {
		single[fmt.Sprintf("/api/queues/v/q%d", i)] = queueJSON(float64(i), 0, float64(i), 0)
	}
	rate := []string{"mode", "MessageRate", "value", "1"}
	for name, c := range map[string]struct {
		queues, triggers int // on the server; asked for
		metadata         []string
		want             []string // targets but those of single queues
		singles          int
	}{
		"few":                       {1000, 4, nil, nil, 4},
		"one in ten":                {50, 5, nil, []string{count}, 5},
		"more than that":            {49, 5, nil, []string{totals, count}, 0},
		"rates, one in five":        {30, 6, rate, []string{count}, 6},
		"rates, more than that":     {29, 6, rate, []string{stats, count}, 0},
		"lengths with as many more": {29, 6, nil, []string{totals, count}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			answers := maps.Clone(single)
			answers[totals], answers[stats] = named(c.queues), named(c.queues)
			answers[count] = fmt.Sprintf(`{"total_count":%d,"items":[{"name":"q0"}]}`, c.queues)
			srv := serve(t, answers)
			all := each(srv.URL+"/v", c.triggers, c.metadata...)
			conn := connect(t, all[0], env(nil))
			for round := range 2 {
				for i, r := range fetch(t, conn, all...) {
					if work := max(r.Value, r.Work); r.Err != nil || work != float64(i) {
						t.Errorf("queue %d: %v, %v", i, work, r.Err)
					}
				}
				asked := srv.asked()
				single := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !strings.HasPrefix(s, "/api/queues/v/") })
				batch := slices.DeleteFunc(asked, func(s string) bool { return strings.HasPrefix(s, "/api/queues/v/") })
				want := slices.Clone(c.want)
				if round == 1 { // the number of queues is known by then
					want = slices.DeleteFunc(want, func(s string) bool { return s == count })
				}
				slices.Sort(want)
				if len(single) != c.singles || !slices.Equal(batch, want) {
					t.Errorf("round %d: %d single requests and %q, want %d and %q", round, len(single), batch, c.singles, want)
				}
			}
		})
	}
}

func TestWhatAListDoesNotSayIsNotZero(t *testing.T) {
	list := `[{"name":"q0","messages":1},{"name":"q1"},{"name":"q2","messages":2},{"name":"q3","messages":3},{"name":"q4","messages":4}]`
	srv := serve(t, map[string]string{
		count: `{"total_count":5}`, totals: list,
		"/api/queues/v/q5": `{"name":"q5","messages":5}`, // the list was not complete
		"/api/queues/v/q7": `{"name":"q8","messages":5}`,
	})
	all := each(srv.URL+"/v", 8)
	all = append(all, values(nil, "host", srv.URL+"/other", "queueName", "q0"))
	readings := fetch(t, connect(t, all[0], env(nil)), all...)
	missing := `: it does not exist; declare the queue, or correct its name or the virtual host`
	for i, want := range []string{
		1: `measuring queue "q1": the server does not know how many messages are in "q1"; if this lasts for more than a few seconds, see whether the queue's node is down and statistics are enabled`,
		6: `measuring queue "q6"` + missing,
		7: `measuring queue "q7": the server told of another queue`,
		8: `measuring queue "q0"` + missing,
	} {
		if got := text(readings[i].Err); got != want {
			t.Errorf("query %d: error %q, want %q", i, got, want)
		}
	}
	if readings[5].Value != 5 || readings[0].Value != 1 || readings[0].FalseZero {
		t.Errorf("readings %+v", readings)
	}
	if kind := scalers.KindOf(readings[6].Err); kind != scalers.NotFound {
		t.Errorf("kind %s", kind)
	}
}

func TestServersWithoutTotalsAreAskedOneByOne(t *testing.T) {
	for name, list := range map[string]string{
		"no totals":          `[{"name":"q0"},{"name":"q1"},{"name":"q2"}]`,
		"not a list":         `{"error":"unexpected"}`,
		"old, full of stats": "",
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]string{
				count: `{"total_count":6}`, totals: list,
				"/api/queues/v?page=1&use_regex=true&pagination=false&name=q%5Cd&page_size=100": `{"page_count":1,"items":` + named(3) + `}`,
			}
			wantBatch := 1
			if list == "" {
				answers[totals], wantBatch = named(6), 2
			}
			for i := range 6 {
				answers[fmt.Sprintf("/api/queues/v/q%d", i)] = queueJSON(float64(i), 0, 0, 0)
			}
			srv := serve(t, answers)
			all := append(each(srv.URL+"/v", 6), values(nil, "host", srv.URL+"/v", "queueName", `q\d`, "useRegex", "true", "operation", "max"))
			conn := connect(t, all[0], env(nil))
			for range 2 {
				readings := fetch(t, conn, all...)
				for i, r := range readings[:6] {
					if r.Err != nil || r.Value != float64(i) {
						t.Errorf("queue %d: %v, %v", i, r.Value, r.Err)
					}
				}
				if r := readings[6]; r.Err != nil || r.Value != map[bool]float64{true: 5, false: 2}[list == ""] {
					t.Errorf("expression: %v, %v", r.Value, r.Err)
				}
			}
			lists := slices.DeleteFunc(srv.asked(), func(s string) bool { return s != totals })
			if len(lists) != wantBatch {
				t.Errorf("the list was asked for %d times, want %d", len(lists), wantBatch)
			}
		})
	}
}

func TestAListThatTakesTooLongIsGivenUp(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := `{"messages":3}`
		switch r.RequestURI {
		case count:
			body = `{"total_count":9}`
		case totals:
			<-r.Context().Done()
			return
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	all := each(srv.URL+"/v", 9, "timeout", "1s")
	conn := connect(t, all[0], env(nil))
	for range 2 {
		for i, r := range fetch(t, conn, all...) {
			if r.Err != nil || r.Value != 3 {
				t.Errorf("queue %d: %v, %v", i, r.Value, r.Err)
			}
		}
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	const refused = `: status 401 Unauthorized: {"error":"not_authorized","reason":"Login failed"}; check the credentials, grant the user the management or monitoring tag, and access to the virtual host`
	for name, c := range map[string]struct {
		status int
		body   string
		n      int
		kind   scalers.Kind
		fetch  string // the error of Fetch
		first  string // the error of the first reading
	}{
		"login refused":        {401, `{"error":"not_authorized","reason":"Login failed"}`, 1, scalers.Unauthorized, `measuring queue "q0"` + refused, ""},
		"login refused, batch": {401, `{"error":"not_authorized","reason":"Login failed"}`, 9, scalers.Unauthorized, `counting queues of virtual host "v"` + refused, ""},
		"throttled":            {429, "", 9, scalers.Throttled, `counting queues of virtual host "v": status 429 Too Many Requests`, ""},
		"unavailable":          {503, "", 1, scalers.Unreachable, `measuring queue "q0": status 503 Service Unavailable`, ""},
		"no virtual host":      {404, "", 9, scalers.NotFound, "", `listing queues of virtual host "v": it does not exist; create the virtual host, or correct its name`},
		"broken":               {500, "oops", 9, scalers.BadAnswer, "", `measuring queue "q0": status 500 Internal Server Error: oops`},
		"a page":               {200, "<html>", 1, scalers.BadAnswer, "", `measuring queue "q0": the answer is not JSON: invalid character '<' looking for beginning of value; check that the address is the API's and not a proxy's or a page's`},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				if _, err := io.WriteString(w, c.body); err != nil {
					t.Error(err)
				}
			}))
			defer srv.Close()
			all := each(srv.URL+"/v", c.n)
			conn := connect(t, all[0], env(nil))
			readings, err := conn.Fetch(t.Context(), queries(t, all...))
			if text(err) != c.fetch {
				t.Errorf("error %v\nwant  %s", err, c.fetch)
			}
			if err == nil {
				err = readings[0].Err
				if text(err) != c.first {
					t.Errorf("reading's error %v\nwant  %s", err, c.first)
				}
			}
			if scalers.KindOf(err) != c.kind {
				t.Errorf("kind %s, want %s", scalers.KindOf(err), c.kind)
			}
		})
	}
}

func TestOneVirtualHostThatIsRefusedDoesNotFailTheOthers(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.RequestURI, "/secret/") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if _, err := io.WriteString(w, `{"messages":1}`); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	open, secret := values(nil, "host", srv.URL+"/open"), values(nil, "host", srv.URL+"/secret")
	readings := fetch(t, connect(t, open, env(nil)), open, secret)
	if readings[0].Err != nil || scalers.KindOf(readings[1].Err) != scalers.Unauthorized {
		t.Errorf("readings %+v", readings)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	srv := serve(t, nil)
	v := values(nil, "host", srv.URL)
	if _, err := connect(t, v, env(nil)).Fetch(expired(t), queries(t, v)); err == nil || len(srv.asked()) != 0 {
		t.Errorf("error %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	if _, ok := errors.AsType[*scalers.Error](err); !ok {
		return "not a *scalers.Error: " + err.Error()
	}
	return err.Error()
}
