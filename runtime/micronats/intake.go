package micronats

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/wire"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
)

// intake takes the messages of one connection to their handlers. Goroutines that
// lead take them off one queue and run the handlers that were quick lately
// themselves, which is cheapest: no other goroutine has to be woken. One leads as
// a rule. More do while the queue is long, and in place of one whose handler turns
// out slow, so that no message waits for the handler of another.
type intake struct {
	listener *Listener
	link     link
	cancel   context.CancelFunc // ends the link at once
	lost     atomic.Bool        // the link is on its way back
	subs     []*nats.Subscription
	queue    chan *nats.Msg
	close    func()                             // the queue, once
	routes   map[*nats.Subscription]micro.Route // fixed when it starts

	leaders atomic.Int32
	running atomic.Int32 // leaders that are in a handler
	taken   atomic.Uint64
	wg      sync.WaitGroup // the leaders

	held  atomic.Bool   // the reader waits for room
	room  chan struct{} // tells it of some
	spilt bool          // of the reader: it has waited in vain, and reads on

	ended    chan struct{} // closed at the end
	watching sync.WaitGroup
	asleep   atomic.Bool // the watch looks at nothing
	wake     chan struct{}
}

// The queue has room for all that one read may bring beyond a full one: the
// smallest message takes 13 bytes on the wire, and a read brings 32 KiB.
const (
	fullQueue   = 1024
	queueLength = fullQueue + 2560
	longQueue   = 256 // worth another leader
	maxLeaders  = 128 // past it nothing is run by leaders

	watchEvery = time.Millisecond
	idleRounds = 50

	// holdUp is how long a server that is full leaves messages with the broker,
	// which keeps some megabytes for it and gives up after 10 s.
	holdUp = 5 * time.Second
)

func newIntake(l *Listener) *intake {
	queue := make(chan *nats.Msg, queueLength)
	return &intake{
		listener: l, routes: map[*nats.Subscription]micro.Route{},
		queue: queue, close: sync.OnceFunc(func() { close(queue) }),
		room: make(chan struct{}, 1), wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// subscribe takes the messages of one subject to a route. It is for the time
// before start.
func (t *intake) subscribe(route micro.Route, subject, queue string) error {
	sub, err := t.link.ChanQueueSubscribe(subject, queue, t.queue)
	if err != nil {
		return err
	}
	t.subs = append(t.subs, sub)
	t.routes[sub] = route
	return nil
}

// start begins to handle messages.
func (t *intake) start() {
	t.addLeader()
	t.watching.Go(t.watch) // end ends it
}

// finish unsubscribes, and returns when all that had been sent to us before is
// being handled, or when ctx ends.
func (t *intake) finish(ctx context.Context) {
	gone := t.lost.Load()
	if !gone {
		var open sync.WaitGroup
		for _, sub := range t.subs {
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
	t.close() // nothing is put into it after either
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

// end closes the connection. A leader that is in a handler ends when it returns.
func (t *intake) end() {
	close(t.ended)
	t.cancel()
	t.link.Close() // nothing is put into the queue after that
	t.close()
	t.watching.Wait()
}

// awaitRoom is called before more is read. It waits while the queue is full, so
// that the broker keeps what cannot be handled yet, but not for ever, because the
// broker would take us for dead: then the driver drops what the queue has no room
// for, and tells of it.
func (t *intake) awaitRoom() {
	if len(t.queue) < fullQueue {
		t.spilt = false
		return
	}
	if t.spilt {
		return
	}
	patience := time.NewTimer(t.listener.holdUp)
	defer patience.Stop()
	t.held.Store(true)
	defer t.held.Store(false)
	for len(t.queue) >= fullQueue/2 {
		select {
		case <-t.room:
		case <-patience.C:
			t.spilt = true
			return
		case <-t.ended:
			return
		}
	}
}

// took counts a message out of the queue.
func (t *intake) took() {
	t.taken.Add(1)
	if t.held.Load() && len(t.queue) < fullQueue/2 {
		select {
		case t.room <- struct{}{}:
		default:
		}
	}
}

func (t *intake) addLeader() {
	t.leaders.Add(1)
	t.wg.Add(1)
	go t.lead()
}

// lead handles messages until the queue is closed, or others are enough.
func (t *intake) lead() {
	defer t.wg.Done()
	var packet wire.Packet // of one message after another
	for clock := time.Duration(0); ; {
		msg, waited := t.next()
		if msg == nil {
			return
		}
		if waited {
			clock = 0
		}
		t.took()
		in := t.receive(msg, &packet)
		switch {
		case in == nil:
		case in.Fast() && t.leaders.Load() < maxLeaders:
			if clock == 0 {
				clock = micro.Clock()
			}
			t.running.Add(1)
			clock = in.RunAt(clock)
			t.running.Add(-1)
			if t.leave(int32(runtime.GOMAXPROCS(0))) {
				return
			}
		default:
			in.Go()
			clock = 0
		}
	}
}

// next takes the next message off the queue, and tells whether it had to wait for
// it. Without one the leader has been counted out: the queue is closed, or it is
// empty and another leads.
func (t *intake) next() (msg *nats.Msg, waited bool) {
	var ok bool
	select {
	case msg, ok = <-t.queue:
	default:
		if t.leave(1) {
			return nil, false
		}
		msg, ok = <-t.queue
		waited = true
		t.stir()
	}
	if !ok {
		t.leaders.Add(-1)
	}
	return msg, waited
}

// leave counts a leader out if more than that many are left.
func (t *intake) leave(enough int32) bool {
	for {
		n := t.leaders.Load()
		if n <= enough {
			return false
		}
		if t.leaders.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// stir wakes the watch when there is something to look at again.
func (t *intake) stir() {
	if t.asleep.Load() {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// watch adds leaders where they are missing. It looks about once a millisecond,
// and sleeps while there is nothing to do.
func (t *intake) watch() {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	taken := t.taken.Load()
	for idle := 0; ; {
		select {
		case <-t.ended:
			return
		case <-timer.C:
		}
		now := t.taken.Load()
		t.look(now == taken)
		if idle++; now != taken || t.running.Load() > 0 || len(t.queue) > 0 {
			idle, taken = 0, now
		}
		if idle >= idleRounds {
			t.asleep.Store(true)
			if t.taken.Load() == taken && len(t.queue) == 0 {
				select {
				case <-t.ended:
					return
				case <-t.wake:
				}
			}
			t.asleep.Store(false)
			idle = 0
		}
		timer.Reset(watchEvery)
	}
}

// look adds a leader when all are in handlers that do not return, or when the
// queue is long. A leader that waits for a place in a full server holds the queue
// up on purpose, and is not replaced.
func (t *intake) look(stuck bool) {
	waiting, leaders := len(t.queue), t.leaders.Load()
	switch {
	case waiting == 0:
	case stuck && t.running.Load() >= leaders && leaders < maxLeaders,
		waiting > longQueue && leaders < int32(runtime.GOMAXPROCS(0)):
		t.addLeader()
	}
}
