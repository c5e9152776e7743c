package explain

import (
	"math"
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, time.November, 23, 10, 30, 0, 0, time.UTC)
	for _, tc := range []struct{ got, want string }{
		{number(0.1 + 0.2), "0.3"},
		{number(math.Copysign(0, -1)), "0"},
		{number(4.5e16), "4.5e+16"},
		{number(0.0001), "0.0001"},
		{span(90 * time.Minute), "1h30m"},
		{span(2 * time.Hour), "2h"},
		{span(400 * time.Millisecond), "0s"},
		{span(-time.Second), "0s"},
		{clock(day.Add(time.Minute), day), "10:31:00"},
		{clock(day.Add(24*time.Hour), day), "2026-11-24 10:30:00"},
		{list(nil, "and"), ""},
		{list([]string{"a"}, "and"), "a"},
		{list([]string{"a", "b"}, "or"), "a or b"},
		{list([]string{"a", "b", "c", "d", "e"}, "and"), "a, b, c and 2 more"},
		{plain("a\x1b[31mb\nc\u202e"), "a�[31mb c�"},
		{sentence("it is. "), "it is."},
		{wrap("one two", "  ", "    "), "  one two\n"},
		{columns("", [][]string{{"a", "b"}, {"long", ""}}), "a     b\nlong\n"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}
