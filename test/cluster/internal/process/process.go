// Package process starts local processes that cannot outlive this one.
//
// Each process leads a group of its own. When the leader ends, what is left
// of its group is killed, as the end of a container's first process ends the
// container. When this process dies in any way, kill -9 included, the kernel
// kills the leaders (PDEATHSIG) and a watchdog, a shell that waits on a pipe,
// kills the groups. Linux only.
package process

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watchdogScript keeps the set of living groups, told in lines "+ID" and
// "-ID", and kills them when its input ends.
const watchdogScript = `
groups=
while read -r line; do
	case $line in
	+*) groups="$groups ${line#+}" ;;
	-*)
		kept=
		for g in $groups; do [ "$g" = "${line#-}" ] || kept="$kept $g"; done
		groups=$kept
		;;
	esac
done
# No "--": dash's kill does not know it. Groups that are gone are no error.
for g in $groups; do kill -KILL "-$g" 2>/dev/null || :; done
`

// Launcher starts processes. Make it with NewLauncher and Close it.
type Launcher struct {
	requests chan request
	closed   chan struct{}
	watchdog *exec.Cmd
	report   func(error)

	mu      sync.Mutex // guards what follows; held while the watchdog is told
	pipe    io.WriteCloser
	alive   map[*Process]struct{}
	closing bool
}

type request struct {
	cmd *exec.Cmd
	err chan error
}

// Process is a started process. Its Done channel is closed after the process
// has ended and its group was killed.
type Process struct {
	cmd    *exec.Cmd
	done   chan struct{}
	report func(error)

	mu     sync.Mutex // guards reaped; held while signals are sent
	reaped bool       // the group's number may be somebody else's
}

// NewLauncher starts the watchdog. The error tells that there is no shell.
// What goes wrong later, which is nobody's call, is reported.
func NewLauncher(report func(error)) (*Launcher, error) {
	l := &Launcher{
		requests: make(chan request),
		closed:   make(chan struct{}),
		report:   report,
		alive:    map[*Process]struct{}{},
	}
	//nolint:noctx // it must live as long as this process, whatever is cancelled
	l.watchdog = exec.Command("/bin/sh", "-c", watchdogScript)
	// A group of its own, so that the terminal's Ctrl-C does not reach it.
	l.watchdog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := l.watchdog.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the watchdog: %w", err)
	}
	l.pipe = pipe
	if err := l.watchdog.Start(); err != nil {
		return nil, fmt.Errorf("starting the watchdog: %w", err)
	}
	go l.serve()
	return l, nil
}

// serve starts all processes from one locked thread: PDEATHSIG means the
// death of the thread that forked, and Go may end any other.
func (l *Launcher) serve() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case r := <-l.requests:
			r.err <- r.cmd.Start()
		case <-l.closed:
			return
		}
	}
}

// Start starts the command, whose SysProcAttr it sets. Its output must be
// files, as pipes could be held open by grandchildren.
func (l *Launcher) Start(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// The lock keeps a process from starting while Close kills the others.
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, os.ErrClosed)
	}
	r := request{cmd: cmd, err: make(chan error, 1)}
	l.requests <- r
	if err := <-r.err; err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, done: make(chan struct{}), report: l.report}
	l.alive[p] = struct{}{}
	l.tell("+", p)
	go l.wait(p)
	return p, nil
}

// tell informs the watchdog. A watchdog that is gone protects nobody, and
// there is nobody to tell; the kernel still kills the leaders.
func (l *Launcher) tell(op string, p *Process) {
	if _, err := fmt.Fprintf(l.pipe, "%s%d\n", op, p.cmd.Process.Pid); err != nil {
		l.report(fmt.Errorf("telling the watchdog: %w", err))
	}
}

func (l *Launcher) wait(p *Process) {
	// Wait for the end without reaping: until then nobody else can have the
	// number of the group that is killed.
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.Kill()
	p.reap()
	l.mu.Lock()
	delete(l.alive, p)
	l.tell("-", p)
	l.mu.Unlock()
	close(p.done)
}

// reap takes the exit status of the process, which has ended.
func (p *Process) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	// An ExitError repeats what Exit returns.
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState == nil {
		p.report(fmt.Errorf("waiting for process %d: %w", p.cmd.Process.Pid, err))
	}
}

// Close ends all groups: first they are asked to, those that are left after
// the grace are killed. No process can be started any more.
func (l *Launcher) Close(grace time.Duration) {
	l.mu.Lock()
	again := l.closing
	l.closing = true
	alive := slices.Collect(maps.Keys(l.alive))
	l.mu.Unlock()
	if again {
		return
	}
	close(l.closed)
	for _, p := range alive {
		p.signalGroup(syscall.SIGTERM)
	}
	expired := make(chan struct{})
	defer time.AfterFunc(grace, func() { close(expired) }).Stop()
	for _, p := range alive {
		select {
		case <-p.done:
		case <-expired:
			p.Kill()
		}
	}
	for _, p := range alive {
		<-p.done
	}
	if err := errors.Join(l.pipe.Close(), l.watchdog.Wait()); err != nil {
		l.report(fmt.Errorf("ending the watchdog: %w", err))
	}
}

// Done is closed when the process has ended and nothing of its group is left.
func (p *Process) Done() <-chan struct{} { return p.done }

// Terminate asks the process, not its group, to end: so do container runtimes.
func (p *Process) Terminate() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.report(fmt.Errorf("terminating process %d: %w", p.cmd.Process.Pid, err))
	}
}

// Kill kills the process and its group, if it has not ended.
func (p *Process) Kill() { p.signalGroup(syscall.SIGKILL) }

func (p *Process) signalGroup(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.report(fmt.Errorf("sending %v to process group %d: %w", s, p.cmd.Process.Pid, err))
	}
}

// Exit returns the exit code and, if a signal ended the process, its number;
// the code is then 128 + signal, as a shell has it. Call it after Done only.
func (p *Process) Exit() (code, signal int) {
	state, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && state.Signaled() {
		return 128 + int(state.Signal()), int(state.Signal())
	}
	return p.cmd.ProcessState.ExitCode(), 0
}
