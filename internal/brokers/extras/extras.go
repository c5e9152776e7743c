// Package extras finds and runs the servers that hack/extras fetches: programs for
// Java and Node.js that neither Linux distributions nor Go's module proxy have. The
// files beside it pin their versions. It is for tests.
package extras

import (
	"context"
	"crypto/sha256"
	_ "embed" // the pins
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-sh/weir/internal/brokers/process"
)

//go:embed pom.xml
var pom []byte

//go:embed package-lock.json
var lock []byte

// ErrMissing is in errors about a server, or what runs it, that is not on this
// machine.
var ErrMissing = errors.New("run hack/extras, which fetches it where its registry answers, as in CI")

// Jars returns the path of java and the folder with Kafka's jars.
func Jars() (java, folder string, err error) { return find("java", "maven", "lib", pom) }

// Modules returns the path of node and the folder with azurite and fauxqs.
func Modules() (node, folder string, err error) { return find("node", "npm", "node_modules", lock) }

// find returns the path of a program, and a folder of what hack/extras fetched by
// the pins.
func find(program, registry, folder string, pins []byte) (path, dir string, err error) {
	if path, err = exec.LookPath(program); err != nil {
		return "", "", fmt.Errorf("%w: install it and %w", err, ErrMissing)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("finding what was fetched from %s: %w", registry, err)
	}
	sum := sha256.Sum256(pins)
	dir = filepath.Join(cache, "weir", "extras-"+registry+"-"+hex.EncodeToString(sum[:])[:12], folder)
	if _, err := os.Stat(dir); err != nil {
		return "", "", fmt.Errorf("%w: %w", err, ErrMissing)
	}
	return path, dir, nil
}

// Command is a server that is to be started.
type Command struct {
	Path string
	Args []string
	Env  []string // added to that of this process
	Log  string   // the file for its output
	// Answers tries a request in the server's own protocol.
	Answers func(context.Context) error
}

// StopTime is how long a server may take to end in order.
const StopTime = 30 * time.Second

// Run starts a server and returns when it answers. It outlives ctx.
func (c Command) Run(ctx context.Context) (*process.Process, error) {
	proc, err := process.Start(c.Path, c.Args, append(os.Environ(), c.Env...), c.Log) //nolint:forbidigo // the server is to find its home as this process does
	if err != nil {
		return nil, err
	}
	if err := c.await(ctx, proc); err != nil {
		return nil, errors.Join(err, proc.Kill())
	}
	return proc, nil
}

// await tries until the server answers, ends, or ctx does.
func (c Command) await(ctx context.Context, proc *process.Process) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.Answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-proc.Done():
			return fmt.Errorf("it ended; the end of its output:\n%s", proc.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%w; last answer: %w; the end of its output:\n%s", ctx.Err(), err, proc.Tail())
		}
	}
}

// RunOn starts a server on n free ports of the loopback interface, on others when
// another program takes one of them meanwhile.
func RunOn(ctx context.Context, n int, command func(ports []int) (Command, error)) (*process.Process, error) {
	for attempt := 1; ; attempt++ {
		ports, err := freePorts(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("finding free ports: %w", err)
		}
		c, err := command(ports)
		if err != nil {
			return nil, err
		}
		proc, err := c.Run(ctx)
		if err == nil || attempt == 3 || !portTaken(err) {
			return proc, err
		}
	}
}

// portTaken reports whether an error holds what Java or Node.js say of it.
func portTaken(err error) bool {
	return strings.Contains(err.Error(), "Address already in use") || strings.Contains(err.Error(), "EADDRINUSE")
}

// freePorts returns ports that nobody listens on at this moment.
func freePorts(ctx context.Context, n int) (ports []int, err error) {
	for range n {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, l.Close()) }() // together, so that they differ
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			ports = append(ports, a.Port)
		}
	}
	return ports, nil
}
