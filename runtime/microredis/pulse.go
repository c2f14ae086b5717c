package microredis

import (
	"context"
	"errors"
	"time"
)

// errSilent ends a session whose peer gives no sign of life.
var errSilent = errors.New("no sign of life from Redis")

const (
	idleBeat   = time.Second     // between looks at a connection that nobody waits for
	idleQuiet  = 3 * time.Second // without a word before it is asked for a sign of life
	idleSilent = 3 * time.Second // that it may take, or as long as the heartbeat
	beats      = 7               // in a heartbeat
)

// beat asks for a sign of life on a connection by which nothing has come for a
// while, and ends the session when none comes. It adds beats up and does not look
// at the clock, so that a process that stood still itself does not take its peer
// for dead.
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
				if err := p.beat(every, quiet, silent); err != nil {
					s.fail(err)
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

// pace returns the time to the next beat, and how long a connection may be quiet
// until it is asked for a sign of life, and silent after that.
func (s *session) pace() (every, quiet, silent time.Duration) {
	heartbeat := s.link.settings.heartbeat
	s.relaxed.Store(true) // first, so that whoever begins to wait now is seen by one of the two
	if !s.link.waiting() {
		return idleBeat, idleQuiet, max(idleSilent, heartbeat)
	}
	s.relaxed.Store(false)
	return heartbeat / beats, heartbeat / beats, heartbeat
}

// pulse is whether a connection is alive.
type pulse struct {
	wire  *socket
	ping  func(context.Context) error
	heard int64         // when something had last come at the beat before
	quiet time.Duration // the beats since then
	asked time.Duration // of these, before it was asked for a sign of life; 0: it was not
}

func (p *pulse) beat(every, quiet, silent time.Duration) error {
	heard := p.wire.heard.Load()
	if heard != p.heard || !p.wire.reading.Load() { // what came may not even have been read
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

// pingSub asks for a sign of life on the connection that has subscribed.
func (s *session) pingSub(ctx context.Context) error { return s.sub.Ping(ctx) }

// watched makes sure that the connection is looked at closely, because somebody
// waits.
func (s *session) watched() {
	if s.relaxed.Load() {
		select {
		case s.nudge <- struct{}{}:
		default:
		}
	}
}
