// Package azurite runs azurite, Microsoft's emulator of Azure Storage, on loopback
// for tests: queues and blobs of one account. It keeps everything in memory and dies
// with the process that started it.
package azurite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weir-sh/weir/internal/brokers/extras"
	"github.com/weir-sh/weir/internal/brokers/process"
)

// The one account.
const (
	account = "weir"
	key     = "bm90IGEgc2VjcmV0LCBvbmx5IGZvciB0ZXN0cw=="
)

// Server is a running server. Its methods are for one goroutine at a time.
type Server struct {
	dir          string
	blobs, queue string // addresses of the two services, as "host:port"
	proc         *process.Process
}

// Start runs a server and returns when both services answer, which takes 3 seconds
// on a quiet machine. The error holds extras.ErrMissing when azurite is not there.
// The server outlives ctx: call Stop.
func Start(ctx context.Context) (*Server, error) {
	node, modules, err := extras.Modules()
	if err != nil {
		return nil, fmt.Errorf("starting azurite: %w", err)
	}
	s := &Server{}
	if s.dir, err = os.MkdirTemp("", "azurite-"); err != nil {
		return nil, fmt.Errorf("starting azurite: %w", err)
	}
	s.proc, err = extras.RunOn(ctx, 3, func(ports []int) (extras.Command, error) {
		args := []string{
			filepath.Join(modules, "azurite", "dist", "src", "azurite.js"),
			"--inMemoryPersistence", "--silent", "--disableTelemetry",
			"--skipApiVersionCheck", // clients may be newer
		}
		for i, service := range []string{"blob", "queue", "table"} {
			args = append(args, "--"+service+"Host", "127.0.0.1", "--"+service+"Port", strconv.Itoa(ports[i]))
		}
		s.blobs, s.queue = "127.0.0.1:"+strconv.Itoa(ports[0]), "127.0.0.1:"+strconv.Itoa(ports[1])
		return extras.Command{
			Path: node, Args: args, Env: []string{"AZURITE_ACCOUNTS=" + account + ":" + key},
			Log: filepath.Join(s.dir, "log"), Answers: s.answers,
		}, nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting azurite: %w", err), s.Stop())
	}
	return s, nil
}

// answers makes a request without credentials to both services, which refuse it as
// Azure Storage does.
func (s *Server) answers(ctx context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, addr := range []string{s.blobs, s.queue} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/"+account+"?comp=list", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusForbidden || !strings.HasPrefix(resp.Header.Get("Server"), "Azurite") {
			err = fmt.Errorf("the answer on %s is %s from %q", addr, resp.Status, resp.Header.Get("Server"))
		}
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
	}
	return nil
}

// ConnectionString is that of the account, with the key.
func (s *Server) ConnectionString() string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=http://%s/%s;QueueEndpoint=http://%s/%s",
		account, key, s.blobs, account, s.queue, account)
}

// Stop ends the server. It may be called again.
func (s *Server) Stop() error {
	var err error
	if s.proc != nil {
		err = s.proc.Stop(extras.StopTime)
		s.proc = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
