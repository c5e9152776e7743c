package testcluster

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// tellInterval is the time between two lines about a build.
	tellInterval = 10 * time.Second
	// unusedFor is when a cached program that nobody used is removed: it has 140 MB.
	unusedFor = 7 * 24 * time.Hour
)

// builder builds the programs that a cluster needs and caches them in the
// user's cache folder. Without one it builds into a temporary folder, from
// Go's own cache.
type builder struct {
	root     string // of this module's source
	cache    string
	version  string // of Go, with platform
	progress func(string)
}

// program is what to build.
type program struct {
	name    string // of the cached file, without its hash
	what    string // in progress lines
	dir     string // the module's folder
	pkg     string
	ldflags string
}

func newBuilder(ctx context.Context, progress func(string)) (*builder, error) {
	out, err := goCommand(ctx, ".", "env", "GOMOD", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return nil, fmt.Errorf("finding the source of test/cluster: %w", err)
	}
	lines := strings.Split(out, "\n")
	b := &builder{root: filepath.Dir(lines[0]), version: strings.Join(lines[1:], " "), progress: progress}
	if lines[0] == os.DevNull || lines[0] == "" {
		return nil, errors.New("finding the source of test/cluster: the working directory is in no Go module; run it in a checkout")
	}
	b.cache = cacheFolder()
	return b, nil
}

// Build builds the programs that Start needs, if they are not cached, and
// returns their paths: the cluster's and, if asked for, kwok's. Call it before
// a test run: go test shows nothing of a test's progress until its end, and
// gives up after ten minutes.
func Build(ctx context.Context, withKwok bool, progress func(line string)) ([]string, error) {
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return nil, err
	}
	path, err := b.controlPlane(ctx)
	if err != nil || !withKwok {
		return []string{path}, err
	}
	kwok, err := b.build(ctx, b.kwokProgram())
	return []string{path, kwok}, err
}

// cacheFolder returns where programs are kept between runs. The cache is a
// convenience, so what prevents it is no error.
func cacheFolder() string {
	if base, err := os.UserCacheDir(); err == nil {
		dir := filepath.Join(base, "weir")
		if os.MkdirAll(dir, 0o750) == nil {
			return dir
		}
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("weir-cache-%d", os.Getuid()))
}

// controlPlane returns the path of weir-testcluster.
func (b *builder) controlPlane(ctx context.Context) (string, error) {
	p := program{
		name: "testcluster",
		what: "the control plane (first time about 10 minutes)",
		dir:  filepath.Join(b.root, "test", "cluster"),
		pkg:  ".",
	}
	version, err := goCommand(ctx, p.dir, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return "", fmt.Errorf("building %s: %w", p.what, err)
	}
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 3 {
		return "", fmt.Errorf("building %s: k8s.io/kubernetes has version %q, want vX.Y.Z", p.what, version)
	}
	// Only the linker's flags may differ between builds: any other flag means
	// another compilation of everything.
	const x = " -X k8s.io/component-base/version."
	p.ldflags = "-s -w" + x + "gitVersion=" + version + x + "gitMajor=" + parts[0] + x + "gitMinor=" + parts[1] + x + "gitTreeState=clean"
	return b.build(ctx, p)
}

// build returns the path of a program, which it builds if it is not cached.
func (b *builder) build(ctx context.Context, p program) (path string, err error) {
	key, err := b.key(p)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", p.what, err)
	}
	if err := os.MkdirAll(b.cache, 0o750); err != nil {
		return "", fmt.Errorf("building %s: %w", p.what, err)
	}
	// One build at a time: several test binaries may want the same.
	unlock, err := lock(filepath.Join(b.cache, p.name+".lock"))
	if err != nil {
		return "", fmt.Errorf("building %s: %w", p.what, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	path = filepath.Join(b.cache, p.name+"-"+key)
	if _, err := os.Stat(path); err != nil {
		fresh := path + ".new"
		if err := b.compile(ctx, p, fresh); err != nil {
			return "", err
		}
		if err := os.Rename(fresh, path); err != nil {
			return "", fmt.Errorf("building %s: %w", p.what, err)
		}
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		return "", fmt.Errorf("marking %s as used: %w", path, err)
	}
	return path, b.prune(p.name, now)
}

// key hashes everything that the program is made of.
func (b *builder) key(p program) (string, error) {
	h := sha256.New()
	h.Write(fmt.Appendln(nil, b.version, p.pkg, p.ldflags))
	err := filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := d.Name()
		source := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		if !source && name != "go.mod" && name != "go.sum" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.dir, path)
		h.Write(fmt.Appendln(nil, rel, len(content)))
		h.Write(content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:16], err
}

// prune removes programs of the name that nobody used for long.
func (b *builder) prune(name string, now time.Time) error {
	paths, err := filepath.Glob(filepath.Join(b.cache, name+"-*"))
	for _, path := range paths {
		info, statErr := os.Stat(path)
		if statErr == nil && now.Sub(info.ModTime()) > unusedFor {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// compile builds the program and tells how far it is.
func (b *builder) compile(ctx context.Context, p program, out string) error {
	deps, err := goCommand(ctx, p.dir, "list", "-deps", p.pkg)
	if err != nil {
		return fmt.Errorf("building %s: %w", p.what, err)
	}
	total := strings.Count(deps, "\n") + 1
	// -v prints each package that is compiled rather than found in the cache.
	cmd := goCmd(ctx, p.dir, "build", "-v", "-ldflags="+p.ldflags, "-o", out, p.pkg)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("building %s: %w", p.what, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("building %s: %w", p.what, err)
	}
	var compiled atomic.Int64
	told := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(told)
		b.tell(p.what, total, &compiled, done)
	}()
	output := &tail{}
	count(stderr, output, &compiled)
	err = cmd.Wait()
	close(done)
	<-told
	if err != nil {
		return fmt.Errorf("building %s: %w: %s", p.what, err, output)
	}
	return nil
}

// count counts the packages that go build -v names and keeps all it says.
func count(r io.Reader, output *tail, compiled *atomic.Int64) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "go: ") && !strings.ContainsAny(line, " #") {
			compiled.Add(1)
		}
		output.add(line + "\n")
	}
}

// tell tells how far a build is until done is closed.
func (b *builder) tell(what string, total int, compiled *atomic.Int64, done <-chan struct{}) {
	start := time.Now()
	tick := time.NewTicker(tellInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.progress(fmt.Sprintf("building %s: compiled %d of at most %d packages in %s",
				what, compiled.Load(), total, time.Since(start).Round(time.Second)))
		case <-done:
			return
		}
	}
}

// goCommand runs the go command in a folder and returns what it prints.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := goCmd(ctx, dir, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running go %s: %w: %s", args[0], err, bytes.TrimSpace(problems.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}

func goCmd(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// Each of these is part of the key of Go's build cache, or changes modules.
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	return cmd
}

// lock takes an exclusive lock that ends with this process at the latest.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}
