// Package mysql scales on the number that an SQL query gives in MySQL or MariaDB.
//
// A source is a pool of at most four connections to one server under one user,
// each of which can only read. Every query is one round trip, four at a time: the
// protocol has no way to send several at once that keeps them apart.
package mysql

import (
	"context"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the mysql scaler type.
var Scaler = scalers.Define(scalers.Spec[settings, sqlquery.Query]{
	Type:     "mysql",
	Summary:  "Scales on the number that an SQL query gives in a MySQL or MariaDB database.",
	Unit:     "units of the query",
	Settings: (*settings).bind,
	Query:    (*sqlquery.Query).Bind,
	Thresholds: func(_ *sqlquery.Query, th *scalers.Thresholds, p *param.Set) {
		sqlquery.Target(th, "queryValue", "activationQueryValue", false, p)
	},
	MetricName: func(s settings, _ sqlquery.Query) string { return "mysql-" + s.name() },
	Open: func(ctx context.Context, env scalers.Env, s settings) (scalers.Source[sqlquery.Query], error) {
		return open(ctx, env, s)
	},
	PerQuery: true,
	Page:     page(),
	Examples: examples(),
})

// name is the database's name in the metric name: with a connection string all
// that follows its last slash, options included. A connection string that is none
// gives nothing, since what follows may be a piece of the password.
func (s settings) name() string {
	if s.connection.IsZero() {
		return s.database
	}
	text := s.connection.Reveal()
	if _, err := driver.ParseDSN(text); err != nil {
		return ""
	}
	return text[strings.LastIndexByte(text, '/')+1:]
}
