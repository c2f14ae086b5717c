package microredis

import (
	"context"
	"errors"
	"time"
)

// errSilent ends a session when Redis does not answer a PING in time.
var errSilent = errors.New("no reply from Redis to a PING in time")

const (
	idleBeat   = time.Second     // the interval of the checks while no call or event is in flight
	idleQuiet  = 3 * time.Second // how long an idle connection may be quiet before a PING
	idleSilent = 3 * time.Second // the minimum time to answer a PING on an idle connection
	beats      = 7               // checks per heartbeat
)

// beat sends a PING on a connection that has been quiet for a while, and ends the session
// if no reply arrives in time. It adds up the intervals of its timer rather than
// comparing times, so that a process that was itself suspended does not consider Redis
// dead.
func (s *session) beat() {
	pulses := []*pulse{{wire: s.in, ping: s.pingSub}, {wire: s.out, ping: s.link.out.ping}}
	every, quiet, silent := s.pace()
	timer := time.NewTimer(every)
	defer timer.Stop()
	for swept := clock(); ; {
		select {
		case <-s.lost:
			return
		case <-s.nudge:
		case <-timer.C:
			for _, p := range pulses {
				switch err := p.beat(every, quiet, silent); {
				case errors.Is(err, errSilent):
					s.fail(err)
				case err != nil:
					s.end(err)
				}
			}
		}
		if now := clock(); now-swept > int64(keepReplies/3) {
			swept = now
			s.sweep(keepReplies)
		}
		every, quiet, silent = s.pace()
		timer.Reset(every)
	}
}

// pace returns the time until the next check, how long a connection may be quiet before
// a PING, and how long it may be silent after that.
func (s *session) pace() (every, quiet, silent time.Duration) {
	heartbeat := s.link.settings.heartbeat
	s.relaxed.Store(true) // before waiting is called: a call that begins now is noticed by waiting or by watched
	if !s.link.waiting() {
		return idleBeat, idleQuiet, max(idleSilent, heartbeat)
	}
	s.relaxed.Store(false)
	return heartbeat / beats, heartbeat / beats, heartbeat
}

// pulse checks whether a connection is alive.
type pulse struct {
	wire  *socket
	ping  func(context.Context) error
	heard int64         // when data had last arrived at the previous check
	quiet time.Duration // the sum of the intervals since then
	asked time.Duration // quiet when the PING was sent; 0 if none was sent
}

func (p *pulse) beat(every, quiet, silent time.Duration) error {
	heard := p.wire.heard.Load()
	if heard != p.heard || !p.wire.reading.Load() { // if no read is waiting, data may have arrived that has not been read
		p.heard, p.quiet, p.asked = heard, 0, 0
		return nil
	}
	p.quiet += every
	switch {
	case p.asked == 0 && p.quiet >= quiet:
		p.asked = p.quiet
		return p.ping(context.Background())
	case p.asked != 0 && p.quiet-p.asked >= silent:
		return errSilent
	}
	return nil
}

// pingSub sends a PING on the subscribed connection. Its reply may be an error, which must
// not be taken for that to another command.
func (s *session) pingSub(ctx context.Context) error {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	s.changes = append(s.changes, &change{left: 1, done: make(chan struct{})})
	s.mu.Unlock()
	return s.sub.Ping(ctx)
}

// watched switches to the fast heartbeat, because a call or event is in flight.
func (s *session) watched() {
	if s.relaxed.Load() {
		select {
		case s.nudge <- struct{}{}:
		default:
		}
	}
}
