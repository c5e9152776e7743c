package process_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/internal/brokers/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start("/bin/sh", []string{"-c", script}, nil, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAChildThatEndsLeavesItsWords(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo out; echo err >&2; exit 3")
	<-p.Done()
	if err := p.Wait(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("it ended with %v", err)
	}
	if got := p.Tail(); got != "out\nerr\n" {
		t.Errorf("output %q", got)
	}
	if err := p.Stop(time.Second); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestStopAsksFirst(t *testing.T) {
	t.Parallel()
	if err := shell(t, "exec sleep 100").Stop(time.Minute); err != nil {
		t.Errorf("a child that obeys: %v", err)
	}
	deaf := shell(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	for deaf.Tail() == "" {
		time.Sleep(time.Millisecond) // until it is deaf
	}
	if err := deaf.Stop(10 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within 10ms and was killed") {
		t.Errorf("a child that does not: %v", err)
	}
}

func TestWhatDoesNotExistCannotBeStarted(t *testing.T) {
	t.Parallel()
	if _, err := process.Start("/nonexistent/server", nil, nil, filepath.Join(t.TempDir(), "log")); err == nil {
		t.Error("no error")
	}
}
