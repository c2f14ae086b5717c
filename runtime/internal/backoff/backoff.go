// Package backoff spaces attempts that fail, such as those to connect: the pauses between them
// grow, are jittered, so that many programs do not try at the same moment, and end early if an
// attempt is needed now.
package backoff

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// First is the first pause. It is also how long a failure answers for the attempts that are
// needed right after it.
const First = 50 * time.Millisecond

// Pauses are the pauses of one sequence of attempts. Hasten may be called at any time; the other
// methods are for the goroutine that makes the attempts.
type Pauses struct {
	// Longest is the maximum of the pauses, which start at First and double. Each lasts
	// between half of its length and all of it.
	Longest time.Duration

	next time.Duration

	mu    sync.Mutex // guards the fields below
	began time.Time
	hurry chan struct{} // closed to end the pause; nil while there is none
}

// Wait pauses until the next attempt is due, Hasten is called, or ctx ends, whose error it
// returns.
func (p *Pauses) Wait(ctx context.Context) error {
	p.next = max(min(max(2*p.next, First), p.Longest), time.Millisecond)
	hurry := make(chan struct{})
	p.set(time.Now(), hurry)
	defer p.set(time.Time{}, nil)
	timer := time.NewTimer(p.next/2 + rand.N(p.next/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (p *Pauses) set(began time.Time, hurry chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began, p.hurry = began, hurry
}

// Hasten ends a pause because an attempt is needed now, and reports whether there was one. A
// pause that began less than First ago continues, because the attempt that has just failed counts
// as the one that is needed: frequent messages must not cause frequent attempts.
func (p *Pauses) Hasten() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hurry == nil || time.Since(p.began) <= First {
		return false
	}
	close(p.hurry)
	p.hurry = nil
	return true
}

// During runs what an attempt has made possible. If it lasts longer than the longest pause, the
// next pause is a first one again; until then, the pauses keep growing.
func (p *Pauses) During(session func()) {
	began := time.Now()
	session()
	if time.Since(began) > p.Longest {
		p.next = 0
	}
}
