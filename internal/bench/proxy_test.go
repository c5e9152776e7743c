package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back each line.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c) //nolint:errcheck // ends when the client hangs up
			hangUp(c)
		}
	}()
	t.Cleanup(func() {
		hangUpListener(t, l)
		<-done
	})
	return l.Addr().String()
}

func hangUpListener(t *testing.T, l net.Listener) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestProxyDelaysAnswersWithoutQueueingThem(t *testing.T) {
	t.Parallel()
	const delay, lines = 100 * time.Millisecond, 10
	p, err := startProxy(t.Context(), echo(t), delay)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", p.addr())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	answers := bufio.NewReader(conn)
	sent := make(chan error, 1)
	go func() {
		for i := range lines {
			time.Sleep(5 * time.Millisecond) // answers of their own, one behind the other
			if _, err := fmt.Fprintf(conn, "line %d\n", i); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range lines {
		got, err := answers.ReadString('\n')
		if err != nil || got != fmt.Sprintf("line %d\n", i) {
			t.Fatalf("line %d: got %q, %v", i, got, err)
		}
		if took := time.Since(began); took < delay {
			t.Fatalf("line %d came after %v", i, took)
		}
	}
	if took := time.Since(began); took > delay*lines/2 {
		t.Errorf("%d answers took %v: each waited for the one before", lines, took)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
	if _, err := answers.ReadByte(); err == nil {
		t.Error("closing the proxy leaves its connections open")
	}
	hangUp(conn)
}

func TestProxyHangsUpWhenTheServerIsNotThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hangUpListener(t, l)
	p, err := startProxy(t.Context(), l.Addr().String(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", p.addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("something was read")
	}
	hangUp(conn)
	if err := p.close(); err != nil {
		t.Error(err)
	}
}
