package network

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

var (
	echo = micro.Cmd("echo")
	note = micro.Name("noted")
)

const (
	every   = 20 * time.Millisecond // a request and an event
	timeout = 5 * time.Second       // of each
)

// counts is how often each message was handled.
type counts struct {
	mu       sync.Mutex
	requests map[int]int
	events   map[int]int
}

func (c *counts) add(in map[int]int, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in[n]++
}

// server handles and counts the messages of traffic.
func (c *counts) server(opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(opts...)
	micro.Handle(s, echo, func(_ context.Context, n int) (int, error) {
		c.add(c.requests, n)
		return n, nil
	})
	micro.HandleEvent(s, note, func(_ context.Context, n int) error {
		c.add(c.events, n)
		return nil
	})
	return s
}

// message is a request or an event, and its outcome.
type message struct {
	n              int
	event          bool
	started, ended time.Time
	err            error
}

// traffic sends a request and an event at a constant rate, whatever their outcome. Each has a number.
type traffic struct {
	testing.TB
	client *micro.Client
	stop   context.CancelFunc
	paced  chan struct{}
	open   sync.WaitGroup

	mu   sync.Mutex
	last int
	sent []message // those that have ended
}

func (t *traffic) start() {
	ctx, cancel := context.WithCancel(t.Context())
	t.stop, t.paced = cancel, make(chan struct{})
	go func() {
		defer close(t.paced)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.open.Go(func() { t.send(false) })
				t.open.Go(func() { t.send(true) })
			case <-ctx.Done():
				return
			}
		}
	}()
}

// end stops the traffic, and waits until every message has an outcome.
func (t *traffic) end() {
	t.stop()
	<-t.paced
	t.open.Wait()
}

func (t *traffic) send(event bool) {
	t.mu.Lock()
	t.last++
	m := message{n: t.last, event: event, started: time.Now()}
	t.mu.Unlock()
	if event {
		m.err = t.client.Emit(context.Background(), note, m.n)
	} else {
		var got int
		if got, m.err = micro.Call[int](context.Background(), t.client, echo, m.n); m.err == nil && got != m.n {
			m.err = fmt.Errorf("the reply to request %d", got)
		}
	}
	m.ended = time.Now()
	t.mu.Lock()
	t.sent = append(t.sent, m)
	t.mu.Unlock()
}

func (t *traffic) outcomes() []message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent[:len(t.sent):len(t.sent)]
}

// awaitReply waits for the reply to a request that was sent after a time, and returns when it came.
func (t *traffic) awaitReply(after time.Time) (at time.Time) {
	t.Helper()
	seen := 0
	testenv.Eventually(t, limit, "a request is answered", func() bool {
		all := t.outcomes()
		for ; seen < len(all); seen++ {
			if m := all[seen]; !m.event && m.err == nil && m.started.After(after) && (at.IsZero() || m.ended.Before(at)) {
				at = m.ended
			}
		}
		return !at.IsZero()
	})
	return at
}

// awaitMore waits until n more requests and as many events have succeeded.
func (t *traffic) awaitMore(n int) {
	t.Helper()
	seen, requests, events := len(t.outcomes()), 0, 0
	testenv.Eventually(t, limit, "messages succeed", func() bool {
		all := t.outcomes()
		for ; seen < len(all); seen++ {
			switch m := all[seen]; {
			case m.err != nil:
			case m.event:
				events++
			default:
				requests++
			}
		}
		return requests >= n && events >= n
	})
}

// typed reports whether an error is one that callers can tell from others.
func typed(err error) bool {
	var remote *micro.Error
	for _, kind := range []error{micro.ErrConnectionLost, micro.ErrUnreachable, micro.ErrTimeout, micro.ErrNotServed, micro.ErrRefused} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return errors.As(err, &remote)
}

// awaitFailures waits until n more messages have failed.
func (t *traffic) awaitFailures(n int) {
	t.Helper()
	seen, failed := len(t.outcomes()), 0
	testenv.Eventually(t, limit, "messages fail", func() bool {
		all := t.outcomes()
		for ; seen < len(all); seen++ {
			if all[seen].err != nil {
				failed++
			}
		}
		return failed >= n
	})
}
