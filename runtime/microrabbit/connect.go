package microrabbit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// What connections are for; the broker shows it.
const (
	roleClient = "client of"
	roleServer = "server of"
	roleOutbox = "answers of"
)

// connection is one connection to a broker with its channels. When one of them
// ends, all do: what was set up on them is set up again, on the next connection.
type connection struct {
	*amqp.Connection
	name     string
	wire     *socket
	frameMax int

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
		errs = append(errs, unconnected(err, a))
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

func (s *shared) connectTo(ctx context.Context, a address, role string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, s.dialTimeout)
	defer cancel()
	c, err := s.open(ctx, a, role)
	if err != nil && (errors.Is(ctx.Err(), context.DeadlineExceeded) || isTimeout(err)) {
		err = fmt.Errorf("no answer within %v", s.dialTimeout)
	}
	return c, err
}

// open makes the connection: TCP, TLS where the URL says so, and AMQP.
func (s *shared) open(ctx context.Context, a address, role string) (*connection, error) {
	config, err := s.config(a, role)
	if err != nil {
		return nil, err
	}
	raw, err := s.socket(ctx, a)
	if err != nil {
		return nil, err
	}
	c := &connection{name: a.name, wire: newSocket(raw), down: make(chan struct{})}
	c.wg.Go(c.wire.out.run)
	go c.wire.lead()
	stop := context.AfterFunc(ctx, func() { _ = c.wire.Close() }) // what follows knows no context
	c.Connection, err = amqp.Open(c.wire, config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.wait()
		return nil, err
	}
	c.frameMax = c.Config.FrameSize
	c.wire.out.inline = role != roleClient
	c.watch(c.NotifyClose)
	blockings := c.NotifyBlocked(make(chan amqp.Blocking, 1))
	c.wg.Go(func() {
		for b := range blockings {
			c.block(b)
		}
	})
	return c, nil
}

func (s *shared) socket(ctx context.Context, a address) (net.Conn, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", a.host)
	if err != nil || !a.tls {
		return raw, err
	}
	config := s.tls.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = a.hostname
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

func (s *shared) config(a address, role string) (amqp.Config, error) {
	uri, err := amqp.ParseURI(a.url)
	if err != nil {
		return amqp.Config{}, errURL // without the driver's text, which may hold the password
	}
	config := amqp.Config{
		Vhost: uri.Vhost, Heartbeat: cmp.Or(a.heartbeat, s.heartbeat), FrameSize: frameLimit, Locale: "en_US",
		Properties: amqp.Table{"product": "msctl", "connection_name": role + " " + s.queue},
		SASL:       []amqp.Authentication{uri.PlainAuth()},
	}
	if len(uri.AuthMechanism) > 0 && strings.EqualFold(uri.AuthMechanism[0], "EXTERNAL") {
		config.SASL = []amqp.Authentication{&amqp.ExternalAuth{}}
	}
	return config, nil
}

// watch ends the connection with what notify registers a channel for.
func (c *connection) watch(notify func(chan *amqp.Error) chan *amqp.Error) {
	closed := notify(make(chan *amqp.Error, 1))
	c.wg.Go(func() { c.end(lost(<-closed)) })
}

// openChannel opens a channel, whose end is the connection's.
func (c *connection) openChannel() (*amqp.Channel, error) {
	ch, err := c.Channel()
	if err != nil {
		return nil, at(err, "open a channel on %s", c.name)
	}
	c.watch(ch.NotifyClose)
	return ch, nil
}

// ack acknowledges a message, or all up to it, of a channel.
func (c *connection) ack(channel uint16, tag uint64, multiple bool) error {
	return c.settle(func(dst []byte) []byte { return appendAck(dst, channel, tag, multiple) })
}

// nack gives a message back.
func (c *connection) nack(channel uint16, tag uint64, requeue bool) error {
	return c.settle(func(dst []byte) []byte { return appendNack(dst, channel, tag, requeue) })
}

// settle writes an acknowledgment, for which there is always time.
func (c *connection) settle(build func([]byte) []byte) error {
	return c.wire.out.put(context.Background(), time.Now().Add(time.Minute), build)
}

// end tells that the connection is of no use any more.
func (c *connection) end(why error) {
	c.once.Do(func() {
		c.why = why
		close(c.down)
	})
}

// lost is closed when the connection has ended.
func (c *connection) lost() <-chan struct{} { return c.down }

// awaitEnd waits until a connection that takes nothing any more has ended for all.
func (c *connection) awaitEnd() { <-c.down }

// shut closes the connection, giving the broker a moment to take what has been
// written to it, and waits for its goroutines.
func (c *connection) shut() {
	c.end(errors.New("it was closed"))
	_ = c.CloseDeadline(time.Now().Add(closeTimeout))
	c.wait()
}

// wait waits for the goroutines of the connection, which is closed.
func (c *connection) wait() {
	_ = c.wire.Close()
	<-c.wire.ended
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

// taking reports whether the broker takes messages.
func (c *connection) taking() bool {
	why, _ := c.blocking()
	return why == ""
}

// blocking returns why the broker takes no messages, and a channel that is closed
// when it does again; "" while it does.
func (c *connection) blocking() (why string, over <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked, c.unblocked
}
