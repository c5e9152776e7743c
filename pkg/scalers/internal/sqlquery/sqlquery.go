// Package sqlquery holds what scalers share that measure a number by a user's SQL
// query: the query and its target, how an answer becomes a reading, which queries
// were slow, and errors of connections without what drivers put into theirs.
package sqlquery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Limits that hold for every SQL scaler.
const (
	Conns     = 4                // connections of one source
	Statement = 10 * time.Second // the longest that one query may take
	Idle      = 2 * time.Minute  // after which a connection is closed
)

// Op begins the errors of a query. The query itself is not told: it may hold data.
const Op = "running the query"

// Query is one SQL statement. Nothing prints it: it may hold data.
type Query struct{ text param.Secret }

// Bind declares the parameter.
func (q *Query) Bind(p *param.Set) {
	var text string
	p.Text(&text, "query", "SQL statement that gives one number: one row with one column. It runs in a read-only transaction, for 10 s at most.", param.Required)
	p.Check(func() error {
		q.text = param.NewSecret(text)
		return nil
	}, "query")
}

// Text returns the statement.
func (q Query) Text() string { return q.text.Reveal() }

// BindTLS declares a certificate authority and a client certificate.
func BindTLS(s *tlsconf.Settings, p *param.Set) {
	p.Secret(&s.CA, "ca", "Certificate authority to trust besides the system's, as PEM text. With it the server's certificate is always verified.")
	p.Secret(&s.Cert, "cert", "Client certificate, as PEM text.")
	p.Secret(&s.Key, "key", "Key of the client certificate, as PEM text.")
	p.Secret(&s.KeyPassword, "keyPassword", "Password of the key, when it is encrypted PKCS #8.")
	p.Together("cert", "key")
}

// Number is the reading of an answer's first row. Null says that it is NULL.
func Number(text string, null bool) scalers.Reading {
	if null {
		return empty(wrong("it gave NULL", "say which number that is, as by coalesce(..., 0)"))
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) { // what it says quotes the value
		return wrong("what it gave is not a finite number", "make it give one number, as by count(*)")
	}
	return scalers.Reading{Value: max(0, v)}
}

// NoRow is the reading of an answer without a row.
func NoRow() scalers.Reading {
	return empty(wrong("it gave no row", "make it give one row with one number, as by count(*)"))
}

// Columns is the reading of an answer that has not one column but n.
func Columns(n int) scalers.Reading {
	return wrong(fmt.Sprintf("it gave %d columns", n), "make it give one row with one number, as by count(*)")
}

func wrong(problem, hint string) scalers.Reading {
	return scalers.Reading{Err: &scalers.Error{Kind: scalers.BadAnswer, Op: Op, Err: errors.New(problem), Hint: hint}}
}

func empty(r scalers.Reading) scalers.Reading {
	r.Empty = true
	return r
}

// Memory knows which queries were slow. The zero value knows nothing. It is safe
// for use by several goroutines.
type Memory struct {
	mu   sync.Mutex
	slow map[Query]bool
}

// slowness is what makes a query slow.
const slowness = time.Second

// Note remembers how long a query took.
func (m *Memory) Note(q Query, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if took < slowness {
		delete(m.slow, q)
		return
	}
	if m.slow == nil {
		m.slow = map[Query]bool{}
	}
	m.slow[q] = true
}

// Rounds puts queries into rounds of at most size each, as indices. Queries that
// were slow come last and alone, so that they hold up no other.
func (m *Memory) Rounds(queries []Query, size int) [][]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	var quick []int
	var slow [][]int
	known := map[Query]bool{}
	for i, q := range queries {
		if m.slow[q] {
			known[q] = true
			slow = append(slow, []int{i})
			continue
		}
		quick = append(quick, i)
	}
	m.slow = known // those that nobody asks for any more are forgotten
	return append(slices.Collect(slices.Chunk(quick, size)), slow...)
}

// Lost is the error of a connection that cannot be made, or broke. Drivers put
// addresses, users and whole connection strings into theirs; only what the network
// or TLS says is kept.
func Lost(ctx context.Context, op string, err error) error {
	e := &scalers.Error{Kind: scalers.Unreachable, Op: op}
	if ctx.Err() != nil {
		e.Err = context.Cause(ctx)
		return e
	}
	var timeout interface{ Timeout() bool }
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		e.Err, e.Hint = errors.New("the host is not known"), "check the host's name"
	} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || untrusted(err) {
		e.Err, e.Hint = errors.New("the server's certificate is not trusted"), "give its certificate authority as ca"
	} else if errno, ok := errors.AsType[syscall.Errno](err); ok {
		e.Err = errno
	} else if errors.As(err, &timeout) && timeout.Timeout() {
		e.Err = errors.New("no answer in time")
	} else {
		e.Err = errors.New("the connection cannot be made, or broke")
	}
	return e
}

// untrusted reports whether err is about a certificate.
func untrusted(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return unknown || host || invalid
}

// Refuse is an error of kind Invalid about how to connect.
func Refuse(problem, hint string) error {
	return &scalers.Error{Kind: scalers.Invalid, Op: "preparing the connection", Err: errors.New(problem), Hint: hint}
}

// Target binds a target that has no default: it is required, and not zero, unless
// the trigger only feeds a formula and formula says that this counts.
func Target(th *scalers.Thresholds, name, activation string, formula bool, p *param.Set) {
	p.Float(&th.Target, name, "What one replica should carry, in the unit of the query's number. Required, except where the trigger only feeds a formula.",
		func(i *param.Info) { i.Default, i.Required = "", !formula })
	p.Float(&th.Activation, activation, "How much is not yet work: the workload wakes from zero above this.")
	p.Check(func() error {
		if formula && th.Target == 0 && !p.Values().FormulaOnly {
			return param.Wrong(name, "is required and must not be zero")
		}
		th.Target = max(0, th.Target)
		return nil
	}, name)
}
