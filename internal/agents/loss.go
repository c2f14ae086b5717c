package agents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// hear records that an agent was heard.
func (r *run) hear(m *member) {
	r.mu.Lock()
	m.heard = time.Now()
	since := m.silent
	m.silent = time.Time{}
	var stalled time.Duration
	if !since.IsZero() {
		stalled = time.Since(since)
		m.stalls += stalled
	}
	r.mu.Unlock()
	if stalled == 0 {
		return
	}
	text := fmt.Sprintf("agent %d (%s) is back after %.1f s", m.index+1, m.name(), stalled.Seconds())
	r.c.options.Notify(text)
	now := r.elapsed()
	r.sum.Doubt(now-stalled, now)
	r.sum.Mark(now, text)
}

// leases tells the agents that this process is alive. Before the run has started, gone is of use: it is called if the process
// of an agent is gone. Later, watch sees who is silent.
func (r *run) leases(gone context.CancelCauseFunc) {
	tick := time.NewTicker(leaseStep)
	defer tick.Stop()
	for {
		select {
		case <-r.over:
			return
		case <-tick.C:
			go func() {
				err := r.broadcast(func() *command { return &command{Kind: kindLease} })
				if errors.Is(err, nats.ErrNoResponders) && r.connected() {
					gone(err)
				}
			}()
		}
	}
}

// watch asks agents that are silent, and names those that do not answer.
func (r *run) watch() {
	tick := time.NewTicker(beatStep / 2)
	defer tick.Stop()
	before := time.Now()
	up := before // when the connection to NATS was last seen
	for {
		select {
		case <-r.over:
			return
		case <-tick.C:
		}
		now := time.Now()
		if pause := now.Sub(before); pause > silence || !r.connected() {
			r.forgive(now) // it is this process that was silent
		}
		before = now
		if r.c.conn.IsConnected() {
			up = now
		} else if now.Sub(up) > leaseLength+silence { // all agents have stopped by themselves
			for _, m := range r.members {
				r.lose(m, "the connection to NATS was lost")
			}
			continue
		}
		for _, m := range r.members {
			r.mu.Lock()
			ask := !m.ended && m.lost == "" && !m.asking && now.Sub(m.heard) > silence
			m.asking = m.asking || ask
			gone := ask && now.Sub(m.heard) > leaseLength
			r.mu.Unlock()
			switch {
			case gone: // it has stopped by itself
				r.lose(m, fmt.Sprintf("silent for %s", leaseLength))
			case ask:
				r.aside.Go(func() { r.ask(m) })
			}
		}
	}
}

// connected reports whether the connection to NATS is up, and was for a while, so that the
// agents had the time to connect again, too.
func (r *run) connected() bool {
	back := time.Duration(r.c.back.Load())
	return r.c.conn.IsConnected() && (back == 0 || r.c.now()-back > silence)
}

// forgive makes all agents that were not stalled before ones that have just been heard.
func (r *run) forgive(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m.silent.IsZero() {
			m.heard = now
		}
	}
}

// ask asks an agent whether it is there.
func (r *run) ask(m *member) {
	err := r.send(context.Background(), m, &command{Kind: kindAsk}, askTimeout)
	r.mu.Lock()
	m.asking = false
	first := m.silent.IsZero()
	heard := m.heard
	r.mu.Unlock()
	switch {
	case err == nil, !r.connected(), time.Since(heard) < silence:
	case errors.Is(err, nats.ErrNoResponders):
		r.lose(m, "its process is gone")
	case first:
		r.mu.Lock()
		m.silent = heard
		r.mu.Unlock()
		text := fmt.Sprintf("agent %d (%s) has been silent for %.1f s", m.index+1, m.name(), time.Since(heard).Seconds())
		r.c.options.Notify(text)
		r.sum.Mark(r.elapsed(), text)
		if r.c.options.StopOnLoss {
			r.Abort("stopped: an agent is stalled")
		}
	}
}

// lose continues without an agent, or stops the run.
func (r *run) lose(m *member, why string) {
	r.mu.Lock()
	if m.lost != "" || m.ended {
		r.mu.Unlock()
		return
	}
	m.lost = why
	r.mu.Unlock()
	unknown, until := r.sum.Lose(m.index)
	now := r.elapsed()
	r.sum.Doubt(until, now)
	text := fmt.Sprintf("agent %d (%s) was lost: %s", m.index+1, m.name(), why)
	r.sum.Mark(now, text)
	r.c.options.Notify(text)
	if r.c.options.StopOnLoss {
		r.Abort("stopped: an agent was lost")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.unknown, m.until = unknown, until
	r.checkOver()
}
