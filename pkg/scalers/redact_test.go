package scalers_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// leaking returns a connection whose source answers with errors that hold text.
func leaking(t *testing.T, password, text string) scalers.Conn {
	t.Helper()
	s := spec()
	s.Open = func(context.Context, scalers.Env, server) (scalers.Source[list], error) {
		return scripted{
			fetch: func(_ context.Context, q []list) ([]scalers.Reading, error) {
				if q[0].name == "whole" {
					return nil, fmt.Errorf("failing: %s", text)
				}
				return []scalers.Reading{{Err: &scalers.Error{
					Kind: scalers.Throttled, RetryAfter: time.Minute, Op: "asking " + text, Err: errors.New("said " + text), Hint: "try " + text,
				}}}, nil
			},
			close: errors.New("closing with " + text),
		}, nil
	}
	tr, _, err := scalers.Define(s).Parse(param.Values{
		Metadata: map[string]string{"host": "http://user:" + password + "@h:1", "list": "one"}, Auth: map[string]string{"password": password},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tr.Source.Open(t.Context(), scalers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	readings, err := conn.Fetch(t.Context(), []scalers.Query{tr.Query})
	if err != nil {
		t.Fatal(err)
	}
	got := readings[0].Err
	if want := "asking [redacted]: said [redacted]; try [redacted]"; got.Error() != want {
		t.Errorf("%s: got %q, want %q", text, got, want)
	}
	if e, ok := errors.AsType[*scalers.Error](got); !ok || e.Kind != scalers.Throttled || e.RetryAfter != time.Minute {
		t.Errorf("kind and time to wait are lost: %#v", got)
	}
	return conn
}

func TestSecretsThatAnUpstreamRepeatsAreCutOut(t *testing.T) {
	t.Parallel()
	const password = "p&ss w/rd%"
	for _, text := range []string{
		password, url.QueryEscape(password), url.PathEscape(password),
		base64.StdEncoding.EncodeToString([]byte("user:" + password)),
	} {
		conn := leaking(t, url.PathEscape(password), text)
		if err := conn.Close(); err == nil || err.Error() != "closing with [redacted]" {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestErrorsWithoutSecretsKeepTheirCause(t *testing.T) {
	t.Parallel()
	s := spec()
	down := errors.New("down")
	s.Open = func(context.Context, scalers.Env, server) (scalers.Source[list], error) {
		return nil, fmt.Errorf("connecting to h: %w", down)
	}
	tr, _, err := scalers.Define(s).Parse(param.Values{
		Metadata: map[string]string{"host": "http://h:1", "list": "one"}, Auth: map[string]string{"password": "h"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// One letter is no secret, and is in many words.
	if _, err := tr.Source.Open(t.Context(), scalers.Env{}); !errors.Is(err, down) || err.Error() != "connecting to h: down" {
		t.Errorf("got %v", err)
	}
}
