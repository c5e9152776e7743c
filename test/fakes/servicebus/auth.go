package servicebus

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// refuse returns why the request is not let in, or "".
func (s *Server) refuse(r *http.Request) string {
	given := r.Header.Get("Authorization")
	signed, isSAS := strings.CutPrefix(given, "SharedAccessSignature ")
	switch {
	case given == "":
		return "MissingToken: the authorization header was not found."
	case isSAS:
		return s.refuseSignature(signed, r)
	case !s.token(strings.TrimPrefix(given, "Bearer ")):
		return "InvalidToken: the token is not valid."
	}
	return ""
}

// refuseSignature checks "sr=...&sig=...&se=...&skn=...": sig signs sr, as it is
// written, and se with the key that skn names; sr must be the address that is asked
// for, or one above it.
func (s *Server) refuseSignature(signed string, r *http.Request) string {
	fields := map[string]string{}
	for part := range strings.SplitSeq(signed, "&") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	key, ok := s.keys[fields["skn"]]
	if !ok || key == "" {
		return "InvalidSignature: the key name is not known."
	}
	sig, err := url.QueryUnescape(fields["sig"])
	if err != nil || !hmac.Equal([]byte(sig), []byte(signature(fields["sr"], fields["se"], key))) {
		return "InvalidSignature: the token has an invalid signature."
	}
	if until, err := strconv.ParseInt(fields["se"], 10, 64); err != nil || time.Now().Unix() > until {
		return "ExpiredToken: the token is expired."
	}
	audience, err := url.QueryUnescape(fields["sr"])
	if err != nil || !covers(audience, r) {
		return "InvalidAudience: the token is for another address."
	}
	return ""
}

// Sign makes a signature that is ready for use: the value of SharedAccessSignature
// in a connection string. Audience is an address such as "sb://host/".
func Sign(audience, name, key string, until time.Time) string {
	sr, se := url.QueryEscape(audience), strconv.FormatInt(until.Unix(), 10)
	return "SharedAccessSignature sr=" + sr + "&sig=" + url.QueryEscape(signature(sr, se, key)) + "&se=" + se + "&skn=" + name
}

// signature signs an audience, as it is escaped, and an expiry.
func signature(sr, se, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(sr + "\n" + se))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// covers reports whether an audience is the host asked, or an address there at or
// above the path. Its case and scheme do not matter, nor does its query.
func covers(audience string, r *http.Request) bool {
	_, rest, ok := strings.Cut(audience, "://")
	if !ok {
		return false
	}
	rest, _, _ = strings.Cut(rest, "?")
	asked := strings.ToLower(r.Host + r.URL.EscapedPath())
	return strings.HasPrefix(asked, strings.ToLower(strings.TrimSuffix(rest, "/")))
}
