package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// outbox sends a listener's replies, events to be redelivered, and dead letters. It has
// a connection of its own, separate from the one that receives messages, because a
// broker that is low on memory stops reading from connections that publish. It must
// keep reading the acknowledgments, which free memory.
type outbox struct {
	*connection
	*publisher
	listener *Listener
	replies  uint16 // the channel for replies
	mu       sync.Mutex
	declared map[string]bool // the retry queues that are known to exist
}

// openOutbox connects an outbox.
func (l *Listener) openOutbox(ctx context.Context) (*outbox, error) {
	conn, err := l.connect(ctx, l.addresses, roleOutbox)
	if err != nil {
		if !l.outWarned.Swap(true) { // log once; the listener's own connection logs its failures as well
			l.server.Logger().Warn("not connected to the broker", "queue", l.queue, "for", "sending", "error", err)
		}
		return nil, err
	}
	l.outWarned.Store(false)
	o := &outbox{connection: conn, listener: l, declared: map[string]bool{}}
	if err := o.setUp(); err != nil {
		conn.shut()
		return nil, err
	}
	return o, nil
}

func (o *outbox) setUp() error {
	replies := &plane{}
	_, err := o.openChannel(replies)
	if err != nil {
		return err
	}
	o.replies = replies.channel
	o.publisher, _, err = newPublisher(o.connection, nil)
	return err
}

func (o *outbox) close(wanted bool) {
	defer o.shut()
	if wanted { // the connection may not have ended, so o.why may not be set
		o.abandon(micro.ErrConnectionLost, nil)
		return
	}
	o.abandon(fmt.Errorf("%w: %s", micro.ErrConnectionLost, reason(o.why)), o.why)
	most := largest(o.why)
	if most > 0 {
		o.listener.largest.Store(most)
	}
	if isForbidden(o.why) || most > 0 {
		o.listener.server.LogPeer(slog.LevelError, "the broker rejected a reply or a moved message", "error", refused(at(o.why, "publish")))
	}
}

// reply publishes one packet of a reply.
func (o *outbox) reply(ctx context.Context, deadline time.Time, msg *publishing) error {
	return o.wire.out.put(ctx, deadline, func(dst []byte) []byte { return appendPublish(dst, o.replies, msg, o.frameMax) })
}

// known reports whether a queue is known to exist.
func (o *outbox) known(queue string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.declared[queue]
}

func (o *outbox) remember(queue string, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.declared[queue] = known
}

// declare declares a queue unless it is known to exist.
func (o *outbox) declare(queue string, options QueueOptions) error {
	if o.known(queue) {
		return nil
	}
	if _, err := o.declareQueue(queue, options); err != nil {
		return err
	}
	o.remember(queue, true)
	return nil
}

// replyTimeout limits how long a reply waits for a connection to the broker. After that
// its caller has probably given up.
const replyTimeout = 5 * time.Second

// reply publishes one packet of a reply, and waits for a connection if necessary.
func (l *Listener) reply(ctx context.Context, msg *publishing) error {
	deadline := time.Now().Add(replyTimeout)
	if o, ok := l.out.now(); ok && o.taking() && o.reply(ctx, deadline, msg) == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		o, err := l.out.get(ctx)
		if err != nil {
			return err
		}
		if err = o.await(ctx, deadline); err == nil {
			if err = o.reply(ctx, deadline, msg); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil || errors.Is(err, errNoRoom) {
			return err
		}
		o.awaitEnd()
	}
}

// maxLate limits the replies of replySoon that wait for a connection.
const maxLate = 256

// replySoon is reply for the reading goroutine, which must not wait. It is used for
// requests without a handler.
func (l *Listener) replySoon(msg *publishing) {
	if o, ok := l.out.now(); ok && o.taking() && o.reply(l.work, time.Now(), msg) == nil {
		return
	}
	if l.late.Add(1) > maxLate {
		l.late.Add(-1)
		return // drop the reply; its caller times out
	}
	l.settling.Go(func() {
		defer l.late.Add(-1)
		_ = l.reply(l.moving, msg) // on an error the caller times out
	})
}
