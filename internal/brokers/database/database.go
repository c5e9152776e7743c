// Package database runs a database server as a child process in the foreground, as an
// unprivileged user where this process is root: databases refuse to run as root.
// It is for tests and uses the standard library only.
package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Host is where a server lives: a temporary directory that belongs to the user
// that the server runs as.
type Host struct {
	Dir  string
	as   *owner // nil means the user of this process
	proc *running
}

// owner is an unprivileged user.
type owner struct{ uid, gid uint32 }

type running struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// NewHost makes a directory. As root it belongs to the first of users that there
// is, or to nobody.
func NewHost(name string, users ...string) (*Host, error) {
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for %s: %w", name, err)
	}
	h := &Host{Dir: dir}
	if os.Getuid() != 0 {
		return h, nil
	}
	for _, u := range append(users, "nobody") {
		found, err := user.Lookup(u)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			continue
		}
		h.as = &owner{uint32(uid), uint32(gid)}
		break
	}
	if h.as == nil {
		return nil, errors.Join(fmt.Errorf("running %s: there is no unprivileged user", name), h.Remove())
	}
	if err := h.give(dir); err != nil {
		return nil, errors.Join(err, h.Remove())
	}
	return h, nil
}

// give makes a file belong to the server's user.
func (h *Host) give(path string) error {
	if h.as == nil {
		return nil
	}
	return os.Chown(path, int(h.as.uid), int(h.as.gid))
}

// Write makes a file in the directory that only the server's user can read, and
// returns its path.
func (h *Host) Write(name string, content []byte) (string, error) {
	path := filepath.Join(h.Dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return path, h.give(path)
}

// Run runs a program to its end. The error holds what it printed.
func (h *Host) Run(ctx context.Context, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the program is the test's
	cmd.Dir = h.Dir
	h.become(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w: %s", filepath.Base(path), err, out)
	}
	return nil
}

// start runs a program in the background, with the output of its newest run
// in the file "log". It ends when this process does.
func (h *Host) start(path string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(h.Dir, "log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", filepath.Base(path), err)
	}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // the program is the test's, and outlives any context by design
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.Dir, log, log
	h.become(cmd)
	p := &running{cmd, make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ties the child's life to the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() //nolint:errcheck // how it ended does not matter: it is killed in the normal case
			close(p.gone)
		}
	}()
	if err := errors.Join(<-started, log.Close()); err != nil {
		return fmt.Errorf("starting %s: %w", filepath.Base(path), err)
	}
	h.proc = p
	return nil
}

// Serve starts a server and returns when it answers. It tries again while the
// server ends because something is in use: what a killed server leaves behind ends
// a moment later, and so do connections of others that got its port.
func (h *Host) Serve(ctx context.Context, answers func(context.Context) error, path string, args ...string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := h.start(path, args...); err != nil {
			return err
		}
		err := h.await(ctx, answers)
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "in use") {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// await asks until the server answers, ends or ctx does.
func (h *Host) await(ctx context.Context, answers func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-h.proc.gone:
			words, readErr := os.ReadFile(filepath.Join(h.Dir, "log"))
			return errors.Join(fmt.Errorf("the server has ended: %s", words), readErr)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// Kill ends the server as a crash would (SIGKILL) and waits for its end. It does
// nothing when the server is down.
func (h *Host) Kill() error {
	p := h.proc
	h.proc = nil
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the server: %w", err)
	}
	<-p.gone
	return nil
}

// Remove ends the server and removes its directory.
func (h *Host) Remove() error { return errors.Join(h.Kill(), os.RemoveAll(h.Dir)) }

// FreePort returns a loopback port that nobody listens on now.
func FreePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("finding a free port: no TCP address")
	}
	return address.Port, nil
}

// Find returns the path of a program: in PATH, in the sbin folders, or where one
// of the patterns matches. The error names the package to install.
func Find(program, pkg string, patterns ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, pattern := range append(patterns, "/usr/sbin/"+program, "/sbin/"+program) {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s is not installed: install the package %s, or run make deps", program, pkg)
}
