package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	// A key that changes all the time is armed again after firstPause, then
	// after twice as long each time, up to lastPause: a busy key costs the server
	// little, and a quiet one wakes at once.
	firstPause = 100 * time.Millisecond
	lastPause  = 3200 * time.Millisecond
)

// link is the connection that one server sends its invalidations to.
//
// The server remembers each key that was read on the connection and tells once
// when it changes. A key is armed by reading its length, and armed again after
// each message. Wake is called when the reply to that second read is in: what
// changes later is told by a new message, what changed before is seen by the
// measurement that the wake causes. No change falls between.
type link struct {
	conn    net.Conn
	reader  *bufio.Reader
	command string // reads a key, such as "LLEN"
	wake    func(key string)
	armed   func() // called once, when all keys are armed for the first time
	tempo   tempo

	keys map[string]arming // used by the reading goroutine only
	todo int               // keys not armed yet; used by the reading goroutine only

	mu      sync.Mutex // guards the rest
	writer  *bufio.Writer
	replies []reply // expected, in order
}

// arming is when a key was last armed, and how long it then rested first.
type arming struct {
	at    time.Time
	pause time.Duration
}

// reply is what to do when the reply to a command is in.
type reply struct {
	key  string // armed by the command; empty for PING
	wake bool
}

// serve connects, arms keys and wakes until the connection breaks or ctx ends.
// The error is errors.ErrUnsupported when the server refuses tracking.
func (l *link) serve(ctx context.Context, u *upstream, addr string, keys []string) error {
	conn, err := u.dialer.connect(ctx, addr)
	if err != nil {
		return err
	}
	closed := context.AfterFunc(ctx, func() { _ = conn.Close() }) //nolint:errcheck // ends whatever waits for it
	defer closed()
	defer conn.Close() //nolint:errcheck // nothing is lost
	l.conn, l.reader, l.writer = conn, bufio.NewReader(conn), bufio.NewWriter(conn)
	if err := conn.SetDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	if err := l.handshake(u); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	beating, stop := context.WithCancel(ctx)
	var beats sync.WaitGroup
	defer beats.Wait()
	defer stop()
	beats.Go(func() { l.beat(beating) })
	return l.run(keys)
}

// beat sends PINGs, so that neither side takes the other for dead.
func (l *link) beat(ctx context.Context) {
	tick := time.NewTicker(l.tempo.heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.send(reply{})
		case <-ctx.Done():
			return
		}
	}
}

// refusal is an error reply; it satisfies the client library's interface so that
// it is understood in the same place.
type refusal string

func (r refusal) Error() string { return string(r) }

// RedisError marks an error reply.
func (refusal) RedisError() {}

// handshake logs in, selects the database and turns tracking on.
func (l *link) handshake(u *upstream) error {
	s := u.settings
	hello := []string{"HELLO", "3"}
	if !s.password.IsZero() || s.username != "" {
		user := s.username
		if user == "" {
			user = "default"
		}
		hello = append(hello, "AUTH", user, s.password.Reveal())
	}
	commands := [][]string{hello, {"CLIENT", "TRACKING", "ON"}}
	if s.database > 0 {
		commands = append(commands, []string{"SELECT", fmt.Sprint(s.database)})
	}
	if u.name != "" {
		commands = append(commands, []string{"CLIENT", "SETNAME", u.name})
	}
	for _, c := range commands {
		writeCommand(l.writer, c...)
	}
	if err := l.writer.Flush(); err != nil {
		return err
	}
	for _, c := range commands {
		v, err := readValue(l.reader)
		if err != nil {
			return err
		}
		if err := accepted(s, c[1], v); err != nil {
			return err
		}
	}
	return nil
}

// accepted judges one reply of the handshake by the second word of the command.
func accepted(s settings, word string, v value) error {
	text, failed := v.failure()
	switch {
	case failed && word == "SETNAME":
		return nil
	case failed && (s.lost(refusal(text)) || word != "3" && word != "TRACKING"):
		return refusal(text)
	case failed:
		return fmt.Errorf("turning on client tracking: %s: %w", scalers.Excerpt(s.redact(text)), errors.ErrUnsupported)
	case word == "3" && !speaks3(v):
		return fmt.Errorf("turning on client tracking: the server does not speak RESP3: %w", errors.ErrUnsupported)
	}
	return nil
}

