package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// document is one object of the input, as it was written, or what is wrong with
// a file or a part of it.
type document struct {
	file   string
	object map[string]any
	err    error // object is nil when it is set
}

// input collects documents in the order they are named.
type input struct {
	stdin io.Reader
	docs  []document
}

// stdinName stands for the standard input among file names.
const stdinName = "-"

// read adds a file, all manifests of a directory and those below it, or the
// standard input.
func (in *input) read(path string) {
	if path == stdinName {
		raw, err := io.ReadAll(in.stdin)
		if err != nil {
			in.fail(path, fmt.Errorf("reading the standard input: %w", err))
		}
		in.parse(path, raw)
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		in.fail(path, err)
		return
	}
	if !info.IsDir() {
		in.file(path)
		return
	}
	root := filepath.Clean(path) + string(filepath.Separator) // also where path is a link
	err = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			in.fail(at, err)
		case entry.IsDir() && at != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.IsDir() && manifest(at):
			in.file(at)
		}
		return nil
	})
	if err != nil {
		in.fail(path, err)
	}
}

// manifest reports whether a file in a directory is to be read.
func manifest(path string) bool {
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func (in *input) file(path string) {
	raw, err := os.ReadFile(path) //nolint:gosec // reading what the user names is what it is for
	if err != nil {
		in.fail(path, err)
		return
	}
	in.parse(path, raw)
}

// fail records what is wrong with a file as a whole.
func (in *input) fail(file string, err error) {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("cannot be read: %w", pathErr.Err) // the path is printed anyway
	}
	in.docs = append(in.docs, document{file: file, err: err})
}

// parse adds the documents of a file. Those that cannot be decoded do not keep
// the others from being looked at.
func (in *input) parse(file string, raw []byte) {
	docs := split(raw)
	for i, doc := range docs {
		var object any
		asJSON, err := yaml.YAMLToJSONStrict(doc)
		if err == nil {
			err = utiljson.Unmarshal(asJSON, &object)
		}
		switch object := object.(type) {
		case map[string]any:
			in.add(file, object)
			continue
		case nil:
			if err == nil {
				continue // an empty document
			}
		default:
			err = errors.New("is no Kubernetes object")
		}
		if err != nil && len(docs) > 1 {
			err = fmt.Errorf("document %d: %s", i+1, decodeText(err))
		} else if err != nil {
			err = errors.New(decodeText(err))
		}
		in.fail(file, err)
	}
}

// decodeText is err in one line, without the names of the decoders.
func decodeText(err error) string {
	text := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	text = strings.TrimPrefix(text, "yaml: ")
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "unmarshal errors:", "")), " ")
	return "cannot be decoded: " + text
}

// add takes one object, or the items of a list.
func (in *input) add(file string, object map[string]any) {
	kind, isText := object["kind"].(string)
	items, isList := object["items"].([]any)
	of, named := strings.CutSuffix(kind, "List")
	if !isText || !isList || !named {
		in.docs = append(in.docs, document{file: file, object: object})
		return
	}
	for i, item := range items {
		object, ok := item.(map[string]any)
		if !ok {
			in.fail(file, fmt.Errorf("items[%d]: is no Kubernetes object", i))
			continue
		}
		if object["kind"] == nil && of != "" {
			object["kind"] = of
		}
		in.add(file, object)
	}
}

// split cuts a file into documents: a stream of JSON values, or YAML documents
// separated by lines of three dashes. Each YAML document is padded with line
// breaks, so that the decoder counts lines as an editor does.
func split(raw []byte) [][]byte {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // a byte order mark
	if docs, ok := splitJSON(raw); ok {
		return docs
	}
	var docs [][]byte
	var doc []byte
	for line := range bytes.Lines(raw) {
		if !separates(line) {
			doc = append(doc, line...)
			continue
		}
		before := bytes.Count(doc, []byte("\n"))
		docs = append(docs, doc)
		doc = append(bytes.Repeat([]byte("\n"), before), line[3:]...)
	}
	return append(docs, doc)
}

// separates reports whether a line begins a YAML document.
func separates(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n"))
}

// splitJSON reports whether raw is a stream of JSON objects, and cuts it.
func splitJSON(raw []byte) ([][]byte, bool) {
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return nil, false
	}
	var docs [][]byte
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var doc json.RawMessage
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, true
		}
		if err != nil {
			return nil, false
		}
		docs = append(docs, doc)
	}
}
