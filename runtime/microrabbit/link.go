package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/msctl/msctl/runtime/internal/backoff"
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
	attempts int // retries after a failure until run gives up; negative for no limit
	pauses   backoff.Pauses
	waits    bool // get waits while attempts fail

	ctx     context.Context
	wg      sync.WaitGroup
	current atomic.Pointer[S] // nil if there is no session

	mu      sync.Mutex // guards the fields below
	started bool
	failure error         // why the last attempt failed
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
	// A broker that has refused the login is not asked again early.
	if start && !l.waits && !hopeless(l.failure) && l.pauses.Hasten() {
		l.failure = nil
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
	l.failure = failure
	close(l.changed)
	l.changed = make(chan struct{})
}

// giveUp records that run has ended after too many failures. The next get restarts it.
func (l *link[S]) giveUp(failure error) {
	l.mu.Lock()
	l.started = false
	l.mu.Unlock()
	l.change(nil, failure)
}

func (l *link[S]) run() {
	for failures := 0; l.ctx.Err() == nil; {
		s, err := l.open(l.ctx)
		if err != nil {
			if failures++; l.attempts >= 0 && failures > l.attempts {
				l.giveUp(err)
				return
			}
			l.change(nil, err)
			_ = l.pauses.Wait(l.ctx)
			continue
		}
		failures = 0
		l.change(&s, nil)
		l.pauses.During(func() {
			select {
			case <-s.lost():
			case <-l.ctx.Done():
			}
		})
		l.change(nil, nil)
		s.close(l.ctx.Err() != nil)
		_ = l.pauses.Wait(l.ctx)
	}
}
