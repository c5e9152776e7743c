package azurestorage

import "testing"

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.txt", "a.txt", true},
		{"*.txt", "in/old/a.txt", true},
		{"*.txt", "a.txt.gz", false},
		{"in/**/*.txt", "in/a.txt", false}, // ** is no more than *
		{"in/**/*.txt", "in/x/y/a.txt", true},
		{"?.txt", "a.txt", true},
		{"?.txt", "ä.txt", true},
		{"?.txt", "ab.txt", false},
		{"?", "/", true},
		{"[ab].txt", "b.txt", true},
		{"[a-c]", "b", true},
		{"[!a-c]", "b", false},
		{"[!a-c]", "d", true},
		{"[]a]", "]", true},
		{"[^a]", "^", true},
		{`[\]\-]`, "-", true},
		{"{a,b{c,d}}.txt", "bd.txt", true},
		{"{a,b}", "c", false},
		{"{a,}", "", true},
		{"a,b}", "a,b}", true},
		{`\*\{`, "*{", true},
		{"a.b", "axb", false},
		{"(a|b)+", "(a|b)+", true},
		{"a|b", "a", false},
		{"*", "line\nbreak", true},
		{"", "", true},
	} {
		re, err := compileGlob(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
		} else if got := re.MatchString(c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

func FuzzCompileGlob(f *testing.F) {
	for _, seed := range []string{"*", "[a-", `{\`, "{[!]", "[z-a]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		re, err := compileGlob(pattern)
		if (re == nil) == (err == nil) {
			t.Errorf("%v and %v", re, err)
		}
	})
}
