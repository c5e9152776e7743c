package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
)

// measuring is what errors say was tried; they do not repeat the query.
const measuring = "asking for the result of the query"

// answer is what the server says of one query.
type answer struct {
	Warnings []string `json:"warnings"`
	Data     struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

// ask makes one request. At is when to evaluate the query.
func (s *source) ask(ctx context.Context, r request, at string) (answer, error) {
	if !r.sendable() {
		return answer{}, &scalers.Error{
			Kind: scalers.Invalid, Op: measuring, Err: errors.New("HTTP does not allow some characters of customHeaders"), Hint: "correct customHeaders",
		}
	}
	params := []string{"query", r.promQL, "time", at}
	if r.namespace != "" {
		params = append(params, "namespace", r.namespace)
	}
	params = append(params, apart(r.params)...)
	var a answer
	err := s.client.GetJSON(ctx, measuring, r.path.Join(s.settings.http, "/api/v1/query", params...), r.addHeaders, &a)
	if err != nil {
		return answer{}, hinted(err)
	}
	return a, nil
}

func (r request) addHeaders(req *http.Request) {
	for pair := range slices.Chunk(apart(r.headers), 2) {
		req.Header.Set(pair[0], pair[1])
	}
}

// explain picks the server's own words from an answer that refuses.
func explain(body []byte) string {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		return said.Error
	}
	return string(body)
}

// hinted says what to do about a refusal.
func hinted(err error) error {
	e, typed := errors.AsType[*scalers.Error](err)
	status, answered := errors.AsType[*httpx.StatusError](err)
	if !typed || !answered {
		return err
	}
	switch status.Status {
	case http.StatusBadRequest:
		e.Kind, e.Hint = scalers.Invalid, "correct the query"
	case http.StatusUnprocessableEntity:
		e.Hint = "correct the query, or what it reads"
	case http.StatusNotFound:
		e.Hint = "give serverAddress as the address before /api/v1"
	}
	return e
}

// bad is an answer that gives no value.
func bad(hint, format string, args ...any) scalers.Reading {
	return scalers.Reading{Err: &scalers.Error{
		Kind: scalers.BadAnswer, Op: measuring, Err: fmt.Errorf(format, args...), Hint: hint,
	}}
}

// reading is what the answer means. Empty says that a missing value is 0.
//
// A zero that came with warnings is doubted: query APIs over several servers
// answer with what they could reach, and warn of the rest.
func (a answer) reading(empty bool) scalers.Reading {
	const one = "let the query give a vector with one sample: wrap a scalar in vector(), and several samples in sum() or max()"
	if t := a.Data.Type; t != "" && t != "vector" {
		return bad(one, "the result is no vector but a %s", scalers.Excerpt(t))
	}
	if result := a.Data.Result; len(result) == 0 || string(result) == "null" {
		return bad("check that serverAddress leads to a query API", "the answer holds no result")
	}
	var samples []struct {
		Value []json.RawMessage `json:"value"`
	}
	if json.Unmarshal(a.Data.Result, &samples) != nil {
		return bad(one, "the result is no vector")
	}
	if len(samples) > 1 {
		return bad(one, "the result has %d samples", len(samples))
	}
	if len(samples) == 0 || len(samples[0].Value) == 0 {
		return a.missing(empty, "the result is empty")
	}
	return a.sample(samples[0].Value, empty)
}

// sample reads the one sample: [time, "value"].
func (a answer) sample(v []json.RawMessage, empty bool) scalers.Reading {
	if len(v) < 2 {
		return bad("", "the sample has no value")
	}
	if string(v[1]) == "null" {
		return a.missing(empty, "the sample's value is null")
	}
	var text string
	if json.Unmarshal(v[1], &text) != nil {
		return bad("", "the sample's value is not text")
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return bad("", "the sample's value is not a number")
	case math.IsNaN(f) || math.IsInf(f, 0):
		return a.unusable(empty, "the value is not finite")
	}
	f = max(0, f)
	return scalers.Reading{Value: f, At: instant(v[0]), FalseZero: f == 0 && len(a.Warnings) > 0}
}

// unusable is what the lack of a value means.
func (a answer) unusable(empty bool, problem string) scalers.Reading {
	if empty {
		return scalers.Reading{FalseZero: len(a.Warnings) > 0}
	}
	return bad(`check that what the query reads is still exported; where that means no work, append "or vector(0)"`, "%s", problem)
}

// missing is unusable where there is nothing at all.
func (a answer) missing(empty bool, problem string) scalers.Reading {
	r := a.unusable(empty, problem)
	r.Empty = true
	return r
}

// instant reads the time of a sample, in seconds since 1970; zero when it is none.
func instant(raw json.RawMessage) time.Time {
	const year10000 = 253402300800
	var seconds float64
	if json.Unmarshal(raw, &seconds) != nil || seconds <= 0 || seconds >= year10000 {
		return time.Time{}
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000)))
}
