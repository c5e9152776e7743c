// Command crd finishes the CustomResourceDefinitions that controller-gen wrote,
// in place: it reads keda.sh_*.yaml in deploy/crds, or in the directory given as
// its argument, and writes each file back in the form users install.
//
// It does what markers on the Go types cannot. The pod template of a ScaledJob
// loses its descriptions, as Kubernetes' own would make the file too large for
// plain "kubectl apply", and keeps labels and annotations, which controller-gen
// leaves undeclared. Rules and fields that make sense elsewhere but not here go.
// Running it again changes nothing.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSize, in bytes, keeps a file applicable with plain "kubectl apply", which
// stores the object a second time in an annotation; the API server allows
// 262,144 bytes of annotations in all.
const maxSize = 200_000

func main() {
	dir := filepath.Join("deploy", "crds")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(dir); err != nil {
		fmt.Fprintln(os.Stderr, "crd:", err)
		os.Exit(1)
	}
}

// run finishes every keda.sh_*.yaml in dir. Files are written only when their
// content changes. The error names the files that could not be finished; the
// others are finished nevertheless.
func run(dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("opening the definitions: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()

	files, err := fs.Glob(root.FS(), "keda.sh_*.yaml")
	if err != nil {
		return fmt.Errorf("listing %s: %w", dir, err)
	}
	if len(files) == 0 {
		return fmt.Errorf("no keda.sh_*.yaml in %s; run controller-gen first", dir)
	}
	var errs []error
	for _, file := range files {
		if err := rewrite(root, file); err != nil {
			errs = append(errs, fmt.Errorf("finishing %s: %w", file, err))
		}
	}
	return errors.Join(errs...)
}

func rewrite(root *os.Root, file string) error {
	raw, err := root.ReadFile(file)
	if err != nil {
		return err
	}
	finished, err := finish(raw)
	if err != nil {
		return err
	}
	if len(finished) >= maxSize {
		return fmt.Errorf("%d bytes, but plain kubectl apply needs fewer than %d; strip more descriptions", len(finished), maxSize)
	}
	if bytes.Equal(raw, finished) {
		return nil
	}
	return root.WriteFile(file, finished, 0o644)
}
