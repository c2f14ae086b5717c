package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// connection is one connection to a broker with its channels. When one of them
// ends, all do: what was set up on them is set up anew, on the next connection.
type connection struct {
	*amqp.Connection
	name string

	once sync.Once
	down chan struct{} // closed when it has ended
	why  error         // set before down is closed
	wg   sync.WaitGroup

	mu        sync.Mutex
	blocked   string        // why the broker takes no messages; "" while it does
	unblocked chan struct{} // closed when blocked becomes ""
}

// connect makes a connection to the first of the addresses that has a broker.
func (s *shared) connect(ctx context.Context, addresses []address, role string) (*connection, error) {
	var errs []error
	for _, a := range addresses {
		c, err := s.connectTo(ctx, a, role)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, at(err, "connect to %s", a.name))
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

func (s *shared) connectTo(ctx context.Context, a address, role string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, s.dialTimeout)
	defer cancel()
	var stop func() bool
	dial := func(network, addr string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		stop = context.AfterFunc(ctx, func() { _ = conn.Close() }) // what follows knows no context
		return conn, nil
	}
	properties := amqp.Table{"product": "msctl", "connection_name": role + " " + s.queue}
	config := amqp.Config{Heartbeat: s.heartbeat, Locale: "en_US", Dial: dial, Properties: properties}
	if s.tls != nil {
		config.TLSClientConfig = s.tls.Clone() // the driver writes to it
	}
	conn, err := amqp.DialConfig(a.url, config)
	if stop != nil && !stop() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) || isTimeout(err) {
			err = fmt.Errorf("no answer within %v", s.dialTimeout)
		}
		return nil, err
	}
	c := &connection{Connection: conn, name: a.name, down: make(chan struct{})}
	c.watch(conn.NotifyClose)
	blockings := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	c.wg.Go(func() {
		for b := range blockings {
			c.block(b)
		}
	})
	return c, nil
}

// watch ends the connection with what notify registers a channel for.
func (c *connection) watch(notify func(chan *amqp.Error) chan *amqp.Error) {
	closed := notify(make(chan *amqp.Error, 1))
	c.wg.Go(func() { c.end(lost(<-closed)) })
}

// channel opens a channel, whose end is the connection's.
func (c *connection) channel() (*amqp.Channel, error) {
	ch, err := c.Channel()
	if err != nil {
		return nil, at(err, "open a channel on %s", c.name)
	}
	c.watch(ch.NotifyClose)
	return ch, nil
}

// end tells that the connection is of no use any more.
func (c *connection) end(why error) {
	c.once.Do(func() {
		c.why = why
		close(c.down)
	})
}

// shut closes the connection, giving the broker a moment to take what has been
// written to it, and waits for its goroutines.
func (c *connection) shut() {
	c.end(errors.New("it was closed"))
	_ = c.CloseDeadline(time.Now().Add(closeTimeout))
	c.wg.Wait()
}

const closeTimeout = 2 * time.Second

func (c *connection) block(b amqp.Blocking) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case b.Active && c.blocked == "":
		c.blocked, c.unblocked = b.Reason, make(chan struct{})
	case !b.Active && c.blocked != "":
		c.blocked = ""
		close(c.unblocked)
	}
}

// blocking returns why the broker takes no messages, and a channel that is closed
// when it does again; "" while it does.
func (c *connection) blocking() (why string, over <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked, c.unblocked
}

// pauses are the delays between attempts to connect.
type pauses struct {
	longest time.Duration
	next    time.Duration
}

const firstPause = 50 * time.Millisecond

// wait lets the next delay pass; false tells that ctx ended first.
func (p *pauses) wait(ctx context.Context) bool {
	p.next = min(max(p.next*2, firstPause), max(p.longest, time.Millisecond))
	timer := time.NewTimer(p.next/2 + rand.N(p.next/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *pauses) reset() { p.next = 0 }
