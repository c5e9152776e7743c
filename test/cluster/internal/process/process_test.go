package process_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/test/cluster/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLauncher(t *testing.T, grace time.Duration) *process.Launcher {
	t.Helper()
	l, err := process.NewLauncher(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(grace) })
	return l
}

func start(t *testing.T, l *process.Launcher, script string) *process.Process {
	t.Helper()
	p, err := l.Start(exec.Command("/bin/sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// child waits until a script wrote the number of its child.
func child(t *testing.T, file string) int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		content, err := os.ReadFile(file)
		if id, atoiErr := strconv.Atoi(strings.TrimSpace(string(content))); err == nil && atoiErr == nil {
			return id
		}
	}
	t.Fatal("the script did not start its child")
	return 0
}

// lives tells whether a process runs; one that waits to be reaped does not.
func lives(t *testing.T, id int) bool {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(id), "stat"))
	if err != nil && !os.IsNotExist(err) && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestExitTellsCodesAndSignals(t *testing.T) {
	t.Parallel()
	l := newLauncher(t, time.Second)
	for _, test := range []struct {
		script       string
		code, signal int
	}{
		{"exit 0", 0, 0},
		{"exit 42", 42, 0},
		{"kill -KILL $$", 137, 9},
	} {
		p := start(t, l, test.script)
		<-p.Done()
		if code, signal := p.Exit(); code != test.code || signal != test.signal {
			t.Errorf("%s: got %d and signal %d, want %d and %d", test.script, code, signal, test.code, test.signal)
		}
	}
}

func TestTheEndOfTheLeaderIsTheEndOfItsGroup(t *testing.T) {
	t.Parallel()
	l := newLauncher(t, time.Second)
	file := filepath.Join(t.TempDir(), "pid")
	p := start(t, l, "sleep 1000 & echo $! >"+file+"; wait")
	id := child(t, file)
	p.Terminate()
	<-p.Done()
	eventuallyDead(t, id)
	if code, signal := p.Exit(); code != 143 || signal != 15 {
		t.Errorf("got %d and signal %d", code, signal)
	}
}

// eventuallyDead waits for the kernel to carry out a kill.
func eventuallyDead(t *testing.T, id int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); lives(t, id); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", id)
		}
	}
}

func TestCloseKillsWhatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	l := newLauncher(t, time.Second)
	file := filepath.Join(t.TempDir(), "pid")
	p := start(t, l, "trap '' TERM; echo $$ >"+file+"; while :; do sleep 0.1; done")
	child(t, file)
	l.Close(200 * time.Millisecond)
	<-p.Done()
	if code, signal := p.Exit(); code != 137 || signal != 9 {
		t.Errorf("got %d and signal %d", code, signal)
	}
	if _, err := l.Start(exec.Command("true")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("starting after Close: %v", err)
	}
}

func TestAMissingCommandIsAnError(t *testing.T) {
	t.Parallel()
	l := newLauncher(t, time.Second)
	_, err := l.Start(exec.Command("/nowhere/worker"))
	if want := "fork/exec /nowhere/worker: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
