package param_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// holder has its secrets where package fmt calls no methods.
type holder struct {
	name   string
	secret param.Secret
	url    param.URL
	Open   param.Secret
	Many   []param.Secret
}

func TestSecretsStayInside(t *testing.T) {
	const hidden = "hunter2"
	u, err := param.ParseURL("amqp://hunter2:hunter2@h/vhost?k=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	s := param.NewSecret(hidden)
	h := holder{"x", s, u, s, []param.Secret{s}}
	var out bytes.Buffer
	for _, v := range []any{s, &s, u, &u, h, &h, []any{h}, map[string]any{"h": h}, map[param.Secret]int{s: 1}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, fmt.Errorf("failing with %v", v), fmt.Sprint(v), fmt.Sprintln(v))
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("v", v))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", slog.Any("v", v))
	}
	for _, v := range []any{s, u, h, []any{h}} {
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := xml.NewEncoder(&out).Encode(u); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), fmt.Sprintf("%d", []byte(hidden))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows as %s:\n%s", form, out.String())
		}
	}
	if h.name+h.secret.Reveal() != "xhunter2" || h.url.Password.Reveal() != hidden {
		t.Error("Reveal does not give the secret back")
	}
}

func TestSecretComparesByValue(t *testing.T) {
	a, b := param.NewSecret("one"), param.NewSecret(strings.Join([]string{"o", "ne"}, ""))
	if a != b || a == param.NewSecret("two") {
		t.Error("secrets are equal when, and only when, their strings are")
	}
	zero := param.NewSecret("")
	if !zero.IsZero() || zero != (param.Secret{}) || zero.Reveal() != "" || a.IsZero() {
		t.Error("the empty string is no secret")
	}
	if zero.String() != "[redacted]" {
		t.Error("the zero secret must not be told from others by its text")
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{
		"amqp://user:hun/ter2@host:5672/", "amqp://user:12/34@host/", "http://u:p@h/a?b=c#d", "http://[::1]:5/%2f",
		"sb://h/;Key=a@b", "a:b", "//h", "http://u:p%zz@h", "http://h:99999999/", "http://h/\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := param.ParseURL(raw)
		if err != nil {
			if _, fixed := param.ParseURL("nonsense"); err.Error() != fixed.Error() {
				t.Errorf("the error differs with the input: %v", err)
			}
			return
		}
		again, err := param.ParseURL(u.Base)
		if err != nil {
			t.Fatalf("the address %q of %q does not parse", u.Base, raw)
		}
		if again.Base != u.Base || !again.User.IsZero() || !again.Password.IsZero() || !again.Query.IsZero() {
			t.Errorf("the address of %q still holds credentials: %q", raw, u.Base)
		}
	})
}

func FuzzCredentialsNeverShow(f *testing.F) {
	f.Add("12/34")
	f.Add("a#b")
	f.Add("1?2@x:3/4")
	f.Add("p@x:12/3")
	f.Add("/")
	f.Add("@0/")
	f.Fuzz(func(t *testing.T, password string) {
		const mark = "c4n4ry"
		u, err := param.ParseURL("amqp://user:" + password + mark + "@host:5672/vhost")
		if err == nil && strings.Contains(u.Base, mark) {
			t.Errorf("the address shows a password with %q in it: %s", password, u.Base)
		}
	})
}
