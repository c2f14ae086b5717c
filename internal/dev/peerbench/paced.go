package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// schedule deals out the requests of an open loop to the connections. It is safe for concurrent use.
type schedule struct {
	start        time.Time
	interval     time.Duration
	warm, length time.Duration
	dealt        atomic.Int64
}

// next returns when the next request is due, and whether it is measured. Afterward, more is false.
func (s *schedule) next() (due time.Time, measured, more bool) {
	after := time.Duration(s.dealt.Add(1)-1) * s.interval
	return s.start.Add(after), after >= s.warm, after < s.warm+s.length
}

// paced sends the requests that are dealt to one connection, one after the other. Their latencies count from the time at which they
// were due, so they include the time that they waited for a connection.
func (g *generator) paced(ctx context.Context, requests *schedule) ([]time.Duration, error) {
	s := newStream(g, 1)
	conn, err := s.protocol.open(ctx, g.addr)
	if err != nil {
		return nil, err
	}
	defer s.protocol.close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s.next(0, time.Now())
	buf := make([]byte, 0, smallBuffer)
	for {
		due, measured, more := requests.next()
		if !more {
			return s.took, nil
		}
		<-time.After(time.Until(due))
		s.slots[0].sent = due
		if err := s.flush(); err != nil {
			return nil, err
		}
		for len(s.out) == 0 { // a reply appends the next request, which then waits until it is due
			n, err := conn.Read(buf[len(buf):cap(buf)])
			if err != nil {
				return nil, fmt.Errorf("read replies: %w", err)
			}
			rest, err := s.replies(buf[:len(buf)+n], measured)
			if err != nil {
				return nil, err
			}
			buf = moved(buf, rest, len(buf)+n == cap(buf))
		}
	}
}
