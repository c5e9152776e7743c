package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// proxy passes TCP connections on to a server and delays what the server
// answers, as a longer way would: each answer comes later, and no fewer are on
// the way at once.
type proxy struct {
	to       string
	delay    time.Duration
	listener net.Listener
	ctx      context.Context //nolint:containedctx // ends the connections with the listener
	cancel   context.CancelFunc
	all      sync.WaitGroup
}

// startProxy listens on a free port of loopback. The caller closes it.
func startProxy(ctx context.Context, to string, delay time.Duration) (*proxy, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the delaying proxy: %w", err)
	}
	p := &proxy{to: to, delay: delay, listener: l}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.all.Go(p.accept)
	return p, nil
}

// addr is where the proxy listens.
func (p *proxy) addr() string { return p.listener.Addr().String() }

// close ends the proxy and its connections.
func (p *proxy) close() error {
	p.cancel()
	err := p.listener.Close()
	p.all.Wait()
	return err
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.all.Go(func() { p.serve(client) })
	}
}

// serve passes one connection on until either end closes it.
func (p *proxy) serve(client net.Conn) {
	server, err := new(net.Dialer).DialContext(p.ctx, "tcp", p.to)
	if err != nil {
		hangUp(client)
		return
	}
	end := sync.OnceFunc(func() { hangUp(client, server) })
	defer context.AfterFunc(p.ctx, end)()
	var both sync.WaitGroup
	both.Go(func() {
		defer end()
		_, _ = io.Copy(server, client) //nolint:errcheck // how a connection ended does not matter
	})
	both.Go(func() {
		defer end()
		p.late(client, server)
	})
	both.Wait()
}

// chunk is a piece of an answer, and when it may go on.
type chunk struct {
	data []byte
	due  time.Time
}

// late copies with the delay.
func (p *proxy) late(to io.Writer, from io.Reader) {
	chunks := make(chan chunk, 1024)
	var writing sync.WaitGroup
	defer writing.Wait()
	defer close(chunks)
	broken := make(chan struct{})
	writing.Go(func() {
		defer close(broken)
		for c := range chunks {
			time.Sleep(time.Until(c.due))
			if _, err := to.Write(c.data); err != nil {
				return
			}
		}
	})
	for {
		data := make([]byte, 64<<10)
		n, err := from.Read(data)
		if n > 0 {
			select {
			case chunks <- chunk{data[:n], time.Now().Add(p.delay)}:
			case <-broken:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hangUp closes connections; what was on the way is lost with them.
func hangUp(conns ...net.Conn) {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	_ = errors.Join(errs...) //nolint:errcheck // closed twice, or broken: nobody can act on it
}
