// Package prometheus runs a real Prometheus server on loopback for tests. It
// scrapes what it is told to every second, keeps its data in a temporary directory
// and dies with the process that started it. It is not for production.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-sh/weir/internal/brokers/process"
)

// Options say how a server runs.
type Options struct {
	// Targets are scraped at their path /metrics, each as "host:port".
	Targets []string
	// Flags are added to the command line.
	Flags []string
}

// Server is a running server. Its methods are for one goroutine at a time.
type Server struct {
	dir    string
	addr   string
	proc   *process.Process // nil when it does not run
	client *http.Client
}

const (
	attempts = 3                // when another program takes the port meanwhile
	stopTime = 30 * time.Second // before a server that does not stop is killed
)

// Start runs a server and returns when it answers, which takes 0.3 s on a quiet
// machine. The error names the missing package when Prometheus is not installed.
// The server outlives ctx: call Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	path, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, fmt.Errorf("%w; install the package prometheus, or run `make deps`", err)
	}
	dir, err := os.MkdirTemp("", "prometheus-")
	if err != nil {
		return nil, fmt.Errorf("starting Prometheus: %w", err)
	}
	s := &Server{dir: dir, client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	for range attempts {
		if err = s.start(ctx, path, opts); err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting Prometheus: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, path string, opts Options) error {
	targets, err := json.Marshal(opts.Targets) // a list in JSON is one in YAML
	if err != nil {
		return err
	}
	config := filepath.Join(s.dir, "prometheus.yml")
	err = os.WriteFile(config, []byte(`global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: test, static_configs: [{targets: `+string(targets)+`}]}]
`), 0o600)
	if err != nil {
		return err
	}
	if s.addr, err = freeAddress(ctx); err != nil {
		return err
	}
	args := []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(s.dir, "data"), "--web.listen-address=" + s.addr}
	if s.proc, err = process.Start(path, append(args, opts.Flags...), nil, filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	return s.await(ctx, func() error { return s.get(ctx, "/-/ready", "") })
}

// freeAddress returns an address that nobody listens on at this moment.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// await tries until it works, the server ends, or ctx does.
func (s *Server) await(ctx context.Context, try func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.proc.Done():
			return fmt.Errorf("it ended; the end of its output:\n%s", s.proc.Tail())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// URL is the server's address, without a path.
func (s *Server) URL() string { return "http://" + s.addr }

// Await returns when a query gives something. The first samples of a target come
// about 5 seconds after the start, then one each second.
func (s *Server) Await(ctx context.Context, query string) error {
	err := s.await(ctx, func() error {
		return s.get(ctx, "/api/v1/query?query="+url.QueryEscape(query), `"value":[`)
	})
	if err != nil {
		return fmt.Errorf("asking for %s: %w", query, err)
	}
	return nil
}

// get asks for a path; the beginning of the answer must hold want.
func (s *Server) get(ctx context.Context, path, want string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		return fmt.Errorf("the answer is %s: %s", resp.Status, body)
	}
	return nil
}

// Stop ends the server and removes its data. It may be called again.
func (s *Server) Stop() error {
	var err error
	if s.proc != nil {
		err = s.proc.Stop(stopTime)
		s.proc = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
