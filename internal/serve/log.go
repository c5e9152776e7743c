package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-sh/weir/pkg/metricsapi"
)

// newLogger makes the process's logger.
func newLogger(o *options, to io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return nil, errors.New("--log-level must be debug, info, warn or error")
	}
	switch how := (&slog.HandlerOptions{Level: level}); o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(to, how)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, how)), nil
	}
	return nil, errors.New("--log-format must be text or json")
}

// quietLibraries sends what the Kubernetes libraries log to log. What they tell
// is about themselves (event sources started, caches synced), so it is shown only
// when debugging.
func quietLibraries(log *slog.Logger) {
	h := log.Handler()
	if !h.Enabled(context.Background(), slog.LevelDebug) {
		h = fromWarn{h}
	}
	ctrl.SetLogger(logr.FromSlogHandler(h))
	metricsapi.RedirectKlog(log)
}

// fromWarn drops what is less than a warning.
type fromWarn struct{ slog.Handler }

// Enabled implements slog.Handler.
func (f fromWarn) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && f.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (f fromWarn) WithAttrs(a []slog.Attr) slog.Handler { return fromWarn{f.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (f fromWarn) WithGroup(name string) slog.Handler { return fromWarn{f.Handler.WithGroup(name)} }
