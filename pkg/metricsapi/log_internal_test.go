package metricsapi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
)

func TestLibraryLinesAreLoweredAndNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		log := logr.FromSlogHandler(newLibraryHandler(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
		expect := func(want string) {
			t.Helper()
			got := buf.String()
			buf.Reset()
			if _, after, ok := strings.Cut(got, " "); ok { // without the time
				got = after
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		failed := errors.New("no content")
		log.Info("starting")
		expect("level=DEBUG msg=starting\n")
		log.Info("starting")
		expect("level=DEBUG msg=starting\n")
		log.Error(failed, "loading", "key", 1)
		expect("level=WARN msg=loading err=\"no content\" key=1\n")
		log.WithName("other").WithValues("a", "b").Error(failed, "loading", "key", 2)
		expect("")
		log.Error(errors.New("another"), "loading")
		expect("level=WARN msg=loading err=another\n")
		time.Sleep(repeatAfter)
		log.Error(failed, "loading")
		expect("level=WARN msg=loading err=\"no content\"\n")
		for i := range maxRemembered { // forgets all, rather than growing
			log.Error(fmt.Errorf("error %d", i), "loading")
		}
		buf.Reset()
		log.Error(failed, "loading")
		expect("level=WARN msg=loading err=\"no content\"\n")
	})
}
