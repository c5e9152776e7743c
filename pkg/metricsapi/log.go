package metricsapi

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// repeatAfter is how long an equal error of the Kubernetes libraries is kept silent.
const repeatAfter = 10 * time.Minute

// maxRemembered bounds the messages known as repeated.
const maxRemembered = 256

// RedirectKlog sends to log what the Kubernetes libraries write through klog:
// errors as warnings, each text at most once in ten minutes, everything else
// as debug lines. klog's logger belongs to the whole process, so only main
// calls this, once, before anything else of Kubernetes runs.
func RedirectKlog(log *slog.Logger) {
	klog.SetLoggerWithOptions(logr.FromSlogHandler(newLibraryHandler(log.Handler())), klog.ContextualLogger(true))
}

// libraryHandler lowers levels and drops repetitions.
type libraryHandler struct {
	slog.Handler
	seen *seen
}

// seen belongs to a handler and all that is derived from it.
type seen struct {
	mu   sync.Mutex // guards last
	last map[string]time.Time
}

func newLibraryHandler(next slog.Handler) libraryHandler {
	return libraryHandler{Handler: next, seen: &seen{last: map[string]time.Time{}}}
}

func lowered(level slog.Level) slog.Level {
	if level >= slog.LevelError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled asks for the level the line will have.
func (h libraryHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, lowered(level))
}

// Handle writes r at its lowered level unless it repeats a recent one.
func (h libraryHandler) Handle(ctx context.Context, r slog.Record) error {
	out := r.Clone()
	out.Level = lowered(r.Level)
	if out.Level == slog.LevelWarn && h.seen.recently(text(r), r.Time) {
		return nil
	}
	return h.Handler.Handle(ctx, out)
}

// WithAttrs keeps the memory of repetitions.
func (h libraryHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryHandler{Handler: h.Handler.WithAttrs(attrs), seen: h.seen}
}

// WithGroup keeps the memory of repetitions.
func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{Handler: h.Handler.WithGroup(name), seen: h.seen}
}

// text is what makes two lines equal: the message and the error.
func text(r slog.Record) string {
	out := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			out += "\n" + a.Value.String()
		}
		return true
	})
	return out
}

// recently reports whether text came less than repeatAfter before at, and
// otherwise remembers it.
func (s *seen) recently(text string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[text]; ok && at.Sub(last) < repeatAfter {
		return true
	}
	if len(s.last) >= maxRemembered {
		clear(s.last)
	}
	s.last[text] = at
	return false
}
