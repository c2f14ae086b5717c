package calls

import (
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// maxLate bounds the calls that are remembered after their callers have given up.
const maxLate = 4096

// lateCalls remembers the most recent calls that were given up and whose traces ask
// for late replies. The zero value is empty.
type lateCalls struct {
	calls map[uint64]lateCall
	order []uint64 // a ring; the oldest call is at next
	next  int
}

type lateCall struct {
	gaveUp time.Time
	trace  *micro.Trace
}

func (l *lateCalls) add(n uint64, trace *micro.Trace) {
	if l.calls == nil {
		l.calls = map[uint64]lateCall{}
	}
	if len(l.order) < maxLate {
		l.order = append(l.order, n)
	} else {
		delete(l.calls, l.order[l.next])
		l.order[l.next] = n
		l.next = (l.next + 1) % maxLate
	}
	l.calls[n] = lateCall{time.Now(), trace}
}

// find returns a call that was given up, and forgets it if this is the last packet of
// its reply.
func (l *lateCalls) find(n uint64, last bool) (lateCall, bool) {
	found, ok := l.calls[n]
	if ok && last {
		delete(l.calls, n)
	}
	return found, ok
}

// report reports the end of a late reply to the call's trace.
func (c lateCall) report(remote []byte) {
	late := micro.LateReply{By: time.Since(c.gaveUp)}
	if remote != nil {
		late.Err = micro.RemoteError(append([]byte(nil), remote...))
	}
	c.trace.Late(late)
}
