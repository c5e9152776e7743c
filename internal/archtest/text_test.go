package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// source is a text file of the repository.
type source struct {
	path string // below the root
	text []byte
}

func (s source) generated() bool {
	return regexp.MustCompile(`(?m)^(//|#|<!--) ?Code generated .* DO NOT EDIT\.`).Match(s.text)
}

// sources returns the files whose name ends in one of suffixes.
func sources(t *testing.T, suffixes ...string) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "node_modules"):
			return fs.SkipDir
		case !d.Type().IsRegular() || !slices.ContainsFunc(suffixes, func(s string) bool { return filepath.Ext(path) == s || d.Name() == s }):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		out = append(out, source{name, text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("no file ends in %v", suffixes)
	}
	return out
}

func TestFilesAreShort(t *testing.T) {
	const most = 500
	for _, s := range sources(t, ".go") {
		if n := bytes.Count(s.text, []byte("\n")); n > most && !s.generated() {
			t.Errorf("%s has %d lines; split it by topic, %d is the most", s.path, n, most)
		}
	}
}

// habits looks at the syntax of a Go file and returns what is against the rules,
// each with its line.
func habits(path string, text []byte) ([]string, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []string
	report := func(n ast.Node, why string) {
		out = append(out, path+":"+strconv.Itoa(files.Position(n.Pos()).Line)+": "+why)
	}
	for n := range ast.Preorder(f) {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				report(n, "no init: build the value in main and pass it")
			}
		case *ast.CallExpr:
			if skipsSilently(n) {
				report(n, "say why the test is skipped")
			}
		}
	}
	return out, nil
}

// skipsSilently reports whether call skips a test without a text.
func skipsSilently(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := f.X.(*ast.Ident)
	if !ok || !slices.Contains([]string{"t", "b", "f", "tb"}, of.Name) {
		return false
	}
	switch f.Sel.Name {
	case "SkipNow":
		return true
	case "Skip", "Skipf":
		if len(call.Args) == 0 {
			return true
		}
		text, ok := call.Args[0].(*ast.BasicLit)
		return ok && len(text.Value) < len(`"a reason"`)
	}
	return false
}

func TestNoInitAndNoSilentSkip(t *testing.T) {
	for _, s := range sources(t, ".go") {
		if s.generated() {
			continue
		}
		found, err := habits(s.path, s.text)
		if err != nil {
			t.Error(err)
		}
		for _, f := range found {
			t.Error(f)
		}
	}
}

func TestHabitsAreFound(t *testing.T) {
	const text = `package x
func init() {}
func (x) init() {}
func f(t T) {
	t.Skip()
	t.SkipNow()
	t.Skip("")
	t.Skip("needs a server that apt has not")
	t.Skip(reason)
	s.Skip()
}`
	want := []string{
		"x.go:2: no init: build the value in main and pass it",
		"x.go:5: say why the test is skipped",
		"x.go:6: say why the test is skipped",
		"x.go:7: say why the test is skipped",
	}
	if got, err := habits("x.go", []byte(text)); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

// unfinished matches the marks of work that was put off.
func unfinished() *regexp.Regexp { return regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`) }

// local matches what belongs to one developer's machine.
func local() *regexp.Regexp {
	return regexp.MustCompile(`(^|[\s"'` + "`" + `=(:,])/(wo` + `rk|ro` + `ot|tm` + `p|ho` + `me)/[\w.]|GOPR` + `OXY=`)
}

// search reports every line of files that pattern matches.
func search(t *testing.T, files []source, pattern *regexp.Regexp, why string) {
	t.Helper()
	for _, s := range files {
		for n, line := range bytes.Split(s.text, []byte("\n")) {
			if m := pattern.Find(line); m != nil {
				t.Errorf("%s:%d: %q: %s", s.path, n+1, m, why)
			}
		}
	}
}

func TestNothingIsUnfinished(t *testing.T) {
	files := sources(t, ".go", ".sh", ".yaml", ".yml", ".mod", "Makefile", "Dockerfile")
	search(t, files, unfinished(), "finish it, or open an issue and name it in a sentence")
}

func TestNothingOfOneMachine(t *testing.T) {
	files := sources(t, ".go", ".md", ".sh", ".yaml", ".yml", ".json", ".mod", ".txt", "Makefile", "Dockerfile")
	search(t, files, local(), "no absolute path or proxy of a developer's machine; use a relative path, t.TempDir or a flag")
}

func TestWordsAreFound(t *testing.T) {
	for line, want := range map[string][2]bool{
		"// TO" + "DO: later":         {true, false},
		"a to" + "do list":            {false, false},
		"mktemp dirXX" + "XXXX":       {false, false},
		`dir := "/wo` + `rk/main"`:    {false, true},
		"cd /tm" + "p/x":              {false, true},
		"env GOPR" + "OXY=off":        {false, true},
		"https://h/ro" + "ot/x":       {false, false},
		"mountPath: /tm" + "p":        {false, false},
		"see internal/wo" + "rk/x.go": {false, false},
	} {
		got := [2]bool{unfinished().MatchString(line), local().MatchString(line)}
		if got != want {
			t.Errorf("%s: got %v, want %v", line, got, want)
		}
	}
}
