// Command newscaler begins a scaler: a package that compiles and passes the
// conformance suite, its test, and an example. It measures a made-up HTTP API, to
// be replaced by the upstream's own client.
//
// Run it from the root of the repository, as "make new-scaler NAME=my-queue".
package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed template
var templates embed.FS

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: newscaler TYPE, such as my-queue")
		os.Exit(2)
	}
	written, err := run(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "newscaler:", err)
		os.Exit(1)
	}
	for _, path := range written {
		fmt.Println("wrote", path)
	}
	fmt.Println("next: make generate, then make test PKG=./" + filepath.Dir(written[0]) + "; the steps are in CONTRIBUTING.md")
}

// names are what the templates are filled with.
type names struct {
	Type    string // as users write it: "my-queue"
	Package string // "myqueue"
}

// run writes the files of a new scaler below root and returns their paths. It
// touches nothing that exists.
func run(root, typ string) ([]string, error) {
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(typ) {
		return nil, errors.New("a type is lower case letters and digits with single dashes, such as my-queue")
	}
	n := names{typ, strings.ReplaceAll(typ, "-", "")}
	files := []struct{ template, path string }{
		{"scaler.go.tmpl", "pkg/scalers/" + n.Package + "/" + n.Package + ".go"},
		{"scaler_test.go.tmpl", "pkg/scalers/" + n.Package + "/" + n.Package + "_test.go"},
		{"scaledobject.yaml.tmpl", "examples/" + typ + "/scaledobject.yaml"},
	}
	texts := make([][]byte, len(files))
	for i, f := range files {
		if _, err := os.Stat(filepath.Join(root, filepath.Dir(f.path))); err == nil {
			return nil, fmt.Errorf("%s exists already", filepath.Dir(f.path))
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		var err error
		if texts[i], err = render(f.template, n); err != nil {
			return nil, err
		}
	}
	var written []string
	for i, f := range files {
		path := filepath.Join(root, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("making the folder: %w", err)
		}
		if err := os.WriteFile(path, texts[i], 0o644); err != nil {
			return nil, fmt.Errorf("writing: %w", err)
		}
		written = append(written, f.path)
	}
	return written, nil
}

// render fills a template in; Go code comes out formatted.
func render(name string, n names) ([]byte, error) {
	t, err := template.New(name).Delims("<<", ">>").ParseFS(templates, "template/"+name)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, n); err != nil {
		return nil, fmt.Errorf("filling in %s: %w", name, err)
	}
	if !strings.HasSuffix(name, ".go.tmpl") {
		return b.Bytes(), nil
	}
	return format.Source(b.Bytes())
}
