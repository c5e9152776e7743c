package httpauth

import (
	"net/url"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Path is what follows the server in an address. It is comparable, so a scaler's
// query can hold it.
type Path struct {
	path  string       // percent-encoded; empty or with a slash at its beginning
	query param.Secret // still encoded; zero when there is none
}

// Bind reads the address that Settings.Bind declared under that name.
func (t *Path) Bind(p *param.Set, address string) {
	p.Check(func() error {
		u, _ := split(strings.TrimSpace(p.Values().Metadata[address]))
		*t = u.path
		return nil
	}, address)
}

// Join returns the address below s: t's path with more, and t's query string with
// params, which are names and values in turn.
func (t Path) Join(s Settings, more string, params ...string) string {
	var b strings.Builder
	b.WriteString(s.origin)
	if more == "" {
		b.WriteString(t.path)
	} else {
		b.WriteString(strings.TrimRight(t.path, "/") + more)
	}
	sep := "?"
	if !t.query.IsZero() {
		b.WriteString(sep + t.query.Reveal())
		sep = "&"
	}
	for i := 0; i+1 < len(params); i += 2 {
		b.WriteString(sep + url.QueryEscape(params[i]) + "=" + url.QueryEscape(params[i+1]))
		sep = "&"
	}
	return b.String()
}

// address is an address taken apart.
type address struct {
	origin string
	path   Path
	login  login
}

// split takes an address of HTTP apart. The zero address comes with false.
func split(raw string) (a address, ok bool) {
	u, err := param.ParseURL(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return address{}, false
	}
	begin := len(u.Scheme) + len("://")
	end := len(u.Base)
	if slash := strings.IndexByte(u.Base[begin:], '/'); slash >= 0 {
		end = begin + slash
	}
	return address{u.Base[:end], Path{u.Base[end:], u.Query}, login{u.User, u.Password}}, true
}

// Private reports whether requests to the server are encrypted.
func (s Settings) Private() bool { return strings.HasPrefix(s.origin, "https://") }

// Within reports whether requests are encrypted and go to a domain or a host
// below it.
func (s Settings) Within(domain string) bool {
	u, err := url.Parse(s.origin)
	if err != nil || u.Scheme != "https" || domain == "" {
		return false
	}
	return strings.HasSuffix("."+strings.ToLower(u.Hostname()), "."+strings.ToLower(domain))
}
