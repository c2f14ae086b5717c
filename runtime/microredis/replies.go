package microredis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// replyChannel is a client's subscription to the answers on one channel. It is
// kept for a while when no call needs it, so that calls one after another do not
// subscribe and unsubscribe each time.
type replyChannel struct {
	name  string
	made  change
	users int   // calls; guarded by the session's mu
	idle  int64 // clock when users became 0
}

const (
	keepReplies = 30 * time.Second // an idle reply channel
	maxIdle     = 1024             // reply channels, before those that are idle go at once
)

// listen returns when answers on the channel of that name arrive. Each call of
// listen that returns nil needs one of leave.
func (s *session) listen(ctx context.Context, name string, deadline time.Time) (*replyChannel, error) {
	r := s.use(name)
	select {
	case <-r.made.done: // most often
	default:
		timed, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		select {
		case <-r.made.done:
		case <-s.lost:
			return nil, errLost
		case <-timed.Done():
			s.leave(r)
			return nil, s.notListening(ctx)
		}
	}
	if r.made.err != nil {
		s.forget(r)
		return nil, fmt.Errorf("%w: subscribe to %s at %s: %w", micro.ErrRefused, name, s.link.options.Addr, r.made.err)
	}
	return r, nil
}

// notListening is the error of a caller whose time has ended before Redis had
// confirmed the subscription.
func (s *session) notListening(ctx context.Context) error {
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: Redis at %s did not confirm the subscription to the answers in time", micro.ErrUnreachable, s.link.options.Addr)
}

// use counts a call in, and subscribes when it is the first.
func (s *session) use(name string) *replyChannel {
	s.mu.Lock()
	r := s.replies[name]
	if r != nil {
		r.users++
		s.mu.Unlock()
		return r
	}
	s.mu.Unlock()
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	if r = s.replies[name]; r != nil { // made meanwhile
		r.users++
		s.mu.Unlock()
		return r
	}
	r = &replyChannel{name: name, users: 1}
	r.made.done = make(chan struct{})
	s.replies[name] = r
	s.mu.Unlock()
	s.write(&r.made, s.sub.Subscribe, name)
	return r
}

// leave counts a call out.
func (s *session) leave(r *replyChannel) {
	s.mu.Lock()
	r.users--
	if r.users == 0 {
		r.idle = clock()
	}
	many := r.users == 0 && len(s.replies) > maxIdle
	s.mu.Unlock()
	if many {
		s.sweep(0)
	}
}

// forget drops a subscription that was refused, so that the next call asks again.
func (s *session) forget(r *replyChannel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replies[r.name] == r {
		delete(s.replies, r.name)
	}
}

// sweep unsubscribes from the reply channels that have been idle for as long as d.
func (s *session) sweep(d time.Duration) {
	s.order.Lock()
	defer s.order.Unlock()
	names := s.takeIdle(clock() - int64(d))
	for some := range slices.Chunk(names, maxNames) {
		s.write(&change{}, s.sub.Unsubscribe, some...)
	}
}

// takeIdle takes the reply channels off the list that have been idle since a time.
func (s *session) takeIdle(since int64) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range s.replies {
		if r.users == 0 && r.idle <= since && r.confirmed() {
			names = append(names, name)
			delete(s.replies, name)
		}
	}
	return names
}

func (r *replyChannel) confirmed() bool {
	select {
	case <-r.made.done:
		return true
	default:
		return false
	}
}
