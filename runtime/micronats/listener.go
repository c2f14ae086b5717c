package micronats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
)

// keepReplies bounds the answers, in bytes, that are kept while a server
// reconnects.
const keepReplies = 8 << 20

// Listener serves NestJS' NATS transport. Make it with Listen.
type Listener struct {
	settings
	servers servers
	queue   string
	ready   chan struct{} // closed when all is subscribed
	served  atomic.Bool

	server *micro.Server
	ctx    context.Context // of what is delivered
	lost   atomic.Bool

	mu      sync.Mutex // guards refused
	refused []string   // subjects that the broker does not let us subscribe to
}

// Listen returns a listener on the broker at servers: "nats://a:4222", or several
// of one cluster with commas between them. A user and password or a token are
// part of the URL; tls:// encrypts. It connects when a server serves it. A
// listener serves once.
func Listen(servers string, opts ...ListenOption) *Listener {
	l := &Listener{settings: defaultSettings(), servers: parseServers(servers), ready: make(chan struct{})}
	for _, o := range opts {
		o.applyListen(l)
	}
	return l
}

// Ready waits until everything is subscribed to, or ctx ends.
func (l *Listener) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Serve connects, subscribes to the routes of s and handles messages until ctx
// ends, then drains: it unsubscribes, lets what is in flight finish for at most
// s.DrainTimeout, and closes the connection. While the broker cannot be reached it
// tries again; it returns an error when the broker refuses the credentials at
// first, or the user's own subjects, or when WithMaxReconnects is used up.
func (l *Listener) Serve(ctx context.Context, s *micro.Server) error {
	if l.served.Swap(true) {
		return errors.New("listen on NATS: a listener serves once: make another with Listen")
	}
	l.server = s
	var stop context.CancelFunc
	l.ctx, stop = context.WithCancel(s.Context())
	defer stop()
	for {
		closed := make(chan error, 1)
		nc, err := l.open(ctx, closed)
		if nc == nil {
			return err
		}
		subs, err := l.subscribe(ctx, nc)
		if err != nil {
			nc.Close()
			return err
		}
		select {
		case <-ctx.Done():
			l.drain(nc, subs, stop)
			return nil
		case err := <-closed:
			if l.maxReconnects >= 0 {
				return fmt.Errorf("NATS at %s: the connection was lost for good: %w", l.servers.safe, err)
			}
			s.Logger().Error("NATS closed the connection: connecting anew", "address", l.servers.safe, "error", err)
		}
	}
}

