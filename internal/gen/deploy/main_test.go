package main

import (
	"os"
	"path/filepath"
	"testing"
)

// write makes a folder of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheListedFilesAreJoinedInTheirOrder(t *testing.T) {
	dir := write(t, map[string]string{
		"kustomization.yaml": "resources: [b.yaml, a.yaml]\n",
		"a.yaml":             "# Generated.\n---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n",
		"b.yaml":             "# Why.\napiVersion: v1\nkind: B\nmetadata: {name: b}\n---\napiVersion: v1\nkind: C\nmetadata: {name: c}\n\n",
	})
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := header +
		"---\n# Why.\napiVersion: v1\nkind: B\nmetadata: {name: b}\n---\napiVersion: v1\nkind: C\nmetadata: {name: c}\n" +
		"---\n# Generated.\n---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n"
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestWhatCannotBeInstalledIsRefused(t *testing.T) {
	const object = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{
			"nothing listed",
			map[string]string{"kustomization.yaml": "resources: []\n"},
			"kustomization.yaml lists no resources",
		},
		{
			"all that is wrong at once",
			map[string]string{"kustomization.yaml": "resources: [a.yaml, none.yaml, b.yaml]\n", "a.yaml": object + "---\nkind: A\n", "b.yaml": "# nothing\n"},
			"reading a.yaml: document 2 has no apiVersion, kind or name\n" +
				"openat none.yaml: no such file or directory\n" +
				"reading b.yaml: it holds no object",
		},
		{
			"a patch, which only kustomize knows",
			map[string]string{"kustomization.yaml": "resources: [a.yaml]\npatches: []\n", "a.yaml": object},
			"reading kustomization.yaml: error unmarshaling JSON: while decoding JSON: json: unknown field \"patches\"; only resources can be in the single file too",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, tt.files)
			err := run(dir)
			want := "writing " + filepath.Join(dir, "weir.yaml") + ": " + tt.want
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if _, err := os.Stat(filepath.Join(dir, "weir.yaml")); !os.IsNotExist(err) {
				t.Errorf("a file was written nevertheless (%v)", err)
			}
		})
	}
}
