// Package lead decides which goroutine reads a connection and runs the handlers
// of its messages.
//
// The cheapest place to run a handler is the goroutine that has just read its
// message: no other goroutine has to be woken. It is also the most dangerous one,
// because a handler that blocks there blocks every message behind its own. So one
// goroutine leads a connection at a time: it reads, and runs the handlers that
// have recently been quick. When one of them does not return soon, a Watch hands
// the lead to another goroutine, which continues to read. The old leader finds out
// when its handler returns, and stops.
//
// This is the leader/followers pattern with followers that are started when they
// are needed. It never delays a message by more than about a millisecond.
package lead

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

const (
	// Seats is how many leaders of one Watch may be running handlers at once. The
	// messages of other connections are handed to other goroutines meanwhile.
	Seats = 128

	timeLimit  = 200 * time.Microsecond // for a handler, before the leader is replaced
	watchEvery = time.Millisecond
	idleRounds = 50 // looks without a leader at work before the watch sleeps
)

// Inbound is a message on its way to its handler, as *micro.Inbound is.
type Inbound interface {
	// Fast reports whether the handler is likely to return within microseconds.
	Fast() bool
	// RunAt runs the handler here. start is the time by micro.Clock.
	RunAt(start time.Duration) (end time.Duration)
	// Go runs the handler on another goroutine.
	Go()
}

// Leader is the right to read one connection, or to take messages off one queue.
// One goroutine at a time holds it, and is the only one that may call its methods.
// Init must be called before them.
type Leader struct {
	watch    *Watch
	seat     uint32
	takeOver func()

	// running is the time by micro.Clock at which the handler on the leading
	// goroutine began, and 0 while no handler runs there. Whether the goroutine that
	// ran the handler or the watch resets it to 0 decides who leads from then on.
	running atomic.Int64

	// Owned by the leading goroutine.
	seated bool
	clock  time.Duration // when the previous handler returned; 0 if unknown
}

// Init makes l a leader that w watches. When a handler takes too long, w calls
// takeOver, which must not block: it starts the goroutine that leads from then on.
// The old leader is still in its handler and keeps the memory of its message. Its
// Handle returns after takeOver has, so a sync.WaitGroup may count the leaders.
func (l *Leader) Init(w *Watch, takeOver func()) {
	l.watch, l.takeOver = w, takeOver
	l.seat = w.last.Add(1) % Seats
}

// Handle runs the handler of in on this goroutine if it is likely to be quick, and
// on another one otherwise. It returns false if another goroutine has taken the
// lead in the meantime. Then the caller must not read any more, nor call any other
// method of l.
func (l *Leader) Handle(in Inbound) (leading bool) {
	if !in.Fast() || !l.sit() {
		in.Go()
		l.clock = 0
		return true
	}
	began := l.clock
	if began == 0 {
		began = micro.Clock()
	}
	l.running.Store(int64(began))
	end := in.RunAt(began)
	// Subtle: if the watch has reset running, another goroutine owns all other
	// fields of l by now, and running may hold the start of a handler of that
	// goroutine. It never holds began again, because the clock has moved on.
	if !l.running.CompareAndSwap(int64(began), 0) {
		l.watch.awaitReplacement()
		return false
	}
	l.clock = end
	return true
}

// Paused tells l that time has passed since the last handler returned that the
// next handler must not be charged for, such as waiting for a peer.
func (l *Leader) Paused() { l.clock = 0 }

// Rest gives up the seat. It must be called before the leader waits for messages,
// because there are fewer seats than connections.
func (l *Leader) Rest() {
	l.clock = 0
	if l.seated {
		l.seated = false
		l.watch.seats[l.seat].Store(nil)
	}
}

// sit takes the seat that l shares with other leaders; false means that another
// one has it. The seat is kept until Rest.
func (l *Leader) sit() bool {
	if l.seated {
		return true
	}
	w := l.watch
	if !w.seats[l.seat].CompareAndSwap(nil, l) {
		return false
	}
	l.seated = true
	// Subtle: the seat is taken before asleep is read, and the watch sets asleep
	// before it looks at the seats for the last time. One of the two sees the other.
	if w.asleep.Load() {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Watch replaces the leaders whose handlers take too long. One goroutine looks at
// all of them about once a millisecond, and sleeps while no leader has a seat.
type Watch struct {
	last   atomic.Uint32 // the seat given out last
	seats  [Seats]atomic.Pointer[Leader]
	asleep atomic.Bool
	wake   chan struct{}

	replacing sync.Mutex // held while a leader is replaced
}

// Start starts the goroutine. The returned function ends it, and waits for it: no
// leader is replaced afterwards.
func (w *Watch) Start() (stop func()) {
	w.wake = make(chan struct{}, 1)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.run(end)
	}()
	return func() {
		close(end)
		<-done
	}
}

func (w *Watch) run(end <-chan struct{}) {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for idle := 0; ; {
		select {
		case <-end:
			return
		case <-timer.C:
		}
		if idle++; w.look() {
			idle = 0
		}
		if idle >= idleRounds {
			w.asleep.Store(true)
			if !w.look() {
				select {
				case <-end:
					return
				case <-w.wake:
				}
			}
			w.asleep.Store(false)
			idle = 0
		}
		timer.Reset(watchEvery)
	}
}

// look replaces the leaders whose handlers take too long, and reports whether any
// leader has a seat.
func (w *Watch) look() (busy bool) {
	now := int64(micro.Clock())
	for i := range w.seats {
		l := w.seats[i].Load()
		if l == nil {
			continue
		}
		busy = true
		began := l.running.Load()
		if began != 0 && now-began > int64(timeLimit) {
			w.replace(l, began)
		}
	}
	return busy
}

// replace makes another goroutine lead unless the handler that began then has
// returned.
func (w *Watch) replace(l *Leader, began int64) {
	w.replacing.Lock()
	defer w.replacing.Unlock()
	if !l.running.CompareAndSwap(began, 0) {
		return
	}
	// The swap succeeded, so the old leader is still in its handler and will not
	// touch l again: its fields are ours until takeOver hands them on.
	l.seated, l.clock = false, 0
	w.seats[l.seat].Store(nil)
	l.takeOver()
}

// awaitReplacement returns when the replacement that a leader has just noticed is
// complete.
func (w *Watch) awaitReplacement() {
	w.replacing.Lock()
	defer w.replacing.Unlock()
}
