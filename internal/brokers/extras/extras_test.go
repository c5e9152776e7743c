package extras

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// shell is a server that is a script, and answers when its output says so.
func shell(t *testing.T, script string) Command {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"GREETING=ready"}, Log: log, Answers: func(context.Context) error {
		said, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(said), "ready") {
			err = errors.New("it is silent")
		}
		return err
	}}
}

func TestAServerRunsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	proc, err := shell(t, "echo $GREETING; exec sleep 100").Run(within(t, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if err := proc.Stop(time.Minute); err != nil {
		t.Error(err)
	}
}

func TestAServerThatDoesNotServeSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := shell(t, "echo no license; exit 1").Run(within(t, time.Minute))
	if err == nil || err.Error() != "it ended; the end of its output:\nno license\n" {
		t.Errorf("one that ends: %v", err)
	}
	_, err = shell(t, "echo starting; exec sleep 100").Run(within(t, 100*time.Millisecond))
	if want := "context deadline exceeded; last answer: it is silent; the end of its output:"; !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("one that hangs: %v", err)
	}
}

func TestAPortThatIsTakenIsReplaced(t *testing.T) {
	t.Parallel()
	var tried [][]int
	proc, err := RunOn(within(t, time.Minute), 2, func(ports []int) (Command, error) {
		tried = append(tried, ports)
		if len(tried) == 1 {
			return shell(t, "echo Error: listen EADDRINUSE"), nil
		}
		return shell(t, "echo ready; exec sleep 100"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := proc.Kill(); err != nil {
		t.Error(err)
	}
	if len(tried) != 2 || len(tried[0]) != 2 || tried[0][0] == tried[0][1] {
		t.Errorf("tried %v", tried)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	_, _, err := find("sh", "npm", "node_modules", []byte("none"))
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "no such file or directory: run hack/extras") {
		t.Errorf("nothing fetched: %v", err)
	}
	_, _, err = find("no-such-program", "npm", "node_modules", nil)
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), `"no-such-program": executable file not found in $PATH: install it and run hack/extras`) {
		t.Errorf("no program: %v", err)
	}
}

// Where a registry is, is for the machine to say.
func TestThePinsAreWholeAndNameNoRegistry(t *testing.T) {
	t.Parallel()
	var pins struct {
		Packages map[string]struct {
			Version, Integrity, Resolved string
			Link                         bool
			Dependencies                 map[string]string
		}
	}
	if err := json.Unmarshal(lock, &pins); err != nil {
		t.Fatal(err)
	}
	for name, p := range pins.Packages {
		if name != "" && (p.Version == "" || p.Integrity == "" || p.Resolved != "" || p.Link) {
			t.Errorf("%s: version %q, integrity %q, resolved %q; write the lock file with npm install --package-lock-only --omit-lockfile-registry-resolved", name, p.Version, p.Integrity, p.Resolved)
		}
	}
	exact := regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	for name, version := range pins.Packages[""].Dependencies {
		if !exact.MatchString(version) {
			t.Errorf("%s is not pinned: %q", name, version)
		}
	}
	urls := regexp.MustCompile(`https?://[^<"\s]+`).FindAllString(string(pom), -1)
	if want := []string{"http://maven.apache.org/POM/4.0.0"}; !slices.Equal(urls, want) {
		t.Errorf("the addresses in pom.xml are %v, want %v", urls, want)
	}
}
