package postgresql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
)

// run measures the queries that round names on one connection, fills in their
// readings and marks them as done. The error is that of the connection; it is for
// those that are not done.
func (s *source) run(ctx context.Context, queries []sqlquery.Query, round []int, out []scalers.Reading, done []bool) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return refused(ctx, connecting, err)
	}
	defer conn.Release() // throws the connection away when it is broken
	p := conn.Conn().PgConn().StartPipeline(ctx)
	for _, i := range round {
		send(p, queries[i].Text())
	}
	err = p.Flush()
	for _, i := range round {
		if err != nil {
			break
		}
		began := time.Now()
		if out[i], err = receive(p); err == nil {
			done[i] = true
			s.memory.Note(queries[i], time.Since(began))
		}
	}
	if closing := p.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return refused(ctx, sqlquery.Op, err)
	}
	return nil
}

// before and after surround a query. Every query is alone in a transaction that
// cannot write; the settings end with it, so that a pooler between us and the
// server does not mix them up with those of others.
func before() []string {
	return []string{"BEGIN READ ONLY", fmt.Sprintf("SET LOCAL statement_timeout = %d", sqlquery.Statement.Milliseconds())}
}

const after = "ROLLBACK"

// send puts one query into the pipeline. When it fails the server skips what
// follows until the next synchronisation, which is why there are two.
func send(p *pgconn.Pipeline, text string) {
	for _, b := range before() {
		p.SendQueryParams(b, nil, nil, nil, nil)
	}
	p.SendQueryParams(text, nil, nil, nil, nil)
	p.SendPipelineSync()
	p.SendQueryParams(after, nil, nil, nil, nil)
	p.SendPipelineSync()
}

// receive reads what one query gave. The error is that of the connection.
func receive(p *pgconn.Pipeline) (scalers.Reading, error) {
	out := sqlquery.NoRow()
	for syncs, results := 0, 0; syncs < 2; {
		result, err := p.GetResults()
		if _, sync := result.(*pgconn.PipelineSync); sync {
			syncs++
			continue
		}
		got := out
		if r, ok := result.(*pgconn.ResultReader); ok {
			got, err = read(r)
		} else if err == nil {
			return out, errors.New("an answer is missing")
		}
		told, refused := errors.AsType[*pgconn.PgError](err)
		switch {
		case err != nil && !refused:
			return out, err
		case syncs > 0: // how the transaction ended does not matter
		case refused:
			out = scalers.Reading{Err: verdict(sqlquery.Op, told)}
		case results == len(before()):
			out = got
		}
		results++
	}
	return out, nil
}

// read takes the first row of an answer, and reads the others past.
func read(r *pgconn.ResultReader) (scalers.Reading, error) {
	out := sqlquery.NoRow()
	columns := len(r.FieldDescriptions())
	for first := true; r.NextRow(); first = false {
		if !first {
			continue
		}
		if columns != 1 {
			out = sqlquery.Columns(columns)
			continue
		}
		v := r.Values()[0]
		out = sqlquery.Number(string(v), v == nil)
	}
	_, err := r.Close()
	return out, err
}
