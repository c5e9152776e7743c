package postgresql_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/postgresql"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestConformance(t *testing.T) {
	scalertest.Run(t, postgresql.Scaler, []scalertest.Case{
		{Name: "a count", Values: fields("SELECT count(*) FROM jobs"), Want: 7, MetricName: "s0-postgresql"},
		{Name: "a numeric", Values: fields("SELECT 2.25::numeric"), Want: 2.25},
		{Name: "no table", Values: fields("SELECT count(*) FROM none"), Err: `relation "none" does not exist (SQLSTATE 42P01)`, Kind: scalers.NotFound},
		{Name: "no SQL", Values: fields("SELEC 1"), Err: "SQLSTATE 42601", Kind: scalers.Invalid},
		{Name: "NULL", Values: fields("SELECT NULL::int"), Err: "it gave NULL", Kind: scalers.BadAnswer, Empty: true},
	})
}

func TestWhatAnswersCountAs(t *testing.T) {
	const op, one = "running the query: ", "; make it give one row with one number, as by count(*)"
	const number = op + "what it gave is not a finite number; make it give one number, as by count(*)"
	rows := []struct {
		query string
		value float64
		kind  scalers.Kind
		text  string
	}{
		{"SELECT 3::smallint", 3, "", ""},
		{"SELECT 9007199254740993::bigint", 9007199254740992, "", ""},
		{"SELECT 1.5::real", 1.5, "", ""},
		{"SELECT 1e3::double precision", 1000, "", ""},
		{"SELECT '12.5'", 12.5, "", ""},
		{"SELECT '5'::char(9)", 5, "", ""},
		{"SELECT -4", 0, "", ""},
		{"SELECT 6 -- and no more", 6, "", ""},
		{"SELECT 6;", 6, "", ""},
		{"SELECT n FROM jobs ORDER BY n", 1, "", ""},
		{"WITH x AS (SELECT 8 AS n) SELECT n FROM x", 8, "", ""},
		{"VALUES (9)", 9, "", ""},
		{"SELECT n FROM jobs WHERE n > 99", 0, "BadAnswer", op + "it gave no row" + one},
		{"SELECT setting FROM pg_settings WHERE name = 'statement_timeout'", 10000, "", ""},
		{"SELECT\n\tcount(*)\nFROM jobs", 7, "", ""},
		{"SELECT 1, 2", 0, "BadAnswer", op + "it gave 2 columns" + one},
		{"SELECT NULL", 0, "BadAnswer", op + "it gave NULL; say which number that is, as by coalesce(..., 0)"},
		{"SELECT true", 0, "BadAnswer", number},
		{"SELECT 'c4n4ry'", 0, "BadAnswer", number},
		{"SELECT 'NaN'::numeric", 0, "BadAnswer", number},
		{"SELECT 'Infinity'::float8", 0, "BadAnswer", number},
		{"SELECT now()", 0, "BadAnswer", number},
		{"SELECT 1; SELECT 2", 0, "Invalid", op + "cannot insert multiple commands into a prepared statement (SQLSTATE 42601); correct the query"},
		{"INSERT INTO jobs VALUES (1) RETURNING 1", 0, "Invalid", op + "cannot execute INSERT in a read-only transaction (SQLSTATE 25006); write a query that only reads"},
		{"SELECT 1/0", 0, "BadAnswer", op + "division by zero (SQLSTATE 22012)"},
		{"COMMIT", 0, "BadAnswer", op + "it gave no row" + one},
		{"SELECT count(*) FROM jobs", 7, "", ""},
	}
	all := make([]param.Values, len(rows))
	for i, r := range rows {
		all[i] = fields(r.query)
	}
	conn := connect(t, all[0], env(nil))
	for range 2 {
		for i, got := range fetch(t, conn, all...) {
			want(t, rows[i].query, got, rows[i].value, rows[i].kind, rows[i].text)
		}
	}
}

func TestFiveHundredQueriesTakeFewRoundTripsAndConnections(t *testing.T) {
	const n = 500
	var dials atomic.Int32
	var all []param.Values
	for i := range n {
		all = append(all, fields(fmt.Sprintf("SELECT %d", i)))
	}
	all[250] = fields("SELECT count(*) FROM none")
	e := env(&dials)
	var reads atomic.Int32
	plain := e.Dial
	e.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := plain(ctx, network, address)
		return &counting{c, &reads}, err
	}
	conn := connect(t, all[0], e)
	fetch(t, conn, all...)
	reads.Store(0)
	for i, r := range fetch(t, conn, all...) {
		switch {
		case i == 250 && scalers.KindOf(r.Err) != scalers.NotFound:
			t.Errorf("the bad one gives %v", r)
		case i != 250:
			want(t, fmt.Sprint(i), r, float64(i), "", "")
		}
	}
	if d := dials.Load(); d > 4 {
		t.Errorf("%d connections, want at most 4", d)
	}
	if w := reads.Load(); w > 60 {
		t.Errorf("%d writes for %d queries; 20 rounds need about as many", w, n)
	}
}

