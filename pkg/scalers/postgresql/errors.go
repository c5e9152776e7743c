package postgresql

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
)

// refused is the error of a connection that cannot be made, or broke. The
// library's own holds the host, the user and the database.
func refused(ctx context.Context, op string, err error) error {
	if e, ok := errors.AsType[*scalers.Error](err); ok {
		return e
	}
	if told, ok := errors.AsType[*pgconn.PgError](err); ok && ctx.Err() == nil {
		return verdict(op, told)
	}
	return sqlquery.Lost(ctx, op, err)
}

// class is what the first two characters of an SQLSTATE say.
type class struct {
	kind scalers.Kind
	text string // replaces what the server said; empty keeps it
	hint string
}

// verdict makes an error of what the server said. Of a refused login only that is
// told: the server quotes names that may be secrets.
func verdict(op string, e *pgconn.PgError) error {
	c, ok := states()[e.Code]
	if !ok && len(e.Code) == 5 {
		c, ok = states()[e.Code[:2]]
	}
	if !ok {
		c.kind = scalers.BadAnswer
	}
	text := c.text
	if text == "" {
		text = scalers.Excerpt(e.Message)
	}
	return &scalers.Error{Kind: c.kind, Op: op, Err: errors.New(text + " (SQLSTATE " + scalers.Excerpt(e.Code) + ")"), Hint: c.hint}
}

// states are the SQLSTATEs, and classes of them, that mean something to a trigger;
// see appendix A of PostgreSQL's manual.
func states() map[string]class {
	return map[string]class{
		"28":    {scalers.Unauthorized, "the server refused the login", "check user, password and pg_hba.conf"},
		"3D000": {scalers.NotFound, "the database does not exist", "check its name"},
		"42501": {scalers.Unauthorized, "", "grant the user the right to read it"},
		"42P01": {scalers.NotFound, "", ""},
		"42703": {scalers.NotFound, "", ""},
		"42883": {scalers.NotFound, "", ""},
		"3F000": {scalers.NotFound, "", ""},
		"42":    {scalers.Invalid, "", "correct the query"},
		"25006": {scalers.Invalid, "", "write a query that only reads"},
		"57014": {scalers.Unreachable, "it took longer than 10 s", "make it faster, as by an index"},
		"53300": {scalers.Throttled, "", "allow the server more connections"},
		"53":    {scalers.Unreachable, "", ""},
		"57":    {scalers.Unreachable, "", ""},
		"08":    {scalers.Unreachable, "", ""},
		"40":    {scalers.Unreachable, "", ""},
	}
}
