package microredis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// replyChannel is a client's subscription to the replies on one channel. It is kept for
// a while after the last call, so that successive calls do not subscribe and unsubscribe
// each time.
type replyChannel struct {
	name  string
	made  change
	users int   // the number of calls that use it; guarded by the session's mu
	idle  int64 // the clock when users became 0
}

const (
	keepReplies = 30 * time.Second // how long an idle reply channel is kept
	maxIdle     = 1024             // the number of reply channels above which idle ones are dropped at once
)

// listen subscribes to the reply channel with the given name and waits until Redis has
// confirmed the subscription. If listen returns no error, the caller must call leave.
func (s *session) listen(ctx context.Context, name string, deadline time.Time) (*replyChannel, error) {
	r := s.use(name)
	select {
	case <-r.made.done: // the usual case
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
		if isForbidden(r.made.err) {
			return nil, fmt.Errorf("%w: %w", micro.ErrForbidden, denied(r.made.err, "subscribe", name))
		}
		return nil, fmt.Errorf("%w: subscribe to %s at %s: %w", refusal(r.made.err), name, s.link.options.Addr, r.made.err)
	}
	return r, nil
}

// notListening returns the error of a call that ended before Redis confirmed its
// subscription.
func (s *session) notListening(ctx context.Context) error {
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: Redis at %s did not confirm the subscription to the reply channel in time", micro.ErrUnreachable, s.link.options.Addr)
}

// use adds a call to a reply channel, and subscribes to it if necessary.
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
	if r = s.replies[name]; r != nil { // subscribed by another call in the meantime
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

// abandon is leave for a call whose caller has left a stream. It unsubscribes at once if it
// is the only call: the server learns from the number of receivers that it may stop.
func (s *session) abandon(r *replyChannel) {
	s.order.Lock()
	s.mu.Lock()
	r.users--
	last := r.users == 0 && s.replies[r.name] == r
	if last {
		delete(s.replies, r.name)
	}
	s.mu.Unlock()
	if last && !s.over() {
		s.write(&change{}, s.sub.Unsubscribe, r.name)
	}
	s.order.Unlock()
}

// leave removes a call from a reply channel.
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

// forget drops a rejected subscription, so that the next call subscribes again.
func (s *session) forget(r *replyChannel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replies[r.name] == r {
		delete(s.replies, r.name)
	}
}

// sweep unsubscribes from the reply channels that have been idle for at least d.
func (s *session) sweep(d time.Duration) {
	s.order.Lock()
	defer s.order.Unlock()
	names := s.takeIdle(clock() - int64(d))
	for some := range slices.Chunk(names, maxNames) {
		s.write(&change{}, s.sub.Unsubscribe, some...)
	}
}

// takeIdle removes the reply channels that have been idle since a time from the list, and
// returns their names.
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
