package micronats

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

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
)

// keepReplies limits the replies, in bytes, that are kept while a server reconnects. Their
// callers may be connected to other servers of the cluster.
const keepReplies = 8 << 20

// Listener serves NestJS's NATS transport. Create it with Listen.
type Listener struct {
	settings
	servers   servers
	queue     string
	id        string       // unique
	losses    atomic.Int64 // of its connections
	holdUp    time.Duration
	goneAfter time.Duration
	ready     chan struct{} // closed when all subscriptions have been made
	served    atomic.Bool

	server *micro.Server
	watch  lead.Watch
	ctx    context.Context // the context of requests; its end closes the connection
}

// Listen returns a listener on the broker at servers: "nats://a:4222", or a comma-separated
// list for a cluster. A user and password or a token are part of the URL, tls:// encrypts,
// and ?creds=FILE or ?nkey=FILE names a file with credentials. The listener connects when a
// server serves it, which can only happen once.
func Listen(servers string, opts ...ListenOption) *Listener {
	l := &Listener{
		settings: defaultSettings(), servers: parseServers(servers), id: "msctl" + strings.TrimPrefix(nats.NewInbox(), "_INBOX"),
		ready: make(chan struct{}), holdUp: holdUp, goneAfter: defaultGoneAfter,
	}
	for _, o := range opts {
		o.applyListen(l)
	}
	if l.peer > 0 {
		l.holdUp = min(l.holdUp, l.peer/maxPings) // meanwhile, answers to pings are not read
	}
	return l
}

// Ready waits until all subscriptions have been made, or until ctx ends.
func (l *Listener) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Addr waits like Ready and returns the address of the broker, without credentials.
func (l *Listener) Addr(ctx context.Context) (net.Addr, error) {
	if err := l.Ready(ctx); err != nil {
		return nil, err
	}
	return brokerAddr(l.servers.safe), nil
}

// brokerAddr is the address of a broker.
type brokerAddr string

func (brokerAddr) Network() string  { return "nats" }
func (a brokerAddr) String() string { return string(a) }

// Serve connects, subscribes to the routes of s, and handles messages until ctx ends. Then it
// drains: it unsubscribes, waits at most s.DrainTimeout for messages in flight, and closes
// the connection. While the broker is unreachable, it retries. It returns an error if the
// broker rejects the credentials before it has ever been connected, if the user may not subscribe
// to the subjects of handlers (a [PermissionError] with all of them), or after the last
// attempt of WithReconnect.
func (l *Listener) Serve(ctx context.Context, s *micro.Server) error {
	if l.served.Swap(true) {
		return errors.New("listen on NATS: a listener serves once: create another with Listen")
	}
	l.server = s
	var stop context.CancelFunc
	l.ctx, stop = context.WithCancel(s.Context())
	defer stop()
	defer l.watch.Start()()
	for {
		again, err := l.serve(ctx)
		if !again {
			return err
		}
		s.Logger().Error("the broker closed the connection; reconnecting", "transport", "nats", "address", l.servers.safe, "error", err)
		_ = sleep(ctx, l.pause(1)) // the next attempt ends with ctx
	}
}

// serve serves until ctx ends. It returns again if the connection was lost for good and the
// listener should open another.
func (l *Listener) serve(ctx context.Context) (again bool, err error) {
	t, err := l.open(ctx)
	if t == nil {
		return false, err
	}
	old := newLeaving()
	defer func() {
		t.end()
		old.end()
	}()
	if err := l.subscribe(ctx, t); err != nil {
		return false, err
	}
	for {
		select {
		case <-ctx.Done():
			l.drain(t, old)
			return false, nil
		case <-t.ending:
			if next := l.replace(ctx, t, old); next != nil {
				old.add(t)
				t = next
			}
		case err := <-t.closed:
			if l.attempts < 0 {
				return true, err
			}
			l.drain(t, old)
			return false, fmt.Errorf("NATS at %s: the connection was lost for good: %w", l.servers.safe, err)
		}
	}
}

