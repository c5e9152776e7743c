package prometheus_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// result is an answer with a result.
func result(r string) string {
	return `{"status":"success","data":{"resultType":"vector","result":` + r + `}}`
}

func TestResults(t *testing.T) {
	const (
		asking = "asking for the result of the query: "
		one    = "; let the query give a vector with one sample: wrap a scalar in vector(), and several samples in sum() or max()"
		gone   = `; check that what the query reads is still exported; where that means no work, append "or vector(0)"`
		noAPI  = "; check that serverAddress leads to a query API"
		notAPI = "; check that the address is the API's and not a proxy's or a page's"
	)
	for name, c := range map[string]struct {
		body      string
		value     float64
		err       string // with ignoreNullValues as by default; empty is none
		strict    string // with ignoreNullValues "false"; empty is like err
		falseZero bool
	}{
		"one sample":                 {body: sample("2.5"), value: 2.5},
		"exponent":                   {body: sample("1e3"), value: 1000},
		"below zero":                 {body: sample("-3"), value: 0},
		"zero":                       {body: sample("0")},
		"an error with a result":     {body: strings.Replace(sample("4"), "success", "error", 1), value: 4},
		"no type":                    {body: `{"data":{"result":[{"value":[1,"4"]}]}}`, value: 4},
		"empty":                      {body: result(`[]`), strict: asking + "the result is empty" + gone},
		"no value":                   {body: result(`[{"metric":{}}]`), strict: asking + "the result is empty" + gone},
		"empty value":                {body: result(`[{"value":[]}]`), strict: asking + "the result is empty" + gone},
		"null value":                 {body: result(`[{"value":[1,null]}]`), strict: asking + "the sample's value is null" + gone},
		"NaN":                        {body: sample("NaN"), strict: asking + "the value is not finite" + gone},
		"infinity":                   {body: sample("+Inf"), strict: asking + "the value is not finite" + gone},
		"empty with a warning":       {body: `{"warnings":["store down"],"data":{"result":[]}}`, strict: asking + "the result is empty" + gone, falseZero: true},
		"zero with a warning":        {body: `{"warnings":["store down"],"data":{"result":[{"value":[1,"0"]}]}}`, falseZero: true},
		"a value with a warning":     {body: `{"warnings":["store down"],"data":{"result":[{"value":[1,"3"]}]}}`, value: 3},
		"two samples":                {body: result(`[{"value":[1,"1"]},{"value":[1,"2"]}]`), err: asking + "the result has 2 samples" + one},
		"time only":                  {body: result(`[{"value":[1]}]`), err: asking + "the sample has no value"},
		"a number for text":          {body: result(`[{"value":[1,2.5]}]`), err: asking + "the sample's value is not text"},
		"text that is no number":     {body: sample("c4n4ry"), err: asking + "the sample's value is not a number"},
		"a number out of range":      {body: sample("1e999"), err: asking + "the sample's value is not a number"},
		"scalar":                     {body: `{"data":{"resultType":"scalar","result":[1,"2"]}}`, err: asking + "the result is no vector but a scalar" + one},
		"scalar without type":        {body: `{"data":{"result":[1,"2"]}}`, err: asking + "the result is no vector" + one},
		"matrix":                     {body: `{"data":{"resultType":"matrix","result":[{"values":[[1,"2"]]}]}}`, err: asking + "the result is no vector but a matrix" + one},
		"no result":                  {body: `{}`, err: asking + "the answer holds no result" + noAPI},
		"a null result":              {body: result(`null`), err: asking + "the answer holds no result" + noAPI},
		"a result that is an object": {body: result(`{"c4n4ry":1}`), err: asking + "the result is no vector" + one},
		"no JSON":                    {body: `<html>`, err: asking + "the answer is not JSON: invalid character '<' looking for beginning of value" + notAPI},
		"nothing":                    {body: ``, err: asking + "the answer is cut off" + notAPI},
		"endless":                    {body: `{"pad":"` + strings.Repeat("x", 5<<20) + `"}`, err: asking + "the answer is larger than 4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if _, err := io.WriteString(w, c.body); err != nil && len(c.body) < 1000 {
					t.Error(err) // a client that has had enough hangs up
				}
			})
			lax, strict := values(url, nil), values(url, nil, "ignoreNullValues", "false")
			readings := fetch(t, connect(t, lax), lax, strict)
			for i, want := range []string{c.err, cmp.Or(c.strict, c.err)} {
				r := readings[i]
				got := ""
				if r.Err != nil {
					got = r.Err.Error()
				}
				if got != want || want == "" && (r.Value != c.value || r.FalseZero != c.falseZero) {
					t.Errorf("lax %v: got %v, doubted %v, %s\nwant %v, doubted %v, %s", i == 0, r.Value, r.FalseZero, got, c.value, c.falseZero, want)
				}
				if want := strings.Contains(c.strict, "empty") || strings.Contains(c.strict, "null"); r.Empty != want {
					t.Errorf("empty is %v", r.Empty)
				}
				if r.Err != nil && scalers.KindOf(r.Err) != scalers.BadAnswer {
					t.Errorf("kind %s", scalers.KindOf(r.Err))
				}
			}
		})
	}
}

