package microtcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/runtime/internal/js"
)

// The framing of docs/wire.md 3.2: the length in decimal, '#', and the body. The length is
// in UTF-16 code units, because NestJS uses the length of a JavaScript string.

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// utf16Len returns the number of UTF-16 code units of b, decoded as in Node.js.
func utf16Len(b []byte) int {
	i := asciiPrefix(b)
	if i == len(b) {
		return i
	}
	rest := b[i:]
	if !utf8.Valid(rest) {
		n, units, _ := scanUnits(rest, math.MaxInt)
		if n < len(rest) { // cut short: one U+FFFD
			units++
		}
		return i + units
	}
	// In valid UTF-8, every character has one lead byte. Those of four bytes have two code
	// units.
	units := 0
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		continuation := x & (^x << 1) & highBits
		four := x & (x << 1) & (x << 2) & (x << 3) & highBits
		units += 8 - bits.OnesCount64(continuation) + bits.OnesCount64(four)
		rest = rest[8:]
	}
	for _, c := range rest {
		if c&0xC0 != 0x80 {
			units++
		}
		if c >= 0xF0 {
			units++
		}
	}
	return i + units
}

// asciiPrefix returns the length of b's leading run of ASCII.
func asciiPrefix(b []byte) int {
	i := 0
	for i+8 <= len(b) {
		if x := binary.LittleEndian.Uint64(b[i:]) & highBits; x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
		i += 8
	}
	for i < len(b) && b[i] < 0x80 {
		i++
	}
	return i
}

// scanUnits scans the longest prefix of b that consists of complete characters and has at
// most limit code units. It returns the prefix's length in bytes and in code units. split is
// set if the limit is between the two code units of one character.
func scanUnits(b []byte, limit int) (n, units int, split bool) {
	for n < len(b) && units < limit {
		run := asciiPrefix(b[n:])
		if run > limit-units {
			run = limit - units
		}
		n, units = n+run, units+run
		if n == len(b) || units == limit {
			return n, units, false
		}
		size, ok := js.NextUTF8(b[n:])
		if !ok && n+size == len(b) && cutShort(b[n:]) {
			return n, units, false
		}
		wide := 1
		if ok && size == 4 {
			wide = 2
		}
		if units+wide > limit {
			return n, units, true
		}
		n, units = n+size, units+wide
	}
	return n, units, false
}

// cutShort reports whether b is the start of an incomplete character.
func cutShort(b []byte) bool {
	need := 0
	switch c := b[0]; {
	case c >= 0xC2 && c < 0xE0:
		need = 2
	case c >= 0xE0 && c < 0xF0:
		need = 3
	case c >= 0xF0 && c < 0xF5:
		need = 4
	}
	return len(b) < need
}

// appendHeader appends the header for a body with the given number of code units.
func appendHeader(dst []byte, units int) []byte {
	return append(strconv.AppendInt(dst, int64(units), 10), '#')
}

// headerRoom is more than the length of any header.
const headerRoom = 24

// AppendFrame appends body, a packet, as one frame.
func AppendFrame(dst, body []byte) []byte {
	return append(appendHeader(dst, utf16Len(body)), body...)
}

// errFraming is wrapped by every error after which a stream cannot be parsed.
var errFraming = errors.New("framing error")

// TooLargeError means that a peer has sent more than [WithMaxBufferSize] allows. The
// connection is closed.
type TooLargeError struct {
	Limit  int // of what may wait unread
	Length int // of the packet that has not arrived in full, from its header; 0 if unknown
}

// Error returns the limit and the length, which are in UTF-16 code units.
func (e *TooLargeError) Error() string {
	if e.Length > e.Limit {
		return fmt.Sprintf("a packet of %d characters exceeds the limit of %d (WithMaxBufferSize)", e.Length, e.Limit)
	}
	return fmt.Sprintf("more than %d characters are waiting, the limit of WithMaxBufferSize", e.Limit)
}

