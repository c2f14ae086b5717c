package capacity

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Config describes a service. The zero value works: one worker that takes no
// time.
type Config struct {
	// Workers is how many requests are worked on at once; 0 is 1.
	Workers int
	// ServiceTime is how long the work on one takes.
	ServiceTime Distribution
	// Queue is how many requests may wait for a worker; more are answered with
	// status 503 at once. 0 is as many as memory is set aside for, which is
	// [MaxWaiting].
	Queue int
	// DropExpired answers requests whose caller has given up with status 504
	// when a worker would take them up, instead of working for nobody.
	DropExpired bool
	// Seed makes the service times repeatable: with one seed, the n-th work that
	// is begun takes as long in every run.
	Seed uint64
	// Answer is the JSON text that every request is answered with; nil is
	// {"ok":true}.
	Answer json.RawMessage
}

// MaxWaiting bounds the requests that wait, whatever [Config.Queue] says: each one
// keeps a goroutine of the server, 4 KB with all that belongs to it, so that many
// take 200 MB.
const MaxWaiting = 50_000

// Capacity is how many requests a second the service can work on: the number of
// workers over the mean service time. It is +Inf when work takes no time.
func (c Config) Capacity() float64 {
	mean := c.ServiceTime.Mean()
	if mean <= 0 {
		return math.Inf(1)
	}
	return float64(c.workers()) / mean.Seconds()
}

func (c Config) workers() int { return max(c.Workers, 1) }

// Stats is how a service is, and what it has done since it was made. Arrived is
// the sum of all the others but Wasted, until the service is closed.
type Stats struct {
	Arrived uint64 // requests that have come
	Waiting int    // requests in the queue now
	Busy    int    // requests that are worked on now
	Done    uint64 // requests that were worked on to the end
	Wasted  uint64 // the part of Done whose callers had given up by then
	Expired uint64 // requests that were dropped because their callers had given up
	Refused uint64 // requests that found the queue full
}

// Service is a queue and its workers. Make it with New, have a server call its
// Handler, and Close it in the end. It is safe for concurrent use. It has no
// goroutine: arrivals and one timer move it on.
type Service struct {
	config Config
	began  time.Time
	answer micro.Value

	mu      sync.Mutex // guards what follows
	queue   queue
	times   Distribution
	timer   *time.Timer
	timerAt time.Duration // what the timer is set to; 0: it is not
	closed  bool
}

// New makes a service; it is idle until its Handler is called.
func New(c Config) *Service {
	s := &Service{config: c, began: time.Now(), times: c.ServiceTime}
	s.answer = micro.Value{Raw: c.Answer, Last: true}
	if c.Answer == nil {
		s.answer.Raw = json.RawMessage(`{"ok":true}`)
	}
	random := rand.New(rand.NewPCG(c.Seed, 0x6d6f636b))
	s.queue = queue{
		workers: c.workers(), room: max(c.Queue, 0), dropExpired: c.DropExpired,
		draw: func() time.Duration { return s.times.draw(random) },
	}
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	return s
}

// Handler is the service as a message handler, for any number of patterns and
// servers. It returns when the request has got its answer, which does not depend
// on its context: work for nobody is done too. It answers status 503 when there
// is no room and, with DropExpired, status 504 when the caller has given up.
func (s *Service) Handler() micro.Handler {
	var (
		errFull    = micro.Errorf(503, "the queue is full")
		errExpired = micro.Errorf(504, "the caller had given up before the work was begun")
		errClosed  = micro.Errorf(503, "the service is shutting down")
	)
	return func(ctx context.Context, _ *micro.Request, reply micro.Reply) error {
		switch s.work(ctx) {
		case refused:
			return errFull
		case expired:
			return errExpired
		case closed:
			return errClosed
		}
		return reply.Send(s.answer)
	}
}

// work queues a request and waits for what becomes of it.
func (s *Service) work(ctx context.Context) verdict {
	j := &job{ctx: ctx, result: make(chan verdict, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return closed
	}
	s.queue.arrive(s.now(), j)
	s.arm()
	s.mu.Unlock()
	return <-j.result
}

// Stall has the workers neither begin nor end anything for d from now on, as if
// the process had been stopped: what has come waits, and nothing is refused
// before the stall is over. A stall within another one changes nothing unless it
// ends later.
func (s *Service) Stall(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.stall(s.now(), d)
	s.arm()
}

// SetServiceTime changes how long work takes that is begun from now on.
func (s *Service) SetServiceTime(d Distribution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.advance(s.now())
	s.times = d
	s.arm()
}

// Capacity is [Config.Capacity] with the service time as it is now.
func (s *Service) Capacity() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config
	now.ServiceTime = s.times
	return now.Capacity()
}

// Stats counts what has happened so far.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.advance(s.now())
	s.arm()
	return s.queue.stats()
}

// Close answers every request that waits or is worked on with status 503, and
// each that comes later too. It may be called more than once.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.advance(s.now())
	s.closed = true
	s.queue.close()
	s.timer.Stop()
}

func (s *Service) now() time.Duration { return time.Since(s.began) }

// tick is called by the timer, on a goroutine of its own.
func (s *Service) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerAt = 0
	if !s.closed {
		s.queue.advance(s.now())
		s.arm()
	}
}

// arm sets the timer to the queue's next event.
func (s *Service) arm() {
	at, ok := s.queue.next()
	if !ok || at == s.timerAt || s.closed {
		return // a timer that is set for nothing finds nothing to do
	}
	s.timerAt = at
	s.timer.Reset(at - s.now())
}
