package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

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

	mu      sync.Mutex // guards what follows
	started bool
	stopped bool
	session *outSession
	failure error
	changed chan struct{} // closed and replaced when session or failure change
}

type outSession struct {
	*connection
	replies *amqp.Channel
	*publisher
	declared sync.Map // retry queues, by name
}

// stop makes what waits for a connection give up.
func (o *outbox) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	close(o.changed)
	o.changed = make(chan struct{})
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
		s, changed, failure, stopped := o.session, o.changed, o.failure, o.stopped
		o.mu.Unlock()
		switch {
		case s != nil:
			return s, nil
		case stopped:
			return nil, errStopped
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
	o.session, o.failure = s, failure
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
		s.shut()
		pause.wait(o.ctx)
	}
}

func (o *outbox) open() (*outSession, error) {
	conn, err := o.listener.connect(o.ctx, o.listener.addresses, "replies of")
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

func (s *outSession) setUp() (err error) {
	if s.replies, err = s.channel(); err != nil {
		return err
	}
	ch, err := s.channel()
	if err != nil {
		return err
	}
	s.publisher, err = newPublisher(s.connection, ch)
	return err
}

// reply publishes a packet of an answer.
func (o *outbox) reply(ctx context.Context, to string, msg amqp.Publishing) error {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	for {
		s, err := o.get(ctx)
		if err == nil {
			err = s.await(ctx, time.Now().Add(replyTimeout))
		}
		if err == nil {
			if _, err = s.replies.PublishWithDeferredConfirm("", to, false, false, msg); err == nil {
				return nil
			}
			s.end(err)
		}
		if ctx.Err() != nil || errors.Is(err, errStopped) {
			return err
		}
	}
}
