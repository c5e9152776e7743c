package explain

import (
	"context"
	"fmt"
	"net/url"
	"testing"
)

// pages answers a list in pages of one item, which is the number of the page.
type pages int

func (p pages) get(_ context.Context, path string, query url.Values) ([]byte, error) {
	n := 1
	if c := query.Get("continue"); c != "" {
		if _, err := fmt.Sscan(c, &n); err != nil {
			return nil, fmt.Errorf("a page of %s: %w", path, err)
		}
	}
	next := ""
	if n < int(p) {
		next = fmt.Sprint(n + 1)
	}
	return fmt.Appendf(nil, `{"metadata":{"continue":%q},"items":[%d]}`, next, n), nil
}

func TestAllPagesOfAListAreRead(t *testing.T) {
	t.Parallel()
	r := &reader{from: pages(3)}
	var got []int
	if how := r.many(t.Context(), "things", podResource(), "ns", nil, listed(&got)); how != found || fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("outcome %d, items %v", how, got)
	}
}

func TestAnAnswerThatIsNoJSONIsNamed(t *testing.T) {
	t.Parallel()
	r := &reader{from: nonsense{}}
	var got []int
	if how := r.many(t.Context(), "things", podResource(), "ns", nil, listed(&got)); how != failed {
		t.Errorf("outcome %d", how)
	}
	if how := r.one(t.Context(), "a thing", podResource(), "ns", "x", &got); how != failed {
		t.Errorf("outcome %d", how)
	}
	const why = "cannot be read: reading the answer: invalid character '<' looking for beginning of value"
	for _, u := range r.unseen {
		if u.Why != why {
			t.Errorf("%s: %s", u.What, u.Why)
		}
	}
}

// nonsense is a proxy's error page.
type nonsense struct{}

func (nonsense) get(context.Context, string, url.Values) ([]byte, error) {
	return []byte("<html>"), nil
}
