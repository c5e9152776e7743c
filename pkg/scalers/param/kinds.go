package param

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// String binds a string. Control characters are refused: many upstreams speak
// line protocols, where a line break in a queue name would be a second command.
func (s *Set) String(dst *string, name, doc string, opts ...Option) {
	s.bind(Info{Name: name, Doc: doc, Kind: KindString, Default: *dst}, opts, func(v string) string {
		if strings.ContainsFunc(v, unicode.IsControl) {
			return "must not contain control characters"
		}
		*dst = v
		return ""
	})
}

// Text binds a string that may span lines, such as a query in the upstream's own
// language. Other control characters are refused.
func (s *Set) Text(dst *string, name, doc string, opts ...Option) {
	s.bind(Info{Name: name, Doc: doc, Kind: KindString, Default: *dst}, opts, func(v string) string {
		if strings.ContainsFunc(v, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }) {
			return "must not contain control characters other than tabs and line breaks"
		}
		*dst = v
		return ""
	})
}

// Int binds a whole number within [lo, hi], written as in JSON.
func (s *Set) Int(dst *int64, lo, hi int64, name, doc string, opts ...Option) {
	def := strconv.FormatInt(*dst, 10)
	s.bind(Info{Name: name, Doc: doc, Kind: KindInteger, Default: def}, opts, func(v string) string {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || !json.Valid([]byte(v)) {
			return "must be a whole number, written with digits only"
		}
		switch {
		case n < lo && hi == math.MaxInt64:
			return fmt.Sprintf("must be a whole number of at least %d", lo)
		case n > hi && lo == math.MinInt64:
			return fmt.Sprintf("must be a whole number of at most %d", hi)
		case n < lo || n > hi:
			return fmt.Sprintf("must be a whole number from %d to %d", lo, hi)
		}
		*dst = n
		return ""
	})
}

// Float binds a finite number, written as in JSON: "5", "0.25", "1e2".
func (s *Set) Float(dst *float64, name, doc string, opts ...Option) {
	def := strconv.FormatFloat(*dst, 'g', -1, 64)
	s.bind(Info{Name: name, Doc: doc, Kind: KindNumber, Default: def}, opts, func(v string) string {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !json.Valid([]byte(v)) {
			return `must be a number such as "5" or "0.25"`
		}
		*dst = f
		return ""
	})
}

// Bool binds a truth value: 1, t, T, TRUE, true, True, or 0, f, F, FALSE, false,
// False.
func (s *Set) Bool(dst *bool, name, doc string, opts ...Option) {
	s.bind(Info{Name: name, Doc: doc, Kind: KindBoolean, Default: strconv.FormatBool(*dst)}, opts, func(v string) string {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return `must be "true" or "false"`
		}
		*dst = b
		return ""
	})
}

// Duration binds a time span of zero or more: a Go duration such as "30s", or a
// bare whole number of milliseconds.
func (s *Set) Duration(dst *time.Duration, name, doc string, opts ...Option) {
	def := ""
	if *dst != 0 {
		def = dst.String()
	}
	s.bind(Info{Name: name, Doc: doc, Kind: KindDuration, Default: def}, opts, func(v string) string {
		d, err := time.ParseDuration(v)
		if ms, bare := strconv.ParseInt(v, 10, 64); bare == nil && ms >= 0 && ms <= math.MaxInt64/int64(time.Millisecond) {
			d, err = time.Duration(ms)*time.Millisecond, nil
		}
		if err != nil || d < 0 {
			return `must be a duration such as "30s", or a whole number of milliseconds`
		}
		*dst = d
		return ""
	})
}

// List is a list of strings that can be compared with ==. The zero value is the
// empty list.
type List struct{ joined string }

// NewList makes a List. Items are kept as they are, in order.
func NewList(items ...string) List { return List{strings.Join(items, "\x00")} }

// Items returns a new slice of the items; nil for the empty list.
func (l List) Items() []string {
	if l.joined == "" {
		return nil
	}
	return strings.Split(l.joined, "\x00")
}

// String returns the items separated by commas.
func (l List) String() string { return strings.ReplaceAll(l.joined, "\x00", ",") }

// List binds a list separated by commas. Items are trimmed; empty ones are kept.
func (s *Set) List(dst *List, name, doc string, opts ...Option) {
	s.bind(Info{Name: name, Doc: doc, Kind: KindList, Default: dst.String()}, opts, func(v string) string {
		if strings.ContainsFunc(v, unicode.IsControl) {
			return "must not contain control characters"
		}
		*dst = NewList(split(v)...)
		return ""
	})
}

// split gives the trimmed items of a list as users write it.
func split(v string) []string {
	items := strings.Split(v, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// Secret binds a secret. Without From it is read from authentication only.
func (s *Set) Secret(dst *Secret, name, doc string, opts ...Option) {
	opts = append([]Option{From(Auth)}, opts...)
	s.bind(Info{Name: name, Doc: doc, Kind: KindSecret}, opts, func(v string) string {
		*dst = NewSecret(v)
		return ""
	})
}

// URL binds an absolute URL. Its user name, password and query are split off, so
// that what is left can be shown.
func (s *Set) URL(dst *URL, name, doc string, opts ...Option) {
	s.bind(Info{Name: name, Doc: doc, Kind: KindURL}, opts, func(v string) string {
		u, err := ParseURL(v)
		if err != nil {
			return err.Error()
		}
		*dst = u
		return ""
	})
}
