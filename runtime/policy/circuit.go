package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// BreakerState is the state of a breaker.
type BreakerState int

// The states of a breaker.
const (
	// Closed lets all attempts through.
	Closed BreakerState = iota
	// Open rejects all attempts.
	Open
	// HalfOpen lets a few probes through.
	HalfOpen
)

// String returns "closed", "open", or "half-open".
func (s BreakerState) String() string {
	switch s {
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	}
	return "closed"
}

// errOpen ends a request whose first attempt was rejected.
var errOpen = fmt.Errorf("%w: the breaker is open", micro.ErrShed)

// verdict is the conclusion about the service from the end of an attempt.
type verdict int

const (
	noVerdict verdict = iota // no conclusion
	good
	bad
)

// judge returns the verdict on an attempt. A timeout only counts against the service if it
// had the time that the policy grants.
func (r *run) judge(a *attempt, err error) verdict {
	if err == nil {
		return good
	}
	err = ended(err)
	var remote *micro.Error // declared here, because it escapes to the heap
	answered := errors.As(err, &remote) && remote.Remote()
	switch {
	case Transient(err):
		if r.impatient(a) && (errors.Is(err, micro.ErrTimeout) || answered && remote.Status == 504 || !answered && a.late()) {
			return noVerdict
		}
		if d := a.req.Deadline; !d.IsZero() && !a.start.Before(d) {
			return noVerdict
		}
		return bad
	case answered:
		return good
	}
	return noVerdict
}

// late reports whether the attempt's time is up.
func (a *attempt) late() bool {
	return !a.req.Deadline.IsZero() && !time.Now().Before(a.req.Deadline)
}

// impatient reports whether the caller left an attempt less time than the policy grants:
// its timeout, or the rest of its deadline. Without either, it grants what a client does.
func (r *run) impatient(a *attempt) bool {
	s, caller := &r.policy.settings, r.callerDeadline()
	switch {
	case caller.IsZero():
		return false
	case a.pause != nil && a.pause.over.Load():
		return false // a value was overdue
	case a.pause != nil && a.late():
		return caller.Equal(r.deadline)
	}
	grant := s.Timeout
	if s.Deadline > 0 {
		if rest := s.Deadline - a.start.Sub(r.first.start); grant == 0 || rest < grant {
			grant = rest
		}
	} else if grant == 0 {
		grant = micro.DefaultTimeout
	}
	return caller.Sub(a.start) < grant-min(grant/100, maxTolerance)
}

// callerDeadline returns the caller's deadline, or zero if there is none. The client's own timeout
// bounds a request, too, but is not the caller's.
func (r *run) callerDeadline() (at time.Time) {
	if !r.req.DeadlineIsDefault() {
		at = r.req.Deadline
	}
	if end, ok := r.ctx.Deadline(); ok && (r.req.Deadline.IsZero() || end.Before(r.req.Deadline)) {
		at = end
	}
	return at
}

// maxTolerance limits how much of its time the caller may have used before the attempt
// began. A caller whose deadline is the policy's timeout always has a little less than that.
const maxTolerance = time.Millisecond

// breaker is the state of a Breaker.
type breaker struct {
	settings Breaker

	mu     sync.Mutex // guards the fields below, and orders the calls of the hook
	state  BreakerState
	since  time.Time // of state
	turn   pass      // counts state changes; results from an earlier state are ignored
	window window    // while closed
	probes int       // while half-open: in flight or successful
	well   int       // successful ones of these
}

// pass identifies an admitted attempt when its result is reported. The zero pass belongs
// to an attempt without a breaker.
type pass uint64

// admission is the breaker's permission for an attempt.
type admission struct {
	pass  pass
	probe bool // the breaker is half-open
}

// newBreaker returns nil for the zero Breaker.
func newBreaker(s Breaker) *breaker {
	if s == (Breaker{}) {
		return nil
	}
	now := time.Now()
	return &breaker{settings: s, since: now, turn: 1, window: newWindow(s.Window, now)}
}

// shut reports whether the breaker will certainly reject an attempt at a future
// time.
func (b *breaker) shut(at time.Time) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == Open && at.Before(b.since.Add(b.settings.Cooldown))
}

// closed reports whether the breaker admits all attempts.
func (b *breaker) closed() bool { return b.current() == Closed }

// admit reports whether an attempt may begin now.
func (b *breaker) admit(tell teller, now time.Time) (admission, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Open {
		if now.Before(b.since.Add(b.settings.Cooldown)) {
			return admission{}, false
		}
		b.change(tell, HalfOpen, now)
	}
	if b.state == HalfOpen {
		if b.probes == b.settings.Probes {
			return admission{}, false
		}
		b.probes++
	}
	return admission{b.turn, b.state == HalfOpen}, true
}

// ended counts the result of an attempt.
func (b *breaker) ended(tell teller, through pass, v verdict, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case through != b.turn:
	case b.state == HalfOpen:
		b.probed(tell, v, now)
	case v != noVerdict:
		b.window.add(now, v == bad)
		sum := b.window.sum
		if sum.all >= b.settings.Minimum && float64(sum.bad) >= b.settings.Ratio*float64(sum.all)-rounding {
			b.change(tell, Open, now)
		}
	}
}

// probed counts the result of a probe; mu is held.
func (b *breaker) probed(tell teller, v verdict, now time.Time) {
	switch v {
	case bad:
		b.change(tell, Open, now)
	case good:
		if b.well++; b.well == b.settings.Probes {
			b.change(tell, Closed, now)
		}
	default:
		b.probes-- // make room for another probe
	}
}

// change switches to another state; mu is held.
func (b *breaker) change(tell teller, to BreakerState, now time.Time) {
	b.state, b.since = to, now
	b.turn++
	b.probes, b.well = 0, 0
	b.window.parts, b.window.sum = [windowParts]counts{}, counts{}
	if tell.hook != nil {
		tell.hook(tell.ctx, BreakerChange{State: to, At: now})
	}
}

// teller is the hook to call for a change.
type teller struct {
	ctx  context.Context
	hook func(context.Context, BreakerChange)
}

// windowParts is the number of parts of a window, which slides by one part at a time.
const windowParts = 10

// window counts recent results in constant memory.
type window struct {
	origin time.Time
	width  time.Duration // of a part
	at     int64         // number of the current part, since origin
	parts  [windowParts]counts
	sum    counts // of parts
}

type counts struct{ all, bad int }

func newWindow(length time.Duration, now time.Time) window {
	return window{origin: now, width: max(length/windowParts, 1)}
}

// add counts a result now.
func (w *window) add(now time.Time, failed bool) {
	w.slide(int64(now.Sub(w.origin) / w.width))
	part := &w.parts[w.at%windowParts]
	part.all++
	w.sum.all++
	if failed {
		part.bad++
		w.sum.bad++
	}
}

// slide removes the parts before the window that ends with part number to.
func (w *window) slide(to int64) {
	if to-w.at >= windowParts {
		w.parts, w.sum, w.at = [windowParts]counts{}, counts{}, to
	}
	for w.at < to {
		w.at++
		part := &w.parts[w.at%windowParts]
		w.sum.all -= part.all
		w.sum.bad -= part.bad
		*part = counts{}
	}
}
