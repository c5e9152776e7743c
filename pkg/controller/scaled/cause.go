package scaled

import (
	"errors"
	"net"
	"strings"
)

// Cause is the text of an error with what changes from one try to the next left
// out, so that a source that keeps failing in the same way keeps saying the same.
// The local port of a connection is the one such thing that errors of the
// network contain.
func Cause(err error) string {
	text := err.Error()
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Source != nil {
		text = strings.ReplaceAll(text, op.Source.String()+"->", "")
	}
	return text
}
