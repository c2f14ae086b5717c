package micronats

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/wire"
)

// intake passes the messages of one connection to their handlers. The driver puts those of one
// read into a channel, and its reader moves them to the queue with the time of the read. Leaders,
// usually one and more while the queue is long, take them from it and run fast handlers
// themselves (package lead).
type intake struct {
	listener *Listener
	link     link
	cancel   context.CancelFunc // ends the link at once
	lost     atomic.Bool        // the link is reconnecting
	whenLost atomic.Pointer[context.CancelFunc]
	closed   chan error    // receives why the link was closed for good
	ending   chan struct{} // holds a value if the connection is to be replaced; see endSoon
	lameDuck atomic.Bool   // the server will stop
	requests *usage        // until their replies have ended
	streams  *streams

	read  chan *nats.Msg // those of the last read
	queue chan arrival
	mu    sync.Mutex // guards over, and moves from read to queue
	over  bool       // the queue is closed

	subscriptions map[*nats.Subscription]*subscription // fixed once subscribed
	subscribed    atomic.Bool

	leaders    atomic.Int32
	maxLeaders int32
	wg         sync.WaitGroup // goroutines that lead, or have led and still run a handler

	held  atomic.Bool   // the reader waits for room in the queue
	room  chan struct{} // signals the reader
	spilt bool          // owned by the reader: it timed out waiting for room and reads on

	ended chan struct{} // closed at the end
}

// arrival is a message, and when it was read.
type arrival struct {
	msg *nats.Msg
	at  time.Time
}

const (
	// readLength is enough for one read: the smallest message takes 13 bytes on the wire, and
	// one read returns at most 32 KiB. queueLength leaves room for it when fullQueue messages
	// are waiting.
	readLength  = 2560
	fullQueue   = 1024
	queueLength = fullQueue + readLength
	longQueue   = 256 // worth another leader

	// holdUp is how long a full server leaves messages with the broker, which
	// buffers some megabytes for it and disconnects it after 10 s.
	holdUp = 5 * time.Second
)

func newIntake(l *Listener) *intake {
	t := &intake{
		listener: l, subscriptions: map[*nats.Subscription]*subscription{}, requests: newUsage(),
		closed: make(chan error, 1), ending: make(chan struct{}, 1),
		read: make(chan *nats.Msg, readLength), queue: make(chan arrival, queueLength),
		maxLeaders: int32(min(runtime.GOMAXPROCS(0), lead.Seats)), room: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	t.streams = newStreams(t)
	return t
}

// subscribe makes the subscriptions and begins to handle messages.
func (t *intake) subscribe(all []*subscription) error {
	findOverlaps(all)
	for n, s := range all {
		queue := s.queue
		if queue == "" {
			s.number = n
			queue = t.listener.alone(n)
		}
		sub, err := t.link.ChanQueueSubscribe(s.subject, queue, t.read)
		if err != nil {
			return fmt.Errorf("subscribe to %q in NATS: %w", s.subject, err)
		}
		t.subscriptions[sub] = s
	}
	t.subscribed.Store(true)
	t.join(1)
	return nil
}

// finish unsubscribes. It returns when every message that was sent before has been handled or
// passed to another goroutine, or when ctx ends.
func (t *intake) finish(ctx context.Context) {
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
	if ctx.Err() != nil {
		t.cut()
	}
	t.close() // neither leaves anything to be put into the queue
	await(ctx, &t.wg)
}

// cut closes the connection.
func (t *intake) cut() {
	t.cancel()
	t.link.Close()
}

// close closes the queue behind what has been read.
func (t *intake) close() {
	t.move(time.Now())
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.over = true
		close(t.queue)
	}
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
	t.cut() // nothing is read after that
	t.close()
}

// beforeRead is called before each read, with the time of the last one.
func (t *intake) beforeRead(last time.Time) {
	t.move(last)
	t.awaitRoom()
}

// move moves to the queue what was read at a time. It drops and reports the messages for which
// the queue has no room.
func (t *intake) move(at time.Time) {
	if len(t.read) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		select {
		case msg := <-t.read:
			if !t.over && !t.put(arrival{msg, at}) {
				t.listener.server.LogPeer(slog.LevelError, "messages arrive faster than they are handled: some were dropped",
					"transport", "nats", "subject", msg.Subject)
			}
		default:
			return
		}
	}
}

// put is called with t.mu held.
func (t *intake) put(a arrival) bool {
	select {
	case t.queue <- a:
		return true
	default:
		return false
	}
}

// awaitRoom waits while the queue is full, so that the broker keeps the messages that cannot be
// handled yet. The wait is limited, because the broker would close the connection: after it,
// messages for which the queue has no room are dropped.
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
		next := t.next(leader)
		if next.msg == nil {
			return
		}
		t.took()
		if t.listener.server.Full() {
			leader.Paused() // receive waits for a place
		}
		if in := t.receive(next, &packet); in != nil && !leader.Handle(in) {
			return
		}
	}
}

// next takes the next message from the queue. It returns none if the leader is to stop: the
// queue is closed, or it is empty and others lead.
func (t *intake) next(leader *lead.Leader) arrival {
	select {
	case next := <-t.queue: // none if it is closed
		return next
	default:
	}
	leader.Rest()
	if t.leave() {
		return arrival{}
	}
	return <-t.queue
}
