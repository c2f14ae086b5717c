package network

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// role is the side of which the connection breaks.
type role string

const (
	caller  role = "client"
	service role = "service"
)

// limit is how long anything may take until it is taken for not working at all.
const limit = time.Minute

// cell is one event at one transport and role: a service, its client, and the traffic between them.
type cell struct {
	*testing.T
	transport
	role    role
	confirm bool                  // micro.WithConfirmedEvents
	certs   *testenv.Certificates // nil without TLS
	broker  *testenv.Broker       // nil for none
	hub     string                // the address of the broker or, without one, of the service
	gate    *gate                 // between the role and the hub; nil for none
	name    string                // of the gate's address; "" for the address itself
	also    string                // the address of another hub; "" for none
	cluster string                // at which NATS servers meet; "" for none
	folder  string                // the broker's file system; "" for none of its own

	counts  counts
	log     testenv.Log // of the service
	client  *micro.Client
	traffic *traffic
	stop    func()          // drains the service, and waits for its end
	other   map[uint16]bool // the service's connections to the broker without a gate
	ports   map[uint16]bool // of the role's connections, before the event

	struck  time.Time
	noticed time.Time // when the role had given the connection up
	healed  time.Time // when nothing prevented a new one
}

// measured is the result of a cell.
type measured struct {
	Event, Transport string
	Role             role
	Noticed          time.Duration // from the event until the role has given the connection up
	Recovered        time.Duration // from the end of what prevents it to the next reply
	Failed           int           // requests and events that failed
	Lost             int           // events that were not handled although Emit had returned nil
	Reported         int           // events of which the client reported that they may have been lost
	Confirmed        bool          // with micro.WithConfirmedEvents
	Twice            int           // messages that were handled twice
}

// open starts everything and waits until messages arrive.
func (c *cell) open(e event) {
	c.Helper()
	c.counts = counts{requests: map[int]int{}, events: map[int]int{}}
	if e.secure {
		c.certs = testenv.NewCertificates(c)
	}
	var lines []string
	if e.config != nil {
		lines = e.config(c)
	}
	if c.transport.broker == nil {
		c.hub = freeAddress(c)
	} else {
		if e.secure {
			lines = append(lines, c.secure(c.certs)...)
		}
		c.broker = c.transport.broker(c, lines...)
		c.hub = c.broker.Addr
	}
	if e.prepare != nil {
		e.prepare(c)
	}
	if c.broker != nil {
		c.stop = c.serve(c.listen(c.address(service), c.config(false), places))
	} else {
		c.stop = c.serve(c.listen(c.hub, c.config(true), places))
	}
	c.warmUp()
	if c.broker != nil {
		c.other = portsTo(c, c.hub)
	}
	opts := []micro.ClientOption{micro.WithTimeout(timeout), micro.WithLogger(slog.New(slog.DiscardHandler))}
	if c.confirm {
		opts = append(opts, micro.WithConfirmedEvents())
	}
	c.client = micro.NewClient(c.dial(c.address(caller), c.config(false)), opts...)
	c.Cleanup(func() { _ = c.client.Close() })
	c.traffic = &traffic{TB: c, client: c.client}
	c.traffic.start()
	c.Cleanup(c.traffic.end)
	c.traffic.awaitMore(enough)
}

// enough is the number of messages that show that a connection works.
const enough = 25

// address returns what one side connects to: the gate, if its connections break, or the hub, or several hubs.
func (c *cell) address(side role) string {
	switch {
	case c.also != "":
		return c.hub + "," + c.also
	case c.gate == nil || c.broker != nil && c.role != side:
		return c.hub
	case c.name == "":
		return c.gate.addr
	}
	_, port, _ := net.SplitHostPort(c.gate.addr)
	return net.JoinHostPort(c.name, port)
}

// config returns the TLS configuration of a server or of a side that connects.
func (c *cell) config(server bool) *tls.Config {
	switch {
	case c.certs == nil:
		return nil
	case server:
		return c.certs.Server()
	}
	return c.certs.Trusting()
}

// serve starts a service. The result drains it and waits for its end.
func (c *cell) serve(l micro.Listener) (stop func()) {
	c.Helper()
	return serveOn(c, c.counts.server(micro.WithLogger(slog.New(slog.NewTextHandler(&c.log, nil)))), l)
}

func serveOn(tb testing.TB, s *micro.Server, l micro.Listener) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	tb.Cleanup(stop)
	ready, giveUp := context.WithTimeout(tb.Context(), limit)
	defer giveUp()
	if err := l.(interface{ Ready(context.Context) error }).Ready(ready); err != nil {
		tb.Fatalf("the service is not ready: %v", err)
	}
	return stop
}

// warmUp makes the service open all connections that it needs to reply.
func (c *cell) warmUp() {
	c.Helper()
	warm := micro.NewClient(c.dial(c.hub, c.config(false)), micro.WithTimeout(limit))
	defer func() { _ = warm.Close() }()
	var err error
	testenv.Eventually(c, limit, "the service is known everywhere", func() bool { // by every server of a cluster
		_, err = micro.Call[int](c.Context(), warm, echo, 0)
		return !errors.Is(err, micro.ErrNotServed)
	})
	if err != nil {
		c.Fatal(err)
	}
	if err := warm.Emit(c.Context(), note, 0); err != nil {
		c.Fatal(err)
	}
}