// decoder splits a stream of bytes into frames. Only limit must be set. It is not safe for
// concurrent use.
type decoder struct {
	limit int // maxBufferSize, in code units

	buf        []byte // received data; what precedes start has been returned by next
	start      int    // an index into buf
	full       bool   // the last read filled buf
	timed      bool   // bound has set a read deadline
	headerSeen int    // bytes after start that contain no '#'
	inBody     bool
	need       int // the body's length in code units
	seen       int // bytes of the body scanned so far
	units      int // their code units

	counted      int // bytes after start whose code units have been counted, for the limit
	countedUnits int // their code units
}

// pending reports whether a frame is incomplete.
func (d *decoder) pending() bool { return d.start < len(d.buf) || d.inBody }

// waiting returns the number of received bytes that next has not returned.
func (d *decoder) waiting() int { return len(d.buf) - d.start }

// space returns the part of the buffer to read into. The buffer grows while reads fill it.
// When it is empty, a large one is replaced by a small one.
func (d *decoder) space() []byte {
	rest := d.buf[d.start:]
	size := cap(d.buf)
	switch {
	case len(rest) == 0 && size > maxIdleBuffer:
		d.buf = make([]byte, 0, minBuffer)
	case len(rest) == 0 && d.full && size < maxIdleBuffer:
		d.buf = make([]byte, 0, 2*size)
	case len(rest) == 0 && size > 0:
		d.buf = d.buf[:0]
	case size-len(d.buf) >= minBuffer/4 && size-len(d.buf) >= size/4:
		return d.buf[len(d.buf):size]
	case size > 0 && d.start >= size/2:
		d.buf = append(d.buf[:0], rest...)
	default:
		d.buf = append(make([]byte, 0, max(2*size, minBuffer)), rest...)
	}
	d.start = 0
	return d.buf[len(d.buf):cap(d.buf)]
}

const (
	minBuffer     = 4 << 10
	maxIdleBuffer = 64 << 10
)

// bound limits the time until the next byte of an incomplete frame, with the read deadline of
// conn, which no other code sets, except for cuts. 0 means no limit.
func (d *decoder) bound(conn net.Conn, incomplete time.Duration, c *cut) error {
	err := d.setBound(conn, incomplete)
	// Subtle: loaded last, because setBound may have replaced the deadline of the cut.
	if made := c.made.Load(); made != nil {
		return conn.SetReadDeadline(made.until)
	}
	return err
}

func (d *decoder) setBound(conn net.Conn, incomplete time.Duration) error {
	switch {
	case d.pending() && incomplete > 0:
		d.timed = true
		return conn.SetReadDeadline(time.Now().Add(incomplete))
	case d.timed:
		d.timed = false
		return conn.SetReadDeadline(time.Time{})
	}
	return nil
}

// filled records that n bytes were read into the slice that space returned.
func (d *decoder) filled(n int) {
	d.buf = d.buf[:len(d.buf)+n]
	d.full = len(d.buf) == cap(d.buf)
}

// detach leaves the buffer to the users of the frames in it, and continues with a copy of
// the rest.
func (d *decoder) detach() {
	d.buf = append(make([]byte, 0, max(len(d.buf)-d.start, minBuffer)), d.buf[d.start:]...)
	d.start = 0
}

// discard drops all received data.
func (d *decoder) discard() { *d = decoder{limit: d.limit, buf: d.buf[:0]} }

// next returns the body of the next complete frame; ok is false if more data must be read
// first. The body is valid until space or discard is called. All errors wrap errFraming;
// after one, discard must be called.
func (d *decoder) next() (body []byte, ok bool, err error) {
	if err := d.checkLimit(); err != nil {
		return nil, false, err
	}
	if !d.inBody {
		if ok, err := d.header(); !ok || err != nil {
			return nil, false, err
		}
	}
	rest := d.buf[d.start:]
	if len(rest)-d.seen < d.need-d.units {
		return nil, false, nil // a code unit is at least one byte
	}
	ascii := d.seen == d.units && asciiPrefix(rest[d.seen:min(len(rest), d.seen+d.need-d.units)]) == d.need-d.units
	if ascii {
		d.seen, d.units = d.seen+d.need-d.units, d.need
	} else {
		n, units, split := scanUnits(rest[d.seen:], d.need-d.units)
		d.seen, d.units = d.seen+n, d.units+units
		if split {
			return nil, false, fmt.Errorf("%w: the length ends inside a character", errFraming)
		}
		if d.units < d.need {
			return nil, false, nil
		}
	}
	body = rest[:d.seen:d.seen]
	d.advance(d.seen, d.units)
	d.inBody, d.seen, d.units = false, 0, 0
	if !ascii {
		body = js.SanitizeUTF8(body)
	}
	return body, true, nil
}

