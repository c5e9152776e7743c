// Package process runs the programs behind test servers: children that die with
// the process that started them, with their output in a file. It uses the standard
// library only.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a child that was started. Its methods are safe for use by several
// goroutines.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // how it ended; read after done
}

// Start runs a program with its output in the file log. A nil env is that of this
// process.
func Start(path string, args, env []string, log string) (*Process, error) {
	out, err := os.Create(log) //nolint:gosec // below the server's own directory
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // a server outlives the call that starts it
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = env, out, out, dieWithParent()
	p := &Process{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ties the child's life to the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := errors.Join(<-started, out.Close()); err != nil {
		return nil, err
	}
	return p, nil
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits until the child has ended and returns how: nil with status 0, an
// *exec.ExitError with another one or a signal.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Stop asks the child to end, and kills it when it has not within limit, which is
// an error.
func (p *Process) Stop(limit time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		return errors.Join(fmt.Errorf("stopping %s: it did not end within %v and was killed", p.cmd.Path, limit), p.Kill())
	}
}

// Kill ends the child at once and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *Process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to %s: %w", s, p.cmd.Path, err)
	}
	return nil
}

// Tail is the end of the child's output.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
