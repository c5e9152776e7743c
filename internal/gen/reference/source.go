package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is the constants and functions of a package with their comments, in the
// order of the files' names and of the declarations in them.
type source struct {
	groups []group
	funcs  map[string]string // comments of functions by name
}

// group is one const declaration.
type group struct {
	doc    string // on the whole
	consts []constant
}

// constant is one string constant.
type constant struct {
	name, value string
	doc         string // in one line
}

// constants reads the package in dir.
func constants(dir string) (source, error) {
	out := source{funcs: map[string]string{}}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return out, fmt.Errorf("listing the files of a package: %w", err)
	}
	paths = slices.DeleteFunc(paths, func(p string) bool {
		return strings.HasSuffix(p, "_test.go") || strings.HasPrefix(filepath.Base(p), "zz_generated")
	})
	if len(paths) == 0 {
		return out, fmt.Errorf("no Go files in %s; run this program from the root of the repository", dir)
	}
	files := token.NewFileSet()
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return out, fmt.Errorf("reading a package: %w", err)
		}
		f, err := parser.ParseFile(files, filepath.Base(path), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return out, fmt.Errorf("reading a package: %w", err)
		}
		out.file(f)
	}
	return out, nil
}

func (s *source) file(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				s.funcs[d.Name.Name] = oneLine(d.Doc.Text())
			}
		case *ast.GenDecl:
			if g := constGroup(d); len(g.consts) > 0 {
				s.groups = append(s.groups, g)
			}
		}
	}
}

// constGroup returns the exported string constants of d.
func constGroup(d *ast.GenDecl) group {
	g := group{doc: oneLine(d.Doc.Text())}
	if d.Tok != token.CONST {
		return g
	}
	for _, spec := range d.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !v.Names[0].IsExported() {
			continue
		}
		lit, ok := v.Values[0].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		value, err := strconv.Unquote(lit.Value)
		if err != nil {
			continue // the parser has taken it, so this does not happen
		}
		g.consts = append(g.consts, constant{v.Names[0].Name, value, oneLine(comment(d, v))})
	}
	return g
}

// comment is what stands above v or behind it, or above d when v is all there is.
func comment(d *ast.GenDecl, v *ast.ValueSpec) string {
	if text := cmp.Or(v.Doc.Text(), v.Comment.Text()); text != "" || d.Lparen.IsValid() {
		return text
	}
	return d.Doc.Text()
}

// with returns the groups with only the constants whose name begins with prefix.
// None, and a constant without a comment, is an error.
func (s source) with(prefix string) ([]group, error) {
	var out []group
	var errs []error
	for _, g := range s.groups {
		kept := group{doc: g.doc}
		for _, c := range g.consts {
			if !strings.HasPrefix(c.name, prefix) {
				continue
			}
			if c.doc == "" {
				errs = append(errs, fmt.Errorf("%s has no comment; write when it is used", c.name))
			}
			kept.consts = append(kept.consts, c)
		}
		if len(kept.consts) > 0 {
			out = append(out, kept)
		}
	}
	if len(out) == 0 {
		errs = append(errs, fmt.Errorf("no constant is named %s...; adapt this program", prefix))
	}
	return out, errors.Join(errs...)
}

// said splits a comment of the form "Name (Note): text", or "Name text", into
// note and text, which begins with a capital letter. Names of other constants in
// it become their values.
func (s source) said(c constant) (note, text string) {
	m := regexp.MustCompile(`^\S+?(?: \(([^)]*)\))?(:?) (.*)$`).FindStringSubmatch(c.doc)
	if m == nil {
		return "", c.doc
	}
	note, text = m[1], s.resolve(m[3])
	for _, verb := range []string{"is, ", "is "} {
		text = strings.TrimPrefix(text, verb)
	}
	return note, strings.ToUpper(text[:1]) + text[1:]
}

// resolve replaces the names of constants by their values, in backquotes.
func (s source) resolve(text string) string {
	values := map[string]string{}
	for _, g := range s.groups {
		for _, c := range g.consts {
			values[c.name] = c.value
		}
	}
	return regexp.MustCompile(`\b[A-Z]\w+\b`).ReplaceAllStringFunc(text, func(word string) string {
		if v, ok := values[word]; ok && v != word {
			return code(v)
		}
		return word
	})
}
