package microtcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func ExampleFrameReader() {
	client, server := net.Pipe()
	go func() {
		_, _ = client.Write(AppendFrame(nil, []byte(`{"data":"😀"}`)))
		_ = client.Close()
	}()
	in := NewFrameReader(server, time.Minute)
	for {
		f, ok, err := in.Next()
		if err == nil && !ok {
			err = in.Fill()
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if ok {
			fmt.Printf("%s%s\n", f.Header, f.Raw)
		}
	}
	// Output:
	// 13#{"data":"😀"}
	// EOF
}

// pieces is a connection that reads the pieces one by one.
type pieces struct {
	net.Conn
	left [][]byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// cutUp cuts a stream into pieces of up to size bytes.
func cutUp(stream []byte, size int) *pieces {
	p := &pieces{}
	for len(stream) > 0 {
		n := min(size, len(stream))
		p.left, stream = append(p.left, stream[:n]), stream[n:]
	}
	return p
}

// readAll reads the stream to its end: the bytes that came out, the bodies, and
// why there were no more frames.
func readAll(in *FrameReader) (raw []byte, bodies []string, framing error) {
	for {
		f, ok, err := in.Next()
		if err != nil {
			raw = append(raw, in.Rest()...)
			for in.Fill() == nil {
				raw = append(raw, in.Rest()...)
			}
			return raw, bodies, err
		}
		if ok {
			raw = append(append(raw, f.Header...), f.Raw...)
			bodies = append(bodies, string(f.Body))
			continue
		}
		if in.Fill() != nil {
			return append(raw, in.Rest()...), bodies, nil
		}
	}
}

func TestFrameReaderLosesNothing(t *testing.T) {
	long := string(AppendFrame(nil, []byte(strings.Repeat("é😀x", 40_000))))
	tests := []struct {
		stream  string
		bodies  int
		framing bool
	}{
		{"", 0, false},
		{"2#{}", 1, false},
		{" 12abc#{\"data\":\"x\"}+2#[]00002#{}", 3, false},
		{"2#{}4#{\"", 1, false},
		{"2#{}17", 1, false},
		{"4#\xff\xfe😀\xc3", 1, false},
		{long + long + "2#{}", 3, false},
		{"2#{}abc#{}", 1, true},
		{"2#{}1#😀2#{}", 1, true},
		{"2#{}" + strings.Repeat(" ", 3000) + "2#{}", 1, true},
		{strings.Repeat("x", 3000), 0, true},
	}
	for _, test := range tests {
		for _, size := range []int{1, 3, 7, 1000, 1 << 20} {
			if size < 1000 && len(test.stream) > 10_000 {
				continue
			}
			raw, bodies, err := readAll(NewFrameReader(cutUp([]byte(test.stream), size), 0))
			if string(raw) != test.stream {
				t.Fatalf("%.40q in pieces of %d came out as %.60q", test.stream, size, raw)
			}
			if (err != nil) != test.framing && size <= 1000 || len(bodies) != test.bodies && size <= 1000 {
				t.Errorf("%.40q in pieces of %d: %d bodies, %v", test.stream, size, len(bodies), err)
			}
		}
	}
}

// TestFrameReaderWaitsNoLonger checks that a reader waits for the rest of a frame no longer
// than its limit, and for the first byte without a limit.
func TestFrameReaderWaitsNoLonger(t *testing.T) {
	l := listen(t)
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := client.Write([]byte("2#{")); err != nil {
		t.Fatal(err)
	}
	in := NewFrameReader(server, 20*time.Millisecond)
	err = in.Fill()
	for err == nil {
		if _, ok, err := in.Next(); ok || err != nil {
			t.Fatal(ok, err)
		}
		err = in.Fill()
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || string(in.Rest()) != "2#{" {
		t.Errorf("it ended with %v", err)
	}
}

func FuzzFrameReader(f *testing.F) {
	f.Add([]byte("2#{}4#{\"a\":"), 3)
	f.Add([]byte("5#\xff\xfe😀\xc3"), 1)
	f.Add([]byte("99999999999999999999#x"), 2)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		raw, bodies, err := readAll(NewFrameReader(cutUp(stream, max(1, size%64)), 0))
		if !bytes.Equal(raw, stream) {
			t.Fatalf("%q came out as %q", stream, raw)
		}
		whole, again, err2 := readAll(NewFrameReader(cutUp(stream, len(stream)+1), 0))
		if !bytes.Equal(whole, stream) || len(stream) <= maxHeader && (len(again) != len(bodies) || (err == nil) != (err2 == nil)) {
			t.Fatalf("%q: %q, %v in one piece; %q, %v in several", stream, again, err2, bodies, err)
		}
	})
}
