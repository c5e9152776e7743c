package mysql

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures:    "The number in the first row and only column of the query's answer: any type that MySQL writes as a number, also text. A number below zero is 0. NULL, no row and several columns are errors, which keep replicas as they are: write `coalesce` where NULL means a number.",
		Permissions: "A user that may connect, and `SELECT` what the query reads. Every connection is set to read-only transactions (`SET SESSION TRANSACTION READ ONLY`), so that a query that writes fails.",
		Batching:    "Triggers with the same server, user, database and credentials share at most 4 connections, which are closed after 2 idle minutes. Equal queries run once. Each query is one round trip, 4 at a time; those that took longer than a second come last from then on.",
		Failures:    "A query that is wrong, that asks for a table that does not exist or may not be read, or that runs for longer than 10 s, fails its own trigger only. A refused login is Unauthorized. Too many connections are Throttled. What drivers put into their errors, addresses and connection strings, is not repeated.\n\nTLS is chosen by `tls` in the connection string: true, skip-verify or preferred; `ca` or `cert` turn it on too, and then the server is always verified. `allowAllFiles` is ignored: no server may read files of Weir's. Sockets and registered names cannot be used.",
	}
}

func examples() []scalers.Example {
	const query = "SELECT count(*) FROM jobs WHERE state = 'waiting'"
	return []scalers.Example{
		{
			Title:    "Minimal",
			Metadata: map[string]string{"query": query, "queryValue": "20"},
			Auth:     map[string]string{"connectionString": "weir:PASSWORD@tcp(mysql.shop.svc:3306)/shop"},
		},
		{
			Title: "Production",
			Metadata: map[string]string{
				"query": query, "queryValue": "20", "activationQueryValue": "5",
				"host": "mysql.shop.svc", "port": "3306", "username": "weir", "dbName": "shop",
			},
			Auth: map[string]string{"password": "PASSWORD", "ca": "PEM"},
		},
	}
}
