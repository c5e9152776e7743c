// Package redis starts real Redis servers on loopback ports for tests, demos
// and benchmarks: one server, a cluster of three masters, or a master with a
// replica and a sentinel.
//
// The servers are child processes in the foreground. They keep nothing on disk
// and die with the process that started them. The package is not for production
// and uses the standard library only.
package redis

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-sh/weir/internal/brokers/process"
)

// Options says how a server runs. The zero value is an open server on a free
// port.
type Options struct {
	// Dir holds configuration and log. Empty means a temporary directory, which
	// Stop removes.
	Dir string
	// Port is where the server listens on 127.0.0.1; zero picks a free one.
	Port int
	// Password of the default user; empty means none is needed.
	Password string
	// Users are ACL users as in redis.conf: "weir on >secret ~* +@all".
	Users []string
	// TLS makes the server speak TLS only.
	TLS *TLS
	// Config holds further lines of redis.conf.
	Config []string
}

// TLS names PEM files.
type TLS struct {
	CA, Cert, Key string
	// ClientCert makes the server ask every client for a certificate of CA.
	ClientCert bool
}

// Server is a running redis-server. Its methods are safe for use by several
// goroutines, except that only one may start or end the process at a time.
type Server struct {
	opts    Options
	program string
	tempDir bool

	mu   sync.Mutex       // guards proc
	proc *process.Process // nil while the server is down
}

// Start runs a server and returns when it answers. The error names the missing
// package when redis-server is not installed. The server outlives ctx: call
// Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	return start(ctx, "redis-server", opts)
}

func start(ctx context.Context, program string, opts Options) (*Server, error) {
	s := &Server{opts: opts, program: program}
	if s.opts.Dir == "" {
		dir, err := os.MkdirTemp("", "redis-")
		if err != nil {
			return nil, fmt.Errorf("making a directory for %s: %w", program, err)
		}
		s.opts.Dir, s.tempDir = dir, true
	}
	attempts := 1
	if opts.Port == 0 {
		attempts = 3 // somebody else may take the port between choosing and listening
	}
	var err error
	for range attempts {
		if opts.Port == 0 {
			if s.opts.Port, err = freePort(ctx); err != nil {
				break
			}
		}
		if err = s.Restart(ctx); err == nil || !strings.Contains(err.Error(), "in use") {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Addr is where the server listens, as "127.0.0.1:port".
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", s.Port()) }

// Port is the port the server listens on.
func (s *Server) Port() string { return strconv.Itoa(s.opts.Port) }

// Restart starts the server again on the same port, empty, ending it first when
// it still runs. It returns when the server answers.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Kill(); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	path, err := find(s.program)
	if err != nil {
		return err
	}
	args := []string{s.file("redis.conf")}
	if s.program == "redis-sentinel" {
		args = append(args, "--sentinel")
	}
	p, err := process.Start(path, args, nil, s.file("log"))
	if err != nil {
		return fmt.Errorf("starting %s: %w", s.program, err)
	}
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	return s.await(ctx, p)
}

// Kill ends the server as a crash would (SIGKILL) and waits for its end. It
// does nothing when the server is down.
func (s *Server) Kill() error {
	s.mu.Lock()
	p := s.proc
	s.proc = nil
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.Kill()
}

// Stop ends the server and removes its directory when Start made it.
func (s *Server) Stop() error {
	err := s.Kill()
	if s.tempDir {
		err = errors.Join(err, os.RemoveAll(s.opts.Dir))
	}
	return err
}

// CLI runs redis-cli against the server, as the default user, and returns what
// it prints without the last line break. An error reply is an error.
func (s *Server) CLI(ctx context.Context, args ...string) (string, error) {
	path, err := find("redis-cli")
	if err != nil {
		return "", err
	}
	flags := []string{"-e", "-h", "127.0.0.1", "-p", s.Port()}
	if s.opts.Password != "" {
		flags = append(flags, "--no-auth-warning", "-a", s.opts.Password)
	}
	if t := s.opts.TLS; t != nil {
		flags = append(flags, "--tls", "--cacert", t.CA, "--cert", t.Cert, "--key", t.Key)
	}
	out, err := exec.CommandContext(ctx, path, slices.Concat(flags, args)...).CombinedOutput() //nolint:gosec // for tests
	text := strings.TrimRight(string(out), "\n")
	if err != nil {
		return "", fmt.Errorf("running redis-cli: %w: %s", err, text)
	}
	return text, nil
}

// file is the path of a file in the server's directory.
func (s *Server) file(name string) string { return filepath.Join(s.opts.Dir, name) }

// configure writes redis.conf, anew each time because a sentinel rewrites it.
func (s *Server) configure() error {
	lines := []string{"bind 127.0.0.1", "daemonize no", `logfile ""`, fmt.Sprintf("dir %q", s.opts.Dir)}
	if t := s.opts.TLS; t != nil {
		lines = append(lines, "port 0", "tls-port "+s.Port(), "tls-ca-cert-file "+t.CA,
			"tls-cert-file "+t.Cert, "tls-key-file "+t.Key, "tls-auth-clients "+yesNo(t.ClientCert))
	} else {
		lines = append(lines, "port "+s.Port())
	}
	if s.program == "redis-server" {
		lines = append(lines, `save ""`, "appendonly no")
	}
	if s.opts.Password != "" {
		lines = append(lines, fmt.Sprintf("requirepass %q", s.opts.Password))
	}
	for _, u := range s.opts.Users {
		lines = append(lines, "user "+u)
	}
	text := strings.Join(slices.Concat(lines, s.opts.Config), "\n") + "\n"
	if err := os.WriteFile(s.file("redis.conf"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuring %s: %w", s.program, err)
	}
	return nil
}

// await returns when the server answers, ends or ctx ends.
func (s *Server) await(ctx context.Context, p *process.Process) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !s.answers(ctx) {
		select {
		case <-tick.C:
		case <-p.Done():
			return fmt.Errorf("starting %s on port %d: it ended: %s", s.program, s.opts.Port, strings.TrimSpace(p.Tail()))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("starting %s on port %d: %w", s.program, s.opts.Port, ctx.Err()), s.Kill())
		}
	}
	return nil
}

// answers reports whether the server replies to PING, if only to ask for a
// password.
func (s *Server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return false
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	deadline, _ := ctx.Deadline()
	if conn.SetDeadline(deadline) != nil {
		return false
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return false
	}
	reply := make([]byte, 7)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return false
	}
	return bytes.HasPrefix(reply, []byte("+PONG")) || bytes.HasPrefix(reply, []byte("-NOAUTH"))
}

func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	if s.opts.TLS == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	}
	pair, err := tls.LoadX509KeyPair(s.opts.TLS.Cert, s.opts.TLS.Key)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{Config: &tls.Config{
		Certificates:       []tls.Certificate{pair},
		InsecureSkipVerify: true, //nolint:gosec // only asks whether our own child answers
	}}
	return d.DialContext(ctx, "tcp", s.Addr())
}

// find returns the path of an installed program.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s not found; install the packages redis-server and redis-sentinel, or run `make deps`", program)
	}
	return path, nil
}

// freePort returns a port that nobody listens on at this moment.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(fmt.Errorf("finding a free port: listening on %v", l.Addr()), l.Close())
	}
	return addr.Port, l.Close()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
