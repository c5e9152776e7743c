// Package postgresql starts a real PostgreSQL server on a loopback port for
// tests. It is a child process that keeps its data in a temporary directory and
// dies with the process that started it. It is not for production.
package postgresql

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/weir-sh/weir/internal/brokers/database"
)

// User is the superuser.
const User = "postgres"

// Options says how a server runs.
type Options struct {
	Password string // of the superuser; not empty
	// Cert and Key are PEM text; with them the server offers TLS.
	Cert, Key []byte
	Config    []string // further settings, as name=value
}

// Server is a running server. Only one goroutine may start or end it at a time.
type Server struct {
	opts Options
	host *database.Host
	port int
}

const (
	pkg  = "postgresql"
	bins = "/usr/lib/postgresql/*/bin/"
)

// Start runs a server and returns when it answers. The error names the missing
// package when PostgreSQL is not installed. The server outlives ctx: call Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	host, err := database.NewHost(pkg, "postgres")
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, host: host}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// prepare makes the files of the database.
func (s *Server) prepare(ctx context.Context) error {
	initdb, err := database.Find("initdb", pkg, bins+"initdb")
	if err != nil {
		return err
	}
	password, err := s.host.Write("password", []byte(s.opts.Password))
	if err != nil {
		return err
	}
	if s.opts.Cert != nil {
		for name, content := range map[string][]byte{"cert.pem": s.opts.Cert, "key.pem": s.opts.Key} {
			if _, err := s.host.Write(name, content); err != nil {
				return err
			}
		}
	}
	if s.port, err = database.FreePort(ctx); err != nil {
		return err
	}
	return s.host.Run(ctx, initdb, "-D", s.host.Dir+"/data", "-U", User, "--pwfile", password,
		"-A", "scram-sha-256", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale", "C")
}

// Restart starts the server again on the same port with the same data, ending it
// first when it still runs. It returns when the server answers.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.host.Kill(); err != nil {
		return err
	}
	path, err := database.Find("postgres", pkg, bins+"postgres")
	if err != nil {
		return err
	}
	args := []string{"-D", s.host.Dir + "/data"}
	settings := []string{
		"listen_addresses=127.0.0.1", "port=" + s.Port(), "unix_socket_directories=", "fsync=off", "full_page_writes=off",
		"shared_buffers=16MB", "autovacuum=off", "log_statement=all",
	}
	if s.opts.Cert != nil {
		settings = append(settings, "ssl=on", "ssl_cert_file="+s.host.Dir+"/cert.pem", "ssl_key_file="+s.host.Dir+"/key.pem")
	}
	for _, v := range append(settings, s.opts.Config...) {
		args = append(args, "-c", v)
	}
	return s.host.Serve(ctx, func(ctx context.Context) error {
		_, err := s.SQL(ctx, "select 1")
		return err
	}, path, args...)
}

// Port is the port the server listens on.
func (s *Server) Port() string { return strconv.Itoa(s.port) }

// Addr is where the server listens, as "127.0.0.1:port".
func (s *Server) Addr() string { return "127.0.0.1:" + s.Port() }

// SQL runs statements as the superuser in the database "postgres" and returns
// what they give, unaligned and without headers.
func (s *Server) SQL(ctx context.Context, text string) (string, error) {
	path, err := database.Find("psql", "postgresql-client", bins+"psql")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", s.Port(), "-U", User, "-d", "postgres", "-c", text) //nolint:gosec // for tests
	cmd.Env = append(cmd.Environ(), "PGPASSWORD="+s.opts.Password, "PGSSLMODE=prefer")
	out, err := cmd.CombinedOutput()
	got := strings.TrimRight(string(out), "\n")
	if err != nil {
		return "", fmt.Errorf("running psql: %w: %s", err, got)
	}
	return got, nil
}

// Kill ends the server as a crash would.
func (s *Server) Kill() error { return s.host.Kill() }

// Stop ends the server and removes its data.
func (s *Server) Stop() error { return s.host.Remove() }
