package microtcp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"
)

// Frame is one frame of a stream. Its slices are valid until the next call of Fill.
type Frame struct {
	// Header is the length with its '#', and Raw the body: together, the bytes as
	// received.
	Header, Raw []byte
	// Body is the packet as a NestJS peer decodes it: Raw, with U+FFFD for invalid
	// UTF-8.
	Body []byte
}

// FrameReader reads frames from a connection, for programs between two peers that need
// the original bytes as well as the packets. Create it with NewFrameReader. It is not safe
// for concurrent use. Servers and clients do not need it.
type FrameReader struct {
	conn       net.Conn
	incomplete time.Duration
	in         decoder
	header     []byte // of the frame whose body is incomplete
	acks       acker
	cut        cut
}

// maxHeader is the largest number of bytes without a '#' that may be a header. A real
// header has about ten.
const maxHeader = 1 << 10

// NewFrameReader returns a reader with NestJS's limits. The next byte of an incomplete
// frame must arrive within incomplete; 0 means no limit. The reader sets the read deadline
// of conn.
func NewFrameReader(conn net.Conn, incomplete time.Duration) *FrameReader {
	r := &FrameReader{conn: conn, incomplete: incomplete, in: decoder{limit: DefaultMaxBufferSize}}
	r.acks.init(conn)
	return r
}

// SetLimit limits what may wait for the end of a frame, in UTF-16 code units. The default is
// [DefaultMaxBufferSize]. It must be called before Fill.
func (r *FrameReader) SetLimit(limit int) { r.in.limit = limit }

// Fill waits for more bytes. After an error, Next and Rest still return the bytes received
// before it. The error is the connection's: io.EOF at its end, and os.ErrDeadlineExceeded
// if a frame was not completed in time.
func (r *FrameReader) Fill() error {
	if err := r.in.bound(r.conn, r.incomplete, &r.cut); err != nil {
		return err
	}
	n, err := r.conn.Read(r.in.space())
	r.in.filled(n)
	if n > 0 {
		r.acks.read(1) // more may be held back
	}
	return err
}

// Finish limits how long Fill continues to wait, to one second. It is for a connection to
// which nothing can be written any more: what the peer has sent can still be read. Any
// goroutine may call it.
func (r *FrameReader) Finish() { r.cut.make(r.conn, io.ErrClosedPipe, lastReads) }

// Next returns the next complete frame; ok is false if Fill must be called first. An error
// means that the stream cannot be parsed; then only Rest may be called.
func (r *FrameReader) Next() (f Frame, ok bool, err error) {
	d := &r.in
	begun, from := d.inBody, d.start
	body, ok, err := d.next()
	if err != nil && !begun {
		d.start, d.inBody = from, false // so that Rest returns the header too
	}
	if err != nil {
		return Frame{}, false, err
	}
	// Subtle: a header whose body is still incomplete is copied, because Fill may move or
	// overwrite the buffer before the body is complete.
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

// Rest removes and returns the bytes received after the last complete frame. The slice is
// valid until the next call of Fill.
func (r *FrameReader) Rest() []byte {
	rest := r.in.buf[r.in.start:]
	if r.in.inBody {
		rest = append(r.header, rest...)
	}
	r.in = decoder{limit: r.in.limit, timed: r.in.timed, buf: r.in.buf[:0]}
	return rest
}
