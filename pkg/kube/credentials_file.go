package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// fileFreshFor is how long what a file held is good.
	fileFreshFor = time.Minute
	// fileLimit is the size of a file of parameters, in bytes.
	fileLimit = 1 << 20
)

// file takes all parameters from a JSON file of strings below FilePathRoot.
// Symbolic links are followed as long as they stay below it: what Kubernetes
// mounts consists of such.
func (r *resolution) file(path string) error {
	if r.FilePathRoot == "" {
		return &UnreadError{"filePath", "there is no directory for it; start weir with --filepath-auth-root-path"}
	}
	r.within(fileFreshFor)
	if !filepath.IsLocal(path) || strings.Contains(path, "..") {
		return errors.New(`filePath must be relative and must not contain ".."`)
	}
	text, err := readBelow(r.FilePathRoot, path)
	if err != nil {
		return fmt.Errorf("reading filePath %q: %w", path, err)
	}
	var values map[string]*string
	err = json.Unmarshal(text, &values)
	for _, v := range values {
		if v == nil {
			err = errors.New("null is no string")
		}
	}
	if err != nil || values == nil {
		// What package json says may quote the file.
		return fmt.Errorf(`reading filePath %q: it must hold one JSON object of strings, such as {"password": "..."}`, path)
	}
	for k, v := range values {
		r.values.Auth[k] = *v
	}
	return nil
}

// readBelow reads a regular file that is below a directory, wherever symbolic
// links lead.
func readBelow(directory, path string) (text []byte, err error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, fmt.Errorf("opening the directory of --filepath-auth-root-path: %w", bare(err))
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	info, err := root.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file below the directory of --filepath-auth-root-path")
	case err != nil:
		return nil, bare(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	}
	f, err := root.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err = io.ReadAll(io.LimitReader(f, fileLimit+1))
	if len(text) > fileLimit {
		return nil, fmt.Errorf("it is larger than %d bytes", fileLimit)
	}
	return text, err
}

// bare drops the path from an error about it.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
