package microrabbit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/liveness"
	"github.com/msctl/msctl/runtime/internal/stagger"
)

// The purposes of connections, which are part of their names on the broker.
const (
	roleClient = "client of"
	roleServer = "server of"
	roleOutbox = "answers of"
)

// connection is a connection to a broker with its channels. When one channel ends, so
// does the connection. The next connection sets everything up again.
type connection struct {
	*amqp.Connection
	name     string
	wire     *socket
	frameMax int
	peer     time.Duration // WithPeerTimeout

	once sync.Once
	down chan struct{} // closed when the connection has ended
	why  error         // set before down is closed
	wg   sync.WaitGroup

	opening sync.Mutex // held while a channel is opened and gets its plane

	mu        sync.Mutex
	blocked   string        // why the broker accepts no messages; "" if it does
	unblocked chan struct{} // closed when blocked becomes ""
}

var errHandshakeLost = errors.New("the connection was lost during the handshake")

// connect connects to the first of the addresses whose broker completes the handshake. The
// attempts are staggered; those of brokers that have not answered recently come last.
func (s *shared) connect(ctx context.Context, addresses []address, role string) (*connection, error) {
	byURL := map[string]address{}
	var urls []string
	for _, a := range addresses {
		byURL[a.url] = a
		urls = append(urls, a.url)
	}
	urls = s.memory.Order(urls)
	errs := make([]error, len(urls))
	c, err := stagger.First(ctx, urls, stagger.Noting(&s.memory, func(ctx context.Context, url string) (*connection, error) {
		c, err := s.connectTo(ctx, byURL[url], role)
		if err != nil && ctx.Err() == nil { // a repeated attempt that is called off has no reason of its own
			errs[slices.Index(urls, url)] = unconnected(err, byURL[url])
		}
		return c, err
	}))
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(errs) == 1:
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

// connectTo connects to the first IP address of a host whose broker completes the handshake.
func (s *shared) connectTo(ctx context.Context, a address, role string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, s.dialTimeout)
	defer cancel()
	targets, err := stagger.Resolve(ctx, a.host)
	var c *connection
	if err == nil {
		c, err = stagger.First(ctx, s.memory.Order(targets), stagger.Noting(&s.memory, func(ctx context.Context, target string) (*connection, error) {
			return s.open(ctx, a, target, role)
		}))
	}
	if err != nil && (errors.Is(ctx.Err(), context.DeadlineExceeded) || isTimeout(err)) {
		err = fmt.Errorf("no response within %v", s.dialTimeout)
	}
	return c, err
}

