// Package postgresql scales on the number that an SQL query gives in PostgreSQL.
//
// A source is a pool of at most four connections to one server under one user.
// Queries go out in rounds of many, each in a read-only transaction of its own:
// one round trip answers them all, and one that fails spoils no other.
package postgresql

import (
	"context"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the postgresql scaler type.
var Scaler = scalers.Define(scalers.Spec[settings, sqlquery.Query]{
	Type:     "postgresql",
	Summary:  "Scales on the number that an SQL query gives in a PostgreSQL database.",
	Unit:     "units of the query",
	Settings: (*settings).bind,
	Query:    (*sqlquery.Query).Bind,
	Thresholds: func(_ *sqlquery.Query, th *scalers.Thresholds, p *param.Set) {
		sqlquery.Target(th, "targetQueryValue", "activationTargetQueryValue", true, p)
	},
	MetricName: func(settings, sqlquery.Query) string { return "postgresql" },
	Open: func(ctx context.Context, env scalers.Env, s settings) (scalers.Source[sqlquery.Query], error) {
		return open(ctx, env, s)
	},
	PerQuery: true,
	Page:     page(),
	Examples: examples(),
})
