// Package fauxqs runs fauxqs, a server that behaves like Amazon SQS, on loopback for
// tests. It keeps everything in memory and dies with the process that started it.
package fauxqs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weir-sh/weir/internal/brokers/extras"
	"github.com/weir-sh/weir/internal/brokers/process"
)

// Server is a running server. Its methods are for one goroutine at a time.
type Server struct {
	dir  string
	url  string
	proc *process.Process // nil when it does not run
}

// listen runs fauxqs on loopback: its own command listens on all interfaces.
const listen = `const [, module, port] = process.argv
const { buildApp } = await import(module)
await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: Number(port) })`

// Start runs a server and returns when it answers, which takes a second on a quiet
// machine. The error holds extras.ErrMissing when fauxqs is not there. The server
// outlives ctx: call Stop.
func Start(ctx context.Context) (*Server, error) {
	node, modules, err := extras.Modules()
	if err != nil {
		return nil, fmt.Errorf("starting fauxqs: %w", err)
	}
	s := &Server{}
	if s.dir, err = os.MkdirTemp("", "fauxqs-"); err != nil {
		return nil, fmt.Errorf("starting fauxqs: %w", err)
	}
	s.proc, err = extras.RunOn(ctx, 1, func(ports []int) (extras.Command, error) {
		port := strconv.Itoa(ports[0])
		s.url = "http://127.0.0.1:" + port
		return extras.Command{
			Path: node, Args: []string{"--input-type=module", "-e", listen, filepath.Join(modules, "fauxqs", "dist", "app.js"), port},
			Log: filepath.Join(s.dir, "log"), Answers: s.healthy,
		}, nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting fauxqs: %w", err), s.Stop())
	}
	return s, nil
}

// healthy asks the server how it is.
func (s *Server) healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/health", http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer is %s", resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

// URL is the endpoint for all regions. Any key is accepted.
func (s *Server) URL() string { return s.url }

// Stop ends the server. It may be called again.
func (s *Server) Stop() error {
	var err error
	if s.proc != nil {
		err = s.proc.Stop(extras.StopTime)
		s.proc = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