// counting counts writes: what is sent without waiting for an answer goes in few.
type counting struct {
	net.Conn
	writes *atomic.Int32
}

func (c *counting) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestWaysToConnect(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		kind scalers.Kind
		text string
	}{
		"a URL":                        {connection("SELECT 1", "postgres://weir:pw@"+server.Addr()+"/postgres?sslmode=disable"), "", ""},
		"pairs":                        {connection("SELECT 1", "host=127.0.0.1 port="+server.Port()+" user=weir password=pw dbname=postgres"), "", ""},
		"TLS":                          {fields("SELECT 1", "sslmode", "require"), "", ""},
		"TLS that is verified":         {fields("SELECT 1", "sslmode", "verify-full", "ca", ca), "", ""},
		"TLS that cannot be verified":  {fields("SELECT 1", "sslmode", "verify-full"), "Unreachable", "connecting to PostgreSQL: the server's certificate is not trusted; give its certificate authority as ca"},
		"the authority only":           {fields("SELECT 1", "sslmode", "verify-ca"), "Unreachable", "connecting to PostgreSQL: the server's certificate is not trusted; give its certificate authority as ca"},
		"another sslmode":              {fields("SELECT 1", "sslmode", "maybe"), "Invalid", "preparing the connection: the connection string cannot be used; check its syntax, the port and sslmode; write special characters of a URL percent-encoded"},
		"a wrong password":             {fields("SELECT 1", "password", "c4n4ry"), "Unauthorized", "connecting to PostgreSQL: the server refused the login (SQLSTATE 28P01); check user, password and pg_hba.conf"},
		"an unknown user":              {connection("SELECT 1", "postgres://c4n4ry:c4n4ry@"+server.Addr()+"/postgres"), "Unauthorized", "connecting to PostgreSQL: the server refused the login (SQLSTATE 28P01); check user, password and pg_hba.conf"},
		"no database":                  {fields("SELECT 1", "dbName", "c4n4ry"), "NotFound", "connecting to PostgreSQL: the database does not exist (SQLSTATE 3D000); check its name"},
		"no server":                    {fields("SELECT 1", "port", "1"), "Unreachable", "connecting to PostgreSQL: connection refused"},
		"no connection string":         {connection("SELECT 1", "c4n4ry"), "Invalid", "preparing the connection: the connection string cannot be used; check its syntax, the port and sslmode; write special characters of a URL percent-encoded"},
		"a URL that cannot be parsed":  {connection("SELECT 1", "postgres://u:c4n4ry/x@h:c4n4ry/"), "Invalid", "preparing the connection: the connection string cannot be used; check its syntax, the port and sslmode; write special characters of a URL percent-encoded"},
		"a socket":                     {connection("SELECT 1", "host=/var/run/postgresql user=u"), "Invalid", "preparing the connection: there is no host; name one: sockets are of this machine only"},
		"no host":                      {connection("SELECT 1", "user=u dbname=d"), "Invalid", "preparing the connection: there is no host; name one: sockets are of this machine only"},
		"a file of the process":        {connection("SELECT 1", "host=h sslrootcert=/etc/c4n4ry"), "Invalid", "preparing the connection: the connection string names files of the process, which no trigger may read; give certificates as ca, cert and key, and the password in the connection string"},
		"what it may not read":         {connection("SELECT n FROM secret", "postgres://weir:pw@"+server.Addr()+"/postgres"), "Unauthorized", "running the query: permission denied for table secret (SQLSTATE 42501); grant the user the right to read it"},
		"a certificate that is no PEM": {fields("SELECT 1", "ca", "c4n4ry"), "Invalid", "reading TLS parameter ca: it cannot be used; give the certificate authority as PEM text"},
	} {
		t.Run(name, func(t *testing.T) { want(t, "it", measure(t, c.v), 1, c.kind, c.text) })
	}
}

func TestTheEnvironmentOfTheProcessIsNotUsed(t *testing.T) {
	t.Setenv("PGPASSWORD", password)
	t.Setenv("PGHOST", "127.0.0.1")
	t.Setenv("PGPORT", server.Port())
	t.Setenv("PGUSER", "postgres")
	t.Setenv("PGSSLROOTCERT", "/nonexistent")
	want(t, "without a password", measure(t, connection("SELECT 1", "postgres://postgres@"+server.Addr()+"/postgres")), 0,
		"Unauthorized", "connecting to PostgreSQL: the server refused the login (SQLSTATE 28P01); check user, password and pg_hba.conf")
	want(t, "without a host", measure(t, connection("SELECT 1", "dbname=postgres")), 0,
		"Invalid", "preparing the connection: there is no host; name one: sockets are of this machine only")
	for _, text := range []string{"postgres://u:p@h/d", "host=h user=u password=p"} {
		var dialled string
		e := env(nil)
		e.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, syscall.ECONNREFUSED
		}
		_, err := parse(t, connection("SELECT 1", text)).Source.Open(within(t, soon), e)
		want(t, text, scalers.Reading{Err: err}, 0, "Unreachable", "connecting to PostgreSQL: connection refused")
		if dialled != "h:5432" {
			t.Errorf("%s dialled %s", text, dialled)
		}
	}
}

