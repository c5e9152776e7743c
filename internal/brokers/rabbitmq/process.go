package rabbitmq

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a child that was started.
type process struct {
	cmd  *exec.Cmd
	log  string        // file with its output
	done chan struct{} // closed when it ended
	err  error         // how it ended; read after done
}

// spawn starts a child that dies with this process.
func spawn(path string, args, env []string, log string) (*process, error) {
	out, err := os.Create(log) //nolint:gosec // below the server's own directory
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // a broker outlives the call that starts it
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = env, out, out, dieWithParent()
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
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

// stop asks the child to end, and kills it when it has not within limit.
func (p *process) stop(limit time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		return errors.Join(fmt.Errorf("stopping %s: it did not end within %v and was killed", p.cmd.Path, limit), p.kill())
	}
}

// kill ends the child at once and waits until it is gone.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to %s: %w", s, p.cmd.Path, err)
	}
	return nil
}

// tail is the end of the child's output.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
