package micronats

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/calls"
)

// inbox receives the replies to the requests of one connection. It subscribes with the first
// request, because a user who may only publish can still send events. One subscription, to
// PREFIX.ID.*, serves all requests. If the user may only subscribe to inboxes of one token,
// which is what NestJS uses, each request subscribes to PREFIX.ID.
//
// The goroutine run passes on what the driver puts into the queue, until end is called.
type inbox struct {
	client  *Client
	link    *link         // set before the first open
	shared  string        // what the subjects of the shared subscription begin with
	opening chan struct{} // holds a value during open: a lock that can be awaited together with a context
	mode    atomic.Int32

	queue      chan *nats.Msg     // nil stands for a milestone
	milestones chan chan struct{} // closed by run when it reaches them
	held       atomic.Bool        // the reader waits for room in the queue
	room       chan struct{}      // signals the reader
	done       chan struct{}      // closed when run has returned

	mu    sync.Mutex         // guards what follows, and puts into the queue
	sub   *nats.Subscription // the shared one
	ended bool
}

// The modes of an inbox.
const (
	inboxClosed  int32 = iota // not subscribed, or no longer
	inboxShared               // one subscription serves all requests
	inboxSingles              // each request subscribes
)

func newInbox(c *Client) *inbox {
	return &inbox{
		client: c, shared: c.inboxPrefix + strings.TrimPrefix(nats.NewInbox(), "_INBOX") + ".",
		opening: make(chan struct{}, 1), queue: make(chan *nats.Msg, queueLength),
		milestones: make(chan chan struct{}, 16), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// open subscribes, unless that has been done, and returns when the broker has confirmed it. It
// must be called before a request is sent.
func (in *inbox) open(ctx context.Context, deadline time.Time) error {
	if in.mode.Load() != inboxClosed {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case in.opening <- struct{}{}:
		defer func() { <-in.opening }()
	case <-ctx.Done():
		return calls.Ended(ctx)
	}
	if in.mode.Load() != inboxClosed {
		return nil
	}
	err := in.subscribe(ctx)
	if err != nil && ctx.Err() != nil {
		return calls.Ended(ctx)
	}
	return err
}

// subscribe does the work of open, which holds the lock.
func (in *inbox) subscribe(ctx context.Context) error {
	shared := in.shared + "*"
	sub, err := in.try(ctx, shared)
	if err != nil {
		return err
	}
	if sub != nil {
		in.mu.Lock()
		in.sub = sub
		in.mu.Unlock()
		in.mode.Store(inboxShared)
		return nil
	}
	single := in.client.inboxPrefix + strings.TrimPrefix(nats.NewInbox(), "_INBOX")
	if sub, err = in.try(ctx, single); err != nil {
		return err
	}
	if sub == nil {
		prefix := in.client.inboxPrefix // without what is random, so that equal errors have equal texts
		return &PermissionError{Server: in.client.servers.safe, Operation: opSubscribe, Subjects: []string{prefix + ".*.*", prefix + ".*"}, Replies: true}
	}
	unsubscribe(sub) // it was a probe
	in.mode.Store(inboxSingles)
	return nil
}

// try subscribes to a subject. The subscription is nil if the broker does not permit it.
func (in *inbox) try(ctx context.Context, subject string) (*nats.Subscription, error) {
	mark := in.link.violations.mark()
	sub, err := in.link.ChanSubscribe(subject, in.queue)
	if err != nil {
		return nil, err
	}
	found, err := in.link.refused(ctx, mark)
	if err == nil && !slices.Contains(found, violation{opSubscribe, subject}) {
		return sub, nil
	}
	unsubscribe(sub)
	return nil, err
}

// unsubscribe ends a subscription, unless its connection is closed.
func unsubscribe(sub *nats.Subscription) { _ = sub.Unsubscribe() }

// reply returns the subject for the replies to a request. The caller must call done when it
// expects no more of them.
func (in *inbox) reply(id []byte) (subject string, done func(), err error) {
	if in.mode.Load() != inboxSingles {
		return in.shared + string(id), func() {}, nil
	}
	subject = in.client.inboxPrefix + "." + string(id)
	sub, err := in.link.ChanSubscribe(subject, in.queue)
	if err != nil {
		return "", nil, err
	}
	return subject, func() { unsubscribe(sub) }, nil
}

// refuse handles the report that the broker does not permit a subscription any more. The replies
// to requests that have been sent will not arrive.
func (in *inbox) refuse(subject string) {
	err := errNoReplies(in.client.servers.safe, subject)
	switch in.mode.Load() {
	case inboxShared:
		if subject == in.shared+"*" {
			in.mode.Store(inboxClosed)
			in.mu.Lock()
			unsubscribe(in.sub)
			in.mu.Unlock()
			in.client.calls.FailAll(err)
		}
	case inboxSingles:
		if id, ok := strings.CutPrefix(subject, in.client.inboxPrefix+"."); ok {
			in.mode.Store(inboxClosed)
			in.client.calls.Fail([]byte(id), err)
		}
	}
}

// run passes on messages until end.
func (in *inbox) run() {
	defer close(in.done)
	for msg := range in.queue {
		if msg == nil {
			close(<-in.milestones)
			continue
		}
		if in.held.Load() {
			select {
			case in.room <- struct{}{}:
			default:
			}
		}
		in.client.deliver(msg)
	}
}

// awaitRoom is called before each read. It waits while the queue is full, because the driver
// drops replies for which the queue has no room.
func (in *inbox) awaitRoom() {
	if len(in.queue) < fullQueue {
		return
	}
	in.held.Store(true)
	defer in.held.Store(false)
	for len(in.queue) >= fullQueue {
		select {
		case <-in.room:
		case <-in.done:
			return
		}
	}
}

// settle returns when everything that has been read so far has been passed on.
func (in *inbox) settle() {
	done := make(chan struct{})
	in.mu.Lock()
	if in.ended {
		in.mu.Unlock()
		<-in.done
		return
	}
	in.milestones <- done
	in.queue <- nil // run makes room
	in.mu.Unlock()
	<-done
}

// end stops run after it has passed everything on. The connection must have been closed, because
// the driver must not put anything into the queue afterward.
func (in *inbox) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.ended {
		in.ended = true
		close(in.queue)
	}
}
