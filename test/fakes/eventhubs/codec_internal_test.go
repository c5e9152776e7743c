package eventhubs

import (
	"reflect"
	"testing"
	"time"
)

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	for _, v := range []any{
		nil, true, false, uint8(1), uint16(2), uint32(3), uint64(4), int32(-5), int64(-6),
		time.UnixMilli(7).UTC(), "text", symbol("name"),
		[]byte{8},
		[]any{"a", uint8(9)},
		map[string]any{"k": int32(1)},
		described{0x10, []any{nil, "x"}},
	} {
		d := &decoder{rest: encode(nil, v)}
		if got := d.value(); d.err != nil || len(d.rest) > 0 || !reflect.DeepEqual(got, v) {
			t.Errorf("%#v became %#v, %v", v, got, d.err)
		}
	}
	d := &decoder{rest: encode(nil, []string{"a", "b"})}
	if got := d.value(); !reflect.DeepEqual(got, []any{"a", "b"}) || d.err != nil {
		t.Errorf("the array became %#v, %v", got, d.err)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(encode(nil, described{0x10, []any{map[string]any{"k": uint64(1)}, []string{"a"}}}))
	f.Add([]byte{0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x40})
	f.Fuzz(func(_ *testing.T, b []byte) {
		d := &decoder{rest: b}
		for len(d.rest) > 0 {
			d.value()
		}
		if _, err := readMessage(b); err != nil {
			return
		}
	})
}
