package azurestorage

import (
	"errors"
	"regexp"
	"strings"
)

// compileGlob turns a pattern into a regular expression, which takes time in
// proportion to the name whatever the pattern is. The error says nothing of the
// pattern.
func compileGlob(pattern string) (*regexp.Regexp, error) {
	g := &globber{rest: []rune(pattern)}
	for len(g.rest) > 0 {
		if err := g.step(); err != nil {
			return nil, err
		}
	}
	if g.depth > 0 {
		return nil, errors.New("a { is not closed")
	}
	re, err := regexp.Compile(`(?s)\A(?:` + g.out.String() + `)\z`)
	if err != nil {
		return nil, errors.New("a set in brackets makes no sense")
	}
	return re, nil
}

// globber translates a pattern piece by piece.
type globber struct {
	rest  []rune
	out   strings.Builder
	depth int // of braces
}

// take returns the next character. There must be one.
func (g *globber) take() rune {
	r := g.rest[0]
	g.rest = g.rest[1:]
	return r
}

// escaped returns the character after a backslash.
func (g *globber) escaped() (string, error) {
	if len(g.rest) == 0 {
		return "", errors.New("nothing follows a backslash")
	}
	return regexp.QuoteMeta(string(g.take())), nil
}

func (g *globber) step() error {
	var piece string
	var err error
	switch r := g.take(); r {
	case '*':
		piece = ".*"
	case '?':
		piece = "."
	case '\\':
		piece, err = g.escaped()
	case '[':
		piece, err = g.set()
	case '{', '}', ',':
		piece = g.brace(r)
	default:
		piece = regexp.QuoteMeta(string(r))
	}
	g.out.WriteString(piece)
	return err
}

// brace translates alternatives; outside of braces the characters are themselves.
func (g *globber) brace(r rune) string {
	switch {
	case r == '{':
		g.depth++
		return "(?:"
	case g.depth == 0:
		return regexp.QuoteMeta(string(r))
	case r == '}':
		g.depth--
		return ")"
	}
	return "|"
}

// set translates what follows an opening bracket.
func (g *globber) set() (string, error) {
	out := "["
	if len(g.rest) > 0 && g.rest[0] == '!' {
		g.take()
		out += "^"
	}
	for first := true; len(g.rest) > 0; first = false {
		switch r := g.take(); {
		case r == ']' && !first:
			return out + "]", nil
		case r == '-':
			out += "-"
		case r == '\\':
			piece, err := g.escaped()
			if err != nil {
				return "", err
			}
			out += strings.Replace(piece, "-", `\-`, 1)
		default:
			out += regexp.QuoteMeta(string(r))
		}
	}
	return "", errors.New("a [ is not closed")
}
