package postgresql

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-sh/weir/pkg/scalers"
)

func TestStatesBecomeKinds(t *testing.T) {
	for code, c := range map[string]struct {
		kind scalers.Kind
		text string
	}{
		"57014": {scalers.Unreachable, "asking: it took longer than 10 s (SQLSTATE 57014); make it faster, as by an index"},
		"57P03": {scalers.Unreachable, "asking: said (SQLSTATE 57P03)"},
		"53300": {scalers.Throttled, "asking: said (SQLSTATE 53300); allow the server more connections"},
		"28000": {scalers.Unauthorized, "asking: the server refused the login (SQLSTATE 28000); check user, password and pg_hba.conf"},
		"42703": {scalers.NotFound, "asking: said (SQLSTATE 42703)"},
		"XX000": {scalers.BadAnswer, "asking: said (SQLSTATE XX000)"},
		"":      {scalers.BadAnswer, "asking: said (SQLSTATE )"},
	} {
		err := verdict("asking", &pgconn.PgError{Code: code, Message: "said"})
		if scalers.KindOf(err) != c.kind || err.Error() != c.text {
			t.Errorf("%s: %s %v, want %s %s", code, scalers.KindOf(err), err, c.kind, c.text)
		}
	}
}