// open connects, and retries until it succeeds. It returns nil without an error if ctx
// ended first.
func (l *Listener) open(ctx context.Context) (*intake, error) {
	for attempt := 1; ; attempt++ {
		t, err := l.attempt(ctx)
		if err == nil {
			return t, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		if l.servers.err != nil || errors.Is(err, errTwoLogins) || loginRefused(err) || l.attempts >= 0 && attempt > l.attempts {
			return nil, err
		}
		wait := l.pause(attempt)
		l.server.Logger().Warn("cannot reach the broker yet", "transport", "nats", "error", err, "again_in", wait)
		if sleep(ctx, wait) != nil {
			return nil, nil
		}
	}
}

// attempt connects once. It stops if ctx ends; afterward, the end of ctx has no effect.
func (l *Listener) attempt(ctx context.Context) (*intake, error) {
	t := newIntake(l)
	linkCtx, cancel := context.WithCancel(l.ctx)
	forget := context.AfterFunc(ctx, cancel)
	link, err := l.connect(linkCtx, l.servers, keepReplies, t.beforeRead, events{
		lost:     func(err error) { l.onLost(t, err) },
		again:    t.regroup,
		restored: func() { l.onRestored(t) },
		closed:   func(err error) { t.closed <- err },
		problem:  func(sub *nats.Subscription, err error) { l.onProblem(t, sub, err) },
		failed:   l.onFailed,
		lameDuck: func() { t.endSoon(true) },
	})
	if ended := !forget(); ended && err == nil {
		link.Close()
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	t.link, t.cancel = link, cancel
	return t, nil
}

func (l *Listener) onLost(t *intake, err error) {
	if t.hasEnded() {
		return // the driver takes our own end of the connection for a loss if it reads that first
	}
	t.onLost()
	l.server.Logger().Warn("connection to the broker lost", "transport", "nats", "address", l.servers.safe, "error", err)
}

func (l *Listener) onFailed(err error) {
	l.server.Logger().Debug("reconnecting to the broker failed", "transport", "nats", "address", l.servers.safe, "error", err)
}

func (l *Listener) onRestored(t *intake) {
	t.lost.Store(false)
	l.server.Logger().Info("connection to the broker restored", "transport", "nats", "address", l.servers.safe)
}

func (l *Listener) onProblem(t *intake, sub *nats.Subscription, err error) {
	v, denied := parseViolation(err)
	if denied && v.operation == opSubscribe && t.streams.refuse(v.subject) {
		l.server.Logger().Debug("cannot learn that callers of streams have left", "transport", "nats", "error", err)
		return
	}
	if denied && v.operation == opSubscribe && !isReserved(v.subject) {
		t.endSoon(false)
	}
	args := []any{"transport", "nats", "error", err}
	if sub != nil {
		args = append(args, "subject", sub.Subject)
	}
	if denied && v.operation == opPublish {
		l.server.LogPeer(slog.LevelError, "the broker does not let the user publish a reply, so its caller gets none",
			"transport", "nats", "subject", v.subject, "allow", "publish to _INBOX.>, or allow_responses (with max: -1 for streams)")
		return
	}
	l.server.LogPeer(slog.LevelError, "the broker reports an error", args...)
}

// subscribe subscribes to every route, and waits until the broker has confirmed that.
func (l *Listener) subscribe(ctx context.Context, t *intake) error {
	mark := t.link.violations.mark()
	if err := t.subscribe(l.subscriptions()); err != nil {
		return err
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, l.dialTimeout)
		refused, err := t.link.refused(attempt, mark)
		cancel()
		switch {
		case err == nil:
			return l.subscribed(refused)
		case ctx.Err() != nil || t.link.IsClosed():
			return nil
		}
	}
}

// subscriptions returns one subscription for the subject of each route. Two routes may have
// the same one: those of the text "5" and of the number 5.
func (l *Listener) subscriptions() []*subscription {
	var all []*subscription
	known := map[string]bool{}
	for route := range l.server.Routes() {
		subject := route.Address()
		if err := checkSubject(subject); err != nil {
			l.server.Logger().Warn("the handler is unreachable over NATS", "error", err)
			continue
		}
		if known[subject] {
			continue
		}
		known[subject] = true
		queue := l.queue
		if own, ok := route.Extra(queueKey{}).(string); ok {
			queue = own
		}
		all = append(all, &subscription{subject: subject, queue: queue, route: l.server.RouteAt(subject)})
	}
	return all
}

// subscribed reports the listener as ready, unless the broker does not permit the subjects of
// handlers. The reserved ones may be missing.
func (l *Listener) subscribed(refused []violation) error {
	denied := PermissionError{Server: l.servers.safe, Operation: opSubscribe}
	for _, v := range refused {
		if v.operation == opSubscribe && !isReserved(v.subject) {
			denied.Subjects = append(denied.Subjects, v.subject)
		}
	}
	if denied.Subjects != nil {
		return &denied
	}
	select {
	case <-l.ready: // an earlier connection was ready
	default:
		close(l.ready)
	}
	l.server.Logger().Info("listening", "transport", "nats", "address", l.servers.safe, "queue", l.queue)
	return nil
}

// isReserved reports whether a subject is one that a server does not need.
func isReserved(subject string) bool { return strings.HasPrefix(subject, "msctl.") }

// drain unsubscribes, and waits until the messages that have arrived are handled and their
// replies are sent.
func (l *Listener) drain(t *intake, old *leaving) {
	ctx, cancel := context.WithTimeout(context.Background(), l.server.DrainTimeout())
	defer cancel()
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	for _, each := range append(old.intakes, t) {
		watch.Go(func() { each.streams.drain(watching) })
	}
	defer watch.Wait()
	defer stop()
	if t.lost.Load() {
		t.cut()
	}
	t.finish(ctx)
	old.drain(ctx)
	if err := l.server.Wait(ctx); err != nil {
		l.server.Logger().Warn("handlers still run after the drain timeout", "timeout", l.server.DrainTimeout())
	}
	if end, ok := ctx.Deadline(); ok && !t.lost.Load() {
		_ = t.link.FlushTimeout(max(time.Until(end), 100*time.Millisecond)) // what cannot be sent now is lost
	}
}
