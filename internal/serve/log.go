package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-sh/weir/pkg/metricsapi"
)

// newLogger makes the process's logger.
func newLogger(o *options, to io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return nil, errors.New("--log-level must be debug, info, warn or error")
	}
	switch how := (&slog.HandlerOptions{Level: level, ReplaceAttr: timeWriter(o.timeEncoding)}); o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(to, how)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, how)), nil
	}
	return nil, errors.New("--log-format must be text or json")
}

// bindZap declares the flags by which KEDA's log is set up.
func (o *options) bindZap(f *pflag.FlagSet) {
	f.Func("zap-log-level", "see --log-level", func(v string) error {
		_, err := strconv.Atoi(v)
		switch {
		case slices.Contains([]string{"debug", "info", "warn", "error"}, v):
			o.logLevel = v
		case err == nil:
			o.logLevel = "debug"
		default:
			return errors.New("it must be debug, info, warn, error or a number")
		}
		return nil
	})
	f.Func("zap-encoder", "see --log-format", func(v string) error {
		switch v {
		case "console":
			o.logFormat = "text"
		case "json":
			o.logFormat = "json"
		default:
			return errors.New("it must be console or json")
		}
		return nil
	})
	f.Func("zap-time-encoding", "how times are written in the log", func(v string) error {
		if timeWriter(v) == nil {
			return errors.New("it must be epoch, millis, nano, iso8601, rfc3339 or rfc3339nano")
		}
		o.timeEncoding = v
		return nil
	})
	f.BoolFunc("zap-devel", "the log of somebody who works on weir", func(v string) error {
		devel, err := strconv.ParseBool(v)
		if devel {
			o.logLevel, o.logFormat = "debug", "text"
		}
		return err
	})
}

// timeWriter writes the time of records in one of zap's encodings; nil leaves it
// as it is.
func timeWriter(encoding string) func([]string, slog.Attr) slog.Attr {
	write, ok := map[string]func(time.Time) slog.Value{
		"epoch": func(t time.Time) slog.Value { return slog.Float64Value(float64(t.UnixNano()) / float64(time.Second)) },
		"millis": func(t time.Time) slog.Value {
			return slog.Float64Value(float64(t.UnixNano()) / float64(time.Millisecond))
		},
		"nano":        func(t time.Time) slog.Value { return slog.Int64Value(t.UnixNano()) },
		"iso8601":     func(t time.Time) slog.Value { return slog.StringValue(t.Format("2006-01-02T15:04:05.000Z0700")) },
		"rfc3339":     func(t time.Time) slog.Value { return slog.StringValue(t.Format(time.RFC3339)) },
		"rfc3339nano": func(t time.Time) slog.Value { return slog.StringValue(t.Format(time.RFC3339Nano)) },
	}[encoding]
	if !ok {
		return nil
	}
	return func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			a.Value = write(a.Value.Time())
		}
		return a
	}
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
