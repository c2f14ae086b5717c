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
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// inbox receives the replies to the requests of one connection. It subscribes with the first
// request, because a user who may only publish can still send events. One subscription, to
// PREFIX.ID.*, serves all requests. If the user may only subscribe to inboxes of one token,
// which is what NestJS uses, each request subscribes to PREFIX.ID.
//
// The goroutine run passes on what the driver puts into the queue, until end is called.
type inbox struct {
	client  *Client
	calls   calls.Table
	link    *link         // set before the first open
	shared  string        // what the subjects of the shared subscription begin with
	ending  bool          // the server will stop; guarded by the client's mu
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
			in.calls.FailAll(err)
		}
	case inboxSingles:
		if id, ok := strings.CutPrefix(subject, in.client.inboxPrefix+"."); ok {
			in.mode.Store(inboxClosed)
			in.calls.Fail([]byte(id), err)
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
		in.deliver(msg)
	}
}

// deliver passes on one message of a reply. The last token of its subject is the ID of the call.
func (in *inbox) deliver(msg *nats.Msg) {
	id := []byte(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:])
	if len(msg.Data) == 0 {
		in.deliverEmpty(id, msg.Header)
		return
	}
	body := text(msg.Data)
	packet, err := wire.Parse(body)
	if err != nil {
		in.calls.IgnoreFor(id, body, "is not JSON")
		in.calls.Fail(id, errNotJSON)
		return
	}
	if string(packet.ID) == `"`+probeID+`"` {
		in.leave(msg, id)
		return
	}
	if foreignID(packet.ID, id) {
		in.calls.IgnoreFor(id, body, "does not have the id of the request")
		return
	}
	if !in.calls.Deliver(id, &packet, body) {
		in.leave(msg, id)
	}
}

// leave reports to the sender of a stream, which has put a subject for this into the message,
// that the call has ended. The broker does not: while the client is connected, its inbox has a
// subscriber.
func (in *inbox) leave(msg *nats.Msg, id []byte) {
	if msg.Reply == "" || in.client.silent.Load() || in.calls.Pending(id) {
		return
	}
	_ = in.link.Publish(msg.Reply, nil) // an error means that the connection has ended
}

// deliverEmpty handles an empty message. If the broker sent it, no server has received the
// request. NestJS treats every empty message that way, but a responder of another kind may
// send one to acknowledge a request that it has handled.
func (in *inbox) deliverEmpty(id []byte, header nats.Header) {
	if header.Get(statusHeader) == noResponders {
		in.calls.Fail(id, micro.ErrNotServed)
		return
	}
	in.calls.IgnoreFor(id, nil, "is empty")
	in.calls.Fail(id, emptyReply(header))
}

// foreignID reports whether the id in the body of a reply differs from that of its inbox. As in
// NestJS, an id that is falsy in JavaScript counts as missing.
func foreignID(got, want []byte) bool {
	switch string(got) {
	case "", `""`, "null", "false", "0", "-0":
		return false
	}
	return len(got) != len(want)+2 || string(got[1:len(got)-1]) != string(want)
}

// awaitRoom is called before each read. It waits while the queue is full, because the driver
// drops replies for which the queue has no room.
func (in *inbox) awaitRoom(time.Time) {
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
