package mysql_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	broker "github.com/weir-sh/weir/internal/brokers/mysql"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/mysql"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// soon bounds what a test may wait for; nothing healthy takes a tenth of it.
const soon = 60 * time.Second

const password = `a c4n4ry/pass:word@1`

// certificate is that of the server, for 127.0.0.1, and its own authority.
func certificate() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// server is shared by all tests: none changes what another reads.
var (
	server *broker.Server
	ca     string
)

func TestMain(m *testing.M) {
	code := 1
	stop, err := start()
	if err == nil {
		code = m.Run()
		err = stop()
	}
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// start runs a server with a few tables.
func start() (stop func() error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	cert, key, err := certificate()
	if err != nil {
		return nil, err
	}
	ca = string(cert)
	if server, err = broker.Start(ctx, broker.Options{Password: password, Cert: cert, Key: key}); err != nil {
		return nil, err
	}
	_, err = server.SQL(ctx, "create table jobs (n int, state text); insert into jobs (n) values (1),(2),(3),(4),(5),(6),(7); create table secret (n int);"+
		"create user weir@'%' identified by 'pw'; grant select on shop.jobs to weir@'%'")
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server.Stop, nil
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// fields are the parameters of a trigger that connects with single fields.
func fields(query string, more ...string) param.Values {
	v := param.Values{
		Metadata: map[string]string{
			"query": query, "queryValue": "5", "host": "127.0.0.1", "port": server.Port(), "username": broker.User, "dbName": broker.Database,
		},
		Auth: map[string]string{"password": password},
	}
	for i := 0; i < len(more); i += 2 {
		if more[i] == "password" || more[i] == "ca" {
			v.Auth[more[i]] = more[i+1]
			continue
		}
		v.Metadata[more[i]] = more[i+1]
	}
	return v
}

// connection is a trigger with a connection string.
func connection(query, text string) param.Values {
	return param.Values{
		Metadata: map[string]string{"query": query, "queryValue": "5"},
		Auth:     map[string]string{"connectionString": text},
	}
}

// env counts the connections that a source makes.
func env(count *atomic.Int32) scalers.Env {
	return scalers.Env{
		Log: slog.New(slog.DiscardHandler), ClientName: "weir-test",
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if count != nil {
				count.Add(1)
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := mysql.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}

func connect(t *testing.T, v param.Values, e scalers.Env) scalers.Conn {
	t.Helper()
	conn, err := parse(t, v).Source.Open(within(t, soon), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return conn
}

func fetch(t *testing.T, conn scalers.Conn, all ...param.Values) []scalers.Reading {
	t.Helper()
	queries := make([]scalers.Query, len(all))
	for i, v := range all {
		queries[i] = parse(t, v).Query
	}
	readings, err := conn.Fetch(within(t, soon), queries)
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

// measure fetches one trigger through a source of its own; the error may be that
// of opening it.
func measure(t *testing.T, v param.Values) scalers.Reading {
	t.Helper()
	conn, err := parse(t, v).Source.Open(within(t, soon), env(nil))
	if err != nil {
		return scalers.Reading{Err: err}
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}()
	return fetch(t, conn, v)[0]
}

// want compares a reading's value, or its error's kind and text.
func want(t *testing.T, what string, got scalers.Reading, value float64, kind scalers.Kind, text string) {
	t.Helper()
	switch {
	case got.Err != nil:
		if k := scalers.KindOf(got.Err); k != kind || got.Err.Error() != text {
			t.Errorf("%s: %s error %q, want %s %q", what, k, got.Err, kind, text)
		}
	case kind != "" || got.Value != value:
		t.Errorf("%s = %v, want %v %s", what, got.Value, value, kind)
	}
}