func TestReadingsAreAsOldAsTheSample(t *testing.T) {
	for stamp, want := range map[string]time.Time{
		"1700000000.25": time.UnixMilli(1_700_000_000_250),
		`"x"`:           {},
		"-5":            {},
		"1e300":         {},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { write(t, w, result(`[{"value":[`+stamp+`,"1"]}]`)) })
		if r := measure(t, values(url, nil)); r.Err != nil || !r.At.Equal(want) {
			t.Errorf("%s: at %v, %v", stamp, r.At, r.Err)
		}
	}
}

func TestRefusals(t *testing.T) {
	const asking = "asking for the result of the query: status "
	for name, c := range map[string]struct {
		status int
		body   string
		kind   scalers.Kind
		want   string
	}{
		"bad query":         {400, `{"status":"error","errorType":"bad_data","error":"1:3: parse error"}`, scalers.Invalid, asking + "400 Bad Request: 1:3: parse error; correct the query"},
		"login refused":     {401, "", scalers.Unauthorized, asking + "401 Unauthorized"},
		"forbidden":         {403, "no", scalers.Unauthorized, asking + "403 Forbidden: no"},
		"another server":    {404, "page not found", scalers.NotFound, asking + "404 Not Found: page not found; give serverAddress as the address before /api/v1"},
		"cannot be done":    {422, `{"status":"error","errorType":"execution","error":"many-to-many"}`, scalers.BadAnswer, asking + "422 Unprocessable Entity: many-to-many; correct the query, or what it reads"},
		"too slow":          {503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, scalers.Unreachable, asking + "503 Service Unavailable: query timed out"},
		"broken":            {500, `{"error":7}`, scalers.BadAnswer, asking + `500 Internal Server Error: {"error":7}`},
		"accepted":          {204, "", scalers.BadAnswer, asking + "204 No Content"},
		"moved to somebody": {302, "", scalers.BadAnswer, asking + "302 Found; the server redirects elsewhere, where credentials are not sent; give the final address"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://elsewhere.invalid/")
				w.WriteHeader(c.status)
				if c.body != "" {
					write(t, w, c.body)
				}
			})
			r := measure(t, values(url, nil))
			if fmt.Sprint(r.Err) != c.want || scalers.KindOf(r.Err) != c.kind {
				t.Errorf("%s: %v\nwant %s", scalers.KindOf(r.Err), r.Err, c.want)
			}
		})
	}
}

func TestHeadersThatHTTPForbidsFailTheirOwnTriggerOnly(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { write(t, w, sample("1")) })
	good := values(url, nil)
	readings := fetch(t, connect(t, good), good, values(url, nil, "customHeaders", "c4n4ry x=1"))
	const want = "asking for the result of the query: HTTP does not allow some characters of customHeaders; correct customHeaders"
	if readings[0].Err != nil || fmt.Sprint(readings[1].Err) != want || scalers.KindOf(readings[1].Err) != scalers.Invalid {
		t.Errorf("got %v and %v", readings[0].Err, readings[1].Err)
	}
}
