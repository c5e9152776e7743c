// Package metricsapi scales on a number in the answer of an HTTP API: in JSON,
// XML or YAML, or among the metrics of a page that Prometheus could scrape.
//
// A source is one server under one identity. Addresses on it that are equal are
// asked once, however many numbers of the answer are wanted; the others side by
// side, a few at a time.
package metricsapi

import (
	"context"
	"errors"
	"math"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/ask"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpauth"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
)

// Scaler is the metrics-api scaler type.
var Scaler = scalers.Define(scalers.Spec[settings, query]{
	Type:       "metrics-api",
	Summary:    "Scales on a number that an HTTP API answers with.",
	Unit:       "units of the number",
	Settings:   (*settings).bind,
	Query:      (*query).bind,
	Thresholds: bindThresholds,
	MetricName: func(_ settings, q query) string { return "metric-api-" + q.location },
	Open:       open,
	PerQuery:   true,
	Page:       page(),
	Examples:   examples(),
})

const (
	parallel = 8        // requests at a time
	maxBytes = 16 << 20 // of one answer
)

// measuring is what errors say was tried; they do not repeat the address.
const measuring = "asking the API"

// source is one server under one identity.
type source struct {
	settings settings
	client   *httpauth.Client
}

func open(_ context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
	client, err := s.http.Open(env, httpx.Options{Conns: parallel, MaxBytes: maxBytes})
	if err != nil {
		return nil, err
	}
	return &source{s, client}, nil
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.client.Refresh(ctx); err != nil {
		return nil, err
	}
	return ask.Once(ctx, parallel, queries, func(q query) request { return q.request }, s.ask,
		func(q query, d document) scalers.Reading { return reading(d, q.location) })
}

// Close implements scalers.Source.
func (s *source) Close() error { return s.client.Close() }

// ask makes one request.
func (s *source) ask(ctx context.Context, r request) (document, error) {
	body, err := s.client.Get(ctx, measuring, r.path.Join(s.settings.http, ""))
	if err != nil {
		return nil, err
	}
	d, err := parse(r.format, body)
	if err != nil {
		return nil, &scalers.Error{
			Kind: scalers.BadAnswer, Op: measuring, Err: err, Hint: `check that url leads to the API and that "format" is what it answers in`,
		}
	}
	return d, nil
}

// The ways in which a document has no number.
var (
	errNothing  = errors.New("nothing is at valueLocation")
	errNoNumber = errors.New("what is at valueLocation is not a number, nor text such as \"5\" or \"1k\"")
	errInfinite = errors.New("the number at valueLocation is not finite")
	errSelector = errors.New("valueLocation is not a selector of metrics")
)

// reading takes one number out of an answer. A number below zero counts as 0.
func reading(d document, location string) scalers.Reading {
	v, err := d.find(location)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = errInfinite
	}
	if err == nil {
		return scalers.Reading{Value: max(0, v)}
	}
	e := &scalers.Error{Kind: scalers.BadAnswer, Op: measuring, Err: err, Hint: "correct valueLocation, or what the API answers"}
	switch {
	case errors.Is(err, errNothing):
		e.Kind = scalers.NotFound
	case errors.Is(err, errSelector):
		e.Kind, e.Hint = scalers.Invalid, `write it as name{label="value"}`
	}
	return scalers.Reading{Err: e, Empty: errors.Is(err, errNothing)}
}
