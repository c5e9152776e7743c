package kube_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

// directory makes a root with files, and a file outside of it.
func directory(t *testing.T) (root string) {
	t.Helper()
	base := t.TempDir()
	root = filepath.Join(base, "root")
	for name, content := range map[string]string{
		"secret.json":                `{"password":"outside"}`,
		"root/plain.json":            `{"password":"canary","user":"u"}`,
		"root/empty.json":            `{}`,
		"root/..data/mounted.json":   `{"password":"mounted"}`,
		"root/deep/er/file.json":     `{"password":"deep"}`,
		"root/number.json":           `{"password":123456789}`,
		"root/null.json":             `{"password":null}`,
		"root/nothing.json":          `null`,
		"root/list.json":             `["canary"]`,
		"root/broken.json":           `{"password":"canary`,
		"root/large.json":            `{"password":"` + strings.Repeat("canary", 200_000) + `"}`,
		"root/directory.json/a.json": `{}`,
	} {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"mounted.json": "..data/mounted.json", "up.json": "../secret.json", "absolute.json": filepath.Join(base, "secret.json"), "out": "..", "dangling.json": "nowhere",
	} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFilePath(t *testing.T) {
	t.Parallel()
	const (
		dots   = `filePath must be relative and must not contain ".."`
		format = `it must hold one JSON object of strings, such as {"password": "..."}`
		leads  = "path escapes from parent"
		noFile = "there is no such file below the directory of --filepath-auth-root-path"
	)
	root := directory(t)
	for _, tc := range []struct{ path, want, err string }{
		{"plain.json", "map[password:canary user:u]", ""},
		{"./deep/er/file.json", "map[password:deep]", ""},
		{"empty.json", "map[]", ""},
		{"mounted.json", "map[password:mounted]", ""},
		{"up.json", "map[]", leads},
		{"absolute.json", "map[]", leads},
		{"out/secret.json", "map[]", leads},
		{"dangling.json", "map[]", noFile},
		{"none.json", "map[]", noFile},
		{"directory.json", "map[]", "it is no regular file"},
		{"../secret.json", "map[]", dots},
		{"deep/../plain.json", "map[]", dots},
		{filepath.Join(root, "plain.json"), "map[]", dots},
		{"number.json", "map[]", format},
		{"null.json", "map[]", format},
		{"nothing.json", "map[]", format},
		{"list.json", "map[]", format},
		{"broken.json", "map[]", format},
		{"large.json", "map[]", "it is larger than 1048576 bytes"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			t.Parallel()
			all := cluster()
			spec := auth{
				FilePath: tc.path, SecretTargetRef: target("password", "gone", "k"), OAuth2: &v1alpha1.OAuth2{},
				PodIdentity: &v1alpha1.PodIdentity{Provider: "gcp"},
			}
			got, err := kube.Credentials{Objects: all, FilePathRoot: root}.Resolve(t.Context(), refer(all, spec, true), workload())
			want := tc.err
			if want != "" && want != dots {
				want = fmt.Sprintf("reading filePath %q: %s", tc.path, want)
			}
			if out := fmt.Sprint(got.Values.Auth); out != tc.want || text(err) != want {
				t.Errorf("got %s, %v; want %s, %s", out, err, tc.want, want)
			}
			if got.FreshFor != time.Minute || got.Values.Identity.Provider != "gcp" {
				t.Errorf("good for %v, identity %v", got.FreshFor, got.Values.Identity)
			}
			if strings.Contains(text(err), "canary") || strings.Contains(text(err), "123456789") {
				t.Error("the error holds what is in the file")
			}
		})
	}
}

func TestFilePathNeedsADirectory(t *testing.T) {
	t.Parallel()
	for root, want := range map[string]string{
		"":              "authentication source filePath is not read here: there is no directory for it; start weir with --filepath-auth-root-path",
		"/no/such/root": `reading filePath "a.json": opening the directory of --filepath-auth-root-path: no such file or directory`,
	} {
		all := cluster()
		_, err := kube.Credentials{Objects: all, FilePathRoot: root}.Resolve(t.Context(), refer(all, auth{FilePath: "a.json"}, true), workload())
		if text(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
