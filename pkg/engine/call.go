package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// grace is how long a call may outlast its context before the loop goes on
// without it.
const grace = time.Second

// closeGrace is how long the loop waits for a connection to close.
const closeGrace = 2 * time.Second

// call runs one call into a scaler on a goroutine of its own, so that neither a
// panic nor a scaler that ignores its deadline does harm. When the call does not
// end in time, stuck is closed once it does; until then nothing that f wrote may
// be read, and the caller must not call that source again.
func (s *source) call(ctx context.Context, timeout time.Duration, op string, f func(context.Context) error) (stuck <-chan struct{}, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan struct{})
	var result error
	go func() {
		defer close(done)
		result = s.contain(op, func() error { return f(ctx) })
	}()
	select {
	case <-done:
		return nil, inTime(ctx, op, timeout, result)
	case <-ctx.Done():
	}
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-done:
		return nil, inTime(ctx, op, timeout, result)
	case <-patience.C:
		return done, &scalers.Error{
			Kind: scalers.Unreachable, Op: op,
			Err:  fmt.Errorf("no answer within %v, and the scaler does not stop waiting for one", timeout),
			Hint: "restart Weir if this persists, and report it as a bug of the scaler",
		}
	}
}

// inTime gives errors of a call whose deadline has passed the kind they deserve.
func inTime(ctx context.Context, op string, timeout time.Duration, err error) error {
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	switch scalers.KindOf(err) {
	case scalers.Unreachable, scalers.Unauthorized, scalers.Throttled:
		return err
	default:
	}
	return &scalers.Error{
		Kind: scalers.Unreachable, Op: op, Err: fmt.Errorf("no answer within %v", timeout),
		Hint: "check that the address is right and can be reached from Weir",
	}
}

// contain runs f and turns a panic into an error.
func (s *source) contain(op string, f func() error) (err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if s.notePanic() {
			s.engine.cfg.Log.Error("a scaler panicked", slog.String("source", s.name), slog.String("doing", op),
				slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		}
		err = &scalers.Error{
			Kind: scalers.BadAnswer, Op: op, Err: newPanicError(r),
			Hint: "report it as a bug of the scaler, with the stack in Weir's log",
		}
	}()
	return f()
}

// panicError is a panic of a scaler. Its text holds the value only when that is
// the runtime's own: others may hold anything.
type panicError struct{ detail string }

func newPanicError(value any) *panicError {
	if r, ok := value.(runtime.Error); ok {
		return &panicError{": " + scalers.Excerpt(r.Error())}
	}
	return &panicError{}
}

// Error implements error.
func (e *panicError) Error() string { return "the scaler panicked" + e.detail }

func isPanic(err error) bool {
	_, ok := errors.AsType[*panicError](err)
	return ok
}

// ofSource reports whether err, returned by Fetch, is about the source rather
// than about one of the queries.
func ofSource(err error) bool {
	switch scalers.KindOf(err) {
	case scalers.Unreachable, scalers.Unauthorized, scalers.Throttled:
		return true
	case scalers.Unknown:
		_, network := errors.AsType[net.Error](err)
		return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
	default:
		return false
	}
}

// retire closes a connection once the calls that use it have ended, and waits a
// while for that.
func (s *source) retire(conn func() scalers.Conn, after ...<-chan struct{}) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for _, c := range after {
			if c != nil {
				<-c
			}
		}
		c := conn()
		if c == nil {
			return
		}
		if err := s.contain("closing the connection", c.Close); err != nil {
			s.engine.cfg.Log.Debug("a connection was closed with an error", slog.String("source", s.name), slog.Any("error", err))
		}
	}()
	patience := time.NewTimer(closeGrace)
	defer patience.Stop()
	select {
	case <-closed:
	case <-patience.C:
		s.engine.cfg.Log.Warn("a connection does not close; going on without waiting", slog.String("source", s.name))
	}
}
