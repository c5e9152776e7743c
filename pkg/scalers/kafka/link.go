package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/IBM/sarama"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// connectTimeout bounds one attempt to connect, TLS included.
	connectTimeout = 5 * time.Second
	// answerTimeout bounds the wait for one answer, apart from what a broker was
	// asked to wait itself.
	answerTimeout = 10 * time.Second
)

// link is a connection to one broker. Sarama's calls take no context, so that
// the connection is cut when the context of a call ends before its answer.
type link struct {
	broker *sarama.Broker
	cut    context.CancelFunc
	// throttled is until when the broker wants to be left alone. Sarama waits for
	// it without a context.
	throttled time.Time
}

// connect opens a connection and logs in.
func (a *access) connect(ctx context.Context, addr string) (*link, error) {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	l := &link{broker: sarama.NewBroker(addr), cut: cut}
	if err := l.broker.Open(a.config(life)); err != nil {
		cut()
		return nil, err
	}
	stop := context.AfterFunc(ctx, cut)
	connected := make(chan error, 1)
	go func() {
		_, err := l.broker.Connected()
		connected <- err
	}()
	var err error
	select {
	case err = <-connected:
		err = a.untoldByKerberos(err)
	case <-ctx.Done():
		// The library waits for a Kerberos server without a context. Elsewhere
		// it has noticed the cut by now.
		a.leaving.Go(func() {
			l.close() // waits for it
		})
		return nil, context.Cause(ctx)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close releases the connection and its goroutine.
func (l *link) close() {
	l.cut()
	l.broker.Close() //nolint:errcheck // it is cut already, which is what is wanted
}

// call asks the broker at the other end. After an error that is not the
// broker's own the link is of no use.
func call[T any](ctx context.Context, l *link, ask func(*sarama.Broker) (T, error)) (T, error) {
	stop := context.AfterFunc(ctx, l.cut)
	answer, err := ask(l.broker)
	if !stop() {
		return answer, context.Cause(ctx)
	}
	if err == nil {
		l.throttled = time.Now().Add(throttle(answer))
	}
	return answer, err
}

// patience is how long a broker that wants to be left alone is waited for.
const patience = time.Second

// wait waits until the broker takes requests again; the error says that it is
// too long.
func (l *link) wait(ctx context.Context) error {
	left := time.Until(l.throttled)
	if left > patience {
		return &scalers.Error{
			Kind: scalers.Throttled, RetryAfter: left, Err: errors.New("the broker wants to be left alone"), Hint: "raise the user's quota",
		}
	}
	if left <= 0 {
		return nil
	}
	return pause(ctx, left+time.Millisecond)
}

// throttle is how long an answer asks to leave the broker alone.
func throttle(answer any) time.Duration {
	var ms int32
	switch a := answer.(type) {
	case *sarama.MetadataResponse:
		ms = a.ThrottleTimeMs
	case *sarama.OffsetFetchResponse:
		ms = a.ThrottleTimeMs
	case *sarama.OffsetResponse:
		ms = a.ThrottleTimeMs
	case *sarama.DescribeGroupsResponse:
		ms = a.ThrottleTimeMs
	case *sarama.FindCoordinatorResponse:
		return a.ThrottleTime
	case *sarama.FetchResponse:
		return a.ThrottleTime
	}
	return time.Duration(ms) * time.Millisecond
}

// dialer makes the connection of one link, for sarama.
type dialer struct {
	life  context.Context //nolint:containedctx // sarama's interface has none; it is that of the link
	reach func(ctx context.Context, network, address string) (net.Conn, error)
	tls   *tls.Config // nil for plain connections
}

// Dial implements sarama's proxy.Dialer.
func (d dialer) Dial(network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.life, connectTimeout)
	defer cancel()
	conn, err := d.reach(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		config := d.tls.Clone()
		config.ServerName = host
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	release := context.AfterFunc(d.life, func() { conn.Close() }) //nolint:errcheck // it is being given up
	return &framed{Conn: conn, release: release}, nil
}

// framed bounds what a server may send before the library sees it: sarama
// reserves as much memory as the first four bytes of an answer say.
type framed struct {
	net.Conn
	release func() bool
	prefix  []byte // of the length, what is yet to be handed on
	left    int64  // bytes of the answer that are yet to be read
	broken  error  // what was wrong before
}

// largest is the longest answer that is read, in bytes.
const largest = 64 << 20

// errGarbled wraps an error of package io that makes sarama give up at once.
var errGarbled = fmt.Errorf("the answer is none of Kafka's protocol: %w", io.ErrUnexpectedEOF)

// Read implements net.Conn.
func (f *framed) Read(p []byte) (int, error) {
	if f.broken != nil {
		return 0, f.broken
	}
	if f.left == 0 && len(f.prefix) == 0 {
		size := make([]byte, 4)
		if _, err := io.ReadFull(f.Conn, size); err != nil {
			return 0, err
		}
		// Logging in to releases before 1.0 is outside of the protocol: it is
		// answered with no bytes at all.
		f.left = int64(binary.BigEndian.Uint32(size))
		if f.left > largest || 0 < f.left && f.left < 4 {
			f.broken = errGarbled
			return 0, f.broken
		}
		f.prefix = size
	}
	if len(f.prefix) > 0 {
		n := copy(p, f.prefix)
		f.prefix = f.prefix[n:]
		return n, nil
	}
	n, err := f.Conn.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err
}

// Close implements net.Conn.
func (f *framed) Close() error {
	f.release()
	if err := f.Conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // cut before
}
