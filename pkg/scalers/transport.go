package scalers

import "net/http"

// wrapper is a transport around another, such as one that counts requests.
type wrapper interface {
	Unwrap() http.RoundTripper
	// Around puts the same around another transport.
	Around(http.RoundTripper) http.RoundTripper
}

// OwnTransport returns a clone of the *http.Transport that client uses, for
// settings that others do not have, and a function that puts around it what is
// around the original. The clone must be set up before it is put into a client. Own
// is nil when client does not end in a *http.Transport.
func OwnTransport(client *http.Client) (own *http.Transport, around func(http.RoundTripper) http.RoundTripper) {
	around = func(t http.RoundTripper) http.RoundTripper { return t }
	transport := client.Transport
	if w, ok := transport.(wrapper); ok {
		transport, around = w.Unwrap(), w.Around
	}
	if transport == nil {
		transport = http.DefaultTransport
	}
	if t, ok := transport.(*http.Transport); ok {
		own = t.Clone()
	}
	return own, around
}