// open connects, again and again until it is done; a nil connection without an
// error tells that ctx has ended first.
func (l *Listener) open(ctx context.Context, closed chan<- error) (*nats.Conn, error) {
	for attempt := 1; ; attempt++ {
		nc, err := l.connect(l.servers, keepReplies, events{
			lost:     l.onLost,
			restored: l.onRestored,
			closed:   func(err error) { closed <- err },
			problem:  l.onProblem,
		})
		switch {
		case err == nil:
			return nc, nil
		case ctx.Err() != nil:
			return nil, nil
		case l.servers.err != nil || final(err) || l.maxReconnects >= 0 && attempt > l.maxReconnects:
			return nil, err
		}
		wait := l.delay(attempt)
		l.server.Logger().Warn("cannot reach the broker yet", "transport", "nats", "error", err, "again_in", wait)
		if sleep(ctx, wait) != nil {
			return nil, nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Listener) onLost(err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.lost.Store(true)
	l.server.Logger().Warn("connection to the broker lost", "transport", "nats", "address", l.servers.safe, "error", err)
}

func (l *Listener) onRestored(nc *nats.Conn) {
	l.lost.Store(false)
	l.server.Logger().Info("connection to the broker restored", "transport", "nats", "address", nc.ConnectedUrlRedacted())
}

func (l *Listener) onProblem(sub *nats.Subscription, err error) {
	if subject, ok := refusedSubscription(err); ok {
		l.mu.Lock()
		l.refused = append(l.refused, subject)
		l.mu.Unlock()
	}
	args := []any{"transport", "nats", "error", err}
	if sub != nil {
		args = append(args, "subject", sub.Subject)
		if dropped, err := sub.Dropped(); err == nil && dropped > 0 {
			args = append(args, "dropped", dropped)
		}
	}
	l.server.LogPeer(slog.LevelError, "the broker's connection tells of a problem", args...)
}

// refusedSubscription returns the subject that the broker does not let the user
// subscribe to.
func refusedSubscription(err error) (subject string, ok bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false
	}
	_, rest, ok := strings.Cut(err.Error(), `Subscription to "`)
	if !ok {
		return "", false
	}
	subject, _, _ = strings.Cut(rest, `"`)
	return subject, true
}

// subscribe subscribes to every route and waits until the broker has taken it.
func (l *Listener) subscribe(ctx context.Context, nc *nats.Conn) ([]*nats.Subscription, error) {
	var subs []*nats.Subscription
	for route := range l.server.Routes() {
		subject := route.Address()
		if err := checkSubject(subject); err != nil {
			l.server.Logger().Warn("no message can reach the handler over NATS", "error", err)
			continue
		}
		queue := l.queue
		if own, ok := route.Extra(queueKey{}).(string); ok {
			queue = own
		}
		sub, err := nc.QueueSubscribe(subject, queue, l.handle(nc, l.server.RouteAt(subject)))
		if err != nil {
			return nil, fmt.Errorf("subscribe to %q in NATS: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	l.bound(nc, subs)
	for {
		err := nc.FlushTimeout(l.dialTimeout)
		if err == nil {
			break
		}
		if ctx.Err() != nil || nc.IsClosed() {
			return subs, nil
		}
	}
	l.mu.Lock()
	refused := l.refused
	l.mu.Unlock()
	for _, subject := range refused {
		if !strings.HasPrefix(subject, "msctl.") {
			return nil, fmt.Errorf("NATS at %s does not let the user subscribe to %q", l.servers.safe, subject)
		}
	}
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
	l.server.Logger().Info("listening", "transport", "nats", "address", nc.ConnectedUrlRedacted(), "queue", l.queue)
	return subs, nil
}

// pendingBytes and pendingMessages bound what waits to be handled, of all
// subscriptions together and of each.
const (
	pendingBytes    = 256 << 20
	pendingMessages = 64 << 10
)

// bound shares the memory for waiting messages out among the subscriptions. Each
// has room for two messages at least.
func (l *Listener) bound(nc *nats.Conn, subs []*nats.Subscription) {
	share := max(pendingBytes/max(len(subs), 1), 2*int(nc.MaxPayload()))
	for _, sub := range subs {
		_ = sub.SetPendingLimits(pendingMessages, share) // fails only on a closed one
	}
}

// drain stops taking messages and waits until those that were taken are done.
func (l *Listener) drain(nc *nats.Conn, subs []*nats.Subscription, stop context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), l.server.DrainTimeout())
	defer cancel()
	var queued sync.WaitGroup
	for _, sub := range subs {
		done := sync.OnceFunc(queued.Done)
		queued.Add(1)
		sub.SetClosedHandler(func(string) { done() })
		if sub.Drain() != nil {
			done() // it is closed
		}
	}
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		queued.Wait()
	}()
	select {
	case <-taken:
	case <-ctx.Done():
	}
	if err := l.server.Wait(ctx); err != nil {
		l.server.Logger().Warn("handlers still run after the drain timeout", "timeout", l.server.DrainTimeout())
	}
	if left, ok := ctx.Deadline(); ok {
		_ = nc.FlushTimeout(max(time.Until(left), 100*time.Millisecond)) // what cannot be sent now is lost
	}
	stop()
	nc.Close()
	<-taken
}
