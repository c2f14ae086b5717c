package microtcp

import (
	"bytes"
	"fmt"
	"net"
	"time"
)

// Frame is one frame as it came off a stream. Its slices are valid until the
// next Fill.
type Frame struct {
	// Header is the length with its '#', Raw the body: together they are the
	// bytes that came.
	Header, Raw []byte
	// Body is the packet as a NestJS peer decodes it: Raw, with U+FFFD for invalid
	// UTF-8.
	Body []byte
}

// FrameReader reads frames from a connection for programs that forward between
// two peers, and so need the original bytes as well as the packets. It is
// used by one goroutine. Servers and clients have no need of it.
type FrameReader struct {
	conn       net.Conn
	incomplete time.Duration
	in         decoder
	header     []byte // of the frame whose body has not come yet
}

// maxHeader is the longest header that is waited for; a real one takes ten bytes.
const maxHeader = 1 << 10

// NewFrameReader returns a reader with NestJS's limits. A part of a frame waits
// for its next byte no longer than incomplete, by the read deadline of conn; 0
// is no bound.
func NewFrameReader(conn net.Conn, incomplete time.Duration) *FrameReader {
	return &FrameReader{conn: conn, incomplete: incomplete, in: decoder{limit: DefaultMaxBufferSize}}
}

// Fill waits for more bytes. Those that came before an error can still be read
// with Next and Rest. The error is the connection's: io.EOF at its end, and
// os.ErrDeadlineExceeded when a frame stayed incomplete.
func (r *FrameReader) Fill() error {
	if err := r.in.bound(r.conn, r.incomplete); err != nil {
		return err
	}
	n, err := r.conn.Read(r.in.space())
	r.in.filled(n)
	return err
}

// Next returns the next whole frame; ok is false when there is none before more
// is filled in. After an error the stream is no stream of frames, and only Rest
// makes sense.
func (r *FrameReader) Next() (f Frame, ok bool, err error) {
	d := &r.in
	begun, from := d.inBody, d.start
	body, ok, err := d.next()
	if err != nil && !begun {
		d.start, d.inBody = from, false // what cannot be read stays with the rest
	}
	if err != nil {
		return Frame{}, false, err
	}
	if !begun && d.inBody {
		r.header = append(r.header[:0], d.buf[from:d.start]...)
	}
	if !ok && !d.inBody && len(d.buf)-d.start > maxHeader {
		return Frame{}, false, fmt.Errorf("%w: a length is expected, not %d bytes without a '#'", errFraming, maxHeader)
	}
	if !ok {
		return Frame{}, false, nil
	}
	f = Frame{Header: r.header, Raw: d.buf[from:d.start], Body: body}
	if !begun {
		n := bytes.IndexByte(f.Raw, '#') + 1
		f.Header, f.Raw = f.Raw[:n:n], f.Raw[n:]
	}
	return f, true, nil
}

// Rest takes out what was filled in and is no whole frame, as it came. The
// reader forgets it. The slice is valid until the next Fill.
func (r *FrameReader) Rest() []byte {
	rest := r.in.buf[r.in.start:]
	if r.in.inBody {
		rest = append(r.header, rest...)
	}
	r.in = decoder{limit: r.in.limit, timed: r.in.timed, buf: r.in.buf[:0]}
	return rest
}
