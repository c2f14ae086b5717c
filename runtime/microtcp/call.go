package microtcp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// call is one exchange that waits for its answer. The reading goroutine puts
// packets, the caller takes them.
type call struct {
	number uint64
	id     []byte
	packet []byte // scratch for the request
	signal chan struct{}

	// Of the connection, under its mu.
	deadline time.Time
	place    int // in the connection's deadlines; -1: not there
	observer *micro.Trace

	mu    sync.Mutex // guards what follows
	bytes []byte     // the JSON texts of parts, one after another
	parts []part
	trace bool // keep whole packets
	over  bool // nothing more is put
	err   error

	taken      []part // the caller's own, swapped with parts
	takenBytes []byte
}

// part is one packet of an answer.
type part struct {
	end     int // where its text ends in bytes
	defined bool
	failed  bool // the text is the peer's error
	last    bool
	at      time.Time // zero unless traced
	packet  []byte    // nil unless traced
}

// maxWaiting bounds the bytes that wait for one caller to take them.
const maxWaiting = 32 << 20

var errSlowCaller = errors.New("the answer comes faster than the caller takes it: more than 32 MiB are waiting")

var calls = sync.Pool{New: func() any {
	return &call{signal: make(chan struct{}, 1), place: -1}
}}

// recycle gives the call back; nobody but the caller may know it any more.
func (k *call) recycle() {
	if cap(k.bytes)+cap(k.takenBytes)+cap(k.packet) > 256<<10 {
		return
	}
	select {
	case <-k.signal:
	default:
	}
	k.bytes, k.parts, k.over, k.err, k.trace = k.bytes[:0], k.parts[:0], false, nil, false
	k.observer = nil
	calls.Put(k)
}

// put adds a packet; false tells that far too many wait.
func (k *call) put(value, remote []byte, last bool, body []byte) bool {
	k.mu.Lock()
	text := value
	if remote != nil {
		text = remote
	}
	if len(k.bytes)+len(text) > maxWaiting && len(k.bytes) > 0 {
		k.mu.Unlock()
		return false
	}
	k.bytes = append(k.bytes, text...)
	p := part{end: len(k.bytes), defined: value != nil, failed: remote != nil, last: last}
	if k.trace {
		p.at, p.packet = time.Now(), append([]byte(nil), body...)
	}
	k.parts = append(k.parts, p)
	k.over = k.over || last
	k.mu.Unlock()
	k.wake()
	return true
}

// end ends the call without an answer.
func (k *call) end(err error) {
	k.mu.Lock()
	if !k.over {
		k.over, k.err = true, err
	}
	k.mu.Unlock()
	k.wake()
}

func (k *call) wake() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// take swaps what has come into taken. err is why nothing more will come, other
// than that the answer is complete.
func (k *call) take() (err error) {
	k.mu.Lock()
	k.taken, k.parts = k.parts, k.taken[:0]
	k.takenBytes, k.bytes = k.bytes, k.takenBytes[:0]
	err = k.err
	k.mu.Unlock()
	return err
}

// exchange makes one call on this address.
func (a *address) exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	a.inFlight.Add(1)
	defer a.inFlight.Add(-1)
	conn, err := a.connected(ctx, req)
	if err != nil {
		return err
	}
	now := time.Now()
	if !now.Before(req.Deadline) {
		return errTooLate
	}
	k := calls.Get().(*call)
	k.trace = req.Trace != nil && req.Trace.Read != nil
	k.deadline, k.observer = req.Deadline, req.Trace
	if err := conn.begin(k); err != nil {
		k.recycle()
		return err
	}
	ended := false
	defer func() { // deferred because reply may panic
		if !ended {
			conn.giveUp(k)
		}
		k.recycle()
	}()
	_, end, err := conn.send(ctx, req, k, now)
	if err != nil {
		return conn.sendError(ctx, err)
	}
	if ended, err = k.wait(ctx, conn, req, reply); err == nil {
		conn.out.ack(end)
	}
	return err
}

// errTooLate tells that a message was not worth sending.
var errTooLate = fmt.Errorf("%w: the deadline had passed before the message was sent", micro.ErrTimeout)

// gaveUp is the error of a caller that waited until its deadline or the end of
// ctx.
func gaveUp(ctx context.Context) error {
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return micro.ErrTimeout
}

// wait hands the packets of the answer to reply until the last. ended tells that
// the connection has forgotten the call.
func (k *call) wait(ctx context.Context, conn *clientConn, req *micro.Request, reply micro.Reply) (ended bool, err error) {
	for sent := 0; ; {
		if !k.await(ctx) && conn.giveUp(k) {
			return true, gaveUp(ctx)
		}
		lost := k.take()
		start := 0
		for i := range k.taken {
			p := &k.taken[i]
			text := k.takenBytes[start:p.end:p.end]
			start = p.end
			if p.packet != nil {
				req.Trace.Read(p.at, p.packet)
			}
			if p.failed {
				return true, k.remote(conn, text, sent)
			}
			if p.defined || !p.last {
				if err := reply.Send(value(p, text)); err != nil {
					return p.last, err
				}
				sent++
			}
			if p.last {
				return true, nil
			}
		}
		if lost != nil {
			return true, lost
		}
	}
}

// await waits until something has come; false tells that ctx ended first.
func (k *call) await(ctx context.Context) bool {
	over := ctx.Done()
	if over == nil {
		<-k.signal
		return true
	}
	select {
	case <-k.signal:
		return true
	case <-over:
		return false
	}
}

func value(p *part, text []byte) micro.Value {
	if !p.defined {
		return micro.Value{Last: p.last}
	}
	return micro.Value{Raw: text, Last: p.last}
}

// remote makes the error of the peer's err member; a refusal of a server that
// goes away makes the message one to send again.
func (k *call) remote(conn *clientConn, text []byte, sent int) error {
	if sent == 0 && conn.goingAway.Load() && string(text) == refusal {
		return errUnsent
	}
	return micro.RemoteError(append([]byte(nil), text...))
}

// send writes the packet of a call, or of an event when k is nil; now is the
// time. It returns where in the connection's stream its frame lies; its errors
// are the writer's.
func (c *clientConn) send(ctx context.Context, req *micro.Request, k *call, now time.Time) (start, end int64, err error) {
	var id, scratch []byte
	pattern := req.Pattern.JSON()
	if k != nil {
		id, scratch = k.id, k.packet[:0]
	} else {
		pattern = req.Pattern.RouteJSON() // docs/wire.md 2.4
	}
	var room [256]byte
	metadata := micro.AppendMetadata(room[:0], req, now)
	scratch = wire.AppendRequest(scratch, pattern, req.Data, metadata, id)
	if k != nil {
		k.packet = scratch
	}
	start, end, err = c.out.offer(ctx, req.Deadline, len(scratch)+headerRoom, func(dst []byte) []byte { return AppendFrame(dst, scratch) })
	if err == nil && req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, scratch)
	}
	return start, end, err
}
