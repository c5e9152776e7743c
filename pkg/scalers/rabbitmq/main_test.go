package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	broker "github.com/weir-sh/weir/internal/brokers/rabbitmq"
	"github.com/weir-sh/weir/internal/testpki"
)

// live is the one real broker of this test binary; starting takes seconds.
var live struct {
	once   sync.Once
	dir    string
	server *broker.Server
	err    error
	tls    string // address with TLS, as "host:port"
	pki    testpki.PKI
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopLive(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// start returns the broker, which the first caller starts. Tests that use it do
// not run in parallel: one of them kills it.
func start(t *testing.T) *broker.Server {
	t.Helper()
	live.once.Do(func() { live.err = startLive() })
	if errors.Is(live.err, exec.ErrNotFound) {
		t.Skip(live.err)
	}
	if live.err != nil {
		t.Fatal(live.err)
	}
	return live.server
}

func startLive() error {
	var err error
	if live.dir, err = os.MkdirTemp("", "weir-rabbitmq-"); err != nil {
		return err
	}
	if live.pki, err = testpki.New(); err != nil {
		return err
	}
	conf := []string{"ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = false"}
	for option, pem := range map[string]string{"cacertfile": live.pki.CA, "certfile": live.pki.Cert, "keyfile": live.pki.Key} {
		path := filepath.Join(live.dir, option+".pem")
		if err := os.WriteFile(path, []byte(pem), 0o600); err != nil {
			return err
		}
		conf = append(conf, "ssl_options."+option+" = "+path)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	live.tls = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	conf = append(conf, "listeners.ssl.default = "+live.tls)
	live.server, err = broker.Start(context.Background(), broker.Options{Dir: filepath.Join(live.dir, "server"), Config: conf})
	return err
}

func stopLive() error {
	var err error
	if live.server != nil {
		err = live.server.Stop()
	}
	if live.dir != "" {
		err = errors.Join(err, os.RemoveAll(live.dir))
	}
	return err
}
