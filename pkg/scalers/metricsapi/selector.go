package metricsapi

import (
	"regexp"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// selector picks samples of one family by their labels.
type selector struct {
	name    string
	labels  map[string]string
	inexact bool // an operator is not "=", and is taken for it
}

// parseSelector reads `name{label="value", ...}`, or the name as the label
// __name__.
func parseSelector(text string) (s selector, ok bool) {
	s.labels = map[string]string{}
	s.name, text = cutPrefix(strings.TrimSpace(text), `[a-zA-Z_:][a-zA-Z0-9_:]*`)
	text = strings.TrimSpace(text)
	if text == "" {
		return s, s.name != ""
	}
	if text[0] != '{' || text[len(text)-1] != '}' {
		return s, false
	}
	for text = strings.TrimSpace(text[1 : len(text)-1]); text != ""; {
		if text, ok = s.matcher(text); !ok {
			return s, false
		}
	}
	if name, named := s.labels["__name__"]; named {
		if s.name != "" {
			return s, false
		}
		s.name = name
		delete(s.labels, "__name__")
	}
	return s, s.name != ""
}

// matcher reads one `label="value"` and the comma that follows it.
func (s *selector) matcher(text string) (rest string, ok bool) {
	label, text := cutPrefix(text, `[a-zA-Z_][a-zA-Z0-9_]*`)
	op, text := cutPrefix(strings.TrimSpace(text), `=~|!=|!~|=`)
	text = strings.TrimSpace(text)
	quoted, err := strconv.QuotedPrefix(text)
	if quoted == "" || quoted[0] == '\'' {
		quoted, text = cutPrefix(text, `'(?:[^'\\]|\\.)*'`)
		err = nil
	} else {
		text = text[len(quoted):]
	}
	if label == "" || op == "" || err != nil || quoted == "" {
		return "", false
	}
	value, err := unquote(quoted)
	if err != nil {
		return "", false
	}
	s.labels[label] = value
	s.inexact = s.inexact || op != "="
	text = strings.TrimSpace(text)
	rest, comma := strings.CutPrefix(text, ",")
	return strings.TrimSpace(rest), comma || text == ""
}

// unquote reads a text in one of the three kinds of quotes.
func unquote(quoted string) (string, error) {
	if quoted[0] != '\'' {
		return strconv.Unquote(quoted)
	}
	inner := strings.ReplaceAll(quoted[1:len(quoted)-1], `\'`, `'`)
	return strconv.Unquote(`"` + strings.ReplaceAll(inner, `"`, `\"`) + `"`)
}

// cutPrefix cuts what pattern matches off the beginning of text.
func cutPrefix(text, pattern string) (prefix, rest string) {
	prefix = regexp.MustCompile(`^(?:` + pattern + `)`).FindString(text)
	return prefix, text[len(prefix):]
}

// matches reports whether labels hold all that the selector asks for.
func (s selector) matches(labels []*dto.LabelPair) bool {
	found := 0
	for _, l := range labels {
		if want, asked := s.labels[l.GetName()]; asked && want == l.GetValue() {
			found++
		}
	}
	return found == len(s.labels)
}
