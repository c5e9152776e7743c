package redis_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{Password: "s3cret", Users: []string{"weir on >s3cret ~* +@all -ping"}})
	gone := server(t, broker.Options{})
	if err := gone.Kill(); err != nil {
		t.Fatal(err)
	}
	web := answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n")
	huge := answering(t, "$9223372036854775807\r\n")
	parrot := answering(t, "-ERR unknown command `AUTH`, with args beginning with: `s3cret`\r\n")
	tests := []struct {
		name, typ      string
		metadata, auth map[string]string
		kind           scalers.Kind
		want           string
	}{{
		name: "wrong password", typ: "redis", metadata: meta("address", s.Addr()), auth: meta("password", "wr0ng"), kind: scalers.Unauthorized,
		want: "connecting to Redis at ADDR: WRONGPASS invalid username-password pair or user is disabled.; check username and password",
	}, {
		name: "no password", typ: "redis", metadata: meta("address", s.Addr()), kind: scalers.Unauthorized,
		want: "connecting to Redis at ADDR: NOAUTH Authentication required.; check username and password",
	}, {
		name: "no permission", typ: "redis", metadata: meta("address", s.Addr(), "username", "weir"), auth: meta("password", "s3cret"), kind: scalers.Unauthorized,
		want: "connecting to Redis at ADDR: NOPERM this user has no permissions to run the 'ping' command; allow the user the commands and keys that the scaler's page lists",
	}, {
		name: "no database", typ: "redis", metadata: meta("address", s.Addr(), "databaseIndex", "99"), auth: meta("password", "s3cret"), kind: scalers.BadAnswer,
		want: "connecting to Redis at ADDR: ERR DB index is out of range; lower databaseIndex, or raise the server's number of databases",
	}, {
		name: "no cluster", typ: "redis-cluster", metadata: meta("address", s.Addr()), auth: meta("password", "s3cret"), kind: scalers.BadAnswer,
		want: "connecting to the Redis cluster at ADDR: ERR This instance has cluster support disabled; the server is not part of a cluster; use the trigger type without -cluster",
	}, {
		name: "no sentinel", typ: "redis-sentinel", metadata: meta("address", gone.Addr(), "sentinelMaster", "m"), kind: scalers.Unreachable,
		want: "connecting to the Redis sentinels at ADDR: redis: all sentinels specified in configuration are unreachable: dial tcp ADDR: connect: connection refused; " +
			"check address, network policies and enableTLS",
	}, {
		name: "no master", typ: "redis-sentinel", metadata: meta("address", gone.Addr()), kind: scalers.Invalid,
		want: "connecting to the Redis sentinels at ADDR; set sentinelMaster",
	}, {
		name: "nobody there", typ: "redis", metadata: meta("address", gone.Addr()), kind: scalers.Unreachable,
		want: "connecting to Redis at ADDR: dial tcp ADDR: connect: connection refused; check address, network policies and enableTLS",
	}, {
		name: "no Redis", typ: "redis", metadata: meta("address", web), kind: scalers.BadAnswer,
		want: "connecting to Redis at ADDR: the answer is not the Redis protocol: unknown type 'H'; check that the address is a Redis server, and whether it needs TLS",
	}, {
		name: "a server that means harm", typ: "redis-cluster", metadata: meta("address", huge), kind: scalers.BadAnswer,
		want: "connecting to the Redis cluster at ADDR: the answer is not the Redis protocol: a length that is no number from -1 to 4194304; " +
			"check that the address is a Redis server, and whether it needs TLS",
	}, {
		name: "a server that quotes the password", typ: "redis", metadata: meta("address", parrot), auth: meta("password", "s3cret"), kind: scalers.BadAnswer,
		want: "connecting to Redis at ADDR: ERR unknown command `AUTH`, with args beginning with: `[redacted]`; check that the server supports the command",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := tt.metadata["address"]
			tt.metadata["listName"] = "q"
			conn, err := parse(t, tt.typ, tt.metadata, tt.auth).Source.Open(within(t, soon), env())
			if err == nil {
				t.Fatal(errors.Join(errors.New("Open succeeded"), conn.Close()))
			}
			if got := strings.ReplaceAll(err.Error(), addr, "ADDR"); got != tt.want || scalers.KindOf(err) != tt.kind {
				t.Errorf("Open: %s %s\nwant %s %s", scalers.KindOf(err), got, tt.kind, tt.want)
			}
		})
	}
}

// listening serves each connection with handle until the test ends.
func listening(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing the listener: %v", err)
		}
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				handle(c)
				if err := c.Close(); err != nil {
					t.Errorf("closing a connection: %v", err)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// answering answers every command with text.
func answering(t *testing.T, text string) string {
	t.Helper()
	return listening(t, func(c net.Conn) {
		lines := bufio.NewScanner(c)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "*") {
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
			}
		}
	})
}

