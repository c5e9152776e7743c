package telemetry

import (
	"log/slog"
)

// Tracing reports whether spans are made.
func (t *Telemetry) Tracing() bool { return t.tracing.tracer.Load() != nil }

// Plan is what New reads of the environment.
func Plan(c Config) (metrics, traces string, err error) {
	c.Log = slog.New(slog.DiscardHandler)
	t, err := New(c)
	if err != nil {
		return "", "", err
	}
	return string(t.plan.metrics), string(t.plan.traces), nil
}
