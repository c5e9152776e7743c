package param

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unique"
)

// Secret is a string that no formatter, encoder or logger prints.
//
// It holds a handle, not the string: package fmt does not call methods on
// unexported fields, so a redacting String method alone would still leak from
// inside a caller's struct. The handle also makes Secret comparable by value.
// The zero value is no secret.
type Secret struct{ h unique.Handle[string] }

// NewSecret wraps s. NewSecret("") is the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{unique.Make(s)}
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// Reveal returns the secret, or "" when there is none. Call it where the bytes
// go on the wire and nowhere else.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.h.Value()
}

const redacted = "[redacted]"

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format implements fmt.Formatter: every verb prints "[redacted]".
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, redacted) //nolint:errcheck // a Formatter has nowhere to report to
}

// MarshalText implements encoding.TextMarshaler with "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// URL is an absolute address with everything that may be a credential split off.
// Two URLs that differ in nothing but their spelling are different values.
type URL struct {
	Base     string // scheme, host, port and path, as written; safe to show
	Scheme   string // lower case
	User     Secret // user name; zero when there is none
	Password Secret // zero when there is none
	Query    Secret // what follows "?", still encoded; zero when there is none
}

// errURL says nothing of the input: url.Parse echoes it, password included.
var errURL = errors.New(`must be an absolute URL such as "scheme://host:port/path", with reserved characters of the user name and password percent-encoded`)

// ParseURL splits raw. The error never repeats any part of raw. It refuses what a
// password that is not percent-encoded may have torn apart, so that no piece of
// it passes for a port or a path and is shown: any "#", and an "@" in the path or
// query of an address that has a user name or a colon.
func ParseURL(raw string) (URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Host == "" || strings.Contains(raw, "#") {
		return URL{}, errURL
	}
	if (u.User != nil || strings.Contains(u.Host, ":")) && strings.Contains(u.EscapedPath()+u.RawQuery, "@") {
		return URL{}, errURL
	}
	out := URL{Scheme: u.Scheme, Query: NewSecret(u.RawQuery)}
	u.RawQuery, u.ForceQuery = "", false
	if u.User != nil {
		password, _ := u.User.Password()
		out.User, out.Password = NewSecret(u.User.Username()), NewSecret(password)
		u.User = nil
	}
	out.Base = u.String()
	return out, nil
}

// String returns the address without credentials and query.
func (u URL) String() string { return u.Base }

// WithQuery returns the address with its query, for the wire. It may hold a
// secret.
func (u URL) WithQuery() string {
	if u.Query.IsZero() {
		return u.Base
	}
	return u.Base + "?" + u.Query.Reveal()
}

// IsZero reports whether there is no address.
func (u URL) IsZero() bool { return u == URL{} }
