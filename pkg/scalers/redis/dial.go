package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connectTimeout bounds one attempt to connect, TLS included.
const connectTimeout = 5 * time.Second

// dialer makes all connections of one source and can cut them. The client
// library honours the deadline of a context but not its cancellation, and dials
// in the background on no context at all; cutting the connections ends both.
type dialer struct {
	tls   *tls.Config // nil for plain connections
	reach reach
	count atomic.Int64 // connections made so far

	mu     sync.Mutex // guards the rest; never held while connecting
	lines  map[*line]struct{}
	closed bool
}

// line is one connection, or an attempt to make one.
type line struct {
	net.Conn
	cut   context.CancelFunc
	owner *dialer
}

// Close implements net.Conn.
func (l *line) Close() error {
	l.owner.forget(l)
	l.cut()
	if err := l.Conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // cut before
}

// reach opens a connection to an address.
type reach func(ctx context.Context, network, address string) (net.Conn, error)

func newDialer(config *tls.Config, reach reach) *dialer {
	return &dialer{tls: config, reach: reach, lines: map[*line]struct{}{}}
}

// dial makes a connection that hangUp cuts, for the client library. It never
// fails: a connection that cannot be made fails when it is used. The library
// would otherwise stop dialling for a second after each failure, and leave a
// goroutine behind that sleeps that long, even after Close.
func (d *dialer) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	conn, err := d.tryDial(ctx, addr)
	if err == nil {
		return conn, nil
	}
	placeholder, _ := net.Pipe() // has addresses and deadlines
	return &broken{placeholder, kept{err}}, nil
}

// kept is an error that the client library does not reduce to its innermost
// part, which lacks the address: errors.Unwrap sees nothing to unwrap here,
// while errors.Is and errors.As look inside.
type kept struct{ error }

// Unwrap returns the error.
func (k kept) Unwrap() []error { return []error{k.error} }

// broken is a connection that could not be made.
type broken struct {
	net.Conn
	err error
}

// Read implements net.Conn.
func (b *broken) Read([]byte) (int, error) { return 0, b.err }

// Write implements net.Conn.
func (b *broken) Write([]byte) (int, error) { return 0, b.err }

func (d *dialer) tryDial(ctx context.Context, addr string) (net.Conn, error) {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	l := &line{cut: cut, owner: d}
	if err := d.remember(l); err != nil {
		cut()
		return nil, err
	}
	stop := context.AfterFunc(ctx, cut)
	conn, err := d.connect(life, addr)
	if err == nil && !stop() {
		err = errors.Join(ctx.Err(), conn.Close())
	}
	if err != nil {
		stop()
		d.forget(l)
		cut()
		return nil, err
	}
	l.Conn = conn
	context.AfterFunc(life, func() { _ = conn.Close() }) //nolint:errcheck // it is being given up
	return l, nil
}

// connect makes a connection that belongs to the caller alone.
func (d *dialer) connect(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := d.reach(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		config := d.tls.Clone()
		config.ServerName = hostOnly(addr)
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	d.count.Add(1)
	return &guarded{Conn: conn}, nil
}

// hangUp cuts all connections and attempts.
func (d *dialer) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for l := range d.lines {
		l.cut()
	}
	clear(d.lines)
}

// hangUpAfter cuts everything when ctx ends before release is called. After
// release nothing is cut any more.
func (d *dialer) hangUpAfter(ctx context.Context) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		d.hangUp()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// close cuts everything and refuses new connections.
func (d *dialer) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.hangUp()
}

func (d *dialer) remember(l *line) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	d.lines[l] = struct{}{}
	return nil
}

func (d *dialer) forget(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lines, l)
}
