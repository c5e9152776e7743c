// Package prometheus scales on the result of a PromQL query, asked of Prometheus
// or of anything that speaks its query API.
//
// A source is one server under one identity. Queries that are equal are asked
// once, the others side by side, a few at a time.
//
// It asks with a plain GET rather than through Prometheus's own client library:
// that one tries POST first, which proxies in front of query APIs refuse, reads
// answers without a bound, and takes an answer apart more strictly than the
// manifests of users rely on.
package prometheus

import (
	"context"
	"errors"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/ask"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpauth"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
)

// Scaler is the prometheus scaler type.
var Scaler = scalers.Define(scalers.Spec[settings, query]{
	Type:       "prometheus",
	Summary:    "Scales on the result of a PromQL query.",
	Unit:       "units of the query",
	Settings:   (*settings).bind,
	Query:      (*query).bind,
	Thresholds: bindThresholds,
	MetricName: func(settings, query) string { return "prometheus" },
	Open:       open,
	PerQuery:   true,
	Page:       page(),
	Examples:   examples(),
})

const (
	parallel = 8       // requests at a time; the server's own default is 20 queries at a time for everybody
	maxBytes = 4 << 20 // of one answer, which should hold one sample
)

// source is one server under one identity.
type source struct {
	settings settings
	client   *httpauth.Client
	signer   *signer
}

func open(ctx context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
	signer, err := s.cloud.open(ctx, env, s.http)
	if err != nil {
		return nil, err
	}
	client, err := s.http.Open(env, httpx.Options{Conns: parallel, MaxBytes: maxBytes, Explain: explain, Authorize: signer.sign})
	if err != nil {
		return nil, errors.Join(err, signer.close())
	}
	return &source{s, client, signer}, nil
}

// Fetch implements scalers.Source. All queries are evaluated at the same instant.
func (s *source) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, refresh := range []func(context.Context) error{s.client.Refresh, s.signer.refresh} {
		if err := refresh(ctx); err != nil {
			return nil, err
		}
	}
	at := time.Now().UTC().Format(time.RFC3339)
	return ask.Once(ctx, parallel, queries,
		func(q query) request { return q.request },
		func(ctx context.Context, r request) (answer, error) { return s.ask(ctx, r, at) },
		func(q query, a answer) scalers.Reading { return a.reading(q.ignoreNull) })
}

// Close implements scalers.Source.
func (s *source) Close() error { return errors.Join(s.client.Close(), s.signer.close()) }