// open opens a connection to one IP address: TCP, TLS for amqps URLs, and AMQP.
func (s *shared) open(ctx context.Context, a address, target, role string) (*connection, error) {
	config, err := s.config(a, role)
	if err != nil {
		return nil, err
	}
	raw, err := s.socket(ctx, a, target)
	if err != nil {
		return nil, err
	}
	liveness.Watch(raw, s.peerTimeout)
	c := &connection{name: a.name, wire: newSocket(raw), peer: s.peerTimeout, down: make(chan struct{})}
	c.wg.Go(c.wire.out.run)
	go c.wire.lead()
	stop := context.AfterFunc(ctx, func() { _ = c.wire.Close() }) // amqp.Open takes no context
	c.Connection, err = amqp.Open(c.wire, config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrVhost) {
		err = errHandshakeLost // a broker that rejects the login or the virtual host sends a reason
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

func (s *shared) socket(ctx context.Context, a address, target string) (net.Conn, error) {
	raw, err := stagger.Connect(ctx, target, s.control)
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
		return amqp.Config{}, errURL // not the driver's text, which may contain the password
	}
	config := amqp.Config{
		Vhost: uri.Vhost, Heartbeat: cmp.Or(a.heartbeat, s.heartbeat), FrameSize: frameLimit, Locale: "en_US",
		Properties: amqp.Table{"product": "msctl", "connection_name": role + " " + s.queue},
		SASL:       []amqp.Authentication{uri.PlainAuth()},
	}
	if len(uri.AuthMechanism) > 0 && strings.EqualFold(uri.AuthMechanism[0], "EXTERNAL") {
		config.SASL = []amqp.Authentication{&amqp.ExternalAuth{}}
	}
	config.SASL[0] = login{config.SASL[0], config.Properties}
	return config, nil
}

// login makes the broker send the reason why it rejects a login, by announcing that the
// client understands it. Otherwise, RabbitMQ only closes the connection.
type login struct {
	amqp.Authentication
	properties amqp.Table // of the client
}

// Response returns the response for the SASL mechanism.
//
// Subtle: the driver replaces the client's capabilities, then calls this method, and then
// encodes the properties. No option adds a capability.
func (l login) Response() string {
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return l.Authentication.Response()
}

// watch ends the connection when the channel registered with notify reports the end.
func (c *connection) watch(notify func(chan *amqp.Error) chan *amqp.Error) {
	closed := notify(make(chan *amqp.Error, 1))
	c.wg.Go(func() { c.end(lost(<-closed)) })
}

// openChannel opens a channel whose messages go to p. When it ends, so does the
// connection.
func (c *connection) openChannel(p *plane) (*amqp.Channel, error) {
	ch, err := c.openWith(p)
	if err == nil {
		c.watch(ch.NotifyClose)
	}
	return ch, err
}

// openWith opens a channel whose messages go to p, or to the driver if p is nil. The
// connection outlives it.
func (c *connection) openWith(p *plane) (*amqp.Channel, error) {
	c.opening.Lock() // attach refers to the channel that was opened last
	defer c.opening.Unlock()
	ch, err := c.Channel()
	if err != nil {
		return nil, at(err, "open a channel on %s", c.name)
	}
	c.wire.attach(p)
	return ch, nil
}

// ack acknowledges a message of a channel or, with multiple, all messages up to it.
func (c *connection) ack(channel uint16, tag uint64, multiple bool) error {
	return c.settle(func(dst []byte) []byte { return appendAck(dst, channel, tag, multiple) })
}

// settle writes an acknowledgment. It does not depend on a request's deadline, since
// a late acknowledgment is better than none.
func (c *connection) settle(build func([]byte) []byte) error {
	return c.wire.out.put(context.Background(), time.Now().Add(time.Minute), build)
}

// end marks the connection as ended.
func (c *connection) end(why error) {
	c.once.Do(func() {
		c.why = why
		close(c.down)
	})
}

// lost is closed when the connection has ended.
func (c *connection) lost() <-chan struct{} { return c.down }

// awaitEnd waits until a connection that accepts no more writes has been marked as
// ended.
func (c *connection) awaitEnd() { <-c.down }

// shut closes the connection, giving the broker up to closeTimeout to read what has
// been written, and waits for its goroutines.
func (c *connection) shut() {
	c.end(errors.New("the connection was closed"))
	_ = c.CloseDeadline(time.Now().Add(closeTimeout))
	c.wait()
}

// Close is shut, for a connection that another one was faster than.
func (c *connection) Close() error {
	c.shut()
	return nil
}

// wait closes the socket and waits for the connection's goroutines.
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
		liveness.Tolerate(c.wire.Conn) // the broker no longer reads; heartbeats show that it lives
	case !b.Active && c.blocked != "":
		c.blocked = ""
		close(c.unblocked)
		liveness.Watch(c.wire.Conn, c.peer)
	}
}

// taking reports whether the broker accepts messages.
func (c *connection) taking() bool {
	why, _ := c.blocking()
	return why == ""
}

// blocking returns why the broker accepts no messages, and a channel that is closed
// when it accepts them again. why is "" if the broker accepts messages.
func (c *connection) blocking() (why string, over <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked, c.unblocked
}
