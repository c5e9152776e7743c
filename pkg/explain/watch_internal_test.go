package explain

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchPrintsWhatChanged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text  bool
		pages []string // "!" is an error
		want  string
		err   string
	}{
		"text":                      {true, []string{"a\n", "a\n", "b\n", "a\n"}, "a\n---\nb\n---\na\n", ""},
		"JSON":                      {false, []string{"{}\n", "{}\n", "{1}\n"}, "{}\n{1}\n", ""},
		"an error at first":         {true, []string{"!"}, "", "it is gone"},
		"an error later":            {true, []string{"a\n", "!", "!", "a\n"}, "a\n---\nit is gone\n---\na\n", ""},
		"an error later, with JSON": {false, []string{"{}\n", "!", "{1}\n"}, "{}\n{1}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var out strings.Builder
				start, looks := time.Now(), 0
				err := watch(ctx, &out, tc.text, func(context.Context) (page, error) {
					if got := time.Since(start); got != time.Duration(looks)*watchInterval {
						t.Errorf("look %d came after %s", looks, got)
					}
					looks++
					if looks > len(tc.pages) {
						cancel()
						return page{}, errors.New("interrupted")
					}
					if p := tc.pages[looks-1]; p != "!" {
						return page{text: p}, nil
					}
					return page{}, errors.New("it is gone")
				})
				message := ""
				if err != nil {
					message = err.Error()
				}
				if out.String() != tc.want || message != tc.err {
					t.Errorf("printed %q and returned %q; want %q and %q", out.String(), message, tc.want, tc.err)
				}
			})
		})
	}
}

func TestATerminalIsDrawnOver(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := redraw(&out, true, true, true, "a\n"); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "\x1b[H\x1b[2Ja\n" {
		t.Errorf("printed %q", got)
	}
}
