package micronats

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/wire"
)

// intake passes the messages of one connection to their handlers. The driver puts them into
// one queue. Leaders, usually one and more while the queue is long, take them from it and
// run fast handlers themselves (package lead).
type intake struct {
	listener *Listener
	link     link
	cancel   context.CancelFunc // ends the link at once
	lost     atomic.Bool        // the link is reconnecting
	queue    chan *nats.Msg
	close    func() // closes the queue, once
	streams  *streams

	subscriptions map[*nats.Subscription]*subscription // fixed once started

	leaders    atomic.Int32
	maxLeaders int32
	wg         sync.WaitGroup // goroutines that lead, or have led and still run a handler

	held  atomic.Bool   // the reader waits for room in the queue
	room  chan struct{} // signals the reader
	spilt bool          // owned by the reader: it timed out waiting for room and reads on

	ended chan struct{} // closed at the end
}

const (
	// queueLength leaves room for everything one read may bring when fullQueue
	// messages are waiting: the smallest message takes 13 bytes on the wire, and
	// one read returns at most 32 KiB.
	fullQueue   = 1024
	queueLength = fullQueue + 2560
	longQueue   = 256 // worth another leader

	// holdUp is how long a full server leaves messages with the broker, which
	// buffers some megabytes for it and disconnects it after 10 s.
	holdUp = 5 * time.Second
)

func newIntake(l *Listener) *intake {
	queue := make(chan *nats.Msg, queueLength)
	t := &intake{
		listener: l, subscriptions: map[*nats.Subscription]*subscription{},
		queue: queue, close: sync.OnceFunc(func() { close(queue) }), maxLeaders: int32(min(runtime.GOMAXPROCS(0), lead.Seats)),
		room: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	t.streams = newStreams(t)
	return t
}

// subscribe makes the subscriptions and begins to handle messages.
func (t *intake) subscribe(all []*subscription) error {
	findOverlaps(all)
	for _, s := range all {
		sub, err := t.link.ChanQueueSubscribe(s.subject, s.queue, t.queue)
		if err != nil {
			return fmt.Errorf("subscribe to %q in NATS: %w", s.subject, err)
		}
		t.subscriptions[sub] = s
	}
	t.join(1)
	return nil
}

// finish unsubscribes. It returns when every message that was sent before has been handled or
// passed to another goroutine, or when ctx ends.
func (t *intake) finish(ctx context.Context) {
	gone := t.lost.Load()
	if !gone {
		var open sync.WaitGroup
		for sub := range t.subscriptions {
			done := sync.OnceFunc(open.Done)
			open.Add(1)
			sub.SetClosedHandler(func(string) { done() })
			if sub.Drain() != nil {
				done() // the connection is closed
			}
		}
		await(ctx, &open)
	}
	if gone || ctx.Err() != nil {
		t.cancel()
		t.link.Close()
	}
	t.close() // neither leaves anything to be put into it
	await(ctx, &t.wg)
}

// await waits for wg until ctx ends.
func await(ctx context.Context, wg *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// end closes the connection. A leader that is running a handler ends when the handler
// returns.
func (t *intake) end() {
	close(t.ended)
	t.cancel()
	t.link.Close() // nothing is put into the queue after that
	t.close()
}

// awaitRoom is called before each read. It waits while the queue is full, so that the broker
// keeps the messages that cannot be handled yet. The wait is limited, because the broker
// would close the connection: after it, the driver drops and reports the messages for
// which the queue has no room.
func (t *intake) awaitRoom() {
	if len(t.queue) < fullQueue {
		t.spilt = false
		return
	}
	if t.spilt {
		return
	}
	timeout := time.NewTimer(t.listener.holdUp)
	defer timeout.Stop()
	t.held.Store(true)
	defer t.held.Store(false)
	for len(t.queue) >= fullQueue/2 {
		select {
		case <-t.room:
		case <-timeout.C:
			t.spilt = true
			return
		case <-t.ended:
			return
		}
	}
}

// took is called after each message that is taken from the queue.
func (t *intake) took() {
	waiting := len(t.queue)
	if waiting > longQueue {
		t.join(t.maxLeaders)
	}
	if waiting < fullQueue/2 && t.held.Load() {
		select {
		case t.room <- struct{}{}:
		default:
		}
	}
}

// join adds a leader if fewer than limit lead.
func (t *intake) join(limit int32) {
	n := t.leaders.Load()
	if n >= limit || !t.leaders.CompareAndSwap(n, n+1) {
		return // if the swap failed, another leader has just done it
	}
	leader := new(lead.Leader)
	start := func() { t.wg.Go(func() { t.lead(leader) }) }
	leader.Init(&t.listener.watch, start)
	start()
}

// leave removes the calling leader unless it is the last one.
func (t *intake) leave() bool {
	for {
		n := t.leaders.Load()
		if n == 1 {
			return false
		}
		if t.leaders.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// lead handles messages until the queue is closed, other leaders suffice, or
// another goroutine has taken this leader's place.
func (t *intake) lead(leader *lead.Leader) {
	var packet wire.Packet // reused for one message after another
	for {
		msg := t.next(leader)
		if msg == nil {
			return
		}
		t.took()
		if t.listener.server.Full() {
			leader.Paused() // receive waits for a place
		}
		if in := t.receive(msg, &packet); in != nil && !leader.Handle(in) {
			return
		}
	}
}

// next takes the next message from the queue. It returns nil if the leader is to
// stop: the queue is closed, or it is empty and others lead.
func (t *intake) next(leader *lead.Leader) *nats.Msg {
	select {
	case msg := <-t.queue: // nil if it is closed
		return msg
	default:
	}
	leader.Rest()
	if t.leave() {
		return nil
	}
	return <-t.queue
}
