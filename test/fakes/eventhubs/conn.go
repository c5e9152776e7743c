package eventhubs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The frames, by their descriptors.
const (
	frameOpen        = 0x10
	frameBegin       = 0x11
	frameAttach      = 0x12
	frameFlow        = 0x13
	frameTransfer    = 0x14
	frameDisposition = 0x15
	frameDetach      = 0x16
	frameEnd         = 0x17
	frameClose       = 0x18
	saslMechanisms   = 0x40
	saslInit         = 0x41
	saslOutcome      = 0x44
	accepted         = 0x24 // the state of a delivery
)

const (
	window    = 1 << 30          // of a session, in transfers
	credit    = 1000             // of a link, in messages
	maxFrame  = 1 << 20          // bytes
	keepAlive = 10 * time.Second // the SDK asks for a frame every 30 s
)

// linkKey identifies a link within a connection.
type linkKey struct {
	channel uint16
	handle  uint32
}

// link is one direction of messages.
type link struct {
	key      linkKey
	sends    bool   // the client sends on it
	node     string // what it is attached to: target when the client sends, else source
	replies  string // the client's own address, where it receives
	partial  []byte // of a message in several transfers
	received uint32 // messages so far
}

// conn is one connection. Requests may be answered by other goroutines than the
// one that reads.
type conn struct {
	server *Server
	raw    net.Conn

	mu    sync.Mutex // guards the rest, and orders what is written
	links map[linkKey]*link
	next  map[uint16]uint32 // id of the next transfer to the client, by channel
}

// serve reads frames until the connection ends.
func (c *conn) serve() error {
	r := bufio.NewReader(c.raw)
	beat := time.NewTicker(keepAlive)
	ended := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() { c.beat(beat, ended) })
	defer beating.Wait()
	defer close(ended)
	defer beat.Stop()
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		if string(head[:4]) == "AMQP" {
			if err := c.greet(head); err != nil {
				return err
			}
			continue
		}
		size := int(binary.BigEndian.Uint32(head[:]))
		if size < len(head) || size > maxFrame {
			return fmt.Errorf("a frame of %d bytes", size)
		}
		body := make([]byte, size-len(head))
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		if extended := int(head[4])*4 - len(head); extended > 0 && extended <= len(body) {
			body = body[extended:]
		}
		if len(body) == 0 { // a sign of life
			continue
		}
		if err := c.frame(binary.BigEndian.Uint16(head[6:]), body); err != nil {
			return err
		}
	}
}

// beat sends empty frames, so that the client does not take the server for dead.
func (c *conn) beat(tick *time.Ticker, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			c.mu.Lock()
			_, err := c.raw.Write([]byte{0, 0, 0, 8, 2, 0, 0, 0})
			c.mu.Unlock()
			if err != nil {
				return // serve sees it too
			}
		}
	}
}

// greet answers a protocol header: with itself, and with the one way to log in
// when it asks for SASL.
func (c *conn) greet(head [8]byte) error {
	c.mu.Lock()
	_, err := c.raw.Write(head[:])
	c.mu.Unlock()
	if err == nil && head[4] == 3 {
		err = c.send(1, 0, saslMechanisms, []any{symbol("ANONYMOUS")})
	}
	return err
}

// send writes one frame.
func (c *conn) send(kind byte, channel uint16, code uint64, fields []any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sendLocked(kind, channel, code, fields, nil)
}

