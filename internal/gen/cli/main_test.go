package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPagesAreWrittenAndOldOnesRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "docs", "cli")
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"weir_gone.md": "old", "other.md": "not ours"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	const want = "other.md weir.md weir_check.md weir_completion.md weir_completion_bash.md weir_completion_fish.md " +
		"weir_completion_powershell.md weir_completion_zsh.md weir_explain.md weir_scalers.md weir_serve.md weir_status.md weir_validate.md weir_version.md"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s", got)
	}
}

func TestPagesAreCurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range pages {
		want, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "cli", filepath.Base(page)))
		if err != nil || string(have) != string(want) {
			t.Errorf("docs/cli/%s is not current (%v); run make generate", filepath.Base(page), err)
		}
	}
}
