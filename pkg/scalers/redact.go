package scalers

import (
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// No scaler puts a secret into an error. But upstreams, proxies and client
// libraries repeat what they were sent: a page that lists the headers of the
// request, a driver that quotes its connection string. What leaves a source is
// searched for the secrets of its settings, as the last of several guards.

// secrets are texts that no error may hold, the longest first.
type secrets []string

// shortest is the length from which a text counts: a shorter one is no secret, and
// is part of many words.
const shortest = 4

// secretsOf collects the secrets in settings, as written and as they are encoded on
// the wire.
func secretsOf(settings any) secrets {
	// Fields of scalers are unexported: they can be read through their address,
	// which a copy has.
	v := reflect.New(reflect.TypeOf(settings)).Elem()
	v.Set(reflect.ValueOf(settings))
	var plain []string
	var users []string
	collect(v, &plain, &users)
	var out secrets
	for _, s := range plain {
		out = append(out, s, url.QueryEscape(s), url.PathEscape(s), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "="))
		for _, user := range append(users, "") {
			out = append(out, base64.StdEncoding.EncodeToString([]byte(user+":"+s))) // HTTP's basic authentication
		}
	}
	out = slices.DeleteFunc(out, func(s string) bool { return len(s) < shortest })
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(out)
}

// collect appends the secrets in v, which is addressable. Names of users are kept
// apart: on their own they are no secrets, and many are words that errors hold.
func collect(v reflect.Value, out, users *[]string) {
	if v.Type() == reflect.TypeFor[param.Secret]() {
		s, ok := reflect.TypeAssert[*param.Secret](reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr()))) //nolint:gosec // reads a field that reflect does not hand out
		if ok && !s.IsZero() {
			*out = append(*out, s.Reveal())
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for name, f := range v.Fields() {
			if strings.HasPrefix(strings.ToLower(name.Name), "user") {
				collect(f, users, users)
				continue
			}
			collect(f, out, users)
		}
	case reflect.Array:
		for i := range v.Len() {
			collect(v.Index(i), out, users)
		}
	default:
	}
}

// redact returns err, or an error of the same kind without the secrets in its
// text. What is cut out of a text may have been the cause that errors.Is looks for,
// so causes are lost then.
func (s secrets) redact(err error) error {
	if err == nil || !s.in(err.Error()) {
		return err
	}
	var told *Error
	if !errors.As(err, &told) {
		return errors.New(s.cut(err.Error())) //nolint:err113 // the text is all that is left of it
	}
	out := &Error{Kind: told.Kind, RetryAfter: told.RetryAfter, Op: s.cut(told.Op), Hint: s.cut(told.Hint)}
	if told.Err != nil {
		out.Err = errors.New(s.cut(told.Err.Error())) //nolint:err113 // as above
	}
	return out
}

func (s secrets) in(text string) bool {
	return slices.ContainsFunc(s, func(secret string) bool { return strings.Contains(text, secret) })
}

func (s secrets) cut(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, param.Secret{}.String())
	}
	return text
}
