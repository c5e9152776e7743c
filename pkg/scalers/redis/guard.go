package redis

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
)

// The most a server may announce. Answers to this scaler's commands are far
// smaller: the largest is the slot table of a cluster.
const (
	maxText  = 4 << 20 // bytes of one string
	maxItems = 1 << 17 // items of one array
	maxDepth = 16      // arrays within arrays
	maxLine  = 64 << 10
)

// protocolError means that the other side does not speak the Redis protocol, or
// abuses it. It wraps nothing, as the client library hands on only an innermost
// error.
type protocolError string

// Error implements error.
func (e protocolError) Error() string { return "the answer is not the Redis protocol: " + string(e) }

// guarded is a connection that fails when the server announces more than a
// limit. Whoever may create a trigger chooses the server, and the client
// library makes room for whatever length it is told and recurses as deep as it
// is led: without this, one hostile server could end the process.
type guarded struct {
	net.Conn
	line  []byte // the line so far
	skip  int    // bytes left of a string
	stack []int  // items left of each open array
}

// Read implements net.Conn.
func (g *guarded) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if bad := g.scan(b[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// scan follows the protocol's framing through b.
func (g *guarded) scan(b []byte) error {
	for len(b) > 0 {
		if g.skip > 0 {
			n := min(g.skip, len(b))
			g.skip -= n
			b = b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			end = len(b) - 1
		}
		g.line = append(g.line, b[:end+1]...)
		b = b[end+1:]
		if len(g.line) > maxLine {
			return protocolError(fmt.Sprintf("a line of more than %d bytes", maxLine))
		}
		if g.line[len(g.line)-1] != '\n' {
			return nil
		}
		if err := g.header(bytes.TrimRight(g.line, "\r\n")); err != nil {
			return err
		}
		g.line = g.line[:0]
	}
	return nil
}

// header looks at one complete line.
func (g *guarded) header(line []byte) error {
	if len(line) == 0 {
		return protocolError("an empty line")
	}
	switch line[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		g.element()
		return nil
	case '$', '=', '!':
		n, err := announced(line, maxText)
		if n >= 0 {
			g.skip = n + len("\r\n")
		}
		g.element()
		return err
	case '*', '~', '>', '%':
		n, err := announced(line, maxItems)
		if line[0] == '%' {
			n *= 2
		}
		if n <= 0 {
			g.element()
			return err
		}
		if g.stack = append(g.stack, n); len(g.stack) > maxDepth {
			return protocolError(fmt.Sprintf("arrays nested more than %d deep", maxDepth))
		}
		return err
	}
	// Attributes ('|') would be legal, but no server sends them unasked, and the
	// client library recurses for each.
	return protocolError(fmt.Sprintf("unknown type %q", line[0]))
}

// element counts one complete element, and the arrays it completes.
func (g *guarded) element() {
	for i := len(g.stack) - 1; i >= 0; i-- {
		if g.stack[i]--; g.stack[i] > 0 {
			return
		}
		g.stack = g.stack[:i]
	}
}

// announced reads the number after the type; -1 means null.
func announced(line []byte, most int) (int, error) {
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < -1 || n > most {
		return 0, protocolError(fmt.Sprintf("a length that is no number from -1 to %d", most))
	}
	return n, nil
}
