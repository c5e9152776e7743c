package azureeventhub

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// connectTimeout bounds one attempt to connect, TLS included.
const connectTimeout = 10 * time.Second

// line makes the connections of one hub's client and can cut them. The SDK asks
// for partitions on a context of its own; cutting the connection ends that too.
type line struct {
	reach   func(ctx context.Context, network, address string) (net.Conn, error)
	address string
	tls     *tls.Config // nil for plain TCP

	mu    sync.Mutex // guards the rest; never held while connecting
	conns map[*tracked]struct{}
	cut   bool
}

// tracked is a connection that its line knows while it is open.
type tracked struct {
	net.Conn
	raw   net.Conn // below TLS, where closing does not wait to say goodbye
	owner *line
}

// Close implements net.Conn.
func (t *tracked) Close() error {
	t.owner.mu.Lock()
	delete(t.owner.conns, t)
	t.owner.mu.Unlock()
	return t.Conn.Close()
}

// connect opens a connection. The SDK has this place for WebSockets and speaks
// AMQP over whatever it gets.
func (l *line) connect(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	raw, err := l.reach(ctx, "tcp", l.address)
	if err != nil {
		return nil, err
	}
	conn := raw
	if l.tls != nil {
		secure := tls.Client(raw, l.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		conn = secure
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, errors.Join(net.ErrClosed, raw.Close())
	}
	t := &tracked{conn, raw, l}
	l.conns[t] = struct{}{}
	return t, nil
}

// hangUp cuts all connections and refuses new ones.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for t := range l.conns {
		_ = t.raw.Close() //nolint:errcheck // whoever uses it is told
	}
	clear(l.conns)
}

// wasCut reports whether hangUp was called.
func (l *line) wasCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// hangUpAfter cuts everything when ctx ends before release is called.
func (l *line) hangUpAfter(ctx context.Context) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		l.hangUp()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}
