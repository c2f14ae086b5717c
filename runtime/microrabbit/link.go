package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// ending is a session of a link. It ends when its connection is lost or close is called.
type ending interface {
	comparable
	lost() <-chan struct{}
	// close ends the session, if it has not ended already, and waits for its
	// goroutines. wanted is false if the connection was lost.
	close(wanted bool)
}

// link keeps a session open, from the first time it is needed until the link's context
// ends. It replaces a lost session with a new one.
type link[S ending] struct {
	open     func(context.Context) (S, error)
	attempts int           // retries after a failure until run gives up; negative for no limit
	longest  time.Duration // the maximum pause between attempts
	waits    bool          // get waits while attempts fail

	ctx     context.Context
	wg      sync.WaitGroup
	current atomic.Pointer[S] // nil if there is no session

	mu      sync.Mutex // guards the fields below
	started bool
	failure error         // why the last attempt failed
	failed  time.Time     // when current or failure changed
	hurry   chan struct{} // closed to end the pause before the next attempt
	changed chan struct{} // closed and replaced when current or failure changes
}

// now returns the current session, if any, without waiting.
func (l *link[S]) now() (s S, ok bool) {
	if p := l.current.Load(); p != nil {
		return *p, true
	}
	return s, false
}

// errEnded is returned by get after the link's context has ended.
var errEnded = errors.New("the link has ended")

// get returns the current session, or waits for one until ctx ends, or the attempt to connect
// fails. With waits, and if the broker has no room at the moment, it waits for further attempts
// until an error shows that this does not help.
func (l *link[S]) get(ctx context.Context) (s S, err error) {
	for first := true; ; first = false {
		s, changed, failure, running := l.state(first)
		if s != nil {
			return *s, nil
		}
		if failure != nil && (!running || hopeless(failure) || errors.Is(failure, micro.ErrNotServed) || !l.waits && !passes(failure)) {
			return *new(S), refused(failure)
		}
		select {
		case <-changed:
			continue
		case <-l.ctx.Done():
			return *new(S), errEnded
		case <-ctx.Done():
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return *new(S), context.Cause(ctx)
		}
		if failure == nil {
			failure = errors.New("the connection was not established in time")
		}
		return *new(S), fmt.Errorf("%w: %w", micro.ErrUnreachable, failure)
	}
}

// state returns the session, or the reason why there is none. With start it starts run
// if it is not running, and makes it attempt to connect now if it is pausing.
func (l *link[S]) state(start bool) (s *S, changed <-chan struct{}, failure error, running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	if start && !l.started && l.ctx.Err() == nil {
		l.started, l.failure = true, nil
		l.wg.Go(l.run)
	}
	// An attempt that has just failed counts as this one, so that frequent messages do not
	// cause frequent attempts. A broker that has refused the login is not asked again early.
	if start && !l.waits && l.hurry != nil && time.Since(l.failed) > firstPause && !hopeless(l.failure) {
		l.failure = nil
		close(l.hurry)
		l.hurry = nil
	}
	return l.current.Load(), l.changed, l.failure, l.started
}

// close waits for run to return. The link's context must have ended.
func (l *link[S]) close() {
	l.mu.Lock()
	l.started = true // prevents another start
	l.mu.Unlock()
	l.wg.Wait()
}

func (l *link[S]) change(s *S, failure error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.Store(s)
	l.failure, l.failed = failure, time.Now()
	close(l.changed)
	l.changed = make(chan struct{})
}

// pause waits before the next attempt, unless get ends the pause.
func (l *link[S]) pause(p *pauses) {
	l.mu.Lock()
	hurry := make(chan struct{})
	l.hurry = hurry
	l.mu.Unlock()
	p.wait(l.ctx, hurry)
	l.mu.Lock()
	l.hurry = nil
	l.mu.Unlock()
}

// giveUp records that run has ended after too many failures. The next get restarts it.
func (l *link[S]) giveUp(failure error) {
	l.mu.Lock()
	l.started = false
	l.mu.Unlock()
	l.change(nil, failure)
}

func (l *link[S]) run() {
	pause := pauses{longest: l.longest}
	for failures := 0; l.ctx.Err() == nil; {
		s, err := l.open(l.ctx)
		if err != nil {
			if failures++; l.attempts >= 0 && failures > l.attempts {
				l.giveUp(err)
				return
			}
			l.change(nil, err)
			l.pause(&pause)
			continue
		}
		failures = 0
		l.change(&s, nil)
		pause.during(func() {
			select {
			case <-s.lost():
			case <-l.ctx.Done():
			}
		})
		l.change(nil, nil)
		s.close(l.ctx.Err() != nil)
		l.pause(&pause)
	}
}

// pauses are the delays between attempts to connect.
type pauses struct {
	longest time.Duration
	next    time.Duration
}

const firstPause = 50 * time.Millisecond

// wait waits for the next delay, or until hurry is closed. It returns false if ctx ended
// first.
func (p *pauses) wait(ctx context.Context, hurry <-chan struct{}) bool {
	p.next = min(max(p.next*2, firstPause), max(p.longest, time.Millisecond))
	timer := time.NewTimer(p.next/2 + rand.N(p.next/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-hurry:
		return true
	case <-ctx.Done():
		return false
	}
}

// during runs a session and resets the delays if it lasted long enough. The delays keep
// growing if each session is lost at once.
func (p *pauses) during(session func()) {
	start := time.Now()
	session()
	if time.Since(start) > p.longest {
		p.next = 0
	}
}
