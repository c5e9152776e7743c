// Package archtest keeps promises about the source text: which package imports
// which, and what no file holds.
//
// Run it with -count=1: it learns of imports from a child process, which the
// cache of go test does not see, so a cached pass may hide a violation.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/weir-sh/weir"
	root   = "../.."
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// list returns every package of the module and all that they depend on.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Imports,Standard", "./...")
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0") // as weir is built; with cgo, "C" is an import too
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	all := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
	return all
}

func TestImportsFollowTheDiagram(t *testing.T) {
	all := list(t)
	count := 0
	for path, p := range all {
		name, ours := strings.CutPrefix(path, module+"/")
		if !ours {
			continue
		}
		count++
		r, ok := find(rules(), name)
		if !ok {
			t.Errorf("%s has no rule: decide where it stands, then add it to rules and to the diagram in docs/design.md", name)
			continue
		}
		for _, i := range p.Imports {
			if to, ours := strings.CutPrefix(i, module+"/"); ours && !within(r.ours, to) {
				t.Errorf("%s must not import %s: imports run downwards only, see rules", name, to)
			}
		}
		for _, far := range reached(all, path) {
			if ban := banned(r.never, far); ban != "" {
				t.Errorf("%s must not depend on %s (through %s): the rule is never %s", name, far.ImportPath, via(all, path, far.ImportPath), ban)
			}
		}
	}
	if count < 10 {
		t.Fatalf("go list found only %d packages of %s", count, module)
	}
}

// find returns the rule of a package.
func find(rules map[string]rule, name string) (rule, bool) {
	if r, ok := rules[name]; ok {
		return r, true
	}
	if r, ok := rules[name[:strings.LastIndex(name, "/")+1]+"*"]; ok {
		return r, true
	}
	for tree := name; tree != ""; {
		if r, ok := rules[tree+"/..."]; ok {
			return r, true
		}
		tree = tree[:max(strings.LastIndex(tree, "/"), 0)]
	}
	return rule{}, false
}

// within reports whether a package is one of allowed.
func within(allowed []string, name string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		tree, isTree := strings.CutSuffix(a, "/...")
		return a == name || isTree && (name == tree || strings.HasPrefix(name, tree+"/"))
	})
}

// reached returns everything a package depends on.
func reached(all map[string]pkg, from string) []pkg {
	seen := map[string]bool{from: true}
	var out []pkg
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, i := range all[queue[0]].Imports {
			if !seen[i] {
				seen[i] = true
				queue = append(queue, i)
				out = append(out, all[i])
			}
		}
	}
	return out
}

// via returns which direct import of a package leads to another.
func via(all map[string]pkg, from, to string) string {
	for _, i := range all[from].Imports {
		if i == to || slices.ContainsFunc(reached(all, i), func(p pkg) bool { return p.ImportPath == to }) {
			return i
		}
	}
	return from
}

// banned returns the entry of never that forbids p, or "".
func banned(never []string, p pkg) string {
	for _, n := range never {
		switch {
		case n == std && !p.Standard && p.ImportPath != "C" && !strings.HasPrefix(p.ImportPath, module):
			return "anything outside the standard library"
		case n == p.ImportPath, strings.HasSuffix(n, "/") && strings.HasPrefix(p.ImportPath, n):
			return n
		}
	}
	return ""
}

// TestRulesCanFail shows that each part of a rule forbids something.
func TestRulesCanFail(t *testing.T) {
	rules := map[string]rule{
		"a":     {ours: []string{"b", "c/..."}, never: []string{std, "k8s.io/", "net"}},
		"a/*":   {ours: []string{"a"}},
		"t/...": {ours: []string{"t/x"}},
	}
	for name, want := range map[string]int{"a": 2, "a/b": 1, "t": 1, "t/u": 1, "t/u/v": 1} {
		if r, ok := find(rules, name); !ok || len(r.ours) != want {
			t.Errorf("%s: rule %+v, %v", name, r, ok)
		}
	}
	for _, name := range []string{"b", "a/b/c", "ab", "tt"} {
		if r, ok := find(rules, name); ok {
			t.Errorf("%s has rule %+v", name, r)
		}
	}
	for name, want := range map[string]bool{"b": true, "c": true, "c/d": true, "b/x": false, "cc": false} {
		if within(rules["a"].ours, name) != want {
			t.Errorf("importing %s: want %v", name, want)
		}
	}
	for path, want := range map[string]string{
		"k8s.io/api": "anything outside the standard library", "net": "net", "net/url": "", module + "/pkg/x": "",
	} {
		if got := banned(rules["a"].never, pkg{ImportPath: path, Standard: strings.HasPrefix(path, "net")}); got != want {
			t.Errorf("%s: banned by %q, want %q", path, got, want)
		}
	}
	graph := map[string]pkg{"a": {"a", []string{"b"}, false}, "b": {"b", []string{"c", "a"}, false}, "c": {"c", nil, false}}
	if got := reached(graph, "a"); len(got) != 2 || via(graph, "a", "c") != "b" {
		t.Errorf("a reaches %v, c through %s", got, via(graph, "a", "c"))
	}
}
