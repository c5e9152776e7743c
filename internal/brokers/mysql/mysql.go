// Package mysql starts a real MariaDB server on a loopback port for tests. It is a
// child process that keeps its data in a temporary directory and dies with the
// process that started it. It is not for production.
package mysql

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/weir-sh/weir/internal/brokers/database"
)

// User may do everything, from anywhere.
const User = "admin"

// Database is there from the start.
const Database = "shop"

// Options says how a server runs.
type Options struct {
	Password string // of User; not empty, without quotes and backslashes
	// Cert and Key are PEM text; with them the server offers TLS.
	Cert, Key []byte
	Flags     []string // further flags, as --name=value
}

// Server is a running server. Only one goroutine may start or end it at a time.
type Server struct {
	opts Options
	host *database.Host
	port int
}

const pkg = "mariadb-server"

// Start runs a server and returns when it answers. The error names the missing
// package when MariaDB is not installed. The server outlives ctx: call Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	host, err := database.NewHost("mysql", "mysql")
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

// prepare makes the files of the server.
func (s *Server) prepare(ctx context.Context) error {
	install, err := database.Find("mariadb-install-db", pkg)
	if err != nil {
		return err
	}
	first := fmt.Sprintf("CREATE DATABASE IF NOT EXISTS %s;\nCREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO %s@'%%' WITH GRANT OPTION;\n",
		Database, User, s.opts.Password, User)
	if _, err := s.host.Write("first.sql", []byte(first)); err != nil {
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
	return s.host.Run(ctx, install, "--no-defaults", "--datadir="+s.host.Dir+"/data", "--skip-test-db",
		"--auth-root-authentication-method=normal", "--skip-name-resolve")
}

// Restart starts the server again on the same port with the same data, ending it
// first when it still runs. It returns when the server answers.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.host.Kill(); err != nil {
		return err
	}
	path, err := database.Find("mariadbd", pkg)
	if err != nil {
		return err
	}
	args := []string{
		"--no-defaults", "--datadir=" + s.host.Dir + "/data", "--bind-address=127.0.0.1", "--port=" + s.Port(), "--skip-name-resolve",
		"--socket=" + s.host.Dir + "/socket", "--pid-file=" + s.host.Dir + "/pid", "--init-file=" + s.host.Dir + "/first.sql",
		"--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=2", "--skip-log-bin",
	}
	if s.opts.Cert != nil {
		args = append(args, "--ssl-cert="+s.host.Dir+"/cert.pem", "--ssl-key="+s.host.Dir+"/key.pem")
	}
	return s.host.Serve(ctx, func(ctx context.Context) error {
		_, err := s.SQL(ctx, "select 1")
		return err
	}, path, append(args, s.opts.Flags...)...)
}

// Port is the port the server listens on.
func (s *Server) Port() string { return strconv.Itoa(s.port) }

// Addr is where the server listens, as "127.0.0.1:port".
func (s *Server) Addr() string { return "127.0.0.1:" + s.Port() }

// SQL runs statements as User in Database and returns what they give, without
// headers.
func (s *Server) SQL(ctx context.Context, text string) (string, error) {
	path, err := database.Find("mariadb", "mariadb-client")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, "--no-defaults", "-N", "-B", "-h", "127.0.0.1", "-P", s.Port(), "-u", User, "-e", text, Database) //nolint:gosec // for tests
	cmd.Env = append(cmd.Environ(), "MYSQL_PWD="+s.opts.Password)
	out, err := cmd.CombinedOutput()
	got := strings.TrimRight(string(out), "\n")
	if err != nil {
		return "", fmt.Errorf("running mariadb: %w: %s", err, got)
	}
	return got, nil
}

// Kill ends the server as a crash would.
func (s *Server) Kill() error { return s.host.Kill() }

// Stop ends the server and removes its data.
func (s *Server) Stop() error { return s.host.Remove() }
