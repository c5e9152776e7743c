package azurestorage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authorize lets a request in that is signed with the account's key, carries a
// shared access signature of the account, or a token that AllowToken named.
func (a *Account) authorize(r *http.Request, service byte) error {
	var err error
	kind, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case kind == "SharedKey":
		err = sharedKey(r, value)
	case kind == "Bearer" && a.token != "" && value == a.token:
	case kind == "" && r.URL.Query().Has("sig"):
		err = accountSAS(r.URL.Query(), service, time.Now())
	default:
		err = errors.New("no authorization")
	}
	if err != nil {
		return failure{http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request: " + err.Error() + "."}
	}
	return nil
}

// sign makes the signature of text under the account's key.
func sign(text string) string {
	key, err := base64.StdEncoding.DecodeString(AccountKey)
	if err != nil {
		panic(err) // it is a constant
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprint(mac, text)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sharedKey verifies an Authorization header of the scheme SharedKey.
func sharedKey(r *http.Request, value string) error {
	account, signature, _ := strings.Cut(value, ":")
	at, err := http.ParseTime(r.Header.Get("x-ms-date"))
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return errors.New("the date is missing or not now")
	}
	if account != AccountName || !hmac.Equal([]byte(signature), []byte(sign(toSign(r)))) {
		return errors.New("the signature does not match")
	}
	return nil
}

// toSign is the text that is signed for a request.
func toSign(r *http.Request) string {
	length := ""
	if r.ContentLength > 0 {
		length = fmt.Sprint(r.ContentLength)
	}
	lines := []string{r.Method, r.Header.Get("Content-Encoding"), r.Header.Get("Content-Language"), length}
	for _, h := range []string{"Content-MD5", "Content-Type", "Date", "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"} {
		lines = append(lines, r.Header.Get(h))
	}
	headers := map[string]string{}
	for name, values := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-ms-") {
			headers[name] = strings.Join(values, ",")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lines = append(lines, name+":"+headers[name])
	}
	lines = append(lines, "/"+AccountName+r.URL.EscapedPath())
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := slices.Sorted(slices.Values(query[name]))
		lines = append(lines, strings.ToLower(name)+":"+strings.Join(values, ","))
	}
	return strings.Join(lines, "\n")
}

// SAS makes an account SAS: the query of an address, and what a connection string
// has as SharedAccessSignature. It allows reading, listing, adding, creating and
// writing in both services, until the given time.
func SAS(until time.Time) string {
	q := url.Values{
		"sv": {"2022-11-02"}, "ss": {"bq"}, "srt": {"sco"}, "sp": {"rlacw"},
		"spr": {"https,http"}, "se": {until.UTC().Format(time.RFC3339)},
	}
	q.Set("sig", sign(sasToSign(q)))
	return q.Encode()
}

// sasToSign is the text that is signed for an account SAS.
func sasToSign(q url.Values) string {
	lines := []string{AccountName}
	for _, name := range []string{"sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"} {
		lines = append(lines, q.Get(name))
	}
	return strings.Join(lines, "\n") + "\n"
}

func accountSAS(q url.Values, service byte, now time.Time) error {
	until, err := time.Parse(time.RFC3339, q.Get("se"))
	switch {
	case !hmac.Equal([]byte(q.Get("sig")), []byte(sign(sasToSign(q)))):
		return errors.New("the signature does not match")
	case err != nil || now.After(until):
		return errors.New("the signature has expired")
	case !strings.Contains(q.Get("ss"), string(service)):
		return errors.New("the signature is for another service")
	}
	return nil
}
