package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// outbox is a listener's connection for what it sends: replies, events that are to
// come again, dead letters. It is another than the one for what it receives, because
// a broker that is short of memory stops reading from those who publish: the
// acknowledgements, which free memory, must not wait behind. It is made when first
// needed, and made again when it is lost.
type outbox struct {
	listener *Listener
	ctx      context.Context // ends it
	wg       sync.WaitGroup

	session atomic.Pointer[outSession] // nil while there is none

	mu      sync.Mutex // guards what follows
	started bool
	failure error
	changed chan struct{} // closed and replaced when session or failure change
}

type outSession struct {
	replies uint16 // the channel of the answers
	*connection
	*publisher
	declared sync.Map // retry queues, by name
}

var errStopped = errors.New("the server has stopped")

// get returns the session, and waits for one until ctx ends.
func (o *outbox) get(ctx context.Context) (*outSession, error) {
	for {
		o.mu.Lock()
		if !o.started {
			o.started = true
			o.wg.Go(o.keepConnected)
		}
		s, changed, failure := o.session.Load(), o.changed, o.failure
		o.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-o.ctx.Done():
			return nil, errStopped
		case <-ctx.Done():
			if failure == nil {
				failure = errors.New("it takes too long")
			}
			return nil, fmt.Errorf("%w: %w", micro.ErrUnreachable, failure)
		}
	}
}

func (o *outbox) change(s *outSession, failure error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.session.Store(s)
	o.failure = failure
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *outbox) keepConnected() {
	pause := pauses{longest: o.listener.maxDelay}
	for o.ctx.Err() == nil {
		s, err := o.open()
		if err != nil {
			o.change(nil, err)
			pause.wait(o.ctx)
			continue
		}
		pause.reset()
		o.change(s, nil)
		select {
		case <-s.down:
			o.listener.server.Logger().Warn("not connected to the broker", "queue", o.listener.queue, "for", "sending", "error", reason(s.why))
		case <-o.ctx.Done():
		}
		o.change(nil, nil)
		s.abandon(micro.ErrConnectionLost)
		s.shut()
		pause.wait(o.ctx)
	}
}

func (o *outbox) open() (*outSession, error) {
	conn, err := o.listener.connect(o.ctx, o.listener.addresses, roleOutbox)
	if err != nil {
		return nil, err
	}
	s := &outSession{connection: conn}
	if err := s.setUp(); err != nil {
		conn.shut()
		return nil, err
	}
	return s, nil
}

func (s *outSession) setUp() error {
	if _, err := s.openChannel(); err != nil {
		return err
	}
	s.replies = s.wire.attach(&plane{})
	ch, err := s.openChannel()
	if err != nil {
		return err
	}
	s.publisher, err = newPublisher(s.connection, ch, nil)
	return err
}

// reply publishes a packet of an answer.
func (o *outbox) reply(ctx context.Context, msg *publishing) error {
	deadline := time.Now().Add(replyTimeout)
	if s := o.session.Load(); s != nil && s.taking() && s.reply(ctx, deadline, msg) == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		s, err := o.get(ctx)
		if err == nil {
			err = s.await(ctx, deadline)
		}
		if err == nil {
			err = s.reply(ctx, deadline, msg)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, errStopped) {
			return err
		}
	}
}

func (s *outSession) reply(ctx context.Context, deadline time.Time, msg *publishing) error {
	return s.wire.out.put(ctx, deadline, func(dst []byte) []byte { return appendPublish(dst, s.replies, msg, s.frameMax) })
}