// speaks3 looks for the protocol in the reply to HELLO.
func speaks3(hello value) bool {
	at := slices.IndexFunc(hello.items, func(v value) bool { return v.text == "proto" })
	return at >= 0 && at+1 < len(hello.items) && hello.items[at+1].text == "3"
}

// run arms keys and reads until the connection breaks.
func (l *link) run(keys []string) error {
	l.keys, l.todo = make(map[string]arming, len(keys)), len(keys)
	first := make([]reply, len(keys))
	for i, k := range keys {
		l.keys[k] = arming{}
		first[i] = reply{key: k}
	}
	l.send(first...)
	for {
		if err := l.conn.SetReadDeadline(time.Now().Add(l.tempo.silence)); err != nil {
			return err
		}
		v, err := readValue(l.reader)
		if err != nil {
			return err
		}
		if v.kind == '>' {
			l.pushed(v)
			continue
		}
		if err := l.replied(v); err != nil {
			return err
		}
	}
}

// send writes a command for each reply that is to come. A failure shows when
// reading: the connection is closed.
func (l *link) send(expected ...reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for part := range slices.Chunk(expected, flush) {
		for _, e := range part {
			if e.key == "" {
				writeCommand(l.writer, "PING")
			} else {
				writeCommand(l.writer, l.command, e.key)
			}
		}
		l.replies = append(l.replies, part...)
		if errors.Join(l.conn.SetWriteDeadline(time.Now().Add(l.tempo.silence)), l.writer.Flush()) != nil {
			_ = l.conn.Close() //nolint:errcheck // it is broken already
			return
		}
	}
}

// next takes the oldest expected reply.
func (l *link) next() (reply, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.replies) == 0 {
		return reply{}, false
	}
	r := l.replies[0]
	if l.replies = l.replies[1:]; len(l.replies) == 0 {
		l.replies = nil // lets go of the first big batch
	}
	return r, true
}

// replied handles the reply to a command. A key is armed even when the reply is
// an error, as with WRONGTYPE; a key that the user may not read never changes
// for this source.
func (l *link) replied(v value) error {
	r, ok := l.next()
	if !ok {
		return protocolError("a reply to no command")
	}
	if text, failed := v.failure(); failed && r.key != "" {
		for _, p := range []string{"MOVED", "ASK", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "NOAUTH"} {
			if strings.HasPrefix(text, p) {
				return refusal(text)
			}
		}
	}
	if r.key == "" {
		return nil
	}
	state := l.keys[r.key]
	first := state.at.IsZero()
	state.at = time.Now()
	l.keys[r.key] = state
	if first {
		if l.todo--; l.todo == 0 {
			l.armed()
		}
	}
	if r.wake {
		l.wake(r.key)
	}
	return nil
}

// pushed handles a message that no command asked for.
func (l *link) pushed(v value) {
	if len(v.items) != 2 || v.items[0].text != "invalidate" {
		return
	}
	if v.items[1].kind == '_' { // all keys, by FLUSHALL
		for k := range l.keys {
			l.rearm(k)
		}
		return
	}
	for _, k := range v.items[1].items {
		l.rearm(k.text)
	}
}

// rearm arms a key again, at once or after its pause, and then wakes.
func (l *link) rearm(key string) {
	state, ok := l.keys[key]
	if !ok {
		return
	}
	rested := time.Since(state.at)
	if rested > 2*state.pause {
		state.pause = 0
	}
	wait := state.pause - rested
	state.pause = min(max(2*state.pause, firstPause), lastPause)
	l.keys[key] = state
	again := reply{key: key, wake: true}
	if wait <= 0 {
		l.send(again)
		return
	}
	time.AfterFunc(wait, func() { l.send(again) })
}
