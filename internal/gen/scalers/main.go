// Command scalers writes the reference pages of the scalers, docs/scalers, and
// the JSON schema of triggers, docs/schema/triggers.json, from the definitions
// in pkg/scalers/all.
//
// Run it from the root of the repository, as "go run ./internal/gen/scalers".
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
)

func main() {
	if err := run(".", all.Scalers()); err != nil {
		fmt.Fprintln(os.Stderr, "scalers:", err)
		os.Exit(1)
	}
}

// run replaces the generated files of the repository at root. Pages of scalers
// that are gone are removed.
func run(root string, defs []*scalers.Definition) error {
	files, err := generate(defs)
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(root, "docs", "scalers", "*.md"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing an old page: %w", err)
		}
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("making a folder: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

// generate returns the text of every file by its path below the root.
func generate(defs []*scalers.Definition) (map[string]string, error) {
	files := map[string]string{"docs/scalers/index.md": index(defs)}
	for _, d := range defs {
		text, err := page(d)
		if err != nil {
			return nil, fmt.Errorf("writing the page of %s: %w", d.Type, err)
		}
		files["docs/scalers/"+d.Type+".md"] = text
	}
	text, err := schema(defs)
	if err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	files["docs/schema/triggers.json"] = text
	return files, nil
}
