package micronats

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"
)

// endSoon has the connection replaced, because its server has announced that it will stop (lame
// duck) or has ended a subscription, which may be permitted again later.
func (t *intake) endSoon(lameDuck bool) {
	if lameDuck {
		t.lameDuck.Store(true)
	}
	select {
	case t.ending <- struct{}{}:
	default:
	}
}

// alone returns a queue group for the nth subscription of a listener without a group. It has no
// other member, so it gets each message, as without a group. While the listener moves to another
// server, both of its connections are in it, and each message arrives on one of them. After the
// loss of a connection, it is another group: the server may not have noticed the loss yet, and
// would send the connection a part of the messages.
func (l *Listener) alone(n int) string {
	return l.id + "-" + strconv.FormatInt(l.losses.Load(), 10) + "-" + strconv.Itoa(n)
}

// regroup moves the subscriptions of a listener without a group into another one. A connection
// that has been left stays in its group, which is also that of its successor.
//
// Subtle: it runs on the driver's goroutine that reconnects, which reads the groups next. Nothing
// else does meanwhile.
func (t *intake) regroup() {
	if !t.subscribed.Load() || t.lameDuck.Load() {
		return
	}
	t.listener.losses.Add(1)
	for sub, s := range t.subscriptions {
		if s.queue == "" {
			sub.Queue = t.listener.alone(s.number)
		}
	}
}

// replace returns an intake with all subscriptions in place of t. It is on another server if that
// of t will stop. replace tries until it succeeds. It returns nil if ctx ends or the connection of
// t is lost first: then the driver connects to another server.
func (l *Listener) replace(ctx context.Context, t *intake, old *leaving) *intake {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.whenLost.Store(&cancel)
	defer t.whenLost.Store(nil)
	if t.lost.Load() {
		return nil
	}
	for attempt := 1; ; attempt++ {
		next, err := l.attempt(ctx)
		switch {
		case err != nil:
		case t.lameDuck.Load() && next.link.ConnectedServerId() == t.link.ConnectedServerId():
			next.end()
		case l.subscribe(ctx, next) == nil && !next.link.IsClosed():
			l.server.Logger().Info("moved to another connection", "transport", "nats", "lame_duck", t.lameDuck.Load(),
				"from", t.link.ConnectedAddr(), "to", next.link.ConnectedAddr())
			return next
		default:
			old.add(next) // some of its subscriptions may have received messages
		}
		if sleep(ctx, l.pause(attempt)) != nil {
			return nil
		}
	}
}

// onLost handles the loss of the connection, which the driver restores.
func (t *intake) onLost() {
	t.lost.Store(true)
	if stop := t.whenLost.Load(); stop != nil {
		(*stop)()
	}
	t.move(time.Now()) // if the connection ended because of what was read, nothing more has been read
}

func (t *intake) hasEnded() bool {
	select {
	case <-t.ended:
		return true
	default:
		return false
	}
}

// leaving are intakes that have been replaced. Each unsubscribes after settling, and closes its
// connection when the replies to its requests have been sent. Its methods are called by one
// goroutine.
type leaving struct {
	ctx     context.Context // its end closes the connections
	cancel  context.CancelFunc
	stop    chan struct{} // closed when the listener stops
	intakes []*intake
	wg      sync.WaitGroup
}

// settling is how long a listener has a place on two servers. The other servers of the cluster
// learn of the new one meanwhile; those that had only heard of the end of the old one would
// report that there is no subscriber. A server that will stop waits for 10 s by default before it
// closes connections.
const settling = 3 * time.Second

func newLeaving() *leaving {
	o := &leaving{stop: make(chan struct{})}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	return o
}

func (o *leaving) add(t *intake) {
	o.intakes = append(slices.DeleteFunc(o.intakes, (*intake).hasEnded), t)
	o.wg.Go(func() {
		defer t.end()
		settled := time.NewTimer(settling)
		defer settled.Stop()
		select {
		case <-settled.C:
		case <-o.stop:
		case <-o.ctx.Done():
		}
		t.finish(o.ctx)
		select {
		case <-t.requests.retire():
			ctx, cancel := context.WithTimeout(o.ctx, t.listener.server.DrainTimeout())
			defer cancel()
			if t.link.FlushWithContext(ctx) == nil { // otherwise, what cannot be sent by then is lost
				t.link.Close() // before end, which the driver would report as a loss
			}
			t.listener.server.Logger().Info("left a connection", "transport", "nats", "from", t.link.ConnectedAddr())
		case <-o.ctx.Done():
		}
	})
}

// drain waits until all have closed their connections, or ctx ends, which closes them.
func (o *leaving) drain(ctx context.Context) {
	close(o.stop)
	defer context.AfterFunc(ctx, o.cancel)()
	o.wg.Wait()
}

// end closes the connections.
func (o *leaving) end() {
	o.cancel()
	o.wg.Wait()
}
