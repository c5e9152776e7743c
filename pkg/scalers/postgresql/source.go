package postgresql

import (
	"context"
	"errors"
	"net"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
)

// round is the most queries sent before their answers are read.
const round = 25

const connecting = "connecting to PostgreSQL"

// source is a pool of connections.
type source struct {
	pool   *pgxpool.Pool
	memory sqlquery.Memory
}

// open connects once, to say at once what is wrong.
func open(ctx context.Context, env scalers.Env, s settings) (*source, error) {
	c, err := s.config(env.ClientName, env.RootCAs)
	if err != nil {
		return nil, err
	}
	c.MaxConns, c.MinConns, c.MinIdleConns, c.MaxConnIdleTime = sqlquery.Conns, 0, 0, sqlquery.Idle
	c.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // env.Dial resolves
	c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if network != "tcp" {
			return nil, errors.New("not a network address")
		}
		return env.Dial(ctx, network, address)
	}
	if !s.azure.IsZero() {
		credential, err := s.azure.Credential(env)
		if err != nil {
			return nil, err
		}
		c.BeforeConnect = withToken(credential)
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, sqlquery.Refuse("the connection string cannot be used", "check it")
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, refused(ctx, connecting, err)
	}
	return &source{pool: pool}, nil
}

// withToken makes a token the password of each new connection.
func withToken(credential azcore.TokenCredential) func(context.Context, *pgx.ConnConfig) error {
	return func(ctx context.Context, c *pgx.ConnConfig) error {
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://ossrdbms-aad.database.windows.net/.default"}})
		if err != nil {
			return azureauth.Failed("getting a token for the database", err)
		}
		c.Password = token.Token
		return nil
	}
}

// Close implements scalers.Source.
func (s *source) Close() error {
	s.pool.Close()
	return nil
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []sqlquery.Query) ([]scalers.Reading, error) {
	if ctx.Err() != nil {
		return nil, sqlquery.Lost(ctx, sqlquery.Op, ctx.Err())
	}
	out, done := make([]scalers.Reading, len(queries)), make([]bool, len(queries))
	rounds := s.memory.Rounds(queries, round)
	// Each reading is written by the one round that its query belongs to.
	each := scalers.Each(sqlquery.Conns, func(ctx context.Context, i int) scalers.Reading {
		return scalers.Reading{Err: s.run(ctx, queries, rounds[i], out, done)}
	}, nil)
	numbers := make([]int, len(rounds))
	for i := range numbers {
		numbers[i] = i
	}
	results, err := each.Fetch(ctx, numbers)
	if err != nil {
		return nil, sqlquery.Lost(ctx, sqlquery.Op, err)
	}
	for i, r := range results {
		for _, q := range rounds[i] {
			if !done[q] {
				out[q].Err = r.Err
			}
		}
	}
	return out, nil
}
