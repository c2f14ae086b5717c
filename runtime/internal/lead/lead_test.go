package lead

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// message is an Inbound with a handler of the test's own.
type message struct {
	slow    bool
	handler func()
	moved   *sync.WaitGroup // the handlers on other goroutines
}

func (m *message) Fast() bool { return !m.slow }

func (m *message) RunAt(time.Duration) time.Duration {
	m.handler()
	return micro.Clock()
}

func (m *message) Go() { m.moved.Go(m.handler) }

// reader reads messages off a channel, as transports do off a connection.
type reader struct {
	Leader
	messages chan *message
	reading  atomic.Int32 // goroutines that read
	starts   atomic.Int32 // goroutines that have begun to lead
	overlap  atomic.Bool  // two read at a time
	leaders  sync.WaitGroup
}

func newReader(w *Watch) *reader {
	r := &reader{messages: make(chan *message, 1000)}
	r.Init(w, r.lead)
	r.lead()
	return r
}

func (r *reader) lead() {
	r.starts.Add(1)
	r.leaders.Go(func() {
		for {
			if r.reading.Add(1) > 1 {
				r.overlap.Store(true)
			}
			r.Rest()
			m, ok := <-r.messages
			r.reading.Add(-1)
			if !ok || !r.Handle(m) {
				return
			}
		}
	})
}

// TestSlowHandlers checks that a handler that turns out slow delays no message,
// and that its goroutine stops when it returns.
func TestSlowHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		stop := w.Start()
		r := newReader(&w)
		release := make(chan struct{})
		var quick atomic.Int32
		for range 5 {
			r.messages <- &message{handler: func() { <-release }}
			for range 10 {
				r.messages <- &message{handler: func() { quick.Add(1) }}
			}
		}
		<-time.After(5*watchEvery + time.Millisecond)
		if n := quick.Load(); n != 50 {
			t.Errorf("%d of 50 quick messages were handled behind five slow ones", n)
		}
		if n := r.starts.Load(); n != 6 {
			t.Errorf("%d goroutines have led, want one more than there are slow handlers", n)
		}
		close(release)
		close(r.messages)
		r.leaders.Wait()
		stop()
		if r.overlap.Load() {
			t.Error("two goroutines read at a time")
		}
	})
}

// TestQuickHandlers checks that quick handlers run on one goroutine, and that
// those expected to be slow do not run there.
func TestQuickHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		stop := w.Start()
		r := newReader(&w)
		release := make(chan struct{})
		var slow sync.WaitGroup
		var quick atomic.Int32
		for range 3 {
			r.messages <- &message{slow: true, moved: &slow, handler: func() { <-release }}
			r.messages <- &message{handler: func() { quick.Add(1) }}
		}
		<-time.After(10 * watchEvery)
		if quick.Load() != 3 || r.starts.Load() != 1 {
			t.Errorf("%d of 3 messages were handled, by %d leaders", quick.Load(), r.starts.Load())
		}
		close(release)
		slow.Wait()
		close(r.messages)
		r.leaders.Wait()
		stop()
	})
}

// TestSeats checks that a leader whose seat is taken hands its messages to other
// goroutines.
func TestSeats(t *testing.T) {
	var w Watch
	defer w.Start()()
	leaders := make([]Leader, Seats+1)
	for i := range leaders {
		leaders[i].Init(&w, func() { t.Error("a leader was replaced") })
	}
	first, last := &leaders[0], &leaders[Seats]
	var moved sync.WaitGroup
	var here int
	quick := &message{handler: func() { here++ }, moved: &moved}
	if !first.Handle(quick) || here != 1 {
		t.Fatalf("the first leader handled %d messages", here)
	}
	done := make(chan struct{})
	if !last.Handle(&message{moved: &moved, handler: func() { <-done }}) {
		t.Error("the last leader was replaced")
	}
	close(done) // it would be too late had the handler run on this goroutine
	moved.Wait()
	first.Rest()
	if !last.Handle(quick) || here != 2 {
		t.Errorf("with the seat free, %d messages were handled", here)
	}
	last.Rest()
}

// TestSleep checks that a watch that sleeps wakes up when a leader takes a seat.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		stop := w.Start()
		r := newReader(&w)
		for range 3 {
			<-time.After(2 * idleRounds * watchEvery)
			synctest.Wait()
			if !w.asleep.Load() {
				t.Fatal("the watch does not sleep")
			}
			release, handled := make(chan struct{}), make(chan struct{})
			r.messages <- &message{handler: func() { <-release }}
			r.messages <- &message{handler: func() { close(handled) }}
			<-handled
			close(release)
		}
		close(r.messages)
		r.leaders.Wait()
		stop()
	})
}

// TestCharged checks which time a handler is charged for: it begins where the one
// before it ended, unless the leader has waited in between.
func TestCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		var l Leader
		l.Init(&w, func() {})
		var starts []time.Duration
		handle := func() { l.Handle(inboundFunc(func(start time.Duration) { starts = append(starts, start) })) }
		begin := micro.Clock()
		handle()
		<-time.After(time.Microsecond)
		handle()
		<-time.After(time.Microsecond)
		l.Paused()
		handle()
		l.Rest()
		handle()
		for i, want := range []time.Duration{0, 0, 2 * time.Microsecond, 2 * time.Microsecond} {
			if got := starts[i] - begin; got != want {
				t.Errorf("handler %d began after %v, want %v", i, got, want)
			}
		}
	})
}

type inboundFunc func(start time.Duration)

func (inboundFunc) Fast() bool { return true }
func (inboundFunc) Go()        {}

func (f inboundFunc) RunAt(start time.Duration) time.Duration {
	f(start)
	return micro.Clock()
}

// TestReplaced checks that Handle of a replaced leader returns after takeOver, so that
// a count of the leaders does not pass through 0 in between.
func TestReplaced(t *testing.T) {
	var w Watch
	defer w.Start()()
	replacing := make(chan struct{})
	var replaced atomic.Bool
	var l Leader
	l.Init(&w, func() {
		close(replacing)
		for range 10_000 {
			runtime.Gosched() // the handler returns in the meantime
		}
		replaced.Store(true)
	})
	if l.Handle(inboundFunc(func(time.Duration) { <-replacing })) || !replaced.Load() {
		t.Error("Handle returned before takeOver did")
	}
}

// TestRace runs leaders whose handlers take about as long as the watch allows: however
// the two race, each message is handled once, and one goroutine reads at a time.
func TestRace(t *testing.T) {
	var w Watch
	stop := w.Start()
	var handled atomic.Int64
	const readers, messages = 4, 500
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			r := newReader(&w)
			for i := range messages {
				r.messages <- &message{handler: func() {
					handled.Add(1)
					if i%10 == 0 {
						<-time.After(time.Duration(i%7) * 100 * time.Microsecond)
					}
				}}
			}
			close(r.messages)
			r.leaders.Wait()
			if r.overlap.Load() {
				t.Error("two goroutines read at a time")
			}
		})
	}
	all.Wait()
	stop()
	if n := handled.Load(); n != readers*messages {
		t.Errorf("%d of %d messages were handled", n, readers*messages)
	}
}
