package mysql

import (
	"context"
	"errors"
	"fmt"

	driver "github.com/go-sql-driver/mysql"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
)

// refused is the error of a query, or of a connection that cannot be made. The
// library's own may hold the host, the user and the database.
func refused(ctx context.Context, op string, err error) error {
	if told, ok := errors.AsType[*driver.MySQLError](err); ok && ctx.Err() == nil {
		return verdict(op, told)
	}
	if errors.Is(err, driver.ErrNoTLS) {
		return &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: driver.ErrNoTLS, Hint: "have the server speak TLS, or connect without"}
	}
	return sqlquery.Lost(ctx, op, err)
}

// meaning is what an error number says.
type meaning struct {
	kind scalers.Kind
	text string // replaces what the server said; empty keeps it
	hint string
}

// verdict makes an error of what the server said. Of a refused login only that is
// told: the server quotes names that may be secrets.
func verdict(op string, e *driver.MySQLError) error {
	m := meaningOf(e.Number)
	text := m.text
	if text == "" {
		text = scalers.Excerpt(e.Message)
	}
	return &scalers.Error{Kind: m.kind, Op: op, Err: fmt.Errorf("%s (error %d)", text, e.Number), Hint: m.hint}
}

// meaningOf knows the error numbers that mean something to a trigger; see the
// server error references of MySQL and MariaDB.
func meaningOf(number uint16) meaning {
	switch number {
	case 1044, 1045, 1129, 1130, 1251, 1275, 1698, 1862, 3118, 4151:
		return meaning{scalers.Unauthorized, "the server refused the login", "check user, password and the hosts that the user may come from"}
	case 1142, 1143, 1227, 1370, 1356:
		return meaning{scalers.Unauthorized, "the user may not do that", "grant it the right to SELECT"}
	case 1046:
		return meaning{scalers.Invalid, "no database is chosen", "name one"}
	case 1049:
		return meaning{scalers.NotFound, "the database does not exist", "check its name"}
	case 1054, 1146, 1305:
		return meaning{scalers.NotFound, "", ""}
	case 1064, 1065, 1149, 1222:
		return meaning{scalers.Invalid, "", "correct the query"}
	case 1290, 1792, 1836:
		return meaning{scalers.Invalid, "", "write a query that only reads"}
	case 1317, 1969, 3024:
		return meaning{scalers.Unreachable, "it took longer than 10 s", "make it faster, as by an index"}
	case 1040, 1203, 1226:
		return meaning{scalers.Throttled, "there are too many connections", "allow the user and the server more"}
	case 1053, 1077, 1205, 1213, 1927:
		return meaning{scalers.Unreachable, "", ""}
	}
	return meaning{scalers.BadAnswer, "", ""}
}
