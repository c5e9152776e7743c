package mysql_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/mysql"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestConformance(t *testing.T) {
	scalertest.Run(t, mysql.Scaler, []scalertest.Case{
		{Name: "a count", Values: fields("SELECT count(*) FROM jobs"), Want: 7, MetricName: "s0-mysql-shop"},
		{Name: "a decimal", Values: fields("SELECT 2.25"), Want: 2.25},
		{Name: "no table", Values: fields("SELECT count(*) FROM none"), Err: "doesn't exist (error 1146)", Kind: scalers.NotFound},
		{Name: "no SQL", Values: fields("SELEC 1"), Err: "(error 1064)", Kind: scalers.Invalid},
		{Name: "NULL", Values: fields("SELECT NULL"), Err: "it gave NULL", Kind: scalers.BadAnswer, Empty: true},
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
		{"SELECT CAST(3 AS UNSIGNED)", 3, "", ""},
		{"SELECT 1.5e0", 1.5, "", ""},
		{"SELECT '12.5'", 12.5, "", ""},
		{"SELECT true", 1, "", ""},
		{"SELECT -4", 0, "", ""},
		{"SELECT 6 -- and no more", 6, "", ""},
		{"SELECT 6;", 6, "", ""},
		{"SELECT sum(n) FROM jobs", 28, "", ""},
		{"SELECT n FROM jobs ORDER BY n", 1, "", ""},
		{"SELECT n FROM jobs WHERE n > 99", 0, "BadAnswer", op + "it gave no row" + one},
		{"SELECT 1, 2", 0, "BadAnswer", op + "it gave 2 columns" + one},
		{"SELECT @@max_statement_time", 10, "", ""},
		{"SELECT\n\tcount(*)\nFROM jobs", 7, "", ""},
		{"SELECT 1/0", 0, "BadAnswer", op + "it gave NULL; say which number that is, as by coalesce(..., 0)"},
		{"SELECT 'c4n4ry'", 0, "BadAnswer", number},
		{"SELECT now()", 0, "BadAnswer", number},
		{"INSERT INTO jobs (n) VALUES (1)", 0, "Invalid", op + "Cannot execute statement in a READ ONLY transaction (error 1792); write a query that only reads"},
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

func TestFiveHundredQueriesTakeFourConnections(t *testing.T) {
	const n = 500
	var dials atomic.Int32
	var all []param.Values
	for i := range n {
		all = append(all, fields(fmt.Sprintf("SELECT %d", i)))
	}
	all[250] = fields("SELECT count(*) FROM none")
	conn := connect(t, all[0], env(&dials))
	for range 2 {
		for i, r := range fetch(t, conn, all...) {
			switch {
			case i == 250 && scalers.KindOf(r.Err) != scalers.NotFound:
				t.Errorf("the bad one gives %v", r)
			case i != 250:
				want(t, fmt.Sprint(i), r, float64(i), "", "")
			}
		}
	}
	if d := dials.Load(); d > 4 {
		t.Errorf("%d connections, want at most 4", d)
	}
}

func TestWaysToConnect(t *testing.T) {
	const cannot = "preparing the connection: the connection string cannot be used; write it as user:password@tcp(host:port)/database"
	const login = "connecting to MySQL: the server refused the login (error 1045); check user, password and the hosts that the user may come from"
	weir := "weir:pw@tcp(" + server.Addr() + ")/shop"
	for name, c := range map[string]struct {
		v    param.Values
		kind scalers.Kind
		text string
	}{
		"a connection string":          {connection("SELECT 1", weir), "", ""},
		"TLS":                          {connection("SELECT 1", weir+"?tls=skip-verify"), "", ""},
		"TLS that is verified":         {fields("SELECT 1", "ca", ca), "", ""},
		"TLS that cannot be verified":  {connection("SELECT 1", weir+"?tls=true"), "Unreachable", "connecting to MySQL: the server's certificate is not trusted; give its certificate authority as ca"},
		"TLS by name":                  {connection("SELECT 1", weir+"?tls=c4n4ry"), "Invalid", cannot},
		"all files":                    {connection("SELECT 1", weir+"?allowAllFiles=true"), "", ""},
		"a wrong password":             {fields("SELECT 1", "password", "c4n4ry"), "Unauthorized", login},
		"an unknown user":              {connection("SELECT 1", "c4n4ry:c4n4ry@tcp("+server.Addr()+")/shop"), "Unauthorized", login},
		"no database":                  {fields("SELECT 1", "dbName", "c4n4ry"), "NotFound", "connecting to MySQL: the database does not exist (error 1049); check its name"},
		"no server":                    {fields("SELECT 1", "port", "1"), "Unreachable", "connecting to MySQL: connection refused"},
		"no connection string":         {connection("SELECT 1", "c4n4ry"), "Invalid", cannot},
		"a socket":                     {connection("SELECT 1", "u:c4n4ry@unix(/run/c4n4ry)/shop"), "Invalid", "preparing the connection: the connection string names no host; write it as user:password@tcp(host:port)/database: sockets are of this machine only"},
		"nothing":                      {param.Values{Metadata: map[string]string{"query": "q", "queryValue": "1"}}, "Invalid", "preparing the connection: there is no host; set host, or a connection string"},
		"what it may not read":         {connection("SELECT n FROM secret", weir), "Unauthorized", "running the query: the user may not do that (error 1142); grant it the right to SELECT"},
		"a certificate that is no PEM": {fields("SELECT 1", "ca", "c4n4ry"), "Invalid", "reading TLS parameter ca: it cannot be used; give the certificate authority as PEM text"},
	} {
		t.Run(name, func(t *testing.T) { want(t, "it", measure(t, c.v), 1, c.kind, c.text) })
	}
}

func TestASlowQueryHoldsUpNoOther(t *testing.T) {
	slow, quick := fields("SELECT 1 + sleep(2)"), fields("SELECT 2")
	conn := connect(t, quick, env(nil))
	began := time.Now()
	readings, err := conn.Fetch(within(t, 1500*time.Millisecond), []scalers.Query{parse(t, slow).Query, parse(t, quick).Query})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the quick one", readings[1], 2, "", "")
	if scalers.KindOf(readings[0].Err) != scalers.Unreachable || time.Since(began) > soon {
		t.Errorf("the slow one gives %v", readings[0])
	}
	want(t, "afterwards", fetch(t, conn, slow)[0], 1, "", "")
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

func TestTheMetricNameShowsNoSecret(t *testing.T) {
	for text, name := range map[string]string{
		"u:p@tcp(h:3306)/shop.db":       "s0-mysql-shop-db",
		"u:p@tcp(h:3306)/shop?tls=true": "s0-mysql-shop?tls=true",
		"u:c4n4ry":                      "s0-mysql-",
		"u:c4n/4ry@tcp(h)":              "s0-mysql-",
		"http://u:p@h/c4n4ry":           "s0-mysql-",
	} {
		if got := parse(t, connection("q", text)).MetricName(0); got != name {
			t.Errorf("%s: %s, want %s", text, got, name)
		}
	}
}

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 3, mysql.Scaler) }
