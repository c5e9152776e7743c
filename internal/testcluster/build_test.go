package testcluster

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// smallProgram is a module that builds in no time, and a builder for it.
func smallProgram(t *testing.T, source string) (*builder, program) {
	t.Helper()
	p := program{name: "small", what: "a small program", dir: t.TempDir(), pkg: "."}
	write(t, filepath.Join(p.dir, "go.mod"), "module small\n\ngo 1.26\n")
	write(t, filepath.Join(p.dir, "main.go"), source)
	return &builder{cache: t.TempDir(), version: "go0", progress: func(string) {}}, p
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAProgramIsBuiltOnceUntilItsSourceChanges(t *testing.T) {
	t.Parallel()
	b, p := smallProgram(t, "package main\n\nfunc main() {}\n")
	build := func() string {
		t.Helper()
		path, err := b.build(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := build()
	write(t, first, "marked")
	write(t, filepath.Join(p.dir, "main_test.go"), "package main\n")
	if second := build(); second != first {
		t.Errorf("built %s again as %s", first, second)
	}
	if content, err := os.ReadFile(first); err != nil || string(content) != "marked" {
		t.Errorf("the cached program was replaced (%v)", err)
	}
	write(t, filepath.Join(p.dir, "main.go"), "package main\n\nfunc main() { println() }\n")
	if third := build(); third == first {
		t.Error("the source changed, and the old program was used")
	}
	long := time.Now().Add(-2 * unusedFor)
	if err := os.Chtimes(first, long, long); err != nil {
		t.Fatal(err)
	}
	build()
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("the program that nobody uses is still there (%v)", err)
	}
}

func TestAFailedBuildSaysWhatTheCompilerSaid(t *testing.T) {
	t.Parallel()
	b, p := smallProgram(t, "package main\n\nfunc main() { missing() }\n")
	_, err := b.build(t.Context(), p)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"building a small program: exit status 1: ", "undefined: missing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not contain %q", err, want)
		}
	}
}

func TestALongBuildTellsHowFarItIsEveryTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		b := &builder{progress: func(line string) { got = append(got, line) }}
		var compiled atomic.Int64
		var output tail
		count(strings.NewReader("k8s.io/api/core/v1\ngo: downloading x v1\n# k8s.io/api\nk8s.io/klog/v2\n"), &output, &compiled)
		done := make(chan struct{})
		time.AfterFunc(25*time.Second, func() { close(done) })
		b.tell("it", 2532, &compiled, done)
		want := "building it: compiled 2 of at most 2532 packages in 10s\nbuilding it: compiled 2 of at most 2532 packages in 20s"
		if text := strings.Join(got, "\n"); text != want {
			t.Errorf("told\n%s\nwant\n%s", text, want)
		}
	})
}

func TestOptionsBecomeFlags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		opts Options
		want string
	}{
		{"the zero value leaves all defaults", Options{}, ""},
		{"every option", Options{
			HPASyncPeriod: time.Second, HPADownscaleStabilization: 5 * time.Second, HostNodes: 2, KwokNodes: 3, AuditLog: "a", Users: []string{"u:g", "v"},
		}, " --hpa-sync-period=1s --hpa-downscale-stabilization=5s --host-nodes=2 --kwok-nodes=3 --audit-log=a --token=u:g --token=v"},
		{"a negative number of host nodes means none", Options{HostNodes: -1}, " --host-nodes=0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, want := strings.Join(arguments(test.opts, "d"), " "), "--exit-with-parent --dir=d"+test.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestATestsNameMakesANamespacePrefix(t *testing.T) {
	t.Parallel()
	for test, want := range map[string]string{
		"TestA/b_c": "testa-b-c-",
		"TestA/a_very_long_sentence_that_goes_on_for_ever": "testa-a-very-long-sentence-that-goes-on-",
		"TestÄ/x": "test--x-",
	} {
		if got := namespacePrefix(test); got != want {
			t.Errorf("%s: got %q, want %q", test, got, want)
		}
	}
}
