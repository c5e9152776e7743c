package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// started is how long a start of weir takes, from the start of the process.
type started struct {
	measured []time.Duration // until each list was first asked for at Redis
	armed    time.Duration   // until Redis signals every change of a list
}

// restart ends weir by end, starts it again and waits until it has measured
// every list and watches those it should.
func (b *bed) restart(ctx context.Context, l load, end func() error) (*started, error) {
	b.log.say("%d: restarting weir", b.n)
	if err := end(); err != nil {
		return nil, err
	}
	m, err := startMonitor(ctx, b.server.Addr())
	if err != nil {
		return nil, err
	}
	defer m.stop()
	began := time.Now()
	if err := b.weir.Restart(); err != nil {
		return nil, err
	}
	s := new(started)
	err = b.await(ctx, "all lists to be measured", 10*time.Minute, func(ctx context.Context) error {
		// Reading a list on the watching connection is no measurement.
		list, err := b.redis.ClientList(ctx).Result()
		if err != nil {
			return fmt.Errorf("listing the clients of Redis: %w", err)
		}
		seen := m.first(clients(list, "weir").polling)
		if len(seen) < l.n {
			return fmt.Errorf("%d of %d lists were asked for", len(seen), l.n)
		}
		for _, at := range seen {
			s.measured = append(s.measured, at.Sub(began))
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, m.failure())
	}
	b.log.say("%d: the last list was measured after %s", b.n, quantile(s.measured, 1).Round(time.Millisecond))
	err = b.await(ctx, "all idle lists to be watched", 2*time.Minute, func(ctx context.Context) error {
		src, err := b.sources(ctx)
		if err == nil && src.Watch != "Ready" && src.Watched > 0 {
			return fmt.Errorf("the watch is %s", src.Watch)
		}
		return err
	})
	s.armed = time.Since(began)
	return s, err
}

// monitor follows all commands that a Redis gets.
type monitor struct {
	conn net.Conn
	done chan struct{} // closed when the connection has ended

	mu   sync.Mutex // guards the rest
	seen map[string]map[string]time.Time
	err  error
}

// startMonitor connects. The caller stops it.
func startMonitor(ctx context.Context, addr string) (*monitor, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("monitoring Redis: %w", err)
	}
	m := &monitor{conn: conn, done: make(chan struct{}), seen: map[string]map[string]time.Time{}}
	lines := bufio.NewScanner(conn)
	_, err = io.WriteString(conn, "MONITOR\r\n")
	if err != nil || !lines.Scan() || lines.Text() != "+OK" {
		return nil, errors.Join(fmt.Errorf("monitoring Redis: it answered %q", lines.Text()), err, lines.Err(), conn.Close())
	}
	go func() {
		defer close(m.done)
		for lines.Scan() {
			if c, ok := monitored(lines.Text()); ok {
				m.note(c)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.err = lines.Err()
	}()
	return m, nil
}

// note keeps when a client asked first for the length of a list.
func (m *monitor) note(c command) {
	if len(c.args) != 2 || !strings.EqualFold(c.args[0], "llen") {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	of := m.seen[c.addr]
	if of == nil {
		of = map[string]time.Time{}
		m.seen[c.addr] = of
	}
	if _, known := of[c.args[1]]; !known {
		of[c.args[1]] = c.at
	}
}

// first returns when one of the clients asked first for each list.
func (m *monitor) first(addrs []string) map[string]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]time.Time{}
	for _, addr := range addrs {
		for list, at := range m.seen[addr] {
			if was, known := out[list]; !known || at.Before(was) {
				out[list] = at
			}
		}
	}
	return out
}

// failure says why the connection ended; nil while it has not.
func (m *monitor) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *monitor) stop() {
	hangUp(m.conn)
	<-m.done
}