// blackHole accepts connections and reads, but never answers.
func blackHole(t *testing.T) string {
	t.Helper()
	return listening(t, func(c net.Conn) {
		for b := make([]byte, 1<<10); ; {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	})
}

func TestNothingOutlivesItsContext(t *testing.T) {
	t.Parallel()
	hole := blackHole(t)
	s := server(t, broker.Options{})
	real := parse(t, "redis", meta("listName", "q", "address", s.Addr()), nil)
	conn := open(t, real)
	tests := []struct {
		name string
		run  func(context.Context) error
	}{
		{"open", func(ctx context.Context) error {
			_, err := parse(t, "redis", meta("listName", "q", "address", hole), nil).Source.Open(ctx, env())
			return err
		}},
		{"open by TLS", func(ctx context.Context) error {
			_, err := parse(t, "redis", meta("listName", "q", "address", hole, "enableTLS", "true"), nil).Source.Open(ctx, env())
			return err
		}},
		{"open a cluster", func(ctx context.Context) error {
			_, err := parse(t, "redis-cluster", meta("listName", "q", "address", hole), nil).Source.Open(ctx, env())
			return err
		}},
		{"ask sentinels", func(ctx context.Context) error {
			_, err := parse(t, "redis-sentinel", meta("listName", "q", "address", hole, "sentinelMaster", "m"), nil).Source.Open(ctx, env())
			return err
		}},
		{"fetch", func(ctx context.Context) error {
			_, err := conn.Fetch(ctx, []scalers.Query{real.Query})
			return err
		}},
	}
	cli(t, s, "client", "pause", "60000", "all")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			begin := time.Now()
			err := tt.run(ctx)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("it took %v, and the context 100ms", took)
			}
			if !errors.Is(err, context.Canceled) || scalers.KindOf(err) != scalers.Unreachable {
				t.Errorf("error %v of kind %s", err, scalers.KindOf(err))
			}
		})
	}
	if err := s.Restart(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	wantReading(t, "after the cut", measure(t, conn, real)[0], 0, "", "")
}

func TestAServerThatDies(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	trigger := parse(t, "redis", meta("listName", "q", "address", s.Addr()), nil)
	conn := open(t, trigger)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Fetch(within(t, soon), []scalers.Query{trigger.Query}); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("Fetch from a dead server: %v", err)
	}
	if err := s.Restart(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	cli(t, s, "rpush", "q", "a")
	wantReading(t, "reopened", measure(t, open(t, trigger), trigger)[0], 1, "", "")
}

func TestAPasswordThatChanges(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{Users: []string{"weir on >old ~* +@all"}})
	trigger := parse(t, "redis", meta("listName", "q", "address", s.Addr(), "username", "weir"), meta("password", "old"))
	conn := open(t, trigger)
	cli(t, s, "acl", "setuser", "weir", "resetpass", ">new")
	cli(t, s, append([]string{"client", "kill", "user"}, "weir")...)
	ctx := within(t, soon)
	_, err := conn.Fetch(ctx, []scalers.Query{trigger.Query})
	if scalers.KindOf(err) == scalers.Unreachable { // the cut connection is noticed first
		_, err = conn.Fetch(ctx, []scalers.Query{trigger.Query})
	}
	if scalers.KindOf(err) != scalers.Unauthorized {
		t.Errorf("Fetch with the old password: %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	pair := certificate(t)
	s := server(t, broker.Options{TLS: &broker.TLS{CA: pair.cert, Cert: pair.cert, Key: pair.key, ClientCert: true}})
	cli(t, s, "rpush", "q", "a", "b")
	auth := meta("ca", pair.certPEM, "cert", pair.certPEM, "key", pair.keyPEM)
	trigger := parse(t, "redis", meta("listName", "q", "address", s.Addr(), "enableTLS", "true"), auth)
	conn := open(t, trigger)
	wantReading(t, "by TLS", measure(t, conn, trigger)[0], 2, "", "")
	w := startWatch(t, conn, trigger)
	w.ready(t)
	cli(t, s, "rpush", "q", "c")
	w.wakes(t, trigger)

	for name, wrong := range map[string]scalers.Trigger{
		"plain": parse(t, "redis", meta("listName", "q", "address", s.Addr()), nil),
		"no ca": parse(t, "redis", meta("listName", "q", "address", s.Addr(), "enableTLS", "true"), meta("cert", pair.certPEM, "key", pair.keyPEM)),
	} {
		if _, err := wrong.Source.Open(within(t, soon), env()); scalers.KindOf(err) != scalers.Unreachable {
			t.Errorf("%s: Open: %v", name, err)
		}
	}
	bad := parse(t, "redis", meta("listName", "q", "address", s.Addr(), "enableTLS", "true"), meta("ca", "no PEM"))
	if _, err := bad.Source.Open(within(t, soon), env()); scalers.KindOf(err) != scalers.Invalid {
		t.Errorf("a bad certificate authority: Open: %v", err)
	}
}

// identity is a self-signed certificate, as text and as files.
type identity struct{ certPEM, keyPEM, cert, key string }

func certificate(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id := identity{
		certPEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		keyPEM:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		cert:    filepath.Join(t.TempDir(), "cert.pem"), key: filepath.Join(t.TempDir(), "key.pem"),
	}
	for file, text := range map[string]string{id.cert: id.certPEM, id.key: id.keyPEM} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return id
}
