package postgresql

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures:    "The number in the first row and only column of the query's answer: any type that PostgreSQL writes as a number, also text. A number below zero is 0. NULL, no row, several columns, NaN and infinities are errors, which keep replicas as they are: write `coalesce` where NULL means a number.",
		Permissions: "A user that may connect, and `SELECT` what the query reads. Each query runs in a read-only transaction that is rolled back, so that a query that writes fails and measuring changes nothing.\n\nWith `podIdentity: {provider: azure-workload}` a token of Weir's identity is the password; it is fetched for each new connection. Then host, port, userName, dbName and sslmode are needed, and a connection string is not used. The host must be one of Azure Database for PostgreSQL, and its certificate is verified whatever sslmode says: nobody else is to get that token.",
		Batching:    "Triggers with the same server, user, database and credentials share at most 4 connections; one is enough most of the time, and idle ones are closed after 2 minutes. Equal queries run once. Queries go out 25 to a round trip, each in its own transaction. Queries that took longer than a second go last and alone from then on. Poolers such as PgBouncer may be in between, in transaction mode too.",
		Failures:    "A query that is wrong, that asks for a table that does not exist or may not be read, or that runs for longer than 10 s, fails its own trigger only. A refused login is Unauthorized. Too many connections are Throttled. What drivers put into their errors, addresses and connection strings, is not repeated.\n\n`allow`, `prefer` and `require` do not verify the server's certificate, as PostgreSQL defines them; `verify-full` does, and so does any mode but `disable` when `ca` is given. A connection string that names files (`sslrootcert`, `sslcert`, `sslkey`, `passfile`, `service`) is refused: give the contents as parameters. Variables such as PGPASSWORD of Weir's own are not used.",
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{
			Title:    "Minimal",
			Metadata: map[string]string{"query": "SELECT count(*) FROM jobs WHERE state = 'waiting'", "targetQueryValue": "20"},
			Auth:     map[string]string{"connection": "host=postgres.shop.svc port=5432 dbname=shop user=weir password=PASSWORD sslmode=require"},
		},
		{
			Title: "Production",
			Metadata: map[string]string{
				"query": "SELECT count(*) FROM jobs WHERE state = 'waiting'", "targetQueryValue": "20", "activationTargetQueryValue": "5",
				"host": "postgres.shop.svc", "port": "5432", "userName": "weir", "dbName": "shop", "sslmode": "verify-full",
			},
			Auth: map[string]string{"password": "PASSWORD", "ca": "PEM"},
		},
		{
			Title: "Azure Database for PostgreSQL",
			Metadata: map[string]string{
				"query": "SELECT count(*) FROM jobs", "targetQueryValue": "20",
				"host": "shop.postgres.database.azure.com", "port": "5432", "userName": "weir", "dbName": "shop", "sslmode": "verify-full",
			},
			Identity: "azure-workload",
		},
	}
}
