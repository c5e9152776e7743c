package grpcx_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/grpcx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEndpoint(t *testing.T) {
	for address, want := range map[string]string{
		"h:1":               "h:1",
		"dns:///h:1":        "h:1",
		"passthrough:///h":  "h:443",
		"h.ns.svc":          "h.ns.svc:443",
		"10.0.0.1":          "10.0.0.1:443",
		"[::1]:6000":        "[::1]:6000",
		"[::1]":             "[::1]:443",
		"::1":               "[::1]:443",
		"":                  "",
		":6000":             "",
		"h:":                "",
		"h:grpc":            "",
		"a:b:c":             "",
		"h 1:2":             "",
		"unix:/run/x.sock":  "",
		"unix:///run/x":     "",
		"http://h:1":        "",
		"user:pw@h:1":       "",
		"xds:///h":          "",
		"dns://8.8.8.8/h:1": "",
	} {
		got, ok := grpcx.Endpoint(address)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %q, %v, want %q", address, got, ok, want)
		}
	}
}

func TestFailed(t *testing.T) {
	long := `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`
	hide := func(s string) string { return strings.ReplaceAll(s, "s3cret", "[redacted]") }
	for _, c := range []struct {
		err  error
		kind scalers.Kind
		want string
	}{
		{status.Error(codes.Unavailable, long), scalers.Unreachable, "asking: dial tcp 127.0.0.1:1: connect: connection refused"},
		{status.Error(codes.Unavailable, "x509: no"), scalers.Unreachable, "asking: x509: no; trust the server's certificate authority"},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), scalers.Unreachable, "asking: no answer in time"},
		{status.Error(codes.Canceled, "context canceled"), scalers.Unreachable, "asking: the call was given up"},
		{status.Error(codes.Unauthenticated, "who\n s3cret"), scalers.Unauthorized, "asking: the server answered Unauthenticated: who  [redacted]"},
		{status.Error(codes.PermissionDenied, ""), scalers.Unauthorized, "asking: the server answered PermissionDenied"},
		{status.Error(codes.NotFound, "x"), scalers.NotFound, "asking: the server answered NotFound: x"},
		{status.Error(codes.ResourceExhausted, "x"), scalers.Throttled, "asking: the server answered ResourceExhausted: x"},
		{status.Error(codes.ResourceExhausted, "grpc: received message larger than max"), scalers.BadAnswer, "asking: the server answered ResourceExhausted: grpc: received message larger than max"},
		{status.Error(codes.Internal, strings.Repeat("x", 300)), scalers.BadAnswer, "asking: the server answered Internal: " + strings.Repeat("x", 197) + "..."},
		{errors.New("odd"), scalers.Unreachable, "asking: odd"},
	} {
		if err := grpcx.Failed("asking", c.err, hide); scalers.KindOf(err) != c.kind || err.Error() != c.want {
			t.Errorf("%v: got %s %q, want %s %q", c.err, scalers.KindOf(err), err, c.kind, c.want)
		}
	}
}

// TestTheProcessDials shows that nothing goes past the process's dialer, and that
// its reason to refuse is told.
func TestTheProcessDials(t *testing.T) {
	asked := ""
	conn, err := grpcx.Connect(scalers.Env{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		asked = address
		return nil, errors.New("the address may not be reached")
	}}, "example.test:6000", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if got, want := grpcx.Failed("asking", err, nil).Error(), "asking: the address may not be reached"; got != want || asked != "example.test:6000" {
		t.Errorf("got %q for %s, want %q", got, asked, want)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatCannotBeUsed(t *testing.T) {
	_, err := grpcx.Connect(scalers.Env{}, "unix:///c4n4ry", nil)
	want := "preparing the gRPC connection: the address cannot be used; give the address as host:port"
	if scalers.KindOf(err) != scalers.Invalid || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
