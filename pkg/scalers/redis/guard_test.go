package redis

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// stub is a connection that only reads.
type stub struct {
	net.Conn
	io.Reader
}

// Read resolves the ambiguity in favour of the reader.
func (s stub) Read(b []byte) (int, error) { return s.Reader.Read(b) }

func TestGuardedPassesTheProtocolAndStopsAbuse(t *testing.T) {
	const legal = "+OK\r\n:1\r\n$3\r\na\nb\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n" +
		"%1\r\n+k\r\n~1\r\n_\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nq\r\n#t\r\n,1.5\r\n(123\r\n=5\r\ntxt:x\r\n!3\r\nERR\r\n-ERR x\r\n"
	deep := strings.Repeat("*1\r\n", maxDepth)
	tests := []struct{ name, sent, want string }{
		{"all types", legal, ""},
		{"deep enough", deep + ":1\r\n" + deep + ":1\r\n", ""},
		{"side by side", "*3\r\n" + strings.Repeat("*1\r\n:1\r\n", 3) + strings.Repeat("*1\r\n*0\r\n", 1000), ""},
		{"too deep", "*1\r\n" + deep, "arrays nested more than 16 deep"},
		{"too deep with other items between", strings.Repeat("*2\r\n+a\r\n", maxDepth+1), "arrays nested more than 16 deep"},
		{"long string", "$4194305\r\n", "a length that is no number from -1 to 4194304"},
		{"negative", "$-2\r\n", "a length that is no number from -1 to 4194304"},
		{"long array", "*131073\r\n", "a length that is no number from -1 to 131072"},
		{"no number", "*x\r\n", "a length that is no number from -1 to 131072"},
		{"endless line", "+" + strings.Repeat("a", maxLine), "a line of more than 65536 bytes"},
		{"empty line", "\r\n", "an empty line"},
		{"attributes", "|1\r\n+a\r\n+b\r\n:1\r\n", "unknown type '|'"},
		{"HTTP", "HTTP/1.1 200 OK\r\n", "unknown type 'H'"},
	}
	for _, tt := range tests {
		for name, cut := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
		} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				got, err := io.ReadAll(&guarded{Conn: stub{Reader: cut(strings.NewReader(tt.sent))}})
				if tt.want == "" && (err != nil || string(got) != tt.sent) {
					t.Errorf("got %q, %v", got, err)
				}
				if tt.want != "" && (err == nil || err.Error() != "the answer is not the Redis protocol: "+tt.want) {
					t.Errorf("error %v, want %s", err, tt.want)
				}
			})
		}
	}
}

func TestReadValue(t *testing.T) {
	str := func(kind byte, text string) value { return value{kind: kind, text: text} }
	tests := []struct {
		sent string
		want value
	}{
		{"+OK\r\n", str('+', "OK")},
		{"-ERR no\r\n", str('-', "ERR no")},
		{"$3\r\na\r\n\r\n", str('$', "a\r\n")},
		{"$-1\r\n", value{kind: '_'}},
		{"_\r\n", value{kind: '_'}},
		{"*2\r\n:1\r\n*-1\r\n", value{kind: '*', items: []value{str(':', "1"), {kind: '_'}}}},
		{"%1\r\n+a\r\n:1\r\n", value{kind: '%', items: []value{str('+', "a"), str(':', "1")}}},
		{">2\r\n+invalidate\r\n_\r\n", value{kind: '>', items: []value{str('+', "invalidate"), {kind: '_'}}}},
	}
	for _, tt := range tests {
		got, err := readValue(bufio.NewReader(strings.NewReader(tt.sent)))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q gives %+v, %v; want %+v", tt.sent, got, err, tt.want)
		}
	}
}

func FuzzReadValue(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n%1\r\n+k\r\n_\r\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := bufio.NewReader(&guarded{Conn: stub{Reader: bytes.NewReader(b)}})
		for {
			if _, err := readValue(r); err != nil {
				return
			}
		}
	})
}
