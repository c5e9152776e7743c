// Package rabbitmq runs a real RabbitMQ broker on loopback for tests, demos and
// benchmarks.
//
// Every server has its own ports, node name, data directory, Erlang cookie and
// port mapper (epmd), so that several run side by side and beside one that
// belongs to the system. The children die with the process that started them.
// The broker itself comes from the distribution's package; nothing is
// downloaded.
package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weir-sh/weir/internal/brokers/process"
)

// Options says how to start a server.
type Options struct {
	// Dir receives configuration, data and logs; it is made when missing.
	// Required. It stays behind after Stop.
	Dir string
	// Progress is told what is being waited for; nil is silent.
	Progress func(string)
	// Config holds further lines of rabbitmq.conf, such as TLS listeners.
	Config []string
}

// Server is a broker that was started. Its methods are for one goroutine at a
// time.
type Server struct {
	dir, bin string // bin holds rabbitmq-server and rabbitmqctl
	progress func(string)
	config   []string

	amqp, management, dist, epmd int // ports on 127.0.0.1

	broker, mapper *process.Process
}

// The users and limits of a server. The user may connect from loopback only.
const (
	user      = "guest"
	startTime = 3 * time.Minute  // without a deadline of the caller's; 8 s on a quiet machine
	stopTime  = 30 * time.Second // before a broker that does not stop is killed
	attempts  = 3                // when another program took a port meanwhile
)

// errPortTaken says that another program took a port between choosing and using it.
var errPortTaken = errors.New("another program took one of the chosen ports")

// Start runs a broker with the management plugin and returns once both answer.
// Without a deadline in ctx it waits at most 3 minutes. The error names the
// missing package when RabbitMQ is not installed.
func Start(ctx context.Context, o Options) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil || o.Dir == "" {
		return nil, fmt.Errorf("starting RabbitMQ: Options.Dir must name a directory: %w", errors.Join(err, os.ErrInvalid))
	}
	s := &Server{dir: dir, bin: bin, progress: o.Progress, config: o.Config}
	if s.progress == nil {
		s.progress = func(string) {}
	}
	for range attempts {
		if err = s.choosePorts(ctx); err != nil {
			break
		}
		if err = s.Restart(ctx); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// AMQPURL is the broker's address with credentials and the default virtual host.
func (s *Server) AMQPURL() string {
	return fmt.Sprintf("amqp://%s:%s@%s/", user, user, s.AMQPAddr())
}

// AMQPAddr is the broker's address as "host:port".
func (s *Server) AMQPAddr() string { return loopback(s.amqp) }

// ManagementURL is the address of the management API with credentials, without
// a path.
func (s *Server) ManagementURL() string {
	return fmt.Sprintf("http://%s:%s@%s", user, user, loopback(s.management))
}

// Restart starts the broker on the ports and data it had, after Stop or Kill; a
// running one is stopped first.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.stopBroker(); err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTime)
		defer cancel()
	}
	if err := s.writeFiles(); err != nil {
		return fmt.Errorf("starting RabbitMQ: %w", err)
	}
	if err := s.startMapper(ctx); err != nil {
		return err
	}
	var err error
	if s.broker, err = process.Start(filepath.Join(s.bin, "rabbitmq-server"), nil, s.env(), filepath.Join(s.dir, "log", "out.log")); err != nil {
		return fmt.Errorf("starting RabbitMQ: %w", err)
	}
	return s.waitReady(ctx)
}

// Stop shuts the broker down in order and takes its port mapper away. It may be
// called again.
func (s *Server) Stop() error {
	err := s.stopBroker()
	if s.mapper != nil {
		err = errors.Join(err, s.mapper.Kill())
		s.mapper = nil
	}
	return err
}

// Kill ends the Erlang machine at once, as a crash would. Restart brings the
// broker back with what it had stored, which may lack the last moments.
func (s *Server) Kill() error {
	if s.broker == nil {
		return nil
	}
	err := s.broker.Kill()
	s.broker = nil
	return err
}

// Ctl runs rabbitmqctl against the server and returns what it prints. A call
// takes about 2 seconds.
func (s *Server) Ctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "rabbitmqctl"), args...) //nolint:gosec // the path is one of binaries
	cmd.Env, cmd.Dir = s.env(), s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running rabbitmqctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

func (s *Server) stopBroker() error {
	if s.broker == nil {
		return nil
	}
	err := s.broker.Stop(stopTime)
	s.broker = nil
	return err
}

// waitReady returns when the management API answers, which starts last.
func (s *Server) waitReady(ctx context.Context) error {
	s.progress("waiting for RabbitMQ's management API on " + loopback(s.management))
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		err := s.overview(ctx, client)
		if err == nil {
			s.progress("RabbitMQ is ready on " + s.AMQPAddr())
			return nil
		}
		select {
		case <-s.broker.Done():
			return s.exited()
		case <-ctx.Done():
			return fmt.Errorf("waiting for RabbitMQ's management API on %s: %w: last answer: %w; see %s",
				loopback(s.management), ctx.Err(), err, filepath.Join(s.dir, "log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// exited explains a broker that ended while starting.
func (s *Server) exited() error {
	tail := s.broker.Tail()
	for _, sign := range []string{"eaddrinuse", "already_used", "already in use"} {
		if strings.Contains(tail, sign) {
			return fmt.Errorf("starting RabbitMQ: %w", errPortTaken)
		}
	}
	return fmt.Errorf("starting RabbitMQ: it ended by itself (%w); the end of its output:\n%s", s.broker.Wait(), tail)
}

func (s *Server) overview(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(s.management)+"/api/overview?columns=node", http.NoBody)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user, user)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

// startMapper runs the Erlang port mapper in the foreground, since one that the
// broker starts itself would outlive it.
func (s *Server) startMapper(ctx context.Context) error {
	if s.mapper != nil {
		return nil
	}
	path, err := exec.LookPath("epmd")
	if err != nil {
		return fmt.Errorf("starting RabbitMQ: epmd is missing; install the Debian package erlang-base: %w", err)
	}
	if s.mapper, err = process.Start(path, []string{"-port", strconv.Itoa(s.epmd), "-address", "127.0.0.1"}, s.env(), filepath.Join(s.dir, "log", "epmd.log")); err != nil {
		return fmt.Errorf("starting epmd: %w", err)
	}
	s.progress("waiting for Erlang's port mapper on " + loopback(s.epmd))
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", loopback(s.epmd))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.mapper.Done():
			s.mapper = nil
			return fmt.Errorf("starting epmd: %w", errPortTaken)
		case <-ctx.Done():
			return fmt.Errorf("waiting for epmd on %s: %w", loopback(s.epmd), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// choosePorts picks four ports that are free now.
func (s *Server) choosePorts(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	for _, port := range []*int{&s.amqp, &s.management, &s.dist, &s.epmd} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("choosing a port for RabbitMQ: %w", err)
		}
		defer l.Close() //nolint:errcheck // all are held until the last is chosen; nothing was accepted
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// binaries finds the directory of the real scripts: the ones in /usr/sbin
// insist on the system's user and directories.
func binaries() (string, error) {
	for _, dir := range []string{"/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, "rabbitmq-server")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("starting RabbitMQ: it is not installed: %w; run apt-get install -y --no-install-recommends rabbitmq-server", exec.ErrNotFound)
}
