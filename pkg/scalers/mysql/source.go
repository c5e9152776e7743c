package mysql

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
)

// connectTimeout bounds one attempt to connect.
const connectTimeout = 5 * time.Second

const connecting = "connecting to MySQL"

// source is a pool of connections.
type source struct {
	pool   *sql.DB
	memory sqlquery.Memory
}

// open connects once, to say at once what is wrong.
func open(ctx context.Context, env scalers.Env, s settings) (*source, error) {
	c, err := s.config(env)
	if err != nil {
		return nil, err
	}
	connector, err := driver.NewConnector(c)
	if err != nil { // it quotes what is wrong
		return nil, sqlquery.Refuse("the connection string cannot be used", "check its options; TLS and keys cannot be given by a registered name")
	}
	pool := sql.OpenDB(reader{connector})
	pool.SetMaxOpenConns(sqlquery.Conns)
	pool.SetMaxIdleConns(sqlquery.Conns)
	pool.SetConnMaxIdleTime(sqlquery.Idle)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(refused(ctx, connecting, err), pool.Close())
	}
	return &source{pool: pool}, nil
}

// reader makes connections that can only read.
type reader struct{ sqldriver.Connector }

// Connect implements driver.Connector.
func (r reader) Connect(ctx context.Context) (sqldriver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// prepare makes every transaction of a connection read-only, and bounds how long
// the server works on one statement. MariaDB and MySQL know the latter by different
// names, which the comments tell apart; older servers know neither, and then only
// this side stops waiting.
func prepare(ctx context.Context, conn sqldriver.Conn) error {
	e, ok := conn.(sqldriver.ExecerContext)
	if !ok {
		return errors.New("the driver's connection runs no statements")
	}
	if _, err := e.ExecContext(ctx, "SET SESSION TRANSACTION READ ONLY", nil); err != nil {
		return err
	}
	_, err := e.ExecContext(ctx, fmt.Sprintf("SET SESSION /*M!100101 max_statement_time=%d */ /*!50708 max_execution_time=%d */",
		int(sqlquery.Statement.Seconds()), sqlquery.Statement.Milliseconds()), nil)
	if _, told := errors.AsType[*driver.MySQLError](err); told {
		return nil
	}
	return err
}

// Close implements scalers.Source.
func (s *source) Close() error {
	if err := s.pool.Close(); err != nil {
		return refused(context.Background(), "closing the connections", err)
	}
	return nil
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []sqlquery.Query) ([]scalers.Reading, error) {
	order := make([]int, 0, len(queries))
	for _, alone := range s.memory.Rounds(queries, 1) {
		order = append(order, alone...)
	}
	each := scalers.Each(sqlquery.Conns, func(ctx context.Context, i int) scalers.Reading {
		began := time.Now()
		r := s.measure(ctx, queries[i].Text())
		s.memory.Note(queries[i], time.Since(began))
		return r
	}, nil)
	readings, err := each.Fetch(ctx, order)
	if err != nil {
		return nil, sqlquery.Lost(ctx, sqlquery.Op, err)
	}
	out := make([]scalers.Reading, len(queries))
	for at, i := range order {
		out[i] = readings[at]
	}
	return out, nil
}

// measure runs one query and takes the first row of its answer.
func (s *source) measure(ctx context.Context, text string) (out scalers.Reading) {
	rows, err := s.pool.QueryContext(ctx, text)
	if err != nil {
		return scalers.Reading{Err: refused(ctx, sqlquery.Op, err)}
	}
	defer func() {
		if err := errors.Join(rows.Err(), rows.Close()); err != nil && out.Err == nil {
			out = scalers.Reading{Err: refused(ctx, sqlquery.Op, err)}
		}
	}()
	columns, err := rows.Columns()
	if err != nil {
		return scalers.Reading{Err: refused(ctx, sqlquery.Op, err)}
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return scalers.Reading{Err: refused(ctx, sqlquery.Op, err)}
		}
		return sqlquery.NoRow()
	}
	if len(columns) != 1 {
		return sqlquery.Columns(len(columns))
	}
	var v sql.NullString
	if err := rows.Scan(&v); err != nil {
		return sqlquery.Number("none", false)
	}
	return sqlquery.Number(v.String, !v.Valid)
}
