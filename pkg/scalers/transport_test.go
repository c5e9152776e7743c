package scalers_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// around is a transport around another.
type around struct{ http.RoundTripper }

func (a around) Unwrap() http.RoundTripper                     { return a.RoundTripper }
func (around) Around(next http.RoundTripper) http.RoundTripper { return around{next} }

func TestAnOwnTransportKeepsWhatIsAroundTheOriginal(t *testing.T) {
	plain := &http.Transport{IdleConnTimeout: time.Minute}
	for name, c := range map[string]struct {
		from    http.RoundTripper
		own     bool
		wrapped bool
	}{
		"none":              {nil, true, false},
		"plain":             {plain, true, false},
		"around a plain":    {around{plain}, true, true},
		"around nothing":    {around{}, true, true},
		"something else":    {http.NewFileTransport(http.Dir(".")), false, false},
		"around this again": {around{http.NewFileTransport(http.Dir("."))}, false, true},
	} {
		own, put := scalers.OwnTransport(&http.Client{Transport: c.from})
		if (own != nil) != c.own || own == plain {
			t.Errorf("%s: own is %v", name, own)
		}
		if own == nil {
			own = &http.Transport{}
		}
		if a, ok := put(own).(around); ok != c.wrapped || ok && a.RoundTripper != http.RoundTripper(own) {
			t.Errorf("%s: around is %T", name, put(own))
		}
	}
	if own, _ := scalers.OwnTransport(&http.Client{Transport: around{plain}}); own.IdleConnTimeout != time.Minute {
		t.Error("the clone has other settings")
	}
}
