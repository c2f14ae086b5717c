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

// ending is what a link keeps: something on one connection that comes to an end.
type ending interface {
	comparable
	lost() <-chan struct{}
	// close ends it, if it has not ended by itself, and waits for its goroutines.
	close(wanted bool)
}

// link keeps one session after another, from the moment it is first needed until
// its context ends: a session that is lost is made again, forever.
type link[S ending] struct {
	open     func(context.Context) (S, error)
	attempts int           // after a failure, until run gives up; negative for no limit
	longest  time.Duration // of the pauses between attempts

	ctx     context.Context
	wg      sync.WaitGroup
	current atomic.Pointer[S] // nil while there is none

	mu      sync.Mutex // guards what follows
	started bool
	failure error         // why the last attempt failed
	changed chan struct{} // closed and replaced when current or failure change
}

// now returns the session if there is one.
func (l *link[S]) now() (s S, ok bool) {
	if p := l.current.Load(); p != nil {
		return *p, true
	}
	return s, false
}

// errEnded tells that the link's context has ended.
var errEnded = errors.New("the link has ended")

// get returns the session, or waits for one until ctx ends, or it is clear that
// waiting does not help.
func (l *link[S]) get(ctx context.Context) (s S, err error) {
	for first := true; ; first = false {
		s, changed, failure, running := l.state(first)
		if s != nil {
			return *s, nil
		}
		if failure != nil && (hopeless(failure) || !running) {
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
			failure = errors.New("no connection in time")
		}
		return *new(S), fmt.Errorf("%w: %w", micro.ErrUnreachable, failure)
	}
}

// state returns the session, or why there is none. With start it begins to make one
// unless that is under way.
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
	return l.current.Load(), l.changed, l.failure, l.started
}

// close waits until the link has ended, after its context.
func (l *link[S]) close() {
	l.mu.Lock()
	l.started = true // nothing begins any more
	l.mu.Unlock()
	l.wg.Wait()
}

func (l *link[S]) change(s *S, failure error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.Store(s)
	l.failure = failure
	close(l.changed)
	l.changed = make(chan struct{})
}

// giveUp ends run: the next message starts it again.
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
			pause.wait(l.ctx)
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
		pause.wait(l.ctx)
	}
}

// pauses are the delays between attempts to connect.
type pauses struct {
	longest time.Duration
	next    time.Duration
}

const firstPause = 50 * time.Millisecond

// wait lets the next delay pass; false tells that ctx ended first.
func (p *pauses) wait(ctx context.Context) bool {
	p.next = min(max(p.next*2, firstPause), max(p.longest, time.Millisecond))
	timer := time.NewTimer(p.next/2 + rand.N(p.next/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// during runs a session: one that lasts makes the next delay the first again, so
// that one that is lost at once, over and over, is not made without end.
func (p *pauses) during(session func()) {
	start := time.Now()
	session()
	if time.Since(start) > p.longest {
		p.next = 0
	}
}
