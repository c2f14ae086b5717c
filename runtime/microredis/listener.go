package microredis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Listener serves NestJS's Redis transport. Create it with Listen.
type Listener struct {
	url       string
	settings  settings
	wildcards bool

	served atomic.Bool
	ready  chan struct{} // closed when the channels are subscribed to for the first time
	done   chan struct{} // closed when Serve returns
	err    error         // returned by Serve; set before done is closed

	server   *micro.Server
	link     *link
	out      *publisher
	ctx      context.Context // for handlers
	channels map[string]*channel
	names    []string // the keys of channels, in the order of the routes
	watch    lead.Watch

	goneAfter time.Duration
	stopping  atomic.Bool

	mu         sync.Mutex // guards the fields below
	subscribed *session
	draining   bool

	company company
}

// channel is a channel or glob to which a server has subscribed.
type channel struct {
	route    micro.Route
	reply    string
	delivery *Delivery
}

// Listen returns a listener for a server's URL, as Dial takes it. It connects when a
// server serves it, and it can be served only once.
func Listen(url string, opts ...ListenOption) *Listener {
	l := &Listener{
		url:      url,
		settings: defaultSettings(),
		ready:    make(chan struct{}),
		done:     make(chan struct{}),
		channels: map[string]*channel{},
		company:  defaultCompany(),

		goneAfter: defaultGoneAfter,
	}
	for _, o := range opts {
		o.applyListen(l)
	}
	return l
}

// Ready waits until the server has subscribed to its channels. It returns an error if
// Serve returns or ctx ends first.
func (l *Listener) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-l.done:
		if l.err == nil {
			return errors.New("the listener has stopped")
		}
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Addr waits as Ready does, then returns the address of the broker without
// credentials.
func (l *Listener) Addr(ctx context.Context) (net.Addr, error) {
	if err := l.Ready(ctx); err != nil {
		return nil, err
	}
	return brokerAddr(shown(l.url, l.settings)), nil
}

// brokerAddr is the address of a broker.
type brokerAddr string

func (brokerAddr) Network() string  { return "redis" }
func (a brokerAddr) String() string { return string(a) }

// Serve subscribes to the channels of the server's handlers and serves until ctx ends.
// Then it drains: it unsubscribes, waits up to s.DrainTimeout until the messages
// published by then have been handled and answered, and closes the connections. If
// Redis cannot be reached, or the connection is lost, Serve reconnects as WithReconnect
// specifies. It returns an error if Redis rejects the credentials at the start.
func (l *Listener) Serve(ctx context.Context, s *micro.Server) (err error) {
	if l.served.Swap(true) {
		return errors.New("serve on Redis: a listener serves once; create another with Listen")
	}
	defer func() {
		l.err = err
		close(l.done)
	}()
	options, masters, err := parse(l.url, l.settings)
	if err != nil {
		return err
	}
	l.server = s
	l.bind(s)
	messages, cancel := context.WithCancel(s.Context())
	defer cancel()
	l.ctx = messages
	l.out = newPublisher(holdReplies)
	defer l.out.close()
	l.link = &link{
		options: options, sentinels: masters, settings: l.settings, stubborn: true, log: s.Logger, out: l.out,
		receive: l.receive, prepare: l.prepare, watch: &l.watch, changed: make(chan struct{}),
		ended: func(*session) {}, waiting: func() bool { return false },
	}
	stopWatch := l.watch.Start()
	defer stopWatch()
	stopLooking := l.startLooking()
	defer stopLooking()
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	ended := make(chan error, 1)
	go func() { ended <- l.link.run(linked) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	l.drain()
	cancel()
	unlink()
	return <-ended
}

// holdReplies is how long a reply waits for a lost connection to be restored.
const holdReplies = 10 * time.Second

// bind fills the table of channels.
func (l *Listener) bind(s *micro.Server) {
	for r := range s.Routes() {
		name := channelName(r.Address())
		if l.channels[name] != nil {
			continue // two patterns have the same channel, such as the string "true" and the value true
		}
		l.names = append(l.names, name)
		l.channels[name] = &channel{route: s.RouteAt(r.Address()), reply: name + replySuffix, delivery: &Delivery{Channel: name}}
	}
}

// prepare subscribes to all channels on a new session.
func (l *Listener) prepare(ctx context.Context, s *session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.link.options.DialTimeout)
	defer cancel()
	first := l.subscribed == nil
	if err := l.subscribe(ctx, s, first); err != nil {
		return fmt.Errorf("subscribe at %s: %w", l.link.options.Addr, err)
	}
	l.subscribed = s
	if first {
		close(l.ready)
		l.server.Logger().Info("listening", "transport", "redis", "address", l.link.options.Addr, "channels", len(l.names), "tls", l.link.options.TLSConfig != nil)
	}
	return nil
}