// connections returns the ports of the role's connections. For a service without a broker, they are those of its peers.
func (c *cell) connections() map[uint16]bool {
	c.Helper()
	switch {
	case c.broker == nil && c.role == service:
		return portsFrom(c, c.hub)
	case c.gate != nil:
		return portsTo(c, c.gate.addr)
	case c.broker != nil && c.role == service:
		open := portsTo(c, c.hub)
		maps.DeleteFunc(open, func(port uint16, _ bool) bool { return !c.other[port] })
		return open
	}
	open := portsTo(c, c.hub)
	maps.DeleteFunc(open, func(port uint16, _ bool) bool { return c.other[port] })
	return open
}

// gaveUp reports whether none of the connections from before the event is left.
func (c *cell) gaveUp() bool {
	for port := range c.connections() {
		if c.ports[port] {
			return false
		}
	}
	return true
}

// run strikes, and measures.
func (c *cell) run(e event) measured {
	c.Helper()
	defer func() {
		if c.Failed() {
			c.Log(c.log.String())
		}
	}()
	c.open(e)
	c.ports = c.connections()
	c.struck = time.Now()
	e.strike(c)
	struck := time.Now()
	if c.noticed.IsZero() {
		testenv.Eventually(c, limit, "the connection is given up", c.gaveUp)
		c.noticed = time.Now()
	}
	if c.healed.IsZero() {
		c.healed = c.struck
	}
	recovered := c.traffic.awaitReply(struck)
	c.traffic.awaitMore(enough)
	c.traffic.end()
	if c.transport.keeps { // the broker may not have noticed yet that it must deliver some messages again
		testenv.Eventually(c, limit, "every accepted event is handled", c.allHandled)
	}
	m := measured{Event: e.name, Transport: c.transport.name, Role: c.role, Confirmed: c.confirm, Noticed: c.noticed.Sub(c.struck), Recovered: recovered.Sub(c.healed)}
	var lost *micro.LostEventsError
	switch err := c.client.Close(); {
	case errors.As(err, &lost):
		m.Reported = lost.Events[note.Route()]
	case err != nil:
		c.Errorf("close: %v", err)
	}
	c.stop()
	c.judge(&m, e, recovered)
	return m
}

// allHandled reports whether every event that was accepted has been handled.
func (c *cell) allHandled() bool {
	c.counts.mu.Lock()
	defer c.counts.mu.Unlock()
	for _, sent := range c.traffic.outcomes() {
		if sent.event && sent.err == nil && c.counts.events[sent.n] == 0 {
			return false
		}
	}
	return true
}

// longest is the longest time that a role may take to notice an event, and to recover from it.
const longest = 20 * time.Second

// judge checks the outcome of each message: none fails and no event is lost but during the event.
func (c *cell) judge(m *measured, e event, recovered time.Time) {
	c.Helper()
	if m.Noticed > longest || m.Recovered > longest {
		c.Errorf("noticed after %v and recovered after %v, want at most %v", m.Noticed, m.Recovered, longest)
	}
	c.counts.mu.Lock() // a handler may still be running
	defer c.counts.mu.Unlock()
	underway := c.underway()
	for _, sent := range c.traffic.outcomes() {
		during := sent.ended.After(c.struck) && sent.started.Before(recovered) || underway[sent.n]
		what, handled := "request", c.counts.requests[sent.n]
		if sent.event {
			what, handled = "event", c.counts.events[sent.n]
		}
		at := sent.started.Sub(c.struck).Round(time.Millisecond)
		switch {
		case sent.err == nil:
		case !typed(sent.err):
			c.Errorf("%s %d at %v: an error without a type: %v", what, sent.n, at, sent.err)
		case !during || e.seamless(c):
			c.Errorf("%s %d at %v failed: %v", what, sent.n, at, sent.err)
		}
		if sent.err != nil {
			m.Failed++
		}
		if sent.event && sent.err == nil && handled == 0 {
			m.Lost++
			c.Logf("event %d at %v was accepted and lost", sent.n, at)
			if !during || e.seamless(c) || c.transport.keeps || c.confirm {
				c.Fail()
			}
		}
		if handled > 1 {
			m.Twice++
			if !c.transport.keeps {
				c.Errorf("%s %d at %v was handled %d times", what, sent.n, at, handled)
			}
		}
	}
	if e.direct && c.sends() && m.Reported < m.Lost {
		c.Errorf("%d events were accepted and lost, and the client reports %d", m.Lost, m.Reported)
	}
}

// underway returns the events that were accepted before the event struck and may not have reached the service by then: those
// after the last one that did. counts.mu must be held.
func (c *cell) underway() map[int]bool {
	list := map[int]bool{}
	for _, sent := range c.traffic.outcomes() {
		switch {
		case !sent.event || sent.err != nil || sent.ended.After(c.struck):
		case c.counts.events[sent.n] > 0:
			clear(list)
		default:
			list[sent.n] = true
		}
	}
	return list
}

// sends reports whether the client's own connections break, so that what Emit promises is at stake. Behind a broker that has
// confirmed an event, it is not.
func (c *cell) sends() bool { return c.broker == nil || c.role == caller }

// await waits until a channel is closed.
func await(c *cell, what string, done <-chan struct{}) {
	c.Helper()
	select {
	case <-done:
	case <-time.After(limit):
		c.Fatalf("not within %s: %s", limit, what)
	}
}
