package rabbitmq

import (
	"regexp"
	"strings"
)

// portable compiles a pattern that means the same to Go as to RabbitMQ, which
// matches with PCRE, byte by byte, in any case and anywhere in the name. It is
// nil for every pattern where the two differ or might: look-around, back
// references, flags, Unicode classes. The server matches those itself.
//
// The meaning is the same only for names that plain accepts.
func portable(pattern string) *regexp.Regexp {
	if !plain(pattern) || !portableSyntax(pattern) {
		return nil
	}
	re, err := regexp.Compile("(?i)" + pattern)
	if err != nil {
		return nil
	}
	return re
}

// plain reports whether s is printable ASCII, where bytes are characters.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func portableSyntax(pattern string) bool {
	for i := 0; i < len(pattern); i++ {
		if !portableAt(pattern[i:]) {
			return false
		}
		if pattern[i] == '\\' {
			i++ // what is escaped has been looked at
		}
	}
	return true
}

// portableAt judges the construct that s begins with. It is strict inside
// brackets too, where most of them mean nothing.
func portableAt(s string) bool {
	next := byte(' ')
	if len(s) > 1 {
		next = s[1]
	}
	switch s[0] {
	case '\\':
		return len(s) > 1 && portableEscape(next)
	case '(':
		// (? begins flags, look-around and more; (* begins PCRE's verbs.
		return next != '?' && next != '*' || strings.HasPrefix(s, "(?:")
	case '[':
		// [:class:], [.x.] and [=x=] are not the same everywhere.
		return strings.IndexByte(":.=", next) < 0
	case '{':
		// Newer PCREs take {,3} for a repetition, Go for these letters.
		return repetition(s)
	}
	return true
}

// repetition reports whether s begins with {n}, {n,} or {n,m}.
func repetition(s string) bool {
	inside, _, closed := strings.Cut(s[1:], "}")
	least, most, _ := strings.Cut(inside, ",")
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	return closed && least != "" && digits(least) && digits(most)
}

// portableEscape accepts escaped punctuation and the classes that are the same
// for ASCII.
func portableEscape(c byte) bool {
	alphanumeric := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	return !alphanumeric || strings.IndexByte("dDwWsSbB", c) >= 0
}
