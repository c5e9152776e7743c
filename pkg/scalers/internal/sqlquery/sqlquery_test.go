package sqlquery_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/sqlquery"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func query(t *testing.T, text string) sqlquery.Query {
	t.Helper()
	var q sqlquery.Query
	if warnings, err := param.Parse(param.Values{Metadata: map[string]string{"query": text}}, q.Bind); err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	return q
}

func TestAStatementMayHaveSeveralLines(t *testing.T) {
	const text = "SELECT\n\t1"
	if got := query(t, text).Text(); got != text {
		t.Errorf("got %q", got)
	}
}

func TestSlowQueriesComeLastAndAlone(t *testing.T) {
	var m sqlquery.Memory
	a, b, c, d := query(t, "a"), query(t, "b"), query(t, "c"), query(t, "d")
	all := []sqlquery.Query{a, b, c, d}
	rounds := func(want string) {
		t.Helper()
		if got := fmt.Sprint(m.Rounds(all, 2)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	rounds("[[0 1] [2 3]]")
	m.Note(a, 2*time.Second)
	m.Note(c, time.Second)
	m.Note(b, time.Millisecond)
	rounds("[[1 3] [0] [2]]")
	m.Note(a, time.Millisecond)
	rounds("[[0 1] [3] [2]]")
	m.Rounds(nil, 2) // nobody asks for c any more
	rounds("[[0 1] [2 3]]")
}

func TestErrorsOfConnectionsShowNoAddress(t *testing.T) {
	host := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("failed to connect to c4n4ry: %w", host), "op: connection refused"},
		{&net.DNSError{Err: "no such host", Name: "c4n4ry", IsNotFound: true}, "op: the host is not known; check the host's name"},
		{&net.DNSError{Err: "timeout", Name: "c4n4ry", IsTimeout: true}, "op: no answer in time"},
		{x509.UnknownAuthorityError{}, "op: the server's certificate is not trusted; give its certificate authority as ca"},
		{os.ErrDeadlineExceeded, "op: no answer in time"},
		{errors.New("c4n4ry"), "op: the connection cannot be made, or broke"},
	} {
		if err := sqlquery.Lost(t.Context(), "op", c.err); err.Error() != c.want || scalers.KindOf(err) != scalers.Unreachable {
			t.Errorf("%v: got %v, want %s", c.err, err, c.want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("time is up"))
	if err := sqlquery.Lost(ctx, "op", host); err.Error() != "op: time is up" {
		t.Errorf("got %v", err)
	}
}