func (c *conn) sendLocked(kind byte, channel uint16, code uint64, fields []any, payload []byte) error {
	b := append(encode(make([]byte, 8, 256), described{code, fields}), payload...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	b[4], b[5] = 2, kind
	binary.BigEndian.PutUint16(b[6:], channel)
	_, err := c.raw.Write(b)
	return err
}

// field returns one field of a frame, or the zero value when it is not there or
// of another type.
func field[T any](fields []any, i int) T {
	var zero T
	if i >= len(fields) {
		return zero
	}
	if v, ok := fields[i].(T); ok {
		return v
	}
	return zero
}

// errClosed says that the client is done.
var errClosed = errors.New("the client closed the connection")

// frame answers one frame.
func (c *conn) frame(channel uint16, body []byte) error {
	d := &decoder{rest: body}
	performative, ok := d.value().(described)
	fields, _ := performative.value.([]any)
	if d.err != nil || !ok {
		return fmt.Errorf("a frame that cannot be read: %w", d.err)
	}
	switch performative.code {
	case saslInit:
		return c.send(1, 0, saslOutcome, []any{uint8(0)})
	case frameOpen:
		return c.send(0, 0, frameOpen, []any{"fake", nil, uint32(maxFrame), uint16(1000)})
	case frameBegin:
		return c.send(0, channel, frameBegin, []any{channel, uint32(0), uint32(window), uint32(window), uint32(1 << 16)})
	case frameAttach:
		return c.attach(channel, fields)
	case frameFlow:
		return c.echo(channel, fields)
	case frameTransfer:
		return c.transfer(channel, fields, d.rest)
	case frameDetach:
		handle := field[uint32](fields, 0)
		c.forget(func(k linkKey) bool { return k == linkKey{channel, handle} })
		return c.send(0, channel, frameDetach, []any{handle, true})
	case frameEnd:
		c.forget(func(k linkKey) bool { return k.channel == channel })
		return c.send(0, channel, frameEnd, []any{})
	case frameClose:
		return errors.Join(c.send(0, 0, frameClose, []any{}), errClosed)
	}
	return nil
}

func (c *conn) forget(which func(linkKey) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.links {
		if which(k) {
			delete(c.links, k)
		}
	}
}

// echo answers a flow that asks to be answered.
func (c *conn) echo(channel uint16, fields []any) error {
	if !field[bool](fields, 9) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sendLocked(0, channel, frameFlow, []any{uint32(0), uint32(window), c.next[channel], uint32(window)}, nil)
}

// attach accepts a link. The client refuses an answer with other settle modes
// than it asked for.
func (c *conn) attach(channel uint16, f []any) error {
	source, target := field[described](f, 5), field[described](f, 6)
	from, _ := source.value.([]any)
	to, _ := target.value.([]any)
	l := &link{key: linkKey{channel, field[uint32](f, 1)}, sends: !field[bool](f, 2)}
	if l.sends {
		l.node = field[string](to, 0)
	} else {
		l.node, l.replies = field[string](from, 0), field[string](to, 0)
	}
	answer := []any{
		field[string](f, 0), l.key.handle, l.sends, field[any](f, 3), field[any](f, 4), field[any](f, 5), field[any](f, 6),
		nil, nil, nil, uint64(maxFrame),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[l.key] = l
	if !l.sends {
		answer[9] = uint32(0) // deliveries so far
	}
	if err := c.sendLocked(0, channel, frameAttach, answer, nil); err != nil || !l.sends {
		return err
	}
	return c.grant(l)
}

// grant lets the client send more messages. C.mu is held.
func (c *conn) grant(l *link) error {
	return c.sendLocked(0, l.key.channel, frameFlow,
		[]any{uint32(0), uint32(window), c.next[l.key.channel], uint32(window), l.key.handle, l.received, uint32(credit)}, nil)
}

// transfer takes a message, or a part of one.
func (c *conn) transfer(channel uint16, fields []any, payload []byte) error {
	l, whole, err := c.receive(channel, fields, payload)
	if err != nil || whole == nil {
		return err
	}
	m, err := readMessage(whole)
	if err != nil {
		return err
	}
	if m.replyTo == "" {
		c.server.enqueued(l.node, len(m.data))
		return nil
	}
	c.server.answer(c, l.node, m)
	return nil
}

// receive adds to the link's message, and returns it when it is whole.
func (c *conn) receive(channel uint16, fields []any, payload []byte) (*link, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.links[linkKey{channel, field[uint32](fields, 0)}]
	if l == nil {
		return nil, nil, errors.New("a transfer on no link")
	}
	l.partial = append(l.partial, payload...)
	if field[bool](fields, 5) { // more is to come
		return nil, nil, nil
	}
	whole := l.partial
	l.partial = nil
	l.received++
	if !field[bool](fields, 4) { // not settled by the sender
		id := field[uint32](fields, 1)
		if err := c.sendLocked(0, channel, frameDisposition, []any{true, id, id, true, described{accepted, []any{}}}, nil); err != nil {
			return nil, nil, err
		}
	}
	if l.received%(credit/2) == 0 {
		return l, whole, c.grant(l)
	}
	return l, whole, nil
}

// reply sends the answer to a request to the link that its sender listens on.
func (c *conn) reply(m message, a answer) error {
	b := encode(nil, described{sectionProperties, []any{nil, nil, nil, nil, nil, m.id}})
	b = encode(b, described{sectionApplication, map[string]any{"status-code": int32(a.status), "status-description": a.description}})
	b = encode(b, described{sectionValue, a.body})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if l.sends || l.replies != m.replyTo {
			continue
		}
		id := c.next[l.key.channel]
		c.next[l.key.channel]++
		return c.sendLocked(0, l.key.channel, frameTransfer,
			[]any{l.key.handle, id, binary.BigEndian.AppendUint32(nil, id), uint32(0), true, false}, b)
	}
	return nil
}
