package workload

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// checkSelector reports whether text is a label selector as Kubernetes reads it:
// requirements joined by commas, each a key, !key, or a key with =, ==, !=, in,
// notin, > or < and what follows. The errors hold no part of the text.
func checkSelector(text string) error {
	p := &selector{tokens: tokens(text)}
	for first := true; first || p.peek() != ""; first = false {
		if !first {
			if p.next() != "," {
				return errors.New("requirements are joined by commas")
			}
		}
		if err := p.requirement(); err != nil {
			return err
		}
	}
	return nil
}

// selector is a selector that is being read.
type selector struct{ tokens []string }

// peek returns the next token; "" at the end.
func (p *selector) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// next takes the next token.
func (p *selector) next() string {
	t := p.peek()
	p.tokens = p.tokens[min(1, len(p.tokens)):]
	return t
}

func (p *selector) requirement() error {
	not := p.peek() == "!"
	if not {
		p.next()
	}
	if !key(p.next()) {
		return errors.New("each requirement begins with a label's name")
	}
	if end := p.peek(); not || end == "" || end == "," {
		return nil
	}
	switch p.next() {
	case "=", "==", "!=":
		return p.value()
	case "in", "notin":
		return p.set()
	case ">", "<":
		if _, err := strconv.ParseInt(p.next(), 10, 64); err != nil {
			return errors.New("> and < are followed by a whole number")
		}
		return nil
	}
	return errors.New("a label's name is followed by =, ==, !=, in, notin, > or <")
}

var errValue = errors.New("a label's value has up to 63 letters, digits, dashes, dots and underscores")

// value reads one value, which may be empty.
func (p *selector) value() error {
	if end := p.peek(); end == "" || end == "," {
		return nil
	}
	if !value(p.next()) {
		return errValue
	}
	return nil
}

// set reads values in brackets. Values may be empty, but the set may not.
func (p *selector) set() error {
	errSet := errors.New("in and notin are followed by values in brackets, joined by commas")
	if p.next() != "(" || p.peek() == ")" {
		return errSet
	}
	for {
		if end := p.peek(); end != "," && end != ")" {
			if !value(p.next()) {
				return errValue
			}
		}
		switch p.next() {
		case ",":
		case ")":
			return nil
		default:
			return errSet
		}
	}
}

// tokens takes a selector apart at spaces and signs.
func tokens(text string) []string {
	signs := regexp.MustCompile(`==|!=|[=!<>(),]|[^=!<>(),\s]+`)
	return signs.FindAllString(text, -1)
}

// key reports whether s is the name of a label: a name, or a domain, a slash and
// a name.
func key(s string) bool {
	domain, name, qualified := strings.Cut(s, "/")
	if !qualified {
		domain, name = "", s
	}
	return name != "" && value(name) && (!qualified || domainName(domain))
}

// value reports whether s can be a label's value.
func value(s string) bool {
	return len(s) <= 63 && regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`).MatchString(s)
}

// domainName reports whether s is a DNS name in lower case.
func domainName(s string) bool {
	part := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	return len(s) <= 253 && !slices.ContainsFunc(strings.Split(s, "."), func(p string) bool { return !part.MatchString(p) })
}