// subscribe subscribes to all channels. If the user may not use some of them, the error names
// each one. Without the reserved channels of health checks and descriptions, the server works
// all the same, which is logged the first time.
func (l *Listener) subscribe(ctx context.Context, s *session, first bool) error {
	send, name := s.sub.Subscribe, "subscribe"
	if l.wildcards {
		send, name = s.sub.PSubscribe, "psubscribe"
	}
	err := s.all(ctx, send, l.names)
	if !isForbidden(err) {
		return err
	}
	// Redis rejects a whole command, and does not name the channel.
	var own, reserved []string
	var answer error
	for _, channel := range l.names {
		err := s.await(ctx, s.alter(send, channel))
		switch {
		case err == nil:
		case !isForbidden(err):
			return err
		case isReserved(channel):
			reserved = append(reserved, channel)
		default:
			own, answer = append(own, channel), err
		}
	}
	if len(own) > 0 {
		return fmt.Errorf("%w: %w", micro.ErrForbidden, denied(answer, name, own...))
	}
	if len(reserved) > 0 && first {
		l.server.Logger().Info("health checks and descriptions are not available: the user may not subscribe to their channels",
			"transport", "redis", "address", l.link.options.Addr, "channels", strings.Join(reserved, ", "))
	}
	return nil
}

// drain unsubscribes and waits until all received messages have been handled and
// answered.
func (l *Listener) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), l.server.DrainTimeout())
	defer cancel()
	l.stopping.Store(true)
	l.mu.Lock()
	l.draining = true
	s := l.subscribed
	l.mu.Unlock()
	if s != nil && !s.over() {
		unsubscribe := s.sub.Unsubscribe
		if l.wildcards {
			unsubscribe = s.sub.PUnsubscribe
		}
		_ = s.all(ctx, unsubscribe, l.names) // if the session ended, so did the subscriptions
	}
	if err := l.server.Wait(ctx); err != nil {
		l.server.Logger().Warn("handlers still run after the drain timeout", "timeout", l.server.DrainTimeout())
	}
	l.out.settle(ctx)
}

// receive handles one message.
func (l *Listener) receive(s *session, m *redis.Message) (leading bool) {
	name := m.Channel
	if l.wildcards {
		name = m.Pattern
	}
	ch := l.channels[name]
	if ch == nil {
		return true
	}
	body := []byte(m.Payload)
	packet, err := wire.Parse(js.SanitizeUTF8(body))
	if err != nil {
		packet = wire.Text(body)
	}
	delivery, reply := ch.delivery, ch.reply
	if l.wildcards {
		if isReply(m.Channel, m.Pattern, &packet) {
			return true
		}
		delivery, reply = &Delivery{Channel: m.Channel, Pattern: m.Pattern}, m.Channel+replySuffix
	}
	full := l.server.Full()
	began := clock()
	if full {
		s.leader.Paused()
		l.out.flush() // pending replies must not wait for this message
	}
	received := s.in.arrived
	if full {
		s.readAhead(l.ctx, l.server)
	}
	in := l.server.Deliver(l.ctx, micro.Delivery{
		Packet: &packet, To: &answer{listener: l, channel: reply}, Peer: l.link.options.Addr,
		Route: ch.route, Details: delivery, Received: received,
	})
	if stood := time.Duration(clock() - began); full && stood > stoodStill {
		l.server.LogPeer(slog.LevelWarn, "reading paused because the server was at its limit; Redis disconnects clients that fall too far behind, and drops their messages",
			"transport", "redis", "for", stood.Round(time.Millisecond))
	}
	return in == nil || s.leader.Handle(in)
}

// stoodStill is how long reading may pause because the server is at its limit before
// the pause is logged.
const stoodStill = time.Second

// isReply reports whether a glob has matched a reply to a request, which NestJS handles
// as another event (docs/wire.md 5). A glob that itself ends in the reply suffix does
// receive replies.
func isReply(channel, glob string, p *wire.Packet) bool {
	return strings.HasSuffix(channel, replySuffix) && !strings.HasSuffix(glob, replySuffix) &&
		p.ID != nil && p.Pattern == nil && p.Data == nil && p.Metadata == nil
}
