package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestANewScalerPassesTheConformanceSuite builds what is written as if it were in
// the tree, without putting it there.
func TestANewScalerPassesTheConformanceSuite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written, err := run(dir, "zz-new-scaler")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, path := range written {
		overlay.Replace[filepath.Join(root, path)] = filepath.Join(dir, path)
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", program, "-overlay="+file, "./pkg/scalers/zznewscaler")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "-test.v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestConformance/case/a_queue_with_three_messages") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatExistsIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := run(dir, "mine"); err != nil {
		t.Fatal(err)
	}
	if _, err := run(dir, "mine"); err == nil || err.Error() != "pkg/scalers/mine exists already" {
		t.Errorf("the second time: %v", err)
	}
	for _, typ := range []string{"", "Mine", "../x", "a--b", "-a", "a b"} {
		if _, err := run(dir, typ); err == nil || !strings.HasPrefix(err.Error(), "a type is lower case") {
			t.Errorf("%q: %v", typ, err)
		}
	}
}