func TestATokenGoesToAzureOnly(t *testing.T) {
	t.Setenv("AZURE_CLIENT_ID", "")
	t.Setenv("AZURE_TENANT_ID", "")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "")
	const refused = "preparing the connection: the process's own token goes to hosts of Azure Database for PostgreSQL only, and by TLS; name such a host, such as NAME.postgres.database.azure.com, and another sslmode than disable"
	for host, c := range map[string]struct {
		sslmode  string
		kind     scalers.Kind
		text     string
		warnings int
	}{
		"shop.Postgres.database.azure.com":             {"require", "Unauthorized", "this process has no Azure workload identity", 0},
		"shop.postgres.database.azure.com":             {"disable", "Invalid", refused, 1},
		"127.0.0.1":                                    {"verify-full", "Invalid", refused, 1},
		"evil.example,a.postgres.database.azure.com":   {"verify-full", "Invalid", refused, 1},
		"shop.postgres.database.azure.com.example.org": {"verify-full", "Invalid", refused, 1},
	} {
		v := fields("SELECT 1", "host", host, "sslmode", c.sslmode)
		v.Auth, v.Identity = nil, param.Identity{Provider: "azure-workload"}
		trigger, warnings, err := postgresql.Scaler.Parse(v)
		if err != nil || len(warnings) != c.warnings {
			t.Errorf("%s: %v, %v", host, warnings, err)
			continue
		}
		if _, err := trigger.Source.Open(within(t, soon), env(nil)); scalers.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestAServerThatComesBack(t *testing.T) {
	v := fields("SELECT count(*) FROM jobs")
	conn := connect(t, v, env(nil))
	want(t, "before", fetch(t, conn, v)[0], 7, "", "")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if r := fetch(t, conn, v)[0]; scalers.KindOf(r.Err) != scalers.Unreachable {
		t.Errorf("without a server: %v", r)
	}
	if err := server.Restart(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	want(t, "afterwards", fetch(t, conn, v)[0], 7, "", "")
}

func TestASlowQueryHoldsUpNoOther(t *testing.T) {
	slow, quick := fields("SELECT 1 FROM pg_sleep(2)"), fields("SELECT 2")
	conn := connect(t, quick, env(nil))
	queries := []scalers.Query{parse(t, slow).Query, parse(t, quick).Query}
	fetch(t, conn, slow, quick) // learns that it is slow
	readings, err := conn.Fetch(within(t, 1500*time.Millisecond), queries)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the quick one", readings[1], 2, "", "")
	if scalers.KindOf(readings[0].Err) != scalers.Unreachable {
		t.Errorf("the slow one gives %v", readings[0])
	}
	want(t, "afterwards", fetch(t, conn, slow)[0], 1, "", "")
}

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 3, postgresql.Scaler) }

func TestWhatIsRequired(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"everything": {param.Values{}, `parameter "host" is required without "connection"
parameter "query" is required; set it in the trigger's metadata
parameter "targetQueryValue" is required and must not be zero`},
		"a target of zero":               {param.Values{Metadata: map[string]string{"query": "q", "targetQueryValue": "0"}, Auth: map[string]string{"connection": "c"}}, `parameter "targetQueryValue" is required and must not be zero`},
		"no target of a formula's input": {param.Values{Metadata: map[string]string{"query": "q"}, Auth: map[string]string{"connection": "c"}, FormulaOnly: true}, ""},
		"a connection string with azure": {param.Values{Metadata: map[string]string{"query": "q", "targetQueryValue": "1"}, Auth: map[string]string{"connection": "c"}, Identity: param.Identity{Provider: "azure-workload"}}, `parameter "host" is required without "connection"`},
	} {
		_, _, err := postgresql.Scaler.Parse(c.v)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestAnIdentityBelongsToItsNamespace(t *testing.T) {
	source := func(namespace string) scalers.SourceKey {
		v := fields("SELECT 1")
		v.Namespace, v.Identity = namespace, param.Identity{Provider: "azure-workload"}
		return parse(t, v).Source
	}
	if source("a") == source("b") {
		t.Error("two namespaces share a source")
	}
	if text := source("a").String(); strings.Contains(text, "c4n4ry") {
		t.Error(text)
	}
}
