package redis

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// value is one value of the protocol's version 3.
type value struct {
	kind  byte    // as on the wire: '+', '-', ':', '$', '*', '>' and so on; '_' for every null
	text  string  // of strings, numbers and errors
	items []value // of arrays; keys and values in turn for maps
}

// failure returns the text of an error reply, and whether it is one.
func (v value) failure() (string, bool) { return v.text, v.kind == '-' || v.kind == '!' }

// readValue reads one value. It relies on guarded for limits on lengths and
// depth.
func readValue(r *bufio.Reader) (value, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return value{}, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return value{}, protocolError("an empty line")
	}
	v := value{kind: line[0], text: line[1:]}
	switch v.kind {
	case '$', '=', '!':
		return v.withText(r)
	case '*', '~', '>':
		return v.withItems(r, 1)
	case '%':
		return v.withItems(r, 2)
	}
	return v, nil
}

// withText replaces the length in v by the text that follows.
func (v value) withText(r *bufio.Reader) (value, error) {
	n, err := strconv.Atoi(v.text)
	switch {
	case err != nil:
		return value{}, protocolError("a length that is no number")
	case n < 0:
		return value{kind: '_'}, nil
	}
	text := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(r, text); err != nil {
		return value{}, err
	}
	return value{kind: v.kind, text: string(text[:n])}, nil
}

// withItems replaces the length in v by the items that follow, each of which is
// made of so many values.
func (v value) withItems(r *bufio.Reader, values int) (value, error) {
	n, err := strconv.Atoi(v.text)
	switch {
	case err != nil:
		return value{}, protocolError("a length that is no number")
	case n < 0:
		return value{kind: '_'}, nil
	}
	v.text = ""
	for range n * values {
		item, err := readValue(r)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	return v, nil
}

// writeCommand writes a command; the caller flushes and sees errors then.
func writeCommand(w *bufio.Writer, args ...string) {
	_, _ = fmt.Fprintf(w, "*%d\r\n", len(args)) // bufio keeps the error for Flush
	for _, a := range args {
		_, _ = fmt.Fprintf(w, "$%d\r\n%s\r\n", len(a), a) // bufio keeps the error for Flush
	}
}
