package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// exchange is the message a generator sends over and over, and the reply it insists on.
type exchange struct {
	cmd      string
	data     []byte // JSON, ASCII: then UTF-16 units are bytes
	response []byte
}

// The phases of a measurement. Only what completes while measuring is counted.
const (
	warming int32 = iota
	measuring
	stopping
)

// generator keeps a number of requests in flight on some connections (a closed loop) and checks each reply byte for byte.
type generator struct {
	addr            string
	conns, inFlight int
	exchange        exchange
	phase           atomic.Int32
}

// idDigits is the length of an id; its first slotDigits name the slot of the request on its connection.
const (
	idDigits   = 21
	slotDigits = 5
)

// run drives the peer through warm-up and measurement and calls mark at the start and the end of the latter. It returns
// the latencies of the requests completed in between, sorted.
func (g *generator) run(ctx context.Context, warm, length time.Duration, mark func()) ([]time.Duration, error) {
	g.phase.Store(warming)
	group, ctx := errgroup.WithContext(ctx)
	took := make([][]time.Duration, g.conns)
	for i := range g.conns {
		group.Go(func() (err error) {
			took[i], err = g.connection(ctx)
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
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", g.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s := newStream(g.exchange, g.inFlight/g.conns)
	if _, err := conn.Write(s.firstRequests()); err != nil {
		return nil, fmt.Errorf("write requests: %w", err)
	}
	buf := make([]byte, 0, 256<<10)
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
		buf = buf[:copy(buf[:cap(buf)], rest)]
		if _, err := conn.Write(s.out); err != nil {
			return nil, fmt.Errorf("write requests: %w", err)
		}
		s.out = s.out[:0]
	}
}

// stream is the state of one connection: a request frame and a reply frame that differ only in their id.
type stream struct {
	request   []byte
	requestID int // where the id stands
	reply     []byte
	replyID   int
	slots     []slot
	out       []byte
	took      []time.Duration
}

type slot struct {
	seq  int
	sent time.Time
}

func newStream(e exchange, slots int) *stream {
	id := bytes.Repeat([]byte("0"), idDigits)
	frame := func(body string) ([]byte, int) {
		text := strconv.Itoa(len(body)) + "#" + body
		return []byte(text), len(text) - len(id) - len(`"}`)
	}
	s := &stream{slots: make([]slot, slots), took: make([]time.Duration, 0, 1<<20)}
	s.request, s.requestID = frame(fmt.Sprintf(`{"pattern":{"cmd":%q},"data":%s,"id":"%s"}`, e.cmd, e.data, id))
	s.reply, s.replyID = frame(fmt.Sprintf(`{"response":%s,"isDisposed":true,"id":"%s"}`, e.response, id))
	return s
}

func (s *stream) firstRequests() []byte {
	now := time.Now()
	for i := range s.slots {
		s.next(i, now)
	}
	first := s.out
	s.out = nil
	return first
}

// next appends the slot's next request to out.
func (s *stream) next(i int, now time.Time) {
	slot := &s.slots[i]
	slot.seq++
	slot.sent = now
	at := len(s.out) + s.requestID
	s.out = append(s.out, s.request...)
	putDigits(s.out[at:at+slotDigits], i)
	putDigits(s.out[at+slotDigits:at+idDigits], slot.seq)
}

// replies takes the complete frames off the front of buf, puts the next requests into out and returns what is left.
func (s *stream) replies(buf []byte, measured bool) ([]byte, error) {
	now := time.Now()
	for len(buf) >= len(s.reply) {
		frame := buf[:len(s.reply)]
		buf = buf[len(s.reply):]
		id := frame[s.replyID : s.replyID+idDigits]
		i, seq := digits(id[:slotDigits]), digits(id[slotDigits:])
		if i >= len(s.slots) || seq != s.slots[i].seq || !sameButID(frame, s.reply, s.replyID) {
			return nil, fmt.Errorf("wrong reply: got %q, want %q", shorten(frame), shorten(s.reply))
		}
		if measured {
			s.took = append(s.took, now.Sub(s.slots[i].sent))
		}
		s.next(i, now)
	}
	if len(buf) > 0 && !bytes.HasPrefix(s.reply, buf[:min(len(buf), 12)]) {
		return nil, errors.New("wrong reply: it begins " + strconv.Quote(string(shorten(buf))))
	}
	return buf, nil
}

func sameButID(a, b []byte, at int) bool {
	return bytes.Equal(a[:at], b[:at]) && bytes.Equal(a[at+idDigits:], b[at+idDigits:])
}

func putDigits(dst []byte, n int) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
}

// digits reads a decimal number; what is none gives a slot that does not exist.
func digits(text []byte) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 1 << 40
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func shorten(b []byte) []byte { return b[:min(len(b), 240)] }
