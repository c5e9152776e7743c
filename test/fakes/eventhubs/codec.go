package eventhubs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// symbol is a name from a set that the protocol defines.
type symbol string

// described is a value with a descriptor: a frame, or a section of a message.
type described struct {
	code  uint64 // 0 for descriptors that are symbols, which nothing here needs
	value any
}

// deepest bounds how far values are nested.
const deepest = 16

var errShort = errors.New("an AMQP value is cut off")

// decoder reads AMQP values. After an error it gives zero values.
type decoder struct {
	rest  []byte
	depth int
	err   error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err, d.rest = err, nil
	}
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.fail(errShort)
		return make([]byte, 16) // as much as any fixed width
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) byte() byte { return d.take(1)[0] }

// size reads a number of one byte, or of four.
func (d *decoder) size(wide bool) int {
	if wide {
		return int(binary.BigEndian.Uint32(d.take(4)))
	}
	return int(d.byte())
}

// value reads one value.
func (d *decoder) value() any { return d.of(d.byte()) }

// of reads a value whose constructor was read before. The upper half of the
// constructor tells the width.
func (d *decoder) of(code byte) any {
	if d.depth++; d.depth > deepest {
		d.fail(errors.New("AMQP values are nested too deeply"))
	}
	defer func() { d.depth-- }()
	if d.err != nil {
		return nil
	}
	switch code >> 4 {
	case 0x0:
		descriptor, value := d.value(), d.value()
		n, _ := descriptor.(uint64)
		return described{n, value}
	case 0x4:
		return d.empty(code)
	case 0x5, 0x6, 0x7, 0x8:
		return d.number(code, d.take(1<<(code>>4-5)))
	case 0x9:
		return append([]byte(nil), d.take(16)...)
	case 0xa, 0xb:
		return d.variable(code, d.take(d.size(code>>4 == 0xb)))
	case 0xc, 0xd:
		return d.compound(code)
	}
	return d.array(code)
}

func (d *decoder) empty(code byte) any {
	switch code {
	case 0x40:
		return nil
	case 0x41, 0x42:
		return code == 0x41
	case 0x43:
		return uint32(0)
	case 0x44:
		return uint64(0)
	case 0x45:
		return []any(nil)
	}
	return d.unknown(code)
}

func (d *decoder) number(code byte, b []byte) any {
	var n uint64
	for _, c := range b[:1<<(code>>4-5)] {
		n = n<<8 | uint64(c)
	}
	switch code {
	case 0x52, 0x70:
		return uint32(n)
	case 0x53, 0x80:
		return n
	case 0x54:
		return int32(int8(n))
	case 0x55:
		return int64(int8(n))
	case 0x56:
		return n != 0
	case 0x71:
		return int32(n)
	case 0x81:
		return int64(n)
	case 0x83:
		return time.UnixMilli(int64(n)).UTC()
	}
	return d.small(code, n)
}

func (d *decoder) small(code byte, n uint64) any {
	switch code {
	case 0x50:
		return uint8(n)
	case 0x51:
		return int8(n)
	case 0x60:
		return uint16(n)
	case 0x61:
		return int16(n)
	}
	return d.unknown(code)
}

func (d *decoder) variable(code byte, b []byte) any {
	switch code & 0xf {
	case 0x0:
		return append([]byte(nil), b...)
	case 0x1:
		return string(b)
	case 0x3:
		return symbol(b)
	}
	return d.unknown(code)
}

// count reads how many items follow, after how many bytes they take. None is
// taken to need less than one, so that few bytes cannot claim to be many items.
func (d *decoder) count(wide bool) int {
	d.size(wide)
	n := d.size(wide)
	if n > len(d.rest) {
		d.fail(errShort)
		return 0
	}
	return n
}

// compound reads a list, or a map whose keys are strings or symbols.
func (d *decoder) compound(code byte) any {
	count := d.count(code>>4 == 0xd)
	var items []any
	for i := 0; i < count && d.err == nil; i++ {
		items = append(items, d.value())
	}
	if code&0xf == 0 {
		return items
	}
	out := map[string]any{}
	for i := 0; i+1 < len(items); i += 2 {
		out[fmt.Sprint(items[i])] = items[i+1]
	}
	return out
}

func (d *decoder) array(code byte) any {
	count, of := d.count(code>>4 == 0xf), d.byte()
	var items []any
	for i := 0; i < count && d.err == nil; i++ {
		items = append(items, d.of(of))
	}
	return items
}

func (d *decoder) unknown(code byte) any {
	d.fail(fmt.Errorf("AMQP type 0x%02x is not known here", code))
	return nil
}

// encode appends v to b. It knows the types that this package sends.
func encode(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(prefixed(b, 0xb1, len(v)), v...)
	case symbol:
		return append(prefixed(b, 0xb3, len(v)), v...)
	case []byte:
		return append(prefixed(b, 0xb0, len(v)), v...)
	case described:
		return encode(append(b, 0x00, 0x53, byte(v.code)), v.value)
	case []any:
		var body []byte
		for _, item := range v {
			body = encode(body, item)
		}
		return counted(b, 0xd0, len(v), body)
	case map[string]any:
		var body []byte
		for k, item := range v {
			body = encode(encode(body, k), item)
		}
		return counted(b, 0xd1, 2*len(v), body)
	case []string: // an array: a list would not do for partition_ids
		body := []byte{0xb1}
		for _, s := range v {
			body = append(binary.BigEndian.AppendUint32(body, uint32(len(s))), s...)
		}
		return counted(b, 0xf0, len(v), body)
	}
	return scalar(b, v)
}

func prefixed(b []byte, code byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, code), uint32(n))
}

func counted(b []byte, code byte, count int, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(prefixed(b, code, len(body)+4), uint32(count))
	return append(b, body...)
}

func scalar(b []byte, v any) []byte {
	big := binary.BigEndian
	switch v := v.(type) {
	case nil:
		return append(b, 0x40)
	case bool:
		if v {
			return append(b, 0x41)
		}
		return append(b, 0x42)
	case uint8:
		return append(b, 0x50, v)
	case uint16:
		return big.AppendUint16(append(b, 0x60), v)
	case uint32:
		return big.AppendUint32(append(b, 0x70), v)
	case uint64:
		return big.AppendUint64(append(b, 0x80), v)
	case int32:
		return big.AppendUint32(append(b, 0x71), uint32(v))
	case int64:
		return big.AppendUint64(append(b, 0x81), uint64(v))
	case time.Time:
		return big.AppendUint64(append(b, 0x83), uint64(v.UnixMilli()))
	}
	panic(fmt.Sprintf("eventhubs: no way to send a %T", v))
}
