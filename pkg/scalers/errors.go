package scalers

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Kind tells the engine and the user what kind of failure it was. Each kind has
// one back-off and one section on the page about errors.
type Kind string

// The kinds.
const (
	Invalid      Kind = "Invalid"      // the user must edit the object; no retry until it changes
	Unauthorized Kind = "Unauthorized" // the upstream refused the credentials; the source reopens slowly, or at once when they change
	NotFound     Kind = "NotFound"     // the queue, stream or table does not exist; that query alone is retried
	Unreachable  Kind = "Unreachable"  // the network or the server; the source reopens with back-off
	Throttled    Kind = "Throttled"    // the upstream asked for less; the whole source waits
	BadAnswer    Kind = "BadAnswer"    // the upstream said something this scaler does not understand
	Unknown      Kind = "Unknown"      // an error without a kind; treated as Unreachable when it fails a source
)

// Error is what a source returns: what was tried, what went wrong and what to
// do about it. No part of it holds a secret.
type Error struct {
	Kind Kind
	// Op is what was tried, on what, as a gerund: `measuring list "jobs"`.
	Op string
	// Hint is what the user should do, as an imperative; may be empty.
	Hint string
	// RetryAfter is how long the upstream asked to be left alone; zero lets the
	// engine decide.
	RetryAfter time.Duration
	// Err is the cause; may be nil when Op and Hint say it all.
	Err error
}

// Error implements error: "op: cause; hint".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain: "" for nil,
// Unknown when there is none.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != "" {
		return e.Kind
	}
	return Unknown
}

// HintOf returns the hint of the first *Error in err's chain, or "".
func HintOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}

// Excerpt makes text from an upstream fit to be quoted in an error: at most 200
// bytes of valid UTF-8, without anything that moves a terminal's cursor or
// reorders a line.
func Excerpt(s string) string {
	const most, more = 200, "..."
	s = strings.ToValidUTF8(s, "")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	s = strings.TrimSpace(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-len(more)], "") + more
	}
	return s
}