// checkLimit returns an error if more data is waiting than limit allows. It counts each byte
// once, however many reads the data arrives in.
func (d *decoder) checkLimit() error {
	waiting := d.buf[d.start:]
	if len(waiting) <= d.limit {
		return nil
	}
	n, units, split := scanUnits(waiting[d.counted:], d.limit+1-d.countedUnits)
	d.counted, d.countedUnits = d.counted+n, d.countedUnits+units
	if d.countedUnits > d.limit || split {
		e := &TooLargeError{Limit: d.limit, Length: d.need}
		if !d.inBody {
			e.Length, _ = parseInt(waiting[:bytes.IndexByte(waiting, '#')+1]) // 0 if there is no #
		}
		return fmt.Errorf("%w: %w", errFraming, e)
	}
	return nil
}

// advance skips n bytes with the given number of code units.
func (d *decoder) advance(n, units int) {
	d.start += n
	if d.counted > n {
		d.counted, d.countedUnits = d.counted-n, d.countedUnits-units
	} else {
		d.counted, d.countedUnits = 0, 0
	}
}

// maxPart bounds the bytes of an incomplete frame that are kept for errors.
const maxPart = 1 << 10

// partial is an incomplete frame: its beginning, its size in bytes, and the length in its
// header, in code units, if that has arrived.
type partial struct {
	head   []byte
	size   int
	inBody bool
	need   int
}

// partial returns what waits for the rest of its frame.
func (d *decoder) partial() partial {
	rest := d.buf[d.start:]
	return partial{bytes.Clone(rest[:min(len(rest), maxPart)]), len(rest), d.inBody, d.need}
}

// lacks completes "the reply was ignored: it …".
func (p *partial) lacks() string {
	switch {
	case !p.inBody:
		return "does not begin with its length and #"
	case p.size > len(p.head):
		return fmt.Sprintf("is incomplete: its header announces %d characters, and %d bytes have arrived", p.need, p.size)
	}
	return fmt.Sprintf("is incomplete: its header announces %d characters, and %d have arrived", p.need, utf16Len(p.head))
}

// header reads the length before a frame.
func (d *decoder) header() (ok bool, err error) {
	rest := d.buf[d.start:]
	end := bytes.IndexByte(rest[d.headerSeen:], '#')
	if end < 0 {
		d.headerSeen = len(rest)
		return false, nil
	}
	end += d.headerSeen
	d.headerSeen = 0
	need, ok := parseInt(rest[:end])
	if !ok {
		return false, fmt.Errorf("%w: %q is not a length", errFraming, rest[:min(end, 40)])
	}
	d.advance(end+1, utf16Len(rest[:end+1]))
	d.inBody, d.need = true, max(need, 0)
	return true, nil
}

// parseInt does what parseInt(text, 10) does in JavaScript: it skips white space, reads a
// sign and digits, and ignores the rest. ok is false if the result is NaN.
func parseInt(text []byte) (n int, ok bool) {
	for len(text) > 0 {
		c, size := utf8.DecodeRune(text)
		if !jsSpace(c) {
			break
		}
		text = text[size:]
	}
	negative := len(text) > 0 && text[0] == '-'
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	for ; len(text) > 0 && '0' <= text[0] && text[0] <= '9'; text = text[1:] {
		ok = true
		if n < math.MaxInt/20 { // no frame of a greater length is ever complete
			n = n*10 + int(text[0]-'0')
		} else {
			n = math.MaxInt
		}
	}
	if negative {
		n = -n
	}
	return n, ok
}

// jsSpace reports whether c is white space or a line terminator in JavaScript.
func jsSpace(c rune) bool {
	switch {
	case c >= '\t' && c <= '\r', c == ' ', c == 0xA0, c == 0x1680, c >= 0x2000 && c <= 0x200A,
		c == 0x2028, c == 0x2029, c == 0x202F, c == 0x205F, c == 0x3000, c == 0xFEFF:
		return true
	}
	return false
}
