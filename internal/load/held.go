package load

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// HeldBack counts the replies that a peer may have held back until the next request. With
// Nagle's algorithm, which NestJS leaves on, a peer sends a small reply only when the
// previous one has been acknowledged. Where the acknowledgment is delayed, it travels with
// the next request on the connection, and so latencies show the pace of the load instead
// of the service.
type HeldBack struct {
	// Replies counts the replies, and Fastest is the shortest attempt latency.
	Replies int64
	Fastest time.Duration
	// Overlapping counts the replies that arrived after a later request had been sent on
	// their connection, and AtNext those of them that arrived soon after it: within half
	// of the time between that request and the one before. Pace is the sum of these times.
	Overlapping, AtNext int64
	Pace                time.Duration
}

// The limits of Likely.
const (
	minOverlapping = 50
	minAtNext      = 0.9
	minHeld        = 0.1 // of all replies
)

// Likely reports whether the peer has held replies back: nearly all overlapping replies
// arrived right after the next request, and others much faster than the pace. If requests
// are evenly spaced, a service with a constant latency has the first property, too, but
// never the second.
func (h HeldBack) Likely() bool {
	return h.AtNext >= minOverlapping && float64(h.AtNext) >= minAtNext*float64(h.Overlapping) &&
		float64(h.AtNext) >= minHeld*float64(h.Replies) && h.Fastest < h.pace()/4
}

// pace returns the mean time between requests before a held reply.
func (h HeldBack) pace() time.Duration { return h.Pace / time.Duration(max(h.AtNext, 1)) }

// add adds the counts of another connection.
func (h *HeldBack) add(other HeldBack) {
	if h.Replies == 0 || other.Replies > 0 && other.Fastest < h.Fastest {
		h.Fastest = other.Fastest
	}
	h.Replies += other.Replies
	h.Overlapping += other.Overlapping
	h.AtNext += other.AtNext
	h.Pace += other.Pace
}

// line is a connection of a run with an open load. Its methods are safe for concurrent
// use, and do nothing for nil.
type line struct {
	conn         micro.Conn
	mu           sync.Mutex // guards the fields below
	last, before time.Time  // when the last two attempts started
	held         HeldBack
}

// lineOf returns the line of a connection, which several messages may share; nil in a closed load.
func (r *Run) lineOf(conn micro.Conn) *line {
	if r.plan.Pacer == nil {
		return nil
	}
	if i := slices.IndexFunc(r.lines, func(l *line) bool { return reflect.TypeOf(conn).Comparable() && l.conn == conn }); i >= 0 {
		return r.lines[i]
	}
	l := &line{conn: conn}
	r.lines = append(r.lines, l)
	return l
}

// sent records the start of an attempt.
func (l *line) sent(at time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before, l.last = l.last, at
}

// replied records the reply to an attempt.
func (l *line) replied(start, end time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.held
	if latency := end.Sub(start); h.Replies == 0 || latency < h.Fastest {
		h.Fastest = latency
	}
	h.Replies++
	if !l.last.After(start) {
		return
	}
	h.Overlapping++
	if pace := l.last.Sub(l.before); end.Sub(l.last) < pace/2 {
		h.AtNext++
		h.Pace += pace
	}
}

// heldBack adds the counts of all connections.
func (r *Run) heldBack() (all HeldBack) {
	for _, l := range r.lines {
		l.mu.Lock()
		all.add(l.held)
		l.mu.Unlock()
	}
	return all
}
