package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// exchange is the request that a generator sends repeatedly and the reply that it requires.
type exchange struct {
	cmd      string
	data     []byte // JSON in ASCII, so that its length in UTF-16 units is that in bytes
	response []byte
	tokens   *tokens // of HTTP
	echoed   bool    // the reply is the packet of the request
}

// The phases of a measurement. Only requests that complete while measuring are counted.
const (
	warming int32 = iota
	measuring
	stopping
)

// generator keeps a number of requests in flight on some connections (a closed loop) and checks each reply byte for byte.
type generator struct {
	transport, queue string
	addr             string // host:port of the server, or of its broker
	conns, inFlight  int
	rate             float64 // requests per second, however many are in flight then; 0 for a closed loop
	exchange         exchange
	phase            atomic.Int32
}

// idDigits is the length of an ID. Its first slotDigits identify the request's slot on its connection.
const (
	idDigits   = 21
	slotDigits = 5
)

// run drives the peer through warm-up and measurement, and calls mark at the start and the end of the measurement. It
// returns the sorted latencies of the requests that completed in between.
func (g *generator) run(ctx context.Context, warm, length time.Duration, mark func()) ([]time.Duration, error) {
	g.phase.Store(warming)
	group, ctx := errgroup.WithContext(ctx)
	took := make([][]time.Duration, g.conns)
	schedule := &schedule{start: time.Now(), interval: time.Duration(float64(time.Second) / max(g.rate, 1)), warm: warm, length: length}
	for i := range g.conns {
		group.Go(func() (err error) {
			if g.rate > 0 {
				took[i], err = g.paced(ctx, schedule)
			} else {
				took[i], err = g.connection(ctx)
			}
			return err
		})
	}
	for _, step := range []struct {
		wait time.Duration
		next int32
	}{{warm, measuring}, {length, stopping}} {
		select {
		case <-time.After(step.wait):
		case <-ctx.Done():
		}
		mark()
		g.phase.Store(step.next)
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, nil
}

// connection runs one connection's share of the requests until the phase is stopping.
func (g *generator) connection(ctx context.Context) ([]time.Duration, error) {
	s := newStream(g, max(g.inFlight/g.conns, 1))
	conn, err := s.protocol.open(ctx, g.addr)
	if err != nil {
		return nil, err
	}
	defer s.protocol.close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := s.firstRequests(); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, smallBuffer)
	for {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return nil, fmt.Errorf("read replies: %w", err)
		}
		phase := g.phase.Load()
		if phase == stopping {
			return s.took, nil
		}
		rest, err := s.replies(buf[:len(buf)+n], phase == measuring)
		if err != nil {
			return nil, err
		}
		buf = moved(buf, rest, len(buf)+n == cap(buf))
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
}

// The size of a connection's buffer is between these, so that the generator has room for many connections, and needs few reads with one.
const (
	smallBuffer = 8 << 10
	largeBuffer = 1 << 20
)

// moved returns a buffer that begins with rest, the end of buf: buf, or a larger one if the last read has filled it.
func moved(buf, rest []byte, full bool) []byte {
	if full && (cap(buf) < largeBuffer || len(rest) == cap(buf)) {
		return append(make([]byte, 0, 2*cap(buf)), rest...)
	}
	return buf[:copy(buf[:cap(buf)], rest)]
}

// stream is the state of one connection: the expected reply and the requests in flight.
type stream struct {
	protocol protocol
	reply    []byte
	replyID  int // offset of the ID in it; -1 if it has none
	slots    []slot
	out      []byte
	took     []time.Duration
}

type slot struct {
	seq  int
	sent time.Time
}

func newStream(g *generator, slots int) *stream {
	s := &stream{protocol: newWire(g.transport, g.queue, g.exchange), slots: make([]slot, slots)}
	s.reply, s.replyID = g.exchange.reply(g.transport)
	return s
}

func (s *stream) firstRequests() error {
	now := time.Now()
	for i := range s.slots {
		s.next(i, now)
	}
	return s.flush()
}

// flush sends the buffered requests.
func (s *stream) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	err := s.protocol.send(s.out)
	s.out = s.out[:0]
	if err != nil {
		return fmt.Errorf("write requests: %w", err)
	}
	return nil
}

// next appends the slot's next request to out.
func (s *stream) next(i int, now time.Time) {
	slot := &s.slots[i]
	slot.seq++
	slot.sent = now
	var id [idDigits]byte
	putDigits(id[:slotDigits], i)
	putDigits(id[slotDigits:], slot.seq)
	s.out = s.protocol.request(s.out, id[:])
}

// replies removes the complete messages from the front of buf, appends the next requests to out, and returns the rest of buf.
func (s *stream) replies(buf []byte, measured bool) ([]byte, error) {
	now := time.Now()
	for {
		body, id, rest, whole, err := s.protocol.next(buf)
		if err != nil {
			return nil, fmt.Errorf("wrong reply: %w", err)
		}
		if !whole {
			return buf, nil
		}
		if buf = rest; body == nil {
			continue
		}
		if err := s.answered(body, id, now, measured); err != nil {
			return nil, err
		}
	}
}

// answered checks a reply and appends the slot's next request to out.
func (s *stream) answered(body, id []byte, now time.Time, measured bool) error {
	same := len(body) == len(s.reply)
	if same && s.replyID >= 0 {
		id = body[s.replyID : s.replyID+idDigits]
		same = bytes.Equal(body[:s.replyID], s.reply[:s.replyID]) && bytes.Equal(body[s.replyID+idDigits:], s.reply[s.replyID+idDigits:])
	} else if same {
		same = bytes.Equal(body, s.reply)
	}
	if !same || len(id) != idDigits {
		return fmt.Errorf("wrong reply: got %q, want %q", shorten(body), shorten(s.reply))
	}
	i, seq := digits(id[:slotDigits]), digits(id[slotDigits:])
	if i >= len(s.slots) || seq != s.slots[i].seq {
		return fmt.Errorf("wrong reply: to the request %q, which is not in flight", id)
	}
	if measured {
		s.took = append(s.took, now.Sub(s.slots[i].sent))
	}
	s.next(i, now)
	return nil
}

func putDigits(dst []byte, n int) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
}

// digits parses a decimal number of at most 18 digits. For anything else it returns a number larger than any slot or length.
func digits(text []byte) int {
	n := 0
	for i, c := range text {
		if c < '0' || c > '9' || i == 18 {
			return 1 << 60
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func shorten(b []byte) []byte { return b[:min(len(b), 240)] }
